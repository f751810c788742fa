import test from 'ava';
import { dipsOf, type Second } from '../../../bench/links/tcp-flow.ts';

const flow = (...rates: readonly number[]): Second[] =>
  rates.map((bitsPerSecond, start) => ({ start, end: start + 1, bitsPerSecond }));

test('a dip is what the worst second at an event lacks of the median second', (t) => {
  const seconds = flow(10, 100, 100, 70, 100, 90, 100, 100);
  t.deepEqual(dipsOf(seconds, [3.2]), { atEvents: 1 - 70 / 100, elsewhere: 0 });
  t.deepEqual(dipsOf(seconds, [5.5]), { atEvents: 1 - 90 / 100, elsewhere: 1 - 70 / 100 });
});

test('slow start and what is left of a second at the end are no dip', (t) => {
  const seconds = [...flow(1, 100, 100), { start: 3, end: 3.1, bitsPerSecond: 1 }];
  t.deepEqual(dipsOf(seconds, [0, 3]), { atEvents: 0, elsewhere: 0 });
});

test('a dip shows within two seconds of its event', (t) => {
  const seconds = flow(100, 100, 100, 100, 50, 100, 100);
  t.is(dipsOf(seconds, [2.5]).atEvents, 0.5);
  t.is(dipsOf(seconds, [1.5]).atEvents, 0);
});
