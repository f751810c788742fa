import test from 'ava';
import fc from 'fast-check';
import type { SocketAddress } from '../../src/base/types.ts';
import { encodeClaim, encodeRow } from '../../src/gossip/cargo.ts';
import { presets } from '../../src/gossip/config.ts';
import type { Effect } from '../../src/gossip/effects.ts';
import type { Machine } from '../../src/gossip/machine.ts';
import type { MemberRecord } from '../../src/gossip/member.ts';
import {
  decodeDatagram,
  decodeHeader,
  encodeDatagramHead,
  encodeHeader,
  type Body,
  type Datagram,
} from '../../src/gossip/message.ts';
import { encodeRequestHead } from '../../src/gossip/sync-message.ts';
import { at, machine, peerId, record } from './fixtures.ts';
import { check } from '../fakes/property.ts';

const FROM: SocketAddress = { address: '192.0.2.2', port: 7783 };
const HEADER = encodeHeader(1, 'test');

function datagram(body: Body, pieces: readonly Uint8Array[] = [], header = HEADER): Buffer {
  return Buffer.concat([encodeDatagramHead(header, peerId('2'), body), ...pieces]);
}

const news = (...records: readonly MemberRecord[]): Buffer =>
  datagram(
    { kind: 'news' },
    records.map((of) => encodeClaim({ record: of })),
  );

/** The datagrams among `effects`, read back. */
function sent(effects: readonly Effect[]): { to: SocketAddress; datagram: Datagram }[] {
  return effects.flatMap((effect) => {
    if (effect.kind !== 'send') return [];
    const bytes = Buffer.from(effect.bytes);
    const read = decodeDatagram(bytes, decodeHeader(bytes)?.bodyAt ?? 0);
    return read === undefined ? [] : [{ to: effect.to, datagram: read }];
  });
}

/** A machine that knows host 2, and whoever else is named. */
function acquainted(...others: readonly string[]): Machine {
  const it = machine('1');
  it.start([], at(0));
  it.receive(news(record('2'), ...others.map((digit) => record(digit))), FROM, at(0));
  return it;
}

test('a ping for this host is answered to where it came from, one for another is counted', (t) => {
  const it = acquainted();
  const answer = sent(
    it.receive(datagram({ kind: 'ping', sequence: 7, target: peerId('1') }), FROM, at(1)),
  );
  t.deepEqual(
    answer.map(({ to, datagram: { body } }) => ({ to, body })),
    [{ to: FROM, body: { kind: 'ack', sequence: 7 } }],
  );
  t.deepEqual(
    sent(it.receive(datagram({ kind: 'ping', sequence: 7, target: peerId('9') }), FROM, at(1))),
    [],
  );
  t.is(it.counters()['dropMisdirected'], 1);
});

test('a helper pings for another, passes the ack on, and sends a nack while there is none', (t) => {
  const it = acquainted('3');
  const request = datagram({ kind: 'ping-request', sequence: 70, target: peerId('3') });
  const effects = it.receive(request, FROM, at(1));
  const [ping] = sent(effects);
  t.is(ping?.to.address, '192.0.2.3');
  t.is(ping?.datagram.body.kind, 'ping');
  if (ping?.datagram.body.kind !== 'ping') return;
  const { sequence } = ping.datagram.body;
  const [nack] = sent(it.expire({ kind: 'relay-nack', sequence }, at(240)));
  t.deepEqual(nack?.datagram.body, { kind: 'nack', sequence: 70 });
  const [ack] = sent(it.receive(datagram({ kind: 'ack', sequence }), FROM, at(250)));
  t.deepEqual(ack?.datagram.body, { kind: 'ack', sequence: 70 });
  t.deepEqual(sent(it.expire({ kind: 'relay-nack', sequence }, at(260))), []);
});

test('a helper that does not know the target says so at once and pings nobody', (t) => {
  const it = acquainted();
  const request = datagram({ kind: 'ping-request', sequence: 70, target: peerId('9') });
  const answers = sent(it.receive(request, FROM, at(1)));
  t.deepEqual(
    answers.map(({ datagram: { body } }) => body),
    [{ kind: 'nack', sequence: 70 }],
  );
});

test('silence: ping again and ask three helpers, then suspect, then declare dead', (t) => {
  const it = acquainted('3', '4', '5', '6');
  const [first] = sent(it.expire({ kind: 'probe' }, at(100)));
  const body = first?.datagram.body;
  if (body?.kind !== 'ping') return t.fail('no ping');
  const { sequence, target } = body;
  const second = sent(it.expire({ kind: 'probe-timeout', sequence }, at(400)));
  t.is(second.filter(({ datagram: { body } }) => body.kind === 'ping-request').length, 3);
  t.is(second.filter(({ datagram: { body } }) => body.kind === 'ping').length, 1);
  it.expire({ kind: 'probe' }, at(1100));
  t.is(it.member(target)?.state, 'suspect');
  it.expire({ kind: 'suspicion', id: target, incarnation: 0 }, at(2000));
  t.is(it.member(target)?.state, 'suspect', 'a timer that comes early changes nothing');
  it.expire({ kind: 'suspicion', id: target, incarnation: 0 }, at(20_000));
  t.is(it.member(target)?.state, 'dead');
});

test('an acked probe suspects nobody', (t) => {
  const it = acquainted();
  const [ping] = sent(it.expire({ kind: 'probe' }, at(100)));
  if (ping?.datagram.body.kind !== 'ping') return t.fail('no ping');
  it.receive(datagram({ kind: 'ack', sequence: ping.datagram.body.sequence }), FROM, at(101));
  it.expire({ kind: 'probe' }, at(1100));
  t.is(it.member(peerId('2'))?.state, 'alive');
  it.receive(datagram({ kind: 'ack', sequence: 12345 }), FROM, at(1200));
  t.is(it.counters()['dropUnawaited'], 1);
});

test('confirmations from others bring a death nearer', (t) => {
  const it = acquainted('3', '4', '5', '6');
  const suspect = record('6', { state: 'suspect' });
  const accuse = (digit: string): Buffer =>
    datagram({ kind: 'news' }, [encodeClaim({ record: suspect, accuser: peerId(digit) })]);
  const deadline = (effects: readonly Effect[]): number =>
    Math.max(
      -1,
      ...effects.map((effect) =>
        effect.kind === 'timer' && effect.timer.kind === 'suspicion' ? effect.after : -1,
      ),
    );
  const alone = deadline(it.receive(accuse('3'), FROM, at(0)));
  const again = deadline(it.receive(accuse('3'), FROM, at(0)));
  const two = deadline(it.receive(accuse('4'), FROM, at(0)));
  const three = deadline(it.receive(accuse('5'), FROM, at(0)));
  t.is(again, -1, 'the same accuser counts once');
  t.true(alone > two && two > three, `${alone} ${two} ${three}`);
  t.is(alone, three * 2);
});

test('a suspicion of this host is refuted by a higher incarnation', (t) => {
  const it = acquainted();
  it.receive(news(record('1', { state: 'suspect', incarnation: 4 })), FROM, at(5));
  t.is(it.self.incarnation, 5);
  const told = sent(it.expire({ kind: 'gossip' }, at(25)));
  const claims = told.flatMap(({ datagram: { claims } }) => claims);
  t.true(claims.some(({ record: of }) => of.id === peerId('1') && of.incarnation === 5));
});

test('a forged incarnation at the limit neither throws nor wraps', (t) => {
  const it = acquainted();
  it.receive(news(record('1', { state: 'dead', incarnation: 2 ** 31 })), FROM, at(5));
  t.is(it.self.incarnation, 2 ** 31);
  t.is(it.self.state, 'alive');
});

test('a suspect that speaks to us hears first that it is suspected', (t) => {
  const it = acquainted('3');
  it.receive(news(record('2', { state: 'suspect' })), FROM, at(5));
  const ping = datagram({ kind: 'ping', sequence: 1, target: peerId('1') });
  const [answer] = sent(it.receive(ping, FROM, at(6)));
  t.is(answer?.datagram.claims[0]?.record.id, peerId('2'));
  t.is(answer?.datagram.claims[0]?.record.state, 'suspect');
});

test('a stranger that speaks is asked for its state, but not more often than once a second', (t) => {
  const it = machine('1');
  const ping = datagram({ kind: 'ping', sequence: 1, target: peerId('1') });
  const asks = (ms: number): number =>
    it.receive(ping, FROM, at(ms)).filter(({ kind }) => kind === 'exchange').length;
  t.deepEqual([asks(1), asks(2), asks(999), asks(1500)], [1, 0, 0, 1]);
});

for (const [name, bytes, counter] of [
  ['nothing', Buffer.alloc(0), 'dropKind'],
  ['another kind', Buffer.from([2, 1, 0]), 'dropKind'],
  [
    'another protocol version',
    datagram({ kind: 'news' }, [], encodeHeader(9, 'test')),
    'dropVersion',
  ],
  ['another mesh', datagram({ kind: 'news' }, [], encodeHeader(1, 'other')), 'dropLabel'],
  ['a broken body', Buffer.concat([HEADER, Buffer.from('0aff', 'hex')]), 'dropMalformed'],
  ['far too much', Buffer.alloc(20_000, 1), 'dropLength'],
] as const) {
  test(`${name}: counted as ${counter}, and nothing else happens`, (t) => {
    const it = machine();
    t.deepEqual(it.receive(bytes, FROM, at(1)), []);
    t.is(it.counters()[counter], 1);
  });
}

test('a claim of a member that speaks another protocol is ignored', (t) => {
  const it = acquainted();
  it.receive(news(record('3', { protocol: { min: 4, max: 5 } })), FROM, at(1));
  t.is(it.member(peerId('3')), undefined);
  t.is(it.counters()['dropVersion'], 1);
});

test('members beyond the quota are refused and counted', (t) => {
  const it = machine('1', { config: { ...presets.lan, membersMax: 3 } });
  it.receive(news(...['2', '3', '4', '5'].map((digit) => record(digit))), FROM, at(1));
  t.is(it.members.length, 3);
  t.is(it.counters()['memberQuota'], 1);
});

/** Whole valid messages, to be damaged by the next test. */
const VALID: readonly Buffer[] = [
  news(record('3'), record('4', { state: 'dead' })),
  datagram({ kind: 'ping', sequence: 1, target: peerId('1') }, [
    encodeRow({
      table: 'networks',
      key: 'a',
      stamp: { millis: at(0).wall, count: 0 },
      author: peerId('3'),
      value: Uint8Array.of(0xa1, 0x61, 0x61, 0x01),
    }),
  ]),
  Buffer.concat([
    encodeRequestHead(HEADER, { protocol: { min: 1, max: 1 }, purpose: 'join', self: record('5') }),
    encodeClaim({ record: record('6') }),
  ]),
];

test('random and damaged bytes never throw, in any entrance', (t) => {
  const it = acquainted('3');
  it.replica.define('networks', { valueBytes: 100, validate: (value) => value });
  const damaged = fc
    .record({
      base: fc.constantFrom(...VALID),
      flips: fc.array(fc.record({ at: fc.nat(), to: fc.nat(255) }), { maxLength: 6 }),
      cut: fc.option(fc.nat(200)),
    })
    .map(({ base, flips, cut }) => {
      const bytes = Buffer.from(base);
      for (const { at: place, to } of flips) bytes[place % bytes.length] = to;
      return cut === null ? bytes : bytes.subarray(0, cut);
    });
  const random = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  const headed = random.map((bytes) => Buffer.concat([HEADER, bytes]));
  const property = fc.property(fc.oneof(damaged, random, headed), fc.nat(100_000), (bytes, ms) => {
    it.receive(bytes, FROM, at(ms));
    it.answer(bytes, FROM, at(ms));
    const { exchange } = it.join(FROM, at(ms));
    it.exchanged(exchange, bytes, at(ms));
    it.load(bytes, at(ms));
  });
  t.notThrows(() => {
    check(property, 10_000);
  });
  t.true((it.counters()['dropMalformed'] ?? 0) > 1000);
});
