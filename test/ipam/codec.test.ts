import fc from 'fast-check';
import test from 'ava';
import { asPeerId, type PeerId } from '../../src/base/types.ts';
import { NO_BALLOT } from '../../src/ipam/acceptor.ts';
import { beginSession, grant, revoke } from '../../src/ipam/change.ts';
import {
  decodeReply,
  decodeRequest,
  decodeStored,
  encodeReply,
  encodeRequest,
  encodeStored,
} from '../../src/ipam/codec.ts';
import type { Reply, Request } from '../../src/ipam/message.ts';
import { foundPool } from '../../src/ipam/pool.ts';
import { check } from '../fakes/property.ts';

const id = (letter: string): PeerId => asPeerId(letter.repeat(32));
const [A, B, C] = [id('a'), id('b'), id('c')];
const POOL = 'f'.repeat(32);
const size = 2n ** 64n;
const first = foundPool({ size, auto: { start: 0n, end: size }, founders: [A, B, C], leaseMs: 9 });
const value = [
  grant(A, { start: 2n ** 60n, end: 2n ** 61n }, B, false),
  revoke(C, A, 'lapsed'),
  beginSession(B),
].reduce((base, change) => change(base) ?? base, first);
const ballot = { round: 3, proposer: `${A}.0011` };

const REQUESTS: readonly Request[] = [
  { kind: 'prepare', pool: POOL, version: 4, ballot, intent: { kind: 'plain' } },
  {
    kind: 'prepare',
    pool: POOL,
    version: 4,
    ballot,
    intent: { kind: 'revoke', host: A, why: 'expired' },
  },
  { kind: 'accept', pool: POOL, ballot, value },
  { kind: 'learn', pool: POOL, value },
  { kind: 'renew', leases: [{ pool: POOL, version: 3, epoch: 1 }] },
  { kind: 'space', pool: POOL, wanted: 2n ** 63n },
  { kind: 'space', pool: POOL, wanted: 'share' },
];

const REPLIES: readonly Reply[] = [
  { kind: 'promise' },
  { kind: 'promise', accepted: { ballot, value }, objection: { why: 'leased', forMs: 12.5 } },
  {
    kind: 'renewals',
    renewals: [{ kind: 'renewed' }, { kind: 'newer', value }, { kind: 'unknown' }],
  },
  { kind: 'outbid', round: 9 },
  { kind: 'refused', why: 'in-use' },
];

test('requests, replies and records come back as they were', (t) => {
  for (const request of REQUESTS) t.deepEqual(decodeRequest(encodeRequest(request)), request);
  for (const reply of REPLIES) t.deepEqual(decodeReply(encodeReply(reply)), reply);
  const stored = {
    acceptor: { chosen: value, promised: NO_BALLOT, accepted: undefined },
    outgoing: [{ range: { start: 5n, end: 9n }, version: 4 }],
  };
  t.deepEqual(decodeStored(encodeStored(stored)), stored);
  const pending = { ...stored, acceptor: { ...stored.acceptor, accepted: { ballot, value } } };
  t.deepEqual(decodeStored(encodeStored(pending)), pending);
});

/** A `learn` with something changed in its value, as it travels. */
function forged(change: (value: Record<string, unknown>) => void): Uint8Array {
  const request = JSON.parse(
    Buffer.from(encodeRequest({ kind: 'learn', pool: POOL, value })).toString(),
  ) as { value: Record<string, unknown> };
  change(request.value);
  return Buffer.from(JSON.stringify(request));
}

test('pool values that no changes can make are no messages', (t) => {
  t.truthy(decodeRequest(forged(() => undefined)));
  const insane: readonly ((value: Record<string, unknown>) => void)[] = [
    (each) => (each['shares'] = []),
    (each) => (each['shares'] = [['5', 0]]),
    (each) => (each['shares'] = [['0', 9]]),
    (each) =>
      (each['shares'] = [
        ['0', 0],
        ['0', 1],
      ]),
    (each) =>
      (each['shares'] = [
        ['0', 0],
        [String(size), 1],
      ]),
    (each) => (each['windows'] = [['8', '4']]),
    (each) => (each['windows'] = [['0', String(size + 1n)]]),
    (each) => (each['voters'] = []),
    (each) =>
      (each['voters'] = [
        [B, 0],
        [A, 0],
      ]),
    (each) => (each['version'] = -1),
    (each) => (each['votersVersion'] = 99),
    (each) => (each['leaseMs'] = 0),
    (each) => (each['size'] = '1e5'),
    (each) => (each['size'] = '9'.repeat(60)),
    (each) => (each['revoked'] = [['nobody', 1, 'lapsed']]),
  ];
  for (const change of insane) t.is(decodeRequest(forged(change)), undefined, change.toString());
});

test('any bytes are no message, and no exception', (t) => {
  check(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      return decodeRequest(bytes) === undefined && decodeReply(bytes) === undefined;
    }),
  );
  t.is(decodeRequest(Buffer.from('{"kind":"renew"}')), undefined);
  t.is(decodeRequest(Buffer.from('['.repeat(100_000))), undefined);
});
