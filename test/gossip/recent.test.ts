import test from 'ava';
import fc from 'fast-check';
import { Counters } from '../../src/gossip/counters.ts';
import { ROOT } from '../../src/gossip/hash-tree.ts';
import type { HeldRow } from '../../src/gossip/held-row.ts';
import { compareStamps } from '../../src/gossip/hybrid-clock.ts';
import { compareRecent, versionOf } from '../../src/gossip/recent.ts';
import { Replica } from '../../src/gossip/replica.ts';
import { FakeSignatures, signedBy } from '../fakes/fake-signatures.ts';
import { check } from '../fakes/property.ts';
import { peerId, WALL } from './fixtures.ts';

const RETENTION = 86_400_000;
const replica = (): Replica =>
  new Replica(
    {
      ...{ clockAheadMax: RETENTION, tombstoneRetention: RETENTION },
      ...{ rowsMax: 10_000, rowsPerAuthorMax: 10_000 },
    },
    new Counters(),
    { signatures: new FakeSignatures(peerId('e')), isActive: () => true },
  );

function put(into: Replica, key: number, millis: number, count = 0, isDeleted = false): void {
  const value = isDeleted ? undefined : new Uint8Array([key & 15]);
  const stamp = { millis, count };
  const row = signedBy(peerId('1'), { table: 't', key: `k${key}`, stamp, value });
  into.merge(row, WALL, 'remote');
}

test('what is listed are all rows later than the floor, whatever was written, replaced and collected', (t) => {
  const write = fc.record({
    key: fc.nat(400),
    ms: fc.nat(300),
    count: fc.nat(2),
    isDeleted: fc.boolean(),
    collects: fc.nat(200).map((n) => n === 0),
  });
  const writes = fc.array(write, { maxLength: 800, size: 'max' });
  const since = fc.option(fc.nat(20_000), { nil: undefined });
  const property = fc.property(writes, since, fc.nat(), (list, ms, salt) => {
    const it = replica();
    for (const { key, ms: at, count, isDeleted, collects } of list) {
      put(it, key, WALL + at, count, isDeleted);
      if (collects) it.collect(WALL + RETENTION + 150);
    }
    const { floor, versions } = it.recent.describe(ms === undefined ? ms : WALL + ms, salt);
    const later = [...it.tree.under(ROOT)].filter((row) => compareStamps(row, floor) > 0);
    t.deepEqual([...versions].sort(), later.map((row) => versionOf(row, salt)).sort());
    t.true(versions.length <= 16);
    const keys = (rows: readonly HeldRow[]): string[] => rows.map(({ key }) => key).sort();
    t.deepEqual(keys(it.recent.above(floor)), keys(later));
    t.is(compareRecent(it.recent, { floor, versions }, salt).theyLack.length, 0);
  });
  t.notThrows(() => check(property, 60));
});

test('since a host was equal to another, what it wrote is listed; before, four rows', (t) => {
  const it = replica();
  for (let key = 0; key < 100; key++) put(it, key, WALL + 1000 * key);
  const listed = (since?: number): number => it.recent.describe(since, 1).versions.length;
  t.is(listed(WALL + 99_000), 10, 'and those of ten seconds before');
  t.is(listed(WALL + 200_000), 4);
  t.is(listed(WALL), 16);
  t.is(listed(), 16);
});
