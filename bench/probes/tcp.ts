/**
 * Bulk TCP with iperf3. Congestion control is pinned: an image may default to bbr, which paces and
 * then measures its pacing.
 */
import type { IperfReport } from '../lib/lab.ts';
import type { Column } from '../lib/result.ts';
import type { Load, Probe } from './probe.ts';

export const CONGESTION_CONTROL = 'cubic';

const BYTES_PER_GB = 1e9;

interface TcpTotals {
  readonly end: { readonly sum_received: { readonly bytes: number } };
}

function receivedBytes(report: IperfReport): number {
  return (report.raw as TcpTotals).end.sum_received.bytes;
}

function columns(name: string, streams: number): Column[] {
  const label = `TCP ×${streams}`;
  const lower = { better: 'lower', digits: 2, isHeadline: false } as const;
  return [
    {
      key: `${name}.gbps`,
      title: `${label} Gb/s`,
      better: 'higher',
      digits: 2,
      isHeadline: true,
    },
    { ...lower, key: `${name}.cpuPerGb`, title: `${label} CPU s/GB`, isHeadline: streams === 1 },
    { ...lower, key: `${name}.daemonCpuPerGb`, title: 'daemons' },
    { ...lower, key: `${name}.retransmits`, title: 'rtx', digits: 0 },
  ];
}

function tcp(name: string, streams: number): Probe {
  return {
    name,
    section: 'TCP',
    columns: columns(name, streams),
    async load({ ends, daemonPids }, { seconds }): Promise<Load> {
      const report = await ends.client.iperfTo(ends.server, {
        address: ends.serverAddress,
        seconds,
        streams,
        extra: ['-C', CONGESTION_CONTROL],
      });
      const gigabytes = receivedBytes(report) / BYTES_PER_GB;
      if (gigabytes === 0) throw new Error('iperf3 received nothing over TCP');
      return ({ machineSeconds, daemonSeconds }) => ({
        [`${name}.gbps`]: report.bitsPerSecond / 1e9,
        [`${name}.cpuPerGb`]: machineSeconds / gigabytes,
        ...(daemonPids.length > 0 && { [`${name}.daemonCpuPerGb`]: daemonSeconds / gigabytes }),
        [`${name}.retransmits`]: report.retransmits,
      });
    },
  };
}

export const tcp1 = tcp('tcp1', 1);
export const tcp4 = tcp('tcp4', 4);
