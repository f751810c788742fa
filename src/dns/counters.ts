/** What happened to questions since the start; docs/operations.md says what each means. */
export const DNS_COUNTERS = [
  'udp',
  'tcp',
  'answered',
  'noName',
  'noData',
  'truncated',
  'forwarded',
  'forwardFailed',
  'forwardOverflow',
  'forwardLoop',
  'malformed',
  'ignored',
  'refused',
  'strangers',
  'sendFailed',
] as const;

export type DnsCounter = (typeof DNS_COUNTERS)[number];
export type DnsCounts = Record<DnsCounter, number>;

export function zeroCounts(): DnsCounts {
  return Object.fromEntries(DNS_COUNTERS.map((name) => [name, 0])) as DnsCounts;
}
