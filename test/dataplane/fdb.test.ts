import test from 'ava';
import fc from 'fast-check';
import { seededRng } from '../../src/base/rng.ts';
import { asMac, asMillis } from '../../src/base/types.ts';
import {
  DEFAULT_FDB_CAPACITY,
  DEFAULT_FDB_MAX_AGE,
  Fdb,
  MAX_FDB_CAPACITY,
  MAX_PINNED,
  NO_PLACE,
} from '../../src/dataplane/fdb.ts';
import { FdbOracle } from '../model/fdb-oracle.ts';

const MAX_AGE = DEFAULT_FDB_MAX_AGE;
const at = asMillis;

function createFdb(capacity = DEFAULT_FDB_CAPACITY, maxAge: number = MAX_AGE): Fdb {
  return new Fdb({ capacity, maxAge: at(maxAge) }, seededRng(1));
}

test('a learned MAC is found where it was last seen, and a move counts once', (t) => {
  const fdb = createFdb();
  const mac = asMac(0x02_00_00_00_00_01);
  t.is(fdb.lookup(mac, at(0)), NO_PLACE);
  t.true(fdb.learn(mac, 7, at(0)));
  t.is(fdb.lookup(mac, at(1)), 7);
  t.true(fdb.learn(mac, -3, at(2)));
  t.is(fdb.lookup(mac, at(2)), -3);
  t.true(fdb.learn(mac, -3, at(3)));
  t.deepEqual(fdb.counters, { learned: 1, moved: 1, aged: 0, evicted: 0, flushed: 0 });
});

test('MACs that differ in any one bit are different entries', (t) => {
  const fdb = createFdb();
  for (let bit = 0; bit < 48; bit++) fdb.learn(asMac(2 ** bit), bit + 1, at(0));
  for (let bit = 0; bit < 48; bit++) t.is(fdb.lookup(asMac(2 ** bit), at(0)), bit + 1);
  t.is(fdb.size, 48);
});

test('an entry ages at exactly its maximum age, and a frame renews it', (t) => {
  const fdb = createFdb();
  const mac = asMac(1);
  fdb.learn(mac, 1, at(0));
  fdb.learn(mac, 1, at(1000));
  t.is(fdb.lookup(mac, at(1000 + MAX_AGE - 1)), 1);
  t.is(fdb.lookup(mac, at(1000 + MAX_AGE)), NO_PLACE);
  t.deepEqual(fdb.entries(at(1000 + MAX_AGE)), []);
  fdb.sweep(at(1000 + MAX_AGE), 10);
  t.is(fdb.size, 0);
  t.is(fdb.counters.aged, 1);
});

test('an aged MAC that speaks again is new, not moved', (t) => {
  const fdb = createFdb();
  fdb.learn(asMac(1), 1, at(0));
  fdb.learn(asMac(1), 2, at(MAX_AGE));
  t.deepEqual(fdb.counters, { learned: 2, moved: 0, aged: 1, evicted: 0, flushed: 0 });
});

test('learning alone sweeps what has aged', (t) => {
  const fdb = createFdb();
  for (let mac = 1; mac <= 1000; mac++) fdb.learn(asMac(mac), 1, at(0));
  for (let mac = 2001; mac <= 2500; mac++) fdb.learn(asMac(mac), 1, at(MAX_AGE));
  t.is(fdb.size, 500);
  t.is(fdb.counters.aged, 1000);
});

test('a sweep removes no more than its limit, oldest first', (t) => {
  const fdb = createFdb();
  for (let mac = 1; mac <= 10; mac++) fdb.learn(asMac(mac), 1, at(mac));
  fdb.sweep(at(MAX_AGE + 100), 4);
  t.is(fdb.size, 6);
  fdb.sweep(at(MAX_AGE + 8), 100);
  t.is(fdb.size, 2);
});

test('a full table evicts the entry that went unconfirmed longest', (t) => {
  const fdb = createFdb(3);
  for (const mac of [1, 2, 3]) fdb.learn(asMac(mac), mac, at(mac));
  fdb.learn(asMac(1), 1, at(4));
  fdb.learn(asMac(4), 4, at(5));
  t.is(fdb.lookup(asMac(2), at(5)), NO_PLACE);
  t.deepEqual(
    [1, 3, 4].map((mac) => fdb.lookup(asMac(mac), at(5))),
    [1, 3, 4],
  );
  t.is(fdb.counters.evicted, 1);
});

test('a static entry neither moves, ages, is evicted nor takes a learned place', (t) => {
  const fdb = createFdb(2);
  fdb.setStatic(asMac(9), 5);
  t.false(fdb.learn(asMac(9), 6, at(0)));
  t.true(fdb.learn(asMac(9), 5, at(0)));
  for (let mac = 100; mac < 200; mac++) fdb.learn(asMac(mac), 1, at(1));
  t.is(fdb.lookup(asMac(9), at(MAX_AGE * 10)), 5);
  t.is(fdb.size, 3);
  t.deepEqual(
    fdb.entries(at(MAX_AGE * 10)).map((row) => ({ ...row })),
    [{ mac: asMac(9), place: 5, isStatic: true, age: at(0) }],
  );
  fdb.removeStatic(asMac(9));
  t.is(fdb.lookup(asMac(9), at(1)), NO_PLACE);
});

test('a static entry replaces a learned one, and removing a static one spares learned ones', (t) => {
  const fdb = createFdb();
  fdb.learn(asMac(1), 1, at(0));
  fdb.setStatic(asMac(1), 2);
  t.is(fdb.lookup(asMac(1), at(0)), 2);
  t.is(fdb.size, 1);
  fdb.learn(asMac(3), 3, at(0));
  fdb.removeStatic(asMac(3));
  t.is(fdb.lookup(asMac(3), at(0)), 3);
});

test('only what is static has a static place, and there is an end to how many', (t) => {
  const fdb = createFdb();
  fdb.learn(asMac(1), 7, at(0));
  fdb.setStatic(asMac(2), -3);
  t.is(fdb.staticPlace(asMac(1)), NO_PLACE);
  t.is(fdb.staticPlace(asMac(2)), -3);
  t.is(fdb.staticPlace(asMac(3)), NO_PLACE);
  for (let mac = 3; mac <= MAX_PINNED + 1; mac++) fdb.setStatic(asMac(mac), 4);
  fdb.setStatic(asMac(10 ** 9), 4);
  t.is(fdb.staticPlace(asMac(10 ** 9)), NO_PLACE);
  fdb.setStatic(asMac(2), 5);
  t.is(fdb.staticPlace(asMac(2)), 5);
  t.true(fdb.learn(asMac(10 ** 9), 8, at(1)), 'what is beyond it is learned');
});

test('a flush forgets one place and nothing else', (t) => {
  const fdb = createFdb();
  for (let mac = 1; mac <= 300; mac++) fdb.learn(asMac(mac), (mac % 3) + 1, at(0));
  fdb.setStatic(asMac(1000), 2);
  fdb.flush(2);
  t.is(fdb.size, 200);
  t.is(fdb.counters.flushed, 101);
  t.is(fdb.lookup(asMac(1), at(0)), NO_PLACE);
  t.is(fdb.lookup(asMac(2), at(0)), 3);
});

test('a flood of 1,000,000 MACs keeps to its capacity and cannot touch another network', (t) => {
  const [flooded, other] = [createFdb(), createFdb()];
  other.learn(asMac(42), 4, at(0));
  for (let mac = 1; mac <= 1_000_000; mac++) flooded.learn(asMac(mac * 131), 1, at(mac / 1000));
  t.is(flooded.size, DEFAULT_FDB_CAPACITY);
  t.is(flooded.counters.evicted, 1_000_000 - DEFAULT_FDB_CAPACITY);
  t.is(flooded.lookup(asMac(1_000_000 * 131), at(1000)), 1);
  t.is(other.size, 1);
  t.is(other.lookup(asMac(42), at(1000)), 4);
});

test('the largest capacity allowed works, and one more is refused', (t) => {
  const fdb = createFdb(MAX_FDB_CAPACITY);
  for (let mac = 1; mac <= MAX_FDB_CAPACITY + 5; mac++) fdb.learn(asMac(mac), mac, at(0));
  t.is(fdb.size, MAX_FDB_CAPACITY);
  t.is(fdb.lookup(asMac(MAX_FDB_CAPACITY), at(0)), MAX_FDB_CAPACITY);
  t.throws(() => createFdb(MAX_FDB_CAPACITY + 1));
  t.throws(() => createFdb(0));
});

type Step =
  | {
      readonly kind: 'learn' | 'lookup' | 'setStatic';
      readonly mac: number;
      readonly place: number;
    }
  | { readonly kind: 'removeStatic'; readonly mac: number }
  | { readonly kind: 'flush'; readonly place: number }
  | { readonly kind: 'sweep'; readonly limit: number }
  | { readonly kind: 'pass'; readonly ms: number };

// Few MACs and places, so that steps meet; some MACs far apart, so that all 48 bits count.
const mac = fc.oneof(
  fc.integer({ min: 1, max: 90 }),
  fc.constantFrom(2 ** 47 + 1, 2 ** 40, 2 ** 32),
);
const place = fc.integer({ min: -3, max: 3 }).filter((value) => value !== NO_PLACE);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('learn' as const), mac, place }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('lookup' as const), mac, place }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('setStatic' as const), mac, place }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('removeStatic' as const), mac }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('flush' as const), place }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('sweep' as const), limit: fc.nat(9) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(60) }) },
);

function sorted(rows: readonly (readonly [number, number])[]): string[] {
  return rows.map(([mac, place]) => `${mac}@${place}`).sort();
}

/** Runs one step on both; returns what each answered. */
function take(fdb: Fdb, oracle: FdbOracle, step: Step, now: number): [unknown, unknown] {
  switch (step.kind) {
    case 'learn':
      return [
        fdb.learn(asMac(step.mac), step.place, at(now)),
        oracle.learn(step.mac, step.place, now),
      ];
    case 'lookup':
      return [fdb.lookup(asMac(step.mac), at(now)), oracle.lookup(step.mac, now)];
    case 'setStatic':
      fdb.setStatic(asMac(step.mac), step.place);
      oracle.setStatic(step.mac, step.place);
      return [undefined, undefined];
    case 'removeStatic':
      fdb.removeStatic(asMac(step.mac));
      oracle.removeStatic(step.mac);
      return [undefined, undefined];
    case 'flush':
      fdb.flush(step.place);
      oracle.flush(step.place);
      return [undefined, undefined];
    case 'sweep':
      fdb.sweep(at(now), step.limit);
      return [undefined, undefined];
    case 'pass':
      return [undefined, undefined];
  }
}

test('any sequence of steps does what the slow oracle does', (t) => {
  const capacities = fc.constantFrom(1, 2, 5, 20, 70);
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 400, size: 'max' }),
      capacities,
      fc.nat(),
      (steps, capacity, seed) => {
        const fdb = new Fdb({ capacity, maxAge: at(300) }, seededRng(seed));
        const oracle = new FdbOracle(capacity, 300);
        let now = 0;
        for (const step of steps) {
          if (step.kind === 'pass') now += step.ms;
          const [got, expected] = take(fdb, oracle, step, now);
          if (got !== expected) return false;
        }
        oracle.age(now);
        const rows = fdb.entries(at(now)).map((row) => [row.mac, row.place] as const);
        const expected = [...oracle.entries].map(([mac, entry]) => [mac, entry.place] as const);
        t.deepEqual(sorted(rows), sorted(expected));
        const { learned, moved, evicted } = fdb.counters;
        t.deepEqual({ learned, moved, evicted }, oracle.counters);
        return true;
      },
    ),
    { seed: Number(process.env['SEED'] ?? 20_260_101), numRuns: 400 },
  );
});
