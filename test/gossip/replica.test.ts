import test from 'ava';
import fc from 'fast-check';
import { isAppError } from '../../src/base/errors.ts';
import { encodeCbor } from '../../src/gossip/cbor.ts';
import { Counters } from '../../src/gossip/counters.ts';
import type { PeerId } from '../../src/base/types.ts';
import { compareRows, Replica, type Row, type Trust } from '../../src/gossip/replica.ts';
import { FakeSignatures, signedBy } from '../fakes/fake-signatures.ts';
import { peerId, WALL } from './fixtures.ts';
import { check } from '../fakes/property.ts';

const SETTINGS = {
  ...{ clockAheadMax: 1000, tombstoneRetention: 5000 },
  ...{ rowsMax: 10, rowsPerAuthorMax: 10 },
};

const trust = (self: string, isActive: (id: PeerId) => boolean = () => true): Trust => ({
  signatures: new FakeSignatures(peerId(self)),
  isActive,
});

function replica(self = '1', isActive?: Trust['isActive']): { it: Replica; counters: Counters } {
  const counters = new Counters();
  return { it: new Replica(SETTINGS, counters, trust(self, isActive)), counters };
}

function row(change: Partial<Row> & { readonly data?: unknown } = {}): Row {
  const { data = 1, author = peerId('1'), ...rest } = change;
  const value = encodeCbor(data);
  const stamp = { millis: WALL, count: 0 };
  return signedBy(author, { table: 't', key: 'k', stamp, value, ...rest });
}

const later = (ms: number): Row['stamp'] => ({ millis: WALL + ms, count: 0 });

test('the later version wins, whichever comes first', (t) => {
  const [older, newer] = [row({ data: 'old' }), row({ data: 'new', stamp: later(1) })];
  for (const order of [
    [older, newer],
    [newer, older],
  ]) {
    const { it } = replica();
    it.define('t', { valueBytes: 100, validate: (value) => value });
    for (const version of order) it.merge(version, WALL, 'remote');
    t.is(it.get('t', 'k')?.value, 'new');
  }
});

test('a merge returns what changed, and nothing the second time', (t) => {
  const { it } = replica();
  it.define('t', { valueBytes: 100, validate: (value) => value });
  const first = it.merge(row({ data: 'a' }), WALL, 'remote');
  t.like(first, { value: 'a', previous: undefined, previousValue: undefined, origin: 'remote' });
  t.is(it.merge(row({ data: 'a' }), WALL, 'remote'), undefined);
  const second = it.merge(row({ data: 'b', stamp: later(1) }), WALL, 'local');
  t.like(second, { value: 'b', previousValue: 'a', origin: 'local' });
});

test('the order of versions is total and does not depend on who compares', (t) => {
  const rows = fc.record({
    stamp: fc.record({ millis: fc.nat(2), count: fc.nat(1) }),
    author: fc.constantFrom(peerId('1'), peerId('2')),
    value: fc.option(fc.uint8Array({ minLength: 1, maxLength: 1, max: 2 }), { nil: undefined }),
  });
  const whole = rows.map((part) => row(part));
  const property = fc.property(whole, whole, whole, (a, b, c) => {
    const isAntisymmetric = Math.sign(compareRows(a, b)) === -Math.sign(compareRows(b, a));
    const isTransitive =
      !(compareRows(a, b) <= 0 && compareRows(b, c) <= 0) || compareRows(a, c) <= 0;
    return isAntisymmetric && isTransitive;
  });
  t.notThrows(() => {
    check(property, 2000);
  });
});

test('replicas that saw the same versions in any order are equal', (t) => {
  const version = fc.record({
    key: fc.constantFrom('a', 'b'),
    ms: fc.nat(3),
    data: fc.option(fc.nat(2)),
    by: fc.constantFrom('1', '2'),
  });
  const property = fc.property(fc.array(version), fc.nat(), (list, seed) => {
    const rows = list.map(({ key, ms, data, by }) =>
      row({
        key,
        stamp: later(ms),
        author: peerId(by),
        ...(data === null ? { value: undefined } : { data }),
      }),
    );
    const shuffled = [...rows].sort(
      (a, b) => ((a.stamp.millis * 7 + seed) % 5) - ((b.stamp.millis * 7 + seed) % 5),
    );
    const [one, other] = [rows, shuffled, [...rows].reverse()].map((order) => {
      const { it } = replica();
      for (const each of order) it.merge(each, WALL, 'remote');
      return [...it.all()].sort((a, b) => (a.key < b.key ? -1 : 1));
    });
    t.deepEqual(one, other);
  });
  t.notThrows(() => {
    check(property);
  });
});

test('prepare stamps after all that was seen, and changes nothing by itself', (t) => {
  const { it } = replica('2');
  it.merge(row({ stamp: later(500) }), WALL, 'remote');
  const next = it.prepare('t', 'k', 2, WALL);
  t.deepEqual(next?.stamp, { millis: WALL + 500, count: 1 });
  t.deepEqual(it.get('t', 'k')?.row.author, peerId('1'));
  t.truthy(next && it.merge(next, WALL, 'local'));
});

test('putting what is there, or deleting what is not, is no change', (t) => {
  const { it } = replica();
  it.merge(row({ data: { a: 1 } }), WALL, 'remote');
  t.is(it.prepare('t', 'k', { a: 1 }, WALL), undefined);
  t.is(it.prepare('t', 'absent', undefined, WALL), undefined);
  it.merge(row({ data: { a: 1 }, author: peerId('2'), stamp: later(1) }), WALL, 'remote');
  t.truthy(it.prepare('t', 'k', { a: 1 }, WALL), 'another author takes the row over');
});

test('a tombstone hides the row, wins over older versions, and is collected in the end', (t) => {
  const { it } = replica();
  it.merge(row(), WALL, 'remote');
  it.merge(row({ value: undefined, stamp: later(1) }), WALL, 'remote');
  t.is(it.get('t', 'k'), undefined);
  t.deepEqual([...it.entries('t')], []);
  t.is(it.merge(row(), WALL, 'remote'), undefined, 'the deleted version comes again');
  t.deepEqual(it.collect(WALL + 5001), []);
  t.is(it.collect(WALL + 5002).length, 1);
  t.is(it.size, 0);
  const old = row({ value: undefined, stamp: later(1) });
  t.is(it.merge(old, WALL + 5002, 'remote'), undefined, 'a collected tombstone is not taken again');
});

test('rows are refused and counted: future, too large, invalid, beyond the quota', (t) => {
  const { it, counters } = replica();
  it.define('t', {
    valueBytes: 10,
    validate: (value) => (typeof value === 'number' ? value : undefined),
  });
  for (const refused of [
    row({ stamp: later(1001) }),
    row({ data: 'x'.repeat(11) }),
    row({ data: 'text' }),
    row({ value: Uint8Array.of(0x9a, 0xff, 0xff, 0xff, 0xff) }),
  ]) {
    t.is(it.merge(refused, WALL, 'remote'), undefined);
  }
  for (let key = 0; key < 12; key++) it.merge(row({ key: `${key}` }), WALL, 'remote');
  t.is(it.size, 10);
  t.like(counters.snapshot(), { rowFuture: 1, rowTooLarge: 1, rowInvalid: 2, rowQuota: 2 });
});

test('a million keys of one author meet its quota, which other authors do not feel', (t) => {
  const counters = new Counters();
  const it = new Replica(
    { ...SETTINGS, rowsMax: 1_000_000, rowsPerAuthorMax: 500 },
    counters,
    trust('1'),
  );
  for (let key = 0; key < 1_000_000; key++) it.merge(row({ key: `${key}` }), WALL, 'remote');
  t.is(it.size, 500);
  t.is(counters.get('rowAuthorQuota'), 999_500);
  t.truthy(it.merge(row({ key: 'other', author: peerId('2') }), WALL, 'remote'));
  t.truthy(it.merge(row({ key: '7', data: 2, stamp: later(1) }), WALL, 'remote'), 'a known row');
  const error = t.throws(() => it.prepare('t', 'more', 1, WALL));
  t.true(isAppError(error, 'E_USAGE'));
  t.regex(error.message, /This host has 500 rows/);
  it.merge(row({ key: '8', author: peerId('2'), stamp: later(1) }), WALL, 'remote');
  t.truthy(it.prepare('t', 'more', 1, WALL), 'another has taken a row over');
});

test('decoded values are kept for some rows only, and read the same for all', (t) => {
  const it = new Replica(
    { ...SETTINGS, rowsMax: 1e6, rowsPerAuthorMax: 1e6 },
    new Counters(),
    trust('1'),
  );
  it.define('t', { valueBytes: 100, validate: (value) => value });
  for (let key = 0; key < 16_500; key++)
    it.merge(row({ key: `${key}`, data: { key } }), WALL, 'remote');
  t.is([...it.entries('t')].filter((held) => held.isDecoded).length, 16_384);
  t.true(
    [...it.entries('t')].every(({ key, value }) => (value as { key: number }).key === Number(key)),
  );
});

test('rows of the future neither come in nor move the clock; at the limit they move only their own row', (t) => {
  const { it, counters } = replica('2');
  t.is(it.merge(row({ stamp: later(1001) }), WALL, 'remote'), undefined);
  t.truthy(it.merge(row({ key: 'forged', stamp: later(1000) }), WALL, 'remote'));
  t.is(counters.get('rowFuture'), 1);
  t.deepEqual(it.prepare('t', 'mine', 1, WALL)?.stamp, later(0));
  const over = it.prepare('t', 'forged', undefined, WALL);
  t.deepEqual(over?.stamp, { millis: WALL + 1000, count: 1 });
});

test('rows of a table that this host does not define are kept, and judged once it does', (t) => {
  const { it, counters } = replica();
  it.merge(row({ key: 'good', data: 1 }), WALL, 'remote');
  it.merge(row({ key: 'bad', data: 'text' }), WALL, 'remote');
  t.is(it.size, 2);
  it.define('t', {
    valueBytes: 10,
    validate: (value) => (typeof value === 'number' ? value : undefined),
  });
  t.is(it.get('t', 'good')?.value, 1);
  t.is(it.size, 1);
  t.is(counters.get('rowInvalid'), 1);
});

for (const [name, key, value] of [
  ['an empty key', '', 1],
  ['a key of 257 bytes', 'k'.repeat(257), 1],
  ['a value over the limit', 'k', 'x'.repeat(50)],
  ['a value of 10 MB', 'k', 'x'.repeat(10_000_000)],
  ['a value that the schema refuses', 'k', 'text'],
  ['a value that is not plain data', 'k', new Date(0)],
] as const) {
  test(`${name}: E_USAGE, and nothing changes`, (t) => {
    const { it } = replica();
    it.define('t', {
      valueBytes: 20,
      validate: (data) => (typeof data === 'number' ? data : undefined),
    });
    const error = t.throws(() => it.prepare('t', key, value, WALL));
    t.true(isAppError(error, 'E_USAGE'));
    t.is(it.size, 0);
  });
}
