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
  clock.observe({ millis: 10, count: MAX_COUNT }, 10);
  t.deepEqual(clock.tick(10), { millis: 11, count: 0 });
});

test('a stamp up to the limit ahead is believed, one beyond it is not', (t) => {
  const clock = new HybridClock(AHEAD);
  t.true(clock.believes({ millis: 1010, count: 0 }, 10));
  t.false(clock.believes({ millis: 1011, count: 0 }, 10));
});

test('a stamp moves the clock only up to half the limit, but what replaces it follows it', (t) => {
  const clock = new HybridClock(AHEAD);
  const forged = { millis: 511, count: 3 };
  clock.observe(forged, 10);
  t.deepEqual(clock.tick(10), { millis: 10, count: 0 });
  t.deepEqual(clock.tick(10, forged), { millis: 511, count: 4 });
  t.deepEqual(clock.tick(11), { millis: 11, count: 0 }, 'other rows are not drawn along');
  clock.observe({ millis: 510, count: 0 }, 10);
  t.deepEqual(clock.tick(10), { millis: 510, count: 1 });
});

test('every stamp given is later than all given and all seen before', (t) => {
  const inputs = fc.array(
    fc.record({
      wall: fc.nat(500),
      seen: fc.option(fc.record({ millis: fc.nat(999), count: fc.nat(MAX_COUNT) })),
    }),
  );
  const property = fc.property(inputs, (list) => {
    const clock = new HybridClock(AHEAD);
    let latest: Stamp = { millis: -1, count: 0 };
    for (const { wall, seen } of list) {
      if (seen !== null) clock.observe(seen, wall);
      const isNear = seen !== null && seen.millis <= wall + AHEAD / 2;
      if (isNear && compareStamps(seen, latest) > 0) latest = seen;
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
