import test from 'ava';
import fc from 'fast-check';
import { asMillis } from '../../src/base/types.ts';
import { encodeRow } from '../../src/gossip/cargo.ts';
import { presets } from '../../src/gossip/config.ts';
import type { Row } from '../../src/gossip/replica.ts';
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
  t.true(hosts.every(({ machine, saved }) => machine.replica.size === 0 && saved.size === 0));
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
