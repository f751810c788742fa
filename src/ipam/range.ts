/** A run of addresses, as offsets from a subnet's first address: `start` is in it, `end` is not. */
export interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/*
 * A *set* is a list of ranges in rising order that neither overlap nor touch. Every function here takes
 * and returns sets; none changes its arguments.
 */

export const single = (offset: bigint): Range => ({ start: offset, end: offset + 1n });

export const contains = (set: readonly Range[], offset: bigint): boolean =>
  set.some(({ start, end }) => start <= offset && offset < end);

/** How many addresses a set has. */
export const sizeOf = (set: readonly Range[]): bigint =>
  set.reduce((sum, { start, end }) => sum + end - start, 0n);

/** The set of all addresses in any of `ranges`, which may overlap and stand in any order. */
export function unite(ranges: readonly Range[]): Range[] {
  const sorted = ranges
    .filter(({ start, end }) => start < end)
    .sort((a, b) => (a.start < b.start ? -1 : 1));
  const set: Range[] = [];
  for (const range of sorted) {
    const last = set.at(-1);
    if (last === undefined || last.end < range.start) set.push(range);
    else if (last.end < range.end) set[set.length - 1] = { start: last.start, end: range.end };
  }
  return set;
}

/** What both sets have. O(n + m). */
export function intersect(one: readonly Range[], other: readonly Range[]): Range[] {
  const set: Range[] = [];
  for (let i = 0, j = 0; i < one.length && j < other.length;) {
    const [a, b] = [one[i] as Range, other[j] as Range];
    const start = a.start > b.start ? a.start : b.start;
    const end = a.end < b.end ? a.end : b.end;
    if (start < end) set.push({ start, end });
    if (a.end < b.end) i++;
    else j++;
  }
  return set;
}

/** What `one` has and `other` has not. O(n + m). */
export function subtract(one: readonly Range[], other: readonly Range[]): Range[] {
  const set: Range[] = [];
  let j = 0;
  for (const { start, end } of one) {
    let from = start;
    while (j < other.length && (other[j] as Range).end <= from) j++;
    for (let k = j; k < other.length && (other[k] as Range).start < end; k++) {
      const gap = other[k] as Range;
      if (from < gap.start) set.push({ start: from, end: gap.start });
      if (gap.end > from) from = gap.end;
    }
    if (from < end) set.push({ start: from, end });
  }
  return set;
}

/** The longest range of a set; the first of several. */
export function longest(set: readonly Range[]): Range | undefined {
  return set.reduce<Range | undefined>(
    (best, range) =>
      best === undefined || range.end - range.start > best.end - best.start ? range : best,
    undefined,
  );
}

/**
 * The upper part of a range of at least two addresses: about half, cut at the roundest number near the
 * middle, so that what is halved again and again keeps to CIDR blocks. A single address is given whole.
 */
export function upperHalf({ start, end }: Range): Range {
  const length = end - start;
  if (length === 1n) return { start, end };
  const [low, high] = [start + (length + 2n) / 3n, end - (length + 2n) / 3n];
  const middle = start + length / 2n;
  if (low > high || length < 4n) return { start: middle, end };
  for (let step = 1n << BigInt(length.toString(2).length); step > 1n; step >>= 1n) {
    const cut = ((middle + step / 2n) / step) * step;
    if (cut >= low && cut <= high) return { start: cut, end };
  }
  return { start: middle, end };
}
