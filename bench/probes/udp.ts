/** UDP at the full rate the sender can offer (our own generator), and paced (iperf3). */
import { flood } from '../lib/udpgen.ts';
import { sendPaced } from '../lib/paced-rate.ts';
import type { Column } from '../lib/result.ts';
import type { Load, Probe } from './probe.ts';

function floodColumns(name: string, bytes: number): Column[] {
  const label = `UDP ${bytes} B`;
  return [
    {
      key: `${name}.receivedKpps`,
      title: `${label} received kpps`,
      better: 'higher',
      digits: 0,
      isHeadline: true,
    },
    {
      key: `${name}.offeredKpps`,
      title: 'offered',
      better: 'higher',
      digits: 0,
      isHeadline: false,
    },
    { key: `${name}.lossPercent`, title: 'loss %', better: 'lower', digits: 1, isHeadline: false },
  ];
}

function fullRate(name: string, bytes: number): Probe {
  return {
    name,
    section: 'UDP',
    columns: floodColumns(name, bytes),
    async load({ ends, daemonPids }, { seconds }): Promise<Load> {
      const report = await flood(ends, { bytes, seconds });
      return ({ machineSeconds, daemonSeconds }) => ({
        [`${name}.receivedKpps`]: report.receivedPerSecond / 1000,
        [`${name}.offeredKpps`]: report.offeredPerSecond / 1000,
        [`${name}.lossPercent`]: report.lossPercent,
        [`${name}.reordered`]: report.reordered,
        [`${name}.payloadBytes`]: report.bytes,
        [`${name}.cpuMicrosPerDatagram`]: (1e6 * machineSeconds) / report.received,
        ...(daemonPids.length > 0 && {
          [`${name}.daemonCpuMicrosPerDatagram`]: (1e6 * daemonSeconds) / report.received,
        }),
      });
    },
  };
}

export const udp64 = fullRate('udp64', 64);
export const udp1400 = fullRate('udp1400', 1400);

/** The same rate for every contender: it shows who can carry a steady load, not who is fastest. */
export const udpPaced: Probe = {
  name: 'udp-paced',
  section: 'UDP',
  columns: [
    {
      key: 'udp-paced.receivedMbps',
      title: 'paced Mb/s',
      better: 'higher',
      digits: 0,
      isHeadline: false,
    },
    {
      key: 'udp-paced.lossPercent',
      title: 'paced loss %',
      better: 'lower',
      digits: 2,
      isHeadline: false,
    },
  ],
  async load({ ends }, { seconds, pacedMbps }): Promise<Load> {
    const { sentMbps, lossPercent } = await sendPaced(ends, pacedMbps, seconds);
    if (lossPercent === 100) throw new Error('iperf3 received nothing over UDP');
    return () => ({
      'udp-paced.receivedMbps': sentMbps * (1 - lossPercent / 100),
      'udp-paced.lossPercent': lossPercent,
    });
  },
};
