/** The value that `part` (0 to 1) of `values` do not exceed; NaN of none. Sorts in place. */
export function percentile(values: number[], part: number): number {
  values.sort((one, other) => one - other);
  return values[Math.max(0, Math.ceil(part * values.length) - 1)] ?? NaN;
}
