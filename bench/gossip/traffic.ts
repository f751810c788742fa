import type { LabNamespace } from '../lib/lab.ts';

const IPV4_AND_UDP_BYTES = 28;

/** What was sent in a namespace since `countTraffic`, IP headers included. */
export interface Traffic {
  readonly udp: Count;
  readonly tcp: Count;
}

interface Count {
  readonly packets: number;
  readonly bytes: number;
}

/** Has the kernel count what all processes of a namespace send, by protocol. */
export async function countTraffic(namespace: LabNamespace): Promise<void> {
  const commands = [
    'add table inet bench',
    'add chain inet bench out { type filter hook output priority 0; }',
    'add rule inet bench out meta l4proto udp counter',
    'add rule inet bench out meta l4proto tcp counter',
  ];
  await namespace.run('nft', ['-f', '-'], { input: `${commands.join('\n')}\n` });
}

export async function readTraffic(namespace: LabNamespace): Promise<Traffic> {
  const text = await namespace.run('nft', ['list', 'table', 'inet', 'bench']);
  const count = (protocol: string): Count => {
    const match = new RegExp(`l4proto ${protocol} counter packets (\\d+) bytes (\\d+)`).exec(text);
    return { packets: Number(match?.[1]), bytes: Number(match?.[2]) };
  };
  return { udp: count('udp'), tcp: count('tcp') };
}

/** Rates per host and second between two readings. */
export function ratesOf(before: Traffic, after: Traffic, seconds: number, hosts: number): Rates {
  const rate = (change: number): number => change / seconds / hosts;
  const packets = after.udp.packets - before.udp.packets;
  const bytes = after.udp.bytes - before.udp.bytes;
  return {
    udpPayload: rate(bytes - packets * IPV4_AND_UDP_BYTES),
    udp: rate(bytes),
    datagrams: rate(packets),
    tcp: rate(after.tcp.bytes - before.tcp.bytes),
  };
}

export interface Rates {
  readonly udpPayload: number;
  /** With IP and UDP headers. */
  readonly udp: number;
  readonly datagrams: number;
  /** With IP and TCP headers, connections and acknowledgements. */
  readonly tcp: number;
}
