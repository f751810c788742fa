import assert from 'node:assert/strict';
import test from 'ava';
import fc from 'fast-check';
import { asPeerId, type SocketAddress } from '../../src/base/types.ts';
import { encodeClaim, encodeRow } from '../../src/gossip/cargo.ts';
import { presets } from '../../src/gossip/config.ts';
import type { Effect, Timer } from '../../src/gossip/effects.ts';
import type { Machine } from '../../src/gossip/machine.ts';
import type { MemberRecord } from '../../src/gossip/member.ts';
import {
  decodeDatagram,
  decodeHeader,
  encodeDatagramHead,
  encodeHeader,
  STREAM_KIND,
  type Body,
  type Datagram,
} from '../../src/gossip/message.ts';
import { encodeRequestHead } from '../../src/gossip/sync-message.ts';
import { at, machine, member, peerId, record } from './fixtures.ts';
import { idOf, signedBy } from '../fakes/fake-signatures.ts';
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
    const read = decodeDatagram(bytes, decodeHeader(bytes)?.bodyAt ?? 0, idOf);
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

const { probeInterval, probeTimeout } = presets.lan;

/** The tick of the slot that holds `ms`; whom the machine pings, and with what. */
function probe(it: Machine, ms: number): Extract<Body, { kind: 'ping' }> & { effects: Effect[] } {
  const slot = Math.floor(at(ms).wall / probeInterval);
  const effects = it.expire({ kind: 'probe', slot }, at(ms));
  const body = sent(effects)[0]?.datagram.body;
  assert(body?.kind === 'ping');
  return { ...body, effects };
}

/** When the last timer of this kind in `effects` is due, counted from the input; -1: there is none. */
const dueAfter = (effects: readonly Effect[], kind: Timer['kind']): number =>
  effects.reduce(
    (after, effect) =>
      effect.kind === 'timer' && effect.timer.kind === kind ? effect.after : after,
    -1,
  );

test('silence: ping again, by TCP too, and ask three helpers; suspect; declare dead', (t) => {
  const it = acquainted('3', '4', '5', '6');
  const { sequence, target } = probe(it, 100);
  const second = it.expire({ kind: 'probe-timeout', sequence }, at(100 + probeTimeout));
  const bodies = sent(second).map(({ datagram: { body } }) => body.kind);
  t.is(bodies.filter((kind) => kind === 'ping-request').length, 3);
  t.is(bodies.filter((kind) => kind === 'ping').length, 1);
  t.is(second.filter(({ kind }) => kind === 'exchange').length, 1);
  const suspectedAt = 100 + probeInterval;
  const effects = it.expire({ kind: 'probe-end', sequence }, at(suspectedAt));
  t.is(it.member(target)?.state, 'suspect');
  const due = suspectedAt + dueAfter(effects, 'suspicion');
  it.expire({ kind: 'suspicion', id: target, incarnation: 0 }, at(due - 1));
  t.is(it.member(target)?.state, 'suspect', 'a timer that comes early changes nothing');
  it.expire({ kind: 'suspicion', id: target, incarnation: 0 }, at(due));
  t.is(it.member(target)?.state, 'dead');
});

test('a host that stood still condemns nobody before it has read what lies in its sockets', (t) => {
  const it = acquainted('3', '4');
  const { sequence, target } = probe(it, 100);
  const late = it.expire({ kind: 'probe-end', sequence }, at(5000), 4000);
  t.is(it.member(target)?.state, 'alive');
  t.is(dueAfter(late, 'probe-end'), probeTimeout);
  const effects = it.expire({ kind: 'probe-end', sequence }, at(5000 + probeTimeout));
  t.is(it.member(target)?.state, 'suspect');
  const due = 5000 + probeTimeout + dueAfter(effects, 'suspicion');
  it.expire({ kind: 'collect' }, at(due - 100), 1000);
  const again = it.expire({ kind: 'suspicion', id: target, incarnation: 0 }, at(due));
  t.is(it.member(target)?.state, 'suspect');
  it.receive(news(record(target.slice(0, 1), { incarnation: 1 })), FROM, at(due + 1));
  const end = due + dueAfter(again, 'suspicion');
  it.expire({ kind: 'suspicion', id: target, incarnation: 0 }, at(end));
  t.is(it.member(target)?.state, 'alive');
  t.is(it.counters()['standstills'], 2);
});

test('a ping by TCP is answered by TCP, and its ack saves the probe', (t) => {
  const [one, two] = [acquainted(), machine('2')];
  const { sequence } = probe(one, 100);
  const effects = one.expire({ kind: 'probe-timeout', sequence }, at(400));
  const call = effects.find((effect) => effect.kind === 'exchange');
  assert(call !== undefined);
  t.deepEqual(call.to, record('2').address);
  const { answer } = two.answer(Buffer.from(call.request), FROM, at(401));
  assert(answer !== undefined);
  one.exchanged(call.exchange, Buffer.from(answer), at(402));
  one.expire({ kind: 'probe-end', sequence }, at(100 + probeInterval));
  t.is(one.member(peerId('2'))?.state, 'alive');
  t.is(one.counters()['probesSavedByStream'], 1);
});

test('a ping by TCP for another host is counted and gets no answer; a false ack saves nothing', (t) => {
  const it = acquainted();
  const header = encodeHeader(1, 'test', STREAM_KIND);
  const ping = datagram({ kind: 'ping', sequence: 1, target: peerId('9') }, [], header);
  t.is(it.answer(ping, FROM, at(1)).answer, undefined);
  t.is(it.counters()['dropMisdirected'], 1);
  const { sequence } = probe(it, 100);
  const effects = it.expire({ kind: 'probe-timeout', sequence }, at(400));
  const call = effects.find((effect) => effect.kind === 'exchange');
  assert(call !== undefined);
  it.exchanged(
    call.exchange,
    datagram({ kind: 'ack', sequence: sequence + 1 }, [], header),
    at(401),
  );
  t.is(it.counters()['dropMalformed'], 1);
  it.expire({ kind: 'probe-end', sequence }, at(100 + probeInterval));
  t.is(it.member(peerId('2'))?.state, 'suspect');
});

test('an acked probe suspects nobody', (t) => {
  const it = acquainted();
  const { sequence } = probe(it, 100);
  it.receive(datagram({ kind: 'ack', sequence }), FROM, at(101));
  it.expire({ kind: 'probe-end', sequence }, at(100 + probeInterval));
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
  const told = sent(it.expire({ kind: 'gossip', round: 1 }, at(25)));
  const claims = told.flatMap(({ datagram: { claims } }) => claims);
  t.true(claims.some(({ record: of }) => of.id === peerId('1') && of.incarnation === 5));
});

test('who doubts this host is the first to hear that it lives, once', (t) => {
  const it = acquainted('3');
  const doubt = news(record('1', { state: 'suspect', incarnation: 4 }));
  const [answer, ...more] = sent(it.receive(doubt, FROM, at(5)));
  t.deepEqual(answer?.to, FROM);
  t.is(answer?.datagram.claims[0]?.record.incarnation, 5);
  t.is(more.length, 0);
  t.deepEqual(sent(it.receive(doubt, FROM, at(6))), []);
});

test('a member that is held dead and was found is called at once, but not more often than once a second', (t) => {
  const it = acquainted('3');
  const elsewhere = { address: '203.0.113.9', port: 7783 };
  const calls = (ms: number): SocketAddress[] =>
    it
      .found(peerId('3'), elsewhere, at(ms))
      .flatMap((effect) => (effect.kind === 'exchange' ? [effect.to] : []));
  t.deepEqual(calls(1), [], 'it lives');
  const [wait] = it
    .receive(news(record('3', { state: 'dead' })), FROM, at(5))
    .flatMap((effect) => (effect.kind === 'timer' ? [effect] : []).slice(-1));
  t.truthy(wait);
  if (wait !== undefined) it.expire(wait.timer, at(60_000));
  t.is(it.member(peerId('3'))?.state, 'dead');
  t.deepEqual(calls(60_001), [elsewhere]);
  t.deepEqual(calls(60_500), []);
  t.deepEqual(calls(61_001), [elsewhere]);
});

test('the freshly dead hear of news beside those who live, which does not count as telling it', (t) => {
  const it = machine('1');
  it.acquaint([member('2'), member('3'), member('4', { state: 'dead' })]);
  const heard = new Map<string, number>();
  let effects = it.receive(news(record('2', { incarnation: 1 })), FROM, at(5));
  for (let now = 25; now < 5_000; now += 100) {
    for (const { to } of sent(effects)) heard.set(to.address, (heard.get(to.address) ?? 0) + 1);
    effects = effects.flatMap((effect) =>
      effect.kind === 'timer' && effect.timer.kind === 'gossip'
        ? it.expire(effect.timer, at(now))
        : [],
    );
  }
  const [second = 0, third = 0, fourth = 0] = [2, 3, 4].map((n) => heard.get(`192.0.2.${n}`));
  t.is(second + third, 6, 'the factor times the logarithm');
  t.is(fourth, 3);
});

test('a forged incarnation far ahead is refused and counted, of oneself, a member and a stranger', (t) => {
  const it = acquainted();
  const leap = 2 ** 20 + 1;
  it.receive(news(record('1', { state: 'dead', incarnation: leap })), FROM, at(5));
  t.is(it.self.incarnation, 0);
  it.receive(news(record('2', { state: 'dead', incarnation: leap })), FROM, at(6));
  t.is(it.member(peerId('2'))?.state, 'alive');
  it.receive(news(record('3', { incarnation: 2 ** 31 })), FROM, at(7));
  t.is(it.member(peerId('3')), undefined);
  t.is(it.counters()['claimLeap'], 3);
  it.receive(news(record('1', { state: 'dead', incarnation: leap - 1 })), FROM, at(8));
  t.is(it.self.incarnation, leap);
});

test('an incarnation at the limit neither throws nor wraps', (t) => {
  const it = machine('1', { self: record('1', { incarnation: 2 ** 31 - 1 }) });
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

test('the longest dead makes room for a new member where the quota is full', (t) => {
  const it = machine('1', { config: { ...presets.lan, membersMax: 3 } });
  it.receive(news(...['2', '3', '4'].map((digit) => record(digit))), FROM, at(1));
  it.receive(news(record('3', { state: 'dead' })), FROM, at(2));
  it.receive(news(record('4', { state: 'dead' })), FROM, at(3));
  t.is(it.member(peerId('3'))?.state, 'suspect', 'another is believed after the least time only');
  for (const [digit, ms] of [
    ['3', 3000],
    ['4', 3001],
  ] as const) {
    it.expire({ kind: 'suspicion', id: peerId(digit), incarnation: 0 }, at(ms));
  }
  const effects = it.receive(news(record('5')), FROM, at(3002));
  t.deepEqual(it.members.map(({ name }) => name).sort(), ['host-2', 'host-4', 'host-5']);
  t.true(effects.some((effect) => effect.kind === 'forgotten' && effect.member.name === 'host-3'));
  t.is(it.counters()['memberQuota'], 0);
});

test('a flood of forged members is bounded by the quota, and each beyond it is counted', (t) => {
  const it = machine('1', { config: { ...presets.lan, membersMax: 50 } });
  for (let forged = 0; forged < 1000; forged++) {
    const id = asPeerId(`e${forged.toString(16).padStart(31, '0')}`);
    it.receive(news(record('3', { id, name: `forged-${forged}` })), FROM, at(forged));
  }
  t.is(it.members.length, 50);
  t.is(it.counters()['memberQuota'], 950);
});

/** Whole valid messages, to be damaged by the next test. */
const VALID: readonly Buffer[] = [
  news(record('3'), record('4', { state: 'dead' })),
  datagram({ kind: 'ping', sequence: 1, target: peerId('1') }, [
    encodeRow(
      signedBy(peerId('3'), {
        table: 'networks',
        key: 'a',
        stamp: { millis: at(0).wall, count: 0 },
        value: Uint8Array.of(0xa1, 0x61, 0x61, 0x01),
      }),
    ),
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
