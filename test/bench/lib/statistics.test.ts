import test from 'ava';
import { median, quantile, ratiosByRound, summarize } from '../../../bench/lib/statistics.ts';

test('the median is the middle sample, or the mean of the two in the middle', (t) => {
  t.is(median([9, 1, 5]), 5);
  t.is(median([4, 1, 3, 2]), 2.5);
  t.is(median([7]), 7);
});

test('a quantile is interpolated between neighbours and leaves its input alone', (t) => {
  const values = [40, 10, 30, 20];
  t.is(quantile(values, 0), 10);
  t.is(quantile(values, 1), 40);
  t.true(Math.abs(quantile(values, 0.99) - 39.7) < 1e-9);
  t.deepEqual(values, [40, 10, 30, 20]);
});

test('no samples have no quantile and no summary', (t) => {
  t.throws(() => quantile([], 0.5), { instanceOf: RangeError });
  t.is(summarize([]), undefined);
});

test('a summary has the ends and the number of samples', (t) => {
  t.deepEqual(summarize([3, 1, 2]), { median: 2, min: 1, max: 3, count: 3 });
});

test('ratios pair values of the same round only', (t) => {
  const values = new Map([
    [1, 10],
    [2, 30],
    [4, 5],
  ]);
  const base = new Map([
    [1, 20],
    [2, 10],
    [3, 1],
    [4, 0],
  ]);
  t.deepEqual(ratiosByRound(values, base), [0.5, 3]);
});
