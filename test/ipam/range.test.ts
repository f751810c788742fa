import fc from 'fast-check';
import test from 'ava';
import {
  contains,
  intersect,
  longest,
  sizeOf,
  subtract,
  unite,
  upperHalf,
  type Range,
} from '../../src/ipam/range.ts';
import { check } from '../fakes/property.ts';

const LIMIT = 64;
const set = fc
  .array(fc.tuple(fc.nat(LIMIT), fc.nat(LIMIT)), { maxLength: 6 })
  .map((pairs) =>
    unite(pairs.map(([a, b]) => ({ start: BigInt(Math.min(a, b)), end: BigInt(Math.max(a, b)) }))),
  );

/** The oracle: a set as the list of its members. */
const members = (ranges: readonly Range[]): number[] =>
  Array.from({ length: LIMIT }, (_, index) => index).filter((index) =>
    contains(ranges, BigInt(index)),
  );

const isProper = (ranges: readonly Range[]): boolean =>
  ranges.every(
    ({ start, end }, index) =>
      start < end && (index === 0 || (ranges[index - 1]?.end ?? 0n) < start),
  );

test('sets of ranges are sets', (t) => {
  t.notThrows(() =>
    check(
      fc.property(set, set, (one, other) => {
        const [a, b] = [members(one), new Set(members(other))];
        const both = intersect(one, other);
        const rest = subtract(one, other);
        const all = unite([...one, ...other]);
        return (
          isProper(both) &&
          isProper(rest) &&
          isProper(all) &&
          members(both).join() === a.filter((each) => b.has(each)).join() &&
          members(rest).join() === a.filter((each) => !b.has(each)).join() &&
          members(all).join() === members([...one, ...other]).join() &&
          sizeOf(rest) + sizeOf(both) === sizeOf(one)
        );
      }),
    ),
  );
});

test('half of a range is given away, cut at a round number', (t) => {
  const half = (start: bigint, end: bigint) => upperHalf({ start, end });
  t.deepEqual(half(0n, 256n), { start: 128n, end: 256n });
  t.deepEqual(half(17n, 256n), { start: 128n, end: 256n });
  t.deepEqual(half(5n, 6n), { start: 5n, end: 6n });
  t.deepEqual(half(5n, 7n), { start: 6n, end: 7n });
  t.deepEqual(half(0n, 2n ** 64n), { start: 2n ** 63n, end: 2n ** 64n });
  check(
    fc.property(fc.bigInt(0n, 5000n), fc.bigInt(1n, 5000n), (start, length) => {
      const given = half(start, start + length);
      const share = given.end - given.start;
      return given.end === start + length && share >= 1n && (length === 1n || share < length);
    }),
  );
});

test('the longest range is the first of the longest', (t) => {
  t.is(longest([]), undefined);
  const [a, b] = [
    { start: 0n, end: 4n },
    { start: 6n, end: 10n },
  ];
  t.is(longest([{ start: 12n, end: 13n }, a, b]), a);
});
