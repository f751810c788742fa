import { quantile } from '../lib/statistics.ts';
import { markdownTable } from '../lib/markdown.ts';

/** One row of a latency table: how long single operations took. */
export interface LatencyResult {
  readonly name: string;
  /** Microseconds, in no particular order. */
  readonly samples: readonly number[];
  /** What the 99th percentile must not exceed, in microseconds; absent where the disk decides. */
  readonly most?: number;
}

const COLUMNS = [
  { title: 'operation', align: 'left' },
  { title: 'median, µs', align: 'right' },
  { title: 'p99, µs', align: 'right' },
  { title: 'longest, µs', align: 'right' },
  { title: 'p99 must be', align: 'right' },
] as const;

const figure = (microseconds: number): string => microseconds.toFixed(microseconds < 100 ? 1 : 0);

function limitOf({ samples, most }: LatencyResult): string {
  if (most === undefined) return '–';
  return `≤ ${most}${quantile(samples, 0.99) <= most ? '' : ', MISSED'}`;
}

export function renderLatencies(results: readonly LatencyResult[]): string {
  const rows = results.map((result) => {
    const { name, samples } = result;
    const quantiles = [0.5, 0.99, 1].map((share) => figure(quantile(samples, share)));
    return [name, ...quantiles, limitOf(result)];
  });
  return markdownTable(COLUMNS, rows);
}
