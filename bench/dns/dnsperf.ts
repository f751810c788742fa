/** What one run of dnsperf found. */
export interface DnsRun {
  readonly sent: number;
  readonly lost: number;
  readonly perSecond: number;
  /** Of each answer. */
  readonly latenciesMs: readonly number[];
}

function numberAfter(label: string, text: string): number {
  const found = new RegExp(`${label}:\\s+([0-9.]+)`).exec(text)?.[1];
  if (found === undefined) throw new Error(`dnsperf did not say "${label}": ${text.slice(-400)}`);
  return Number(found);
}

/** Reads what `dnsperf -v` prints: a line for each answer, and the totals. */
export function parseDnsperf(text: string): DnsRun {
  const answers = text.matchAll(/^> \S+ \S+ \S+ ([0-9.]+)$/gm);
  return {
    sent: numberAfter('Queries sent', text),
    lost: numberAfter('Queries lost', text),
    perSecond: numberAfter('Queries per second', text),
    latenciesMs: Array.from(answers, ([, seconds]) => Number(seconds) * 1000),
  };
}
