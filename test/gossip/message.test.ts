import test from 'ava';
import fc from 'fast-check';
import { encodeClaim, encodeRow, decodeRow } from '../../src/gossip/cargo.ts';
import {
  decodeDatagram,
  decodeHeader,
  encodeDatagramHead,
  encodeHeader,
  withoutSender,
  withSender,
} from '../../src/gossip/message.ts';
import type { Body } from '../../src/gossip/message.ts';
import { peerId, record } from './fixtures.ts';
import { idOf, signedBy } from '../fakes/fake-signatures.ts';
import { check } from '../fakes/property.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const header = encodeHeader(1, 'test');

/** Golden bytes: two versions of the daemon must agree on these. Taken apart in docs/wire-format.md. */
const GOLDEN: readonly (readonly [string, Body, string])[] = [
  [
    'ping',
    { kind: 'ping', sequence: 300, target: peerId('2') },
    '010104746573740a10' + '11'.repeat(16) + '121508ac021210' + '22'.repeat(16),
  ],
  ['ack', { kind: 'ack', sequence: 300 }, '010104746573740a10' + '11'.repeat(16) + '1a0308ac02'],
  [
    'ping-request',
    { kind: 'ping-request', sequence: 1, target: peerId('2') },
    '010104746573740a10' + '11'.repeat(16) + '221408011210' + '22'.repeat(16),
  ],
  ['nack', { kind: 'nack', sequence: 1 }, '010104746573740a10' + '11'.repeat(16) + '2a020801'],
  ['news', { kind: 'news' }, '010104746573740a10' + '11'.repeat(16)],
];

for (const [name, body, bytes] of GOLDEN) {
  test(`${name}: golden bytes, both ways`, (t) => {
    t.is(hex(encodeDatagramHead(header, peerId('1'), body)), bytes);
    const read = Buffer.from(bytes, 'hex');
    const { bodyAt } = decodeHeader(read) ?? { bodyAt: -1 };
    const datagram = decodeDatagram(read, bodyAt, idOf);
    t.deepEqual(datagram?.body, body);
    t.is(datagram?.sender, peerId('1'));
  });
}

test('a claim: golden bytes, both ways', (t) => {
  const claim = {
    record: record('3', { state: 'suspect', incarnation: 5, meta: Buffer.from([7]) }),
    accuser: peerId('4'),
  };
  const piece = encodeClaim(claim);
  t.is(
    hex(piece),
    `429401` + // field 8, 148 bytes
      `10021805` + // SUSPECT, incarnation 5
      `2206${Buffer.from('host-3').toString('hex')}` +
      `2a090a04c000020310e73c` + // 192.0.2.3, 7783
      `30013801` + // protocol 1 to 1
      `420107` +
      `4a10${'44'.repeat(16)}` +
      `5220${hex(claim.record.key)}` +
      `5a40${hex(claim.record.signature)}`,
  );
  const head = encodeDatagramHead(header, peerId('1'), { kind: 'news' });
  const read = decodeDatagram(Buffer.concat([head, piece]), header.length, idOf);
  t.deepEqual(read?.claims, [{ ...claim, record: { ...claim.record, meta: Uint8Array.of(7) } }]);
});

test('a row and a tombstone: golden bytes, both ways', (t) => {
  const row = signedBy(peerId('5'), {
    table: 'networks',
    key: 'blue',
    stamp: { millis: 1_767_225_600_000, count: 3 },
    value: Uint8Array.of(0xf5),
  });
  const head = `0a08${Buffer.from('networks').toString('hex')}1204${Buffer.from('blue').toString('hex')}`;
  const stamp = `1880d0eab6b733` + `2003`;
  const tail = `3a20${hex(row.authorKey)}` + `4240${hex(row.signature)}`;
  t.is(hex(encodeRow(row)), `4a8001${head}${stamp}3201f5${tail}`);
  t.deepEqual(decodeRow(encodeRow(row), idOf), row);
  const tombstone = { ...row, value: undefined };
  t.is(hex(encodeRow(tombstone)), `4a7d${head}${stamp}${tail}`);
  t.deepEqual(decodeRow(encodeRow(tombstone), idOf), tombstone);
});

test('IPv6 and unknown addresses survive', (t) => {
  for (const address of ['2001:db8::1', '0.0.0.0']) {
    const claim = { record: record('3', { address: { address, port: 1 } }) };
    const head = encodeDatagramHead(header, peerId('1'), { kind: 'news' });
    const bytes = Buffer.concat([head, encodeClaim(claim)]);
    t.is(decodeDatagram(bytes, header.length, idOf)?.claims[0]?.record.address.address, address);
  }
});

test('claims that make no sense are skipped and counted, the others are read', (t) => {
  const bad = [
    record('3', { name: 'no spaces allowed' }),
    record('4', { incarnation: 2 ** 31 + 1 }),
    record('5', { protocol: { min: 2, max: 1 } }),
    record('6', { meta: new Uint8Array(513) }),
    record('7', { address: { address: '192.0.2.1', port: 0 } }),
  ].map((wrong) => encodeClaim({ record: wrong }));
  const head = encodeDatagramHead(header, peerId('1'), { kind: 'ack', sequence: 9 });
  const good = encodeClaim({ record: record('8') });
  const read = decodeDatagram(Buffer.concat([head, ...bad, good]), header.length, idOf);
  t.is(read?.malformedClaims, bad.length);
  t.deepEqual(
    read?.claims.map((claim) => claim.record.id),
    [peerId('8')],
  );
  t.deepEqual(read?.body, { kind: 'ack', sequence: 9 });
});

test('a later version may add fields', (t) => {
  const head = encodeDatagramHead(header, peerId('1'), { kind: 'ack', sequence: 9 });
  const unknownField = Buffer.from('fa0103abcdef', 'hex'); // field 31, 3 bytes
  const read = decodeDatagram(Buffer.concat([head, unknownField]), header.length, idOf);
  t.deepEqual(read?.body, { kind: 'ack', sequence: 9 });
});

test('the header is refused if it is cut short, of another kind or its label too long', (t) => {
  t.deepEqual(decodeHeader(Buffer.from(header)), { version: 1, label: 'test', bodyAt: 7 });
  for (let length = 0; length < header.length; length++) {
    t.is(decodeHeader(Buffer.from(header.subarray(0, length))), undefined);
  }
  t.is(decodeHeader(Buffer.from([0x08, 1, 0])), undefined);
  t.is(decodeHeader(Buffer.from([0x01, 1, 65, ...new Uint8Array(80)])), undefined);
});

test('what was decoded does not share the datagram’s memory', (t) => {
  const head = encodeDatagramHead(header, peerId('1'), { kind: 'news' });
  const claim = encodeClaim({ record: record('3', { meta: Uint8Array.of(1, 2, 3) }) });
  const bytes = Buffer.concat([head, claim]);
  const read = decodeDatagram(bytes, header.length, idOf);
  bytes.fill(0xff);
  t.deepEqual(read?.claims[0]?.record.meta, Uint8Array.of(1, 2, 3));
});

test('random bytes never throw', (t) => {
  const property = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const buffer = Buffer.from(bytes);
    decodeHeader(buffer);
    decodeDatagram(buffer, 0, idOf);
    decodeRow(buffer, idOf);
  });
  t.notThrows(() => {
    check(property, 10_000);
  });
});

test('an envelope names the sender: it is left out, and nobody can put another in', (t) => {
  const [own, other] = [peerId('1'), peerId('2')];
  const bare = encodeHeader(1, '');
  for (const [name, body] of GOLDEN) {
    const whole = Buffer.from(encodeDatagramHead(bare, own, body));
    const short = Buffer.from(withoutSender(whole, own));
    t.is(short.length, whole.length - 18, name);
    t.is(decodeDatagram(short, bare.length, idOf), undefined);
    const opened = decodeDatagram(withSender(short, own), bare.length, idOf);
    t.like(opened, { sender: own, body });
    t.deepEqual(opened, decodeDatagram(whole, bare.length, idOf));
    // Of another's, or with a label, nothing is left out; what is said inside does not count.
    t.is(withoutSender(whole, other), whole);
    t.is(decodeDatagram(withSender(whole, other), bare.length, idOf)?.sender, other);
    const labelled = encodeDatagramHead(header, own, body);
    t.is(withoutSender(labelled, own), labelled);
  }
  const stranger = Buffer.of(0x50, 1, 0);
  t.is(withoutSender(stranger, own), stranger);
  t.is(withSender(stranger, own), stranger);
});
