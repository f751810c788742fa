import test from 'ava';
import { nativeOperations } from '../../../bench/micro/native.ts';

const OPERATIONS = 500;

for (const { name, loop } of nativeOperations()) {
  test(`${name}: the core does what is timed`, (t) => {
    t.true(loop(OPERATIONS) > 0);
  });
}
