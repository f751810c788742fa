/** Statistics that stay honest with three to ten samples: medians and ranges, no standard deviation. */

/** The middle and the ends of a set of samples. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/**
 * The value below which `share` (0 to 1) of the samples lie, interpolated between neighbours.
 * `values` must not be empty; it is not changed.
 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = share * (sorted.length - 1);
  const below = sorted[Math.floor(position)];
  const above = sorted[Math.ceil(position)];
  if (below === undefined || above === undefined) throw new RangeError('No samples.');
  return below + (above - below) * (position - Math.floor(position));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** `undefined` when there is no sample. */
export function summarize(values: readonly number[]): Summary | undefined {
  if (values.length === 0) return undefined;
  return {
    median: median(values),
    min: Math.min(...values),
    max: Math.max(...values),
    count: values.length,
  };
}

/**
 * Ratios of two series round by round. Machines drift by more than contenders differ, so figures are
 * compared only with those of the same round; rounds that lack either value, or whose base is 0, fall out.
 */
export function ratiosByRound(
  values: ReadonlyMap<number, number>,
  base: ReadonlyMap<number, number>,
): number[] {
  return [...values].flatMap(([round, value]) => {
    const baseValue = base.get(round);
    return baseValue === undefined || baseValue === 0 ? [] : [value / baseValue];
  });
}
