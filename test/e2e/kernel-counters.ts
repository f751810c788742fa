import type { LabNamespace } from '../../bench/lib/lab.ts';

/** Counters of a namespace's IP stack by name, `TcpInCsumErrors` or `Udp6InDatagrams` for example. */
export type KernelCounters = Readonly<Record<string, number>>;

/**
 * Counts of packets that a kernel refused for their bytes: checksums above all, and headers that contradict
 * each other. All must stay 0 behind a network that damages nothing.
 */
const DAMAGE = [
  ...['TcpInCsumErrors', 'TcpInErrs', 'UdpInCsumErrors', 'IcmpInCsumErrors', 'IpInHdrErrors'],
  ...['Udp6InCsumErrors', 'Icmp6InCsumErrors', 'Ip6InHdrErrors', 'Ip6InTruncatedPkts'],
];

/** Reads /proc/net/snmp (a line of names above a line of values) and /proc/net/snmp6 (a pair a line). */
export async function kernelCounters(namespace: LabNamespace): Promise<KernelCounters> {
  const text = await namespace.run('cat', ['/proc/net/snmp', '/proc/net/snmp6']);
  const counters: Record<string, number> = {};
  const names = new Map<string, readonly string[]>();
  for (const line of text.split('\n')) {
    const [first = '', ...rest] = line.trim().split(/\s+/);
    if (!first.endsWith(':')) counters[first] = Number(rest[0]);
    else if (!names.has(first)) names.set(first, rest);
    else {
      const prefix = first.slice(0, -1);
      names.get(first)?.forEach((name, at) => (counters[prefix + name] = Number(rest[at])));
    }
  }
  return counters;
}

/** The damage that the kernel has noticed, by counter; empty if none. */
export async function damageSeen(namespace: LabNamespace): Promise<KernelCounters> {
  const counters = await kernelCounters(namespace);
  const seen = DAMAGE.map((name) => [name, counters[name]] as const);
  return Object.fromEntries(seen.filter(([, count]) => count !== 0)) as KernelCounters;
}
