import test from 'ava';
import fc from 'fast-check';
import {
  compareStamps,
  HybridClock,
  MAX_COUNT,
  type Stamp,
} from '../../src/gossip/hybrid-clock.ts';
import { check } from '../fakes/property.ts';

const AHEAD = 1000;

test('stamps follow the wall, and count within a millisecond', (t) => {
  const clock = new HybridClock(AHEAD);
  t.deepEqual(
    [clock.tick(10), clock.tick(10.9), clock.tick(12)],
    [
      { millis: 10, count: 0 },
      { millis: 10, count: 1 },
      { millis: 12, count: 0 },
    ],
  );
});

test('a wall clock set back does not set stamps back', (t) => {
  const clock = new HybridClock(AHEAD);
  clock.tick(1000);
  t.deepEqual(clock.tick(5), { millis: 1000, count: 1 });
});

test('a full count carries into the milliseconds', (t) => {
  const clock = new HybridClock(AHEAD);
  t.true(clock.observe({ millis: 10, count: MAX_COUNT }, 10));
  t.deepEqual(clock.tick(10), { millis: 11, count: 0 });
});

test('a stamp too far ahead is refused and leaves no trace', (t) => {
  const clock = new HybridClock(AHEAD);
  t.true(clock.observe({ millis: 1010, count: 0 }, 10));
  t.false(clock.observe({ millis: 1011, count: 0 }, 10));
  t.deepEqual(clock.tick(10), { millis: 1010, count: 1 });
});

test('every stamp given is later than all given and all seen before', (t) => {
  const inputs = fc.array(
    fc.record({
      wall: fc.nat(500),
      seen: fc.option(fc.record({ millis: fc.nat(1400), count: fc.nat(MAX_COUNT) })),
    }),
  );
  const property = fc.property(inputs, (list) => {
    const clock = new HybridClock(AHEAD);
    let latest: Stamp = { millis: -1, count: 0 };
    for (const { wall, seen } of list) {
      if (seen && clock.observe(seen, wall) && compareStamps(seen, latest) > 0) latest = seen;
      const stamp = clock.tick(wall);
      if (compareStamps(stamp, latest) <= 0) return false;
      latest = stamp;
    }
    return true;
  });
  t.notThrows(() => {
    check(property);
  });
});
