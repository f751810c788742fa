import test from 'ava';
import fc from 'fast-check';
import { asMillis } from '../../src/base/types.ts';
import { encodeRow } from '../../src/gossip/cargo.ts';
import { presets } from '../../src/gossip/config.ts';
import { compareRows, type Row } from '../../src/gossip/replica.ts';
import { Cluster, LOSSY, PERFECT, type SimHost } from './cluster.ts';
import { seedFor } from './seed.ts';

const TABLE = 'endpoints';

/** `areRowsEqual` by digests: for many rows. */
function areDigestsEqual({ hosts }: Cluster): boolean {
  const [first, ...others] = hosts.map(({ machine }) => machine.replica.tree.root());
  return others.every((root) => first?.equals(root));
}

test('a row put on one of 50 hosts is on all in two seconds, and its deletion too', (t) => {
  const cluster = new Cluster({ seed: seedFor(t), network: LOSSY });
  const hosts = cluster.mesh(50);
  const [first, last] = [hosts[0], hosts[49]] as [SimHost, SimHost];
  first.put(TABLE, 'one', { address: '10.7.0.2' });
  const hasRow = (): boolean => hosts.every(({ machine }) => machine.replica.get(TABLE, 'one'));
  t.true(cluster.runUntil(hasRow, 10_000) <= 2000);
  last.put(TABLE, 'one', undefined);
  const isGone = (): boolean => hosts.every(({ machine }) => !machine.replica.get(TABLE, 'one'));
  t.true(cluster.runUntil(isGone, 10_000) <= 2000);
  cluster.run(60_000);
  t.true(isGone());
  t.true(cluster.areRowsEqual());
});

test('1000 rows put at once reach 10 hosts by gossip, without waiting for push-pull', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const hosts = cluster.mesh(10);
  for (let index = 0; index < 1000; index++) {
    hosts[index % 10]?.put(TABLE, `key-${index}`, { index, name: `container-${index}` });
  }
  const hasAll = (): boolean => hosts.every(({ machine }) => machine.replica.size === 1000);
  const took = cluster.runUntil(hasAll, 20_000);
  t.log(`${Math.round(took)} ms`);
  t.true(took <= 15_000);
  t.true(cluster.areRowsEqual());
});

test('a row too large for a datagram reaches all by push-pull that is brought forward', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const hosts = cluster.mesh(20);
  hosts[0]?.put(TABLE, 'large', { text: 'x'.repeat(3000) });
  const took = cluster.runUntil(() => cluster.areRowsEqual(), 120_000);
  t.log(`${Math.round(took)} ms`);
  t.true(took <= 10_000);
});

test('rows put on one of 20 hosts by the thousand reach all by exchanges, each row once a host or little more', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const hosts = cluster.mesh(20);
  const [source] = hosts as [SimHost];
  for (let index = 0; index < 1500; index++) source.put(TABLE, `key-${index}`, { index });
  const took = cluster.runUntil(() => areDigestsEqual(cluster), 60_000);
  const late = cluster.add();
  late.join(source);
  const joined = cluster.runUntil(() => late.machine.replica.size === 1500, 5000);
  const received = late.machine.counters()['exchangeRowsReceived'] ?? 0;
  t.log(`${Math.round(took)} ms; a newcomer ${Math.round(joined)} ms and ${received} rows`);
  t.true(took <= 30_000 && joined <= 1000);
  t.true(received <= 1600, 'nothing comes twice');
});

test('a restarted host moves only what differs', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const hosts = cluster.mesh(5);
  const [first, away] = hosts as [SimHost, SimHost];
  for (let index = 0; index < 2000; index++)
    first.put(TABLE, `key-${index}`, { index, note: 'x'.repeat(150) });
  cluster.runUntil(() => areDigestsEqual(cluster), 60_000);
  cluster.run(60_000);
  cluster.kill(away);
  let differing = 0;
  for (let index = 0; index < 200; index++) {
    const row = first.put(TABLE, `key-${index * 7}`, { index, note: 'y'.repeat(150) });
    differing += row === undefined ? 0 : encodeRow(row).length;
  }
  cluster.run(30_000);
  const again = cluster.restart(away, { seeds: hosts.slice(2).map(({ reached }) => reached) });
  const took = cluster.runUntil(() => areDigestsEqual(cluster), 10_000);
  const count = (name: string): number => again.machine.counters()[name] ?? 0;
  const moved = count('exchangeBytesSent') + count('exchangeBytesReceived');
  t.log(`${Math.round(took)} ms, ${moved} bytes moved for ${differing} that differed`);
  t.true(took <= 1000 && moved <= 2 * differing);
});

test('a restarted host whose first calls meet silence has the rows all the same', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const hosts = cluster.mesh(6);
  const [first, away, ...others] = hosts as [SimHost, SimHost, ...SimHost[]];
  for (let index = 0; index < 50; index++) first.put(TABLE, `key-${index}`, { index });
  cluster.run(60_000);
  cluster.kill(away);
  for (let index = 0; index < 10; index++) first.put(TABLE, `key-${index}`, { index, again: true });
  cluster.run(30_000);
  for (const silent of others.slice(0, 2)) cluster.cuts.block(away.number, silent.number);
  const seeds = others.slice(0, 3).map(({ reached }) => reached);
  const again = cluster.restart(away, { seeds });
  const { tree } = first.machine.replica;
  const took = cluster.runUntil(
    () => again.machine.replica.tree.root().equals(tree.root()),
    10_000,
  );
  t.log(`${Math.round(took)} ms`);
  t.true(took <= 1500);
});

test('what each side of a cut wrote is on both after healing; deleted stays deleted', (t) => {
  const cluster = new Cluster({ seed: seedFor(t), network: LOSSY });
  const hosts = cluster.mesh(10);
  const [left, right] = [hosts.slice(0, 5), hosts.slice(5)];
  for (let key = 0; key < 20; key++) left[0]?.put(TABLE, `old-${key}`, key);
  cluster.run(5000);
  cluster.partition(left, right);
  cluster.run(30_000);
  for (let key = 0; key < 20; key++) {
    left[key % 5]?.put(TABLE, `left-${key}`, key);
    right[key % 5]?.put(TABLE, `right-${key}`, key);
    if (key < 10) left[1]?.put(TABLE, `old-${key}`, undefined);
  }
  cluster.run(120_000);
  cluster.heal();
  const took = cluster.runUntil(() => cluster.areRowsEqual(), 120_000);
  t.log(`${Math.round(took)} ms`);
  t.true(took <= 15_000);
  const [some] = right as [SimHost];
  t.is([...some.machine.replica.entries(TABLE)].length, 50);
  t.is(some.machine.replica.get(TABLE, 'old-3'), undefined);
});

test('a host that was away while a row was deleted does not bring it back', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const hosts = cluster.mesh(4);
  const [first, , , absent] = hosts as [SimHost, SimHost, SimHost, SimHost];
  absent.put(TABLE, 'ghost', 1);
  cluster.run(3000);
  cluster.kill(absent);
  first.put(TABLE, 'ghost', undefined);
  cluster.run(20_000);
  const again = cluster.restart(absent, { seeds: [first.reached] });
  t.truthy(again.machine.replica.get(TABLE, 'ghost'), 'it starts with what it had saved');
  cluster.run(60_000);
  t.true(cluster.hosts.every(({ machine }) => machine.replica.get(TABLE, 'ghost') === undefined));
  t.true(cluster.areRowsEqual());
});

test('tombstones are collected everywhere and do not come back', (t) => {
  const config = { ...presets.lan, tombstoneRetention: asMillis(3_600_000) };
  const cluster = new Cluster({ seed: seedFor(t), config });
  const hosts = cluster.mesh(3);
  hosts[0]?.put(TABLE, 'gone', 1);
  cluster.run(2000);
  hosts[1]?.put(TABLE, 'gone', undefined);
  cluster.run(2000);
  t.true(hosts.every(({ machine }) => machine.replica.size === 1));
  cluster.run(3_600_000 + 5 * 60_000);
  const isBare = ({ machine, saved }: SimHost): boolean =>
    machine.replica.size === 0 && [...saved.keys()].every((key) => key.startsWith('local/'));
  t.true(hosts.every(isBare));
});

const HOUR_MS = 3_600_000;
const SHORT = { ...presets.lan, tombstoneRetention: asMillis(HOUR_MS) };
const MINUTE_MS = 60_000;

/** A mesh in which `absent` has had rows in common with the others for a while, one of which it owns. */
function meshWithAbsentee(seed: number, count: number) {
  const cluster = new Cluster({ seed, config: SHORT });
  const hosts = cluster.mesh(count);
  const [first, absent] = hosts as [SimHost, SimHost];
  for (const key of ['deleted', 'taken', 'kept']) absent.put(TABLE, key, 'old');
  first.put(TABLE, 'of-first', 'old');
  cluster.run(5000);
  return { cluster, first, absent, others: hosts.filter((host) => host !== absent) };
}

const keysOf = ({ machine }: SimHost): string[] =>
  Array.from(machine.replica.entries(TABLE), ({ key }) => key).sort();

for (const count of [2, 4]) {
  test(`after an absence longer than tombstones are kept, deleted stays deleted, among ${count} hosts`, (t) => {
    const { cluster, first, absent, others } = meshWithAbsentee(seedFor(t), count);
    // Nobody hears of this one, which is new and not deleted.
    cluster.partition([absent]);
    absent.put(TABLE, 'unheard', 'new');
    cluster.kill(absent);
    cluster.heal();
    first.put(TABLE, 'deleted', undefined);
    first.put(TABLE, 'of-first', undefined);
    first.put(TABLE, 'taken', 'by another');
    cluster.run(HOUR_MS + 5 * MINUTE_MS);
    t.true(
      others.every((host) => !host.saved.has(`${TABLE}/deleted`)),
      'the tombstone is gone',
    );
    const again = cluster.restart(absent, { seeds: others.map(({ reached }) => reached) });
    t.true(keysOf(again).includes('deleted'), 'it starts with what it had saved');
    cluster.run(MINUTE_MS);
    for (const host of cluster.hosts) t.deepEqual(keysOf(host), ['kept', 'taken', 'unheard']);
    t.is(
      again.machine.replica.get(TABLE, 'taken')?.value,
      first.machine.replica.get(TABLE, 'taken')?.value,
    );
    t.true(cluster.areRowsEqual());
    const buried = cluster.hosts.map(({ machine }) => machine.counters()['rowsBuried'] ?? 0);
    t.true(buried.some((rows) => rows > 0));
    t.true([...again.saved.keys()].includes(`${TABLE}/kept`));
  });
}

test('among two hosts, the one that stayed may be restarted before the other returns', (t) => {
  const { cluster, first, absent } = meshWithAbsentee(seedFor(t), 2);
  cluster.kill(absent);
  first.put(TABLE, 'deleted', undefined);
  cluster.run(30 * MINUTE_MS);
  cluster.kill(first);
  cluster.run(MINUTE_MS);
  const early = cluster.restart(first);
  cluster.run(HOUR_MS);
  t.false(early.saved.has(`${TABLE}/deleted`), 'the tombstone is gone');
  cluster.kill(early);
  const stayed = cluster.restart(early);
  const again = cluster.restart(absent, { seeds: [stayed.reached] });
  t.true(keysOf(again).includes('deleted'), 'it starts with what it had saved');
  cluster.run(MINUTE_MS);
  for (const host of [stayed, again]) {
    t.deepEqual(keysOf(host), ['kept', 'of-first', 'taken']);
  }
});

test('a host cut off for that long, alone but running, brings nothing deleted back, and keeps what it wrote', (t) => {
  const { cluster, first, absent } = meshWithAbsentee(seedFor(t), 4);
  cluster.partition([absent]);
  cluster.run(MINUTE_MS);
  first.put(TABLE, 'deleted', undefined);
  absent.put(TABLE, 'written-alone', 1);
  cluster.run(HOUR_MS + 5 * MINUTE_MS);
  cluster.heal();
  cluster.run(MINUTE_MS);
  for (const host of cluster.hosts) {
    t.deepEqual(keysOf(host), ['kept', 'of-first', 'taken', 'written-alone']);
  }
});

test('a newcomer that meets the long-absent host first does not carry its old rows on', (t) => {
  const { cluster, first, absent, others } = meshWithAbsentee(seedFor(t), 4);
  cluster.kill(absent);
  first.put(TABLE, 'deleted', undefined);
  cluster.run(HOUR_MS + 5 * MINUTE_MS);
  cluster.partition(others);
  const again = cluster.restart(absent);
  const newcomer = cluster.add();
  newcomer.join(again);
  cluster.run(MINUTE_MS);
  t.true(keysOf(newcomer).includes('deleted'), 'there is nobody who knows better');
  cluster.heal();
  newcomer.join(first);
  cluster.run(2 * MINUTE_MS);
  for (const host of cluster.hosts) t.deepEqual(keysOf(host), ['kept', 'of-first', 'taken']);
});

test('halves cut apart for that long lose nothing that either wrote; what one deleted comes back', (t) => {
  const { cluster, first, absent, others } = meshWithAbsentee(seedFor(t), 4);
  const left = [absent, others[2] as SimHost];
  const right = others.slice(0, 2);
  cluster.partition(left, right);
  cluster.run(MINUTE_MS);
  first.put(TABLE, 'deleted', undefined);
  first.put(TABLE, 'right', 1);
  absent.put(TABLE, 'left', 1);
  cluster.run(HOUR_MS + 5 * MINUTE_MS);
  cluster.heal();
  cluster.run(MINUTE_MS);
  for (const host of cluster.hosts) {
    t.deepEqual(keysOf(host), ['deleted', 'kept', 'left', 'of-first', 'right', 'taken']);
  }
});

test('clocks up to an hour off: a delete or a put that saw a version always wins over it', (t) => {
  const seed = seedFor(t);
  const act = fc.record({
    host: fc.nat(2),
    isDelete: fc.boolean(),
    key: fc.nat(2),
    waitMs: fc.constantFrom(0, 2000),
  });
  const schedules = fc.record({
    seed: fc.nat(),
    skews: fc.array(fc.integer({ min: -HOUR_MS, max: HOUR_MS }), { minLength: 3, maxLength: 3 }),
    acts: fc.array(act, { minLength: 1, maxLength: 20 }),
  });
  const property = fc.property(schedules, (schedule) => {
    const cluster = new Cluster({ seed: schedule.seed });
    const hosts = schedule.skews.map((wallAheadMs) => cluster.add({ wallAheadMs }));
    for (const host of hosts.slice(1)) host.join(hosts[0] as SimHost);
    cluster.run(3000);
    let number = 0;
    for (const { host, isDelete, key, waitMs } of schedule.acts) {
      const actor = hosts[host] as SimHost;
      const seen = actor.machine.replica.get(TABLE, `k${key}`)?.row;
      const made = actor.put(TABLE, `k${key}`, isDelete ? undefined : number++);
      if (made !== undefined && seen !== undefined && compareRows(made, seen) <= 0) return false;
      cluster.run(waitMs);
    }
    const { host, key } = schedule.acts[0] ?? { host: 0, key: 0 };
    cluster.run(3000);
    const last = hosts[host] as SimHost;
    last.put(TABLE, `k${key}`, undefined);
    const isGone = (): boolean =>
      hosts.every(({ machine }) => machine.replica.get(TABLE, `k${key}`) === undefined);
    return cluster.runUntil(() => isGone() && areDigestsEqual(cluster), 10_000) < 10_000;
  });
  t.notThrows(() => {
    fc.assert(property, { seed, numRuns: Number(process.env['RUNS'] ?? 40) });
  });
});

test('clocks an hour apart do no harm', (t) => {
  const cluster = new Cluster({ seed: seedFor(t) });
  const [ahead, behind] = [
    cluster.add({ wallAheadMs: 3_600_000 }),
    cluster.add({ wallAheadMs: -3_600_000 }),
  ];
  behind.join(ahead);
  cluster.run(1000);
  ahead.put(TABLE, 'key', 'first');
  cluster.run(1000);
  behind.put(TABLE, 'key', 'second');
  cluster.run(1000);
  t.is(ahead.machine.replica.get(TABLE, 'key')?.row.author, behind.id);
  t.true(cluster.areRowsEqual());
});

/** One step of a random schedule; `host` and `key` are taken modulo what there is. */
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      host: fc.nat(),
      key: fc.nat(7),
      value: fc.nat(99),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('remove' as const), host: fc.nat(), key: fc.nat(7) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('run' as const), ms: fc.nat(8000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), at: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('heal' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), host: fc.nat() }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** The oracle: per key the last version written anywhere, by stamp and then author. */
type LastWritten = Map<string, Row>;

function note(last: LastWritten, row: Row | undefined): void {
  if (row === undefined) return;
  const order = ({ stamp, author }: Row): string =>
    [stamp.millis, stamp.count].map((part) => `${part}`.padStart(15, '0')).join('.') + author;
  const known = last.get(row.key);
  if (known === undefined || order(row) > order(known)) last.set(row.key, row);
}

const holds = (host: SimHost, last: LastWritten): boolean =>
  [...last.values()].every(({ key, value }) => {
    const held = host.machine.replica.get(TABLE, key)?.row.value;
    return held === undefined || value === undefined
      ? held === value
      : Buffer.compare(held, value) === 0;
  });

function apply(cluster: Cluster, next: Step, last: LastWritten): void {
  const { hosts } = cluster;
  const pick = (index: number): SimHost => hosts[index % hosts.length] as SimHost;
  switch (next.kind) {
    case 'put':
      note(last, pick(next.host).put(TABLE, `k${next.key}`, next.value));
      break;
    case 'remove':
      note(last, pick(next.host).put(TABLE, `k${next.key}`, undefined));
      break;
    case 'run':
      cluster.run(next.ms);
      break;
    case 'cut': {
      const at = next.at % hosts.length;
      cluster.partition(hosts.slice(0, at), hosts.slice(at));
      break;
    }
    case 'heal':
      cluster.heal();
      break;
    case 'restart': {
      const host = pick(next.host);
      const seeds = hosts.filter((other) => other !== host).map(({ reached }) => reached);
      cluster.kill(host);
      cluster.restart(host, { seeds });
      break;
    }
  }
}

test('random schedules of writes, cuts and restarts: all views and replicas end equal, with the last writes', (t) => {
  const seed = seedFor(t);
  const schedules = fc.record({
    seed: fc.nat(),
    hosts: fc.integer({ min: 2, max: 6 }),
    steps: fc.array(step, { maxLength: 30, size: 'max' }),
  });
  const property = fc.property(schedules, (schedule) => {
    const cluster = new Cluster({ seed: schedule.seed, network: LOSSY });
    cluster.mesh(schedule.hosts);
    const last: LastWritten = new Map();
    for (const next of schedule.steps) apply(cluster, next, last);
    cluster.heal();
    cluster.network = PERFECT;
    const isDone = (): boolean => cluster.isConverged() && cluster.areRowsEqual();
    const hasSettled = cluster.runUntil(isDone, 180_000) < 180_000;
    return hasSettled && cluster.hosts.every((host) => holds(host, last));
  });
  t.notThrows(() => {
    fc.assert(property, { seed, numRuns: Number(process.env['RUNS'] ?? 150) });
  });
});
