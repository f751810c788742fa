import test from 'ava';
import { BASE_CONTENDER, figureOf, type Sample } from '../../../bench/lib/result.ts';

function sample(round: number, contender: string, value: number, foreignShare = 0): Sample {
  return { round, contender, probe: 'p', values: { 'p.x': value }, foreignShare };
}

test('the ratio is the median of the ratios within a round, not the ratio of medians', (t) => {
  const samples = [
    ...[sample(1, BASE_CONTENDER, 10), sample(2, BASE_CONTENDER, 1), sample(3, BASE_CONTENDER, 4)],
    ...[sample(1, 'weft', 5), sample(2, 'weft', 2), sample(3, 'weft', 3)],
  ];
  t.deepEqual(figureOf(samples, 'weft', 'p.x'), {
    ...{ median: 3, min: 2, max: 5, count: 3 },
    ratio: 0.75,
    isDisturbed: false,
  });
});

test('without the base contender there is no ratio', (t) => {
  t.is(figureOf([sample(1, 'weft', 5)], 'weft', 'p.x')?.ratio, undefined);
});

test('load of others marks the figure of that contender only', (t) => {
  const samples = [sample(1, 'weft', 5, 0.2), sample(1, 'bare', 5, 0.01)];
  t.true(figureOf(samples, 'weft', 'p.x')?.isDisturbed);
  t.false(figureOf(samples, 'bare', 'p.x')?.isDisturbed);
});

test('a column that was never measured has no figure', (t) => {
  t.is(figureOf([sample(1, 'weft', 5)], 'weft', 'p.y'), undefined);
});
