import test from 'ava';
import fc from 'fast-check';
import { encodeRow, SIGNED_MAX } from '../../src/gossip/cargo.ts';
import { encodeCbor } from '../../src/gossip/cbor.ts';
import { Counters } from '../../src/gossip/counters.ts';
import { encodeHeader } from '../../src/gossip/message.ts';
import { MAX_SYNC_BYTES, Parcel } from '../../src/gossip/parcel.ts';
import type { Range } from '../../src/gossip/range.ts';
import {
  answerOpening,
  answerRanges,
  Reconciliation,
  SAID_ALL,
  type Rows,
} from '../../src/gossip/reconcile.ts';
import { Replica, type Row } from '../../src/gossip/replica.ts';
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswerHead,
  encodeRequestHead,
  type Opening,
  type SyncAcceptance,
} from '../../src/gossip/sync-message.ts';
import { FakeSignatures, idOf, signedBy } from '../fakes/fake-signatures.ts';
import { check } from '../fakes/property.ts';
import { peerId, record, WALL } from './fixtures.ts';

const HEADER = encodeHeader(1, 'test');
const SETTINGS = {
  ...{ clockAheadMax: 86_400_000, tombstoneRetention: 86_400_000 },
  ...{ rowsMax: 1_000_000, rowsPerAuthorMax: 1_000_000 },
};

const TRUST = { signatures: new FakeSignatures(peerId('e')), isActive: () => true };
const replica = (): Replica => new Replica(SETTINGS, new Counters(), TRUST);

function put(into: Replica, key: string, data: unknown, ms = 0, author = '1'): void {
  const value = data === undefined ? undefined : encodeCbor(data);
  const stamp = { millis: WALL + ms, count: 0 };
  into.merge(signedBy(peerId(author), { table: 't', key, stamp, value }), WALL, 'remote');
}

/** As `Synchroniser` hands them over, on a host that was never equal to another. */
const rowsOf = ({ tree, recent }: Replica): Rows => ({ tree, recent, since: undefined });

const take = (into: Replica, rows: readonly Row[]): void => {
  for (const row of rows) into.merge(row, WALL, 'remote');
};

interface Course {
  readonly rounds: number;
  readonly bytes: number;
  readonly longest: number;
}

function requestOf(asking: Reconciliation | undefined, salt: number, opening?: Opening): Buffer {
  const parcel = new Parcel(
    encodeRequestHead(HEADER, {
      ...{ protocol: { min: 1, max: 1 }, purpose: 'push-pull', self: record('1'), salt },
      opening,
    }),
  );
  asking?.fill(parcel);
  return Buffer.from(parcel.finish());
}

/** One exchange as `Synchroniser` does it, through the bytes. */
function answerTo(request: Buffer, by: Replica): Buffer {
  const read = decodeRequest(request, HEADER.length, idOf);
  if (read === undefined) throw new Error('not a request');
  take(by, read.rows);
  const parcel = new Parcel(encodeAnswerHead(HEADER, record('2'), record('1').address));
  if (read.opening) answerOpening(rowsOf(by), read.opening, read.salt, parcel);
  answerRanges(rowsOf(by), read.ranges, read.salt, parcel);
  return Buffer.from(parcel.finish());
}

function readAnswer(bytes: Buffer): SyncAcceptance {
  const answer = decodeAnswer(bytes, HEADER.length, idOf);
  if (answer === undefined || answer.refusal !== undefined) throw new Error('not an answer');
  return answer;
}

function openingOf(one: Replica, salt: number): Opening {
  const recent = one.size === 0 ? undefined : one.recent.describe(undefined, salt);
  return { rows: one.tree.root(), members: undefined, recent };
}

/** Syncs `one`, which begins, with `other`. */
function sync(one: Replica, other: Replica, salt = 5, opening = openingOf(one, salt)): Course {
  const asking = new Reconciliation(rowsOf(one), salt);
  let request = requestOf(undefined, salt, opening);
  let [rounds, bytes, longest] = [0, 0, 0];
  for (;;) {
    const reply = answerTo(request, other);
    rounds++;
    bytes += request.length + reply.length;
    longest = Math.max(longest, request.length, reply.length);
    const answer = readAnswer(reply);
    take(one, answer.rows);
    asking.accept(answer.ranges, answer.postponed, answer.rows.length);
    if (asking.isDone || rounds > 1000) return { rounds, bytes, longest };
    request = requestOf(asking, salt);
  }
}

test('equal replicas find that out in one exchange of two short messages', (t) => {
  const [one, other] = [replica(), replica()];
  for (const each of [one, other]) for (let key = 0; key < 1000; key++) put(each, `k${key}`, key);
  const { rounds, bytes } = sync(one, other);
  t.is(rounds, 1);
  t.true(bytes < 350, `${bytes}`);
});

test('any two replicas are equal after one sync and its sequel, and hold the later version of each row', (t) => {
  const version = fc.record({
    key: fc.nat(1200),
    ms: fc.nat(3),
    data: fc.option(fc.nat(9), { nil: undefined }),
    at: fc.constantFrom('one', 'other', 'both'),
  });
  const versions = fc.array(version, { maxLength: 1500, size: 'max' });
  const property = fc.property(versions, fc.nat(), (list, salt) => {
    const [one, other, oracle] = [replica(), replica(), replica()];
    for (const { key, ms, data, at } of list) {
      if (at !== 'other') put(one, `k${key}`, data, ms);
      if (at !== 'one') put(other, `k${key}`, data, ms);
      put(oracle, `k${key}`, data, ms);
    }
    const { rounds } = sync(one, other, salt);
    // Rows of one node that share 16 bits of their positions may wait for the sequel.
    sync(one, other, salt + 1);
    t.deepEqual(one.tree.root(), oracle.tree.root());
    t.deepEqual(other.tree.root(), oracle.tree.root());
    t.true(rounds <= 7, `${rounds} rounds`);
  });
  t.notThrows(() => check(property, 20));
});

for (const [who, isAsking] of [
  ['asks', true],
  ['is asked', false],
] as const) {
  test(`a host that lacks what was written lately and ${who} gets that and little more`, (t) => {
    for (const [count, most] of [
      [1, isAsking ? 400 : 1000],
      [10, isAsking ? 400 : 1000],
      [1000, 6000],
    ] as const) {
      const [one, other] = [replica(), replica()];
      for (const each of [one, other]) {
        for (let key = 0; key < 3000; key++) put(each, `k${key}`, 'x'.repeat(150), key);
      }
      let differing = 0;
      const ahead = isAsking ? other : one;
      for (let index = 0; index < count; index++) {
        const stamp = { millis: WALL + 5000 + index, count: 0 };
        const value = encodeCbor('y'.repeat(150));
        const row = signedBy(peerId('2'), { table: 't', key: `k${index * 3}`, stamp, value });
        ahead.merge(row, WALL, 'remote');
        differing += encodeRow(row).length;
      }
      const { rounds, bytes } = sync(one, other);
      t.deepEqual(one.tree.root(), other.tree.root());
      t.log(`${count} rows: ${rounds} exchanges, ${bytes} bytes for ${differing}`);
      t.true(bytes <= differing * 1.03 + most);
      t.true(rounds <= 3 + count / SIGNED_MAX, `${rounds} rounds`);
    }
  });
}

test('each side gets what the other wrote lately, and the later of two versions', (t) => {
  const [one, other] = [replica(), replica()];
  for (const each of [one, other]) for (let key = 0; key < 500; key++) put(each, `k${key}`, 0, key);
  for (let key = 0; key < 40; key++) {
    put(one, `k${key}`, 'one', 1000 + key);
    put(other, `k${key + 20}`, 'other', 2000 + key);
  }
  const { rounds } = sync(one, other);
  t.deepEqual(one.tree.root(), other.tree.root());
  t.deepEqual(one.get('t', 'k30')?.row.stamp, { millis: WALL + 2010, count: 0 });
  t.true(rounds <= 4, `${rounds} rounds`);
});

test('a host that has told nothing of its latest rows tells them when it is its turn', (t) => {
  const [one, other] = [replica(), replica()];
  for (const each of [one, other]) for (let key = 0; key < 500; key++) put(each, `k${key}`, 0, key);
  put(other, 'k7', 'new', 1000);
  const opening = { rows: one.tree.root(), members: undefined, recent: SAID_ALL };
  const { rounds } = sync(one, other, 5, opening);
  t.deepEqual(one.tree.root(), other.tree.root());
  t.is(rounds, 2);
});

test('rows that the other side refuses are sent once', (t) => {
  const [one, other] = [
    replica(),
    new Replica({ ...SETTINGS, rowsMax: 500 }, new Counters(), TRUST),
  ];
  for (const each of [one, other]) for (let key = 0; key < 500; key++) put(each, `k${key}`, 0, key);
  for (let key = 0; key < 50; key++) put(one, `new${key}`, 'x'.repeat(1000), 1000 + key);
  const { rounds, bytes } = sync(one, other);
  t.is(other.size, 500);
  t.true(rounds <= 8 && bytes < 2 * 50_000, `${rounds} rounds, ${bytes} bytes`);
});

test('a host with no row takes all of a large replica, in messages within the bound', (t) => {
  const [one, other] = [replica(), replica()];
  for (let key = 0; key < 9000; key++)
    put(other, `k${key}`, 'x'.repeat(key % 50 === 0 ? 20_000 : 150));
  const { rounds, longest } = sync(one, other);
  t.deepEqual(one.tree.root(), other.tree.root());
  t.true(rounds < 9000 / SIGNED_MAX + 10, `${rounds} rounds`);
  t.true(longest <= MAX_SYNC_BYTES, `${longest} bytes`);
});

test('rows of the greatest size move, in either direction', (t) => {
  const [one, other] = [replica(), replica()];
  for (let key = 0; key < 40; key++) put(key % 2 ? one : other, `k${key}`, 'x'.repeat(65_000));
  sync(one, other);
  t.is(one.size, 40);
  t.deepEqual(one.tree.root(), other.tree.root());
});

/** What a liar may say of any node. */
const lie = fc.oneof(
  fc.record({
    kind: fc.constant('digests' as const),
    digests: fc.uint8Array({ minLength: 64, maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
  }),
  fc.record({ kind: fc.constant('versions' as const), versions: fc.array(fc.nat()) }),
  fc.record({ kind: fc.constant('wanted' as const), wanted: fc.array(fc.nat()) }),
  fc.record({ kind: fc.constant('everything' as const) }),
  fc.record({
    kind: fc.constant('recent' as const),
    root: fc.constant(Buffer.alloc(8, 7)),
    floor: fc.record({ millis: fc.constantFrom(0, WALL - 1, WALL, WALL + 1), count: fc.nat(1) }),
    versions: fc.array(fc.nat(), { maxLength: 20 }),
  }),
);
const node = fc.nat(3).chain((level) => fc.integer({ min: 16 ** level, max: 2 * 16 ** level - 1 }));

test('lying digests, at either end, cost a bounded message and never throw', (t) => {
  const it = replica();
  for (let key = 0; key < 2000; key++) put(it, `k${key}`, 'x'.repeat(400));
  const lies = fc.array(fc.tuple(node, lie), { maxLength: 50 });
  const property = fc.property(lies, fc.array(fc.nat(200_000)), fc.nat(), (list, late, salt) => {
    const ranges: Range[] = list.map(([at, what]) => ({ ...what, node: at }));
    const parcel = new Parcel(new Uint8Array());
    answerRanges(rowsOf(it), ranges, salt, parcel);
    t.true(parcel.finish().length <= MAX_SYNC_BYTES);
    const asking = new Reconciliation(rowsOf(it), salt);
    for (let round = 0; round < 3; round++) {
      asking.accept(ranges, late, round);
      const request = new Parcel(new Uint8Array());
      asking.fill(request);
      t.true(request.finish().length <= MAX_SYNC_BYTES);
    }
  });
  t.notThrows(() => check(property, 30));
});

test('who asks for everything 16,000 times at once is answered with one message', (t) => {
  const it = replica();
  for (let key = 0; key < 20_000; key++) put(it, `k${key}`, key);
  const ranges: Range[] = Array.from({ length: 16_000 }, () => ({ node: 1, kind: 'everything' }));
  const parcel = new Parcel(new Uint8Array());
  const began = process.cpuUsage();
  answerRanges(rowsOf(it), ranges, 1, parcel);
  const { user, system } = process.cpuUsage(began);
  t.true(parcel.finish().length <= MAX_SYNC_BYTES);
  t.true(user + system < 2_000_000, `${user + system} microseconds`);
});
