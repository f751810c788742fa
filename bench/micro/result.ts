import type { Summary } from '../lib/statistics.ts';

/** What one operation costs, over several timed batches. */
export interface MicroResult {
  readonly name: string;
  readonly nsPerOperation: Pick<Summary, 'median' | 'min' | 'max'>;
  /** Heap growth a million operations leave behind, divided by as many; about 0 for a hot path. */
  readonly bytesPerOperation: number;
}
