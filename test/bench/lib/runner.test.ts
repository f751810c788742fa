import test from 'ava';
import { orderOf } from '../../../bench/lib/runner.ts';

test('every round has all contenders, and begins with the next one', (t) => {
  const names = ['a', 'b', 'c'];
  t.deepEqual(orderOf(names, 1), ['a', 'b', 'c']);
  t.deepEqual(orderOf(names, 2), ['b', 'c', 'a']);
  t.deepEqual(orderOf(names, 4), ['a', 'b', 'c']);
});
