import test from 'ava';
import fc from 'fast-check';
import { encodeCbor } from '../../src/gossip/cbor.ts';
import { Counters } from '../../src/gossip/counters.ts';
import { encodeHeader } from '../../src/gossip/message.ts';
import { MAX_SYNC_BYTES, Parcel } from '../../src/gossip/parcel.ts';
import type { Range } from '../../src/gossip/range.ts';
import { answerOpening, answerRanges, Reconciliation } from '../../src/gossip/reconcile.ts';
import { Replica, type Row } from '../../src/gossip/replica.ts';
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswerHead,
  encodeRequestHead,
  type SyncAcceptance,
} from '../../src/gossip/sync-message.ts';
import { check } from '../fakes/property.ts';
import { peerId, record, WALL } from './fixtures.ts';

const HEADER = encodeHeader(1, 'test');
const SETTINGS = {
  ...{ clockAheadMax: 86_400_000, tombstoneRetention: 86_400_000 },
  ...{ rowsMax: 1_000_000, rowsPerAuthorMax: 1_000_000 },
};

const replica = (): Replica => new Replica(SETTINGS, new Counters());

function put(into: Replica, key: string, data: unknown, ms = 0, author = '1'): void {
  const value = data === undefined ? undefined : encodeCbor(data);
  const stamp = { millis: WALL + ms, count: 0 };
  into.merge({ table: 't', key, stamp, author: peerId(author), value }, WALL, 'remote');
}

const take = (into: Replica, rows: readonly Row[]): void => {
  for (const row of rows) into.merge(row, WALL, 'remote');
};

interface Course {
  readonly rounds: number;
  readonly bytes: number;
  readonly longest: number;
}

function requestOf(asking: Reconciliation | undefined, salt: number, root?: Buffer): Buffer {
  const parcel = new Parcel(
    encodeRequestHead(HEADER, {
      ...{ protocol: { min: 1, max: 1 }, purpose: 'push-pull', self: record('1'), salt },
      opening: root && { rows: root, members: undefined },
    }),
  );
  asking?.fill(parcel);
  return Buffer.from(parcel.finish());
}

/** One exchange as `Synchroniser` does it, through the bytes. */
function answerTo(request: Buffer, by: Replica): Buffer {
  const read = decodeRequest(request, HEADER.length);
  if (read === undefined) throw new Error('not a request');
  take(by, read.rows);
  const parcel = new Parcel(encodeAnswerHead(HEADER, record('2'), record('1').address));
  if (read.opening) answerOpening(by.tree, read.opening.rows, read.salt, parcel);
  answerRanges(by.tree, read.ranges, read.salt, parcel);
  return Buffer.from(parcel.finish());
}

function readAnswer(bytes: Buffer): SyncAcceptance {
  const answer = decodeAnswer(bytes, HEADER.length);
  if (answer === undefined || answer.refusal !== undefined) throw new Error('not an answer');
  return answer;
}

/** Syncs `one`, which begins, with `other`. */
function sync(one: Replica, other: Replica, salt = 5): Course {
  const asking = new Reconciliation(one.tree, salt);
  let request = requestOf(undefined, salt, one.tree.root());
  let [rounds, bytes, longest] = [0, 0, 0];
  for (;;) {
    const reply = answerTo(request, other);
    rounds++;
    bytes += request.length + reply.length;
    longest = Math.max(longest, request.length, reply.length);
    const answer = readAnswer(reply);
    take(one, answer.rows);
    asking.accept(answer.ranges, answer.postponed);
    if (asking.isDone || rounds > 1000) return { rounds, bytes, longest };
    request = requestOf(asking, salt);
  }
}

test('equal replicas find that out in one exchange of two short messages', (t) => {
  const [one, other] = [replica(), replica()];
  for (const each of [one, other]) for (let key = 0; key < 1000; key++) put(each, `k${key}`, key);
  const { rounds, bytes } = sync(one, other);
  t.is(rounds, 1);
  t.true(bytes < 200, `${bytes}`);
});

test('any two replicas are equal after one sync, and hold the later version of each row', (t) => {
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
    t.deepEqual(one.tree.root(), oracle.tree.root());
    t.deepEqual(other.tree.root(), oracle.tree.root());
    t.true(rounds <= 5, `${rounds} rounds`);
  });
  t.notThrows(() => check(property, 20));
});

test('a host with no row takes all of a large replica, in messages within the bound', (t) => {
  const [one, other] = [replica(), replica()];
  for (let key = 0; key < 9000; key++)
    put(other, `k${key}`, 'x'.repeat(key % 50 === 0 ? 20_000 : 150));
  const { rounds, longest } = sync(one, other);
  t.deepEqual(one.tree.root(), other.tree.root());
  t.true(rounds < 20, `${rounds} rounds`);
  t.true(longest <= MAX_SYNC_BYTES && longest > MAX_SYNC_BYTES / 2, `${longest} bytes`);
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
);
const node = fc.nat(3).chain((level) => fc.integer({ min: 16 ** level, max: 2 * 16 ** level - 1 }));

test('lying digests, at either end, cost a bounded message and never throw', (t) => {
  const it = replica();
  for (let key = 0; key < 2000; key++) put(it, `k${key}`, 'x'.repeat(400));
  const lies = fc.array(fc.tuple(node, lie), { maxLength: 50 });
  const property = fc.property(lies, fc.array(fc.nat(200_000)), fc.nat(), (list, late, salt) => {
    const ranges: Range[] = list.map(([at, what]) => ({ ...what, node: at }));
    const parcel = new Parcel(new Uint8Array());
    answerRanges(it.tree, ranges, salt, parcel);
    t.true(parcel.finish().length <= MAX_SYNC_BYTES);
    const asking = new Reconciliation(it.tree, salt);
    for (let round = 0; round < 3; round++) {
      asking.accept(ranges, late);
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
  answerRanges(it.tree, ranges, 1, parcel);
  const { user, system } = process.cpuUsage(began);
  t.true(parcel.finish().length <= MAX_SYNC_BYTES);
  t.true(user + system < 2_000_000, `${user + system} microseconds`);
});
