import test from 'ava';
import { asMac, asMillis } from '../../src/base/types.ts';
import { FloodLimit } from '../../src/dataplane/flood-limit.ts';
import { Neighbours } from '../../src/dataplane/neighbours.ts';
import { ZERO_MAC } from '../../src/wire/mac.ts';

const [ONE, TWO] = [asMac(1), asMac(2)];
const v4 = Buffer.from([10, 7, 0, 200]);
const v6 = Buffer.from('20010db80000000000000000000000ff', 'hex');

test('addresses of both families are found, and those of others are not', (t) => {
  const neighbours = new Neighbours();
  neighbours.set(v4, ONE);
  neighbours.set(v6, TWO);
  t.is(neighbours.find4(0x0a0700c8), ONE);
  t.is(neighbours.find4(0x0a0700c9), ZERO_MAC);
  t.is(neighbours.find6(Buffer.concat([Buffer.alloc(3), v6]), 3), TWO);
  t.is(neighbours.find6(Buffer.concat([v6, v6]), 1), ZERO_MAC);
});

test('the later of two has an address, and the earlier can no longer give it up', (t) => {
  const neighbours = new Neighbours();
  for (const address of [v4, v6]) {
    neighbours.set(address, ONE);
    neighbours.set(address, TWO);
    neighbours.remove(address, ONE);
  }
  t.deepEqual([neighbours.find4(0x0a0700c8), neighbours.find6(v6, 0)], [TWO, TWO]);
  for (const address of [v4, v6]) neighbours.remove(address, TWO);
  t.deepEqual([neighbours.find4(0x0a0700c8), neighbours.find6(v6, 0)], [ZERO_MAC, ZERO_MAC]);
});

test('the flood limit lets a second’s worth through at once, then its rate', (t) => {
  const limit = new FloodLimit(10);
  const admitted = (count: number, now: number): number =>
    Array.from({ length: count }, () => limit.admits(asMillis(now))).filter(Boolean).length;
  t.is(admitted(50, 5000), 10);
  t.is(admitted(50, 5099), 0);
  t.is(admitted(50, 5100), 1);
  t.is(admitted(50, 5350), 2);
  t.is(admitted(50, 5400), 1, 'half a frame was saved');
  t.is(admitted(50, 1e9), 10, 'no more than a second’s worth is kept');
});
