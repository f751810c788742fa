import test from 'ava';
import fc from 'fast-check';
import { asMac } from '../../src/base/types.ts';
import { HEADER_BYTES } from '../../src/wire/ethernet.ts';
import { ZERO_MAC } from '../../src/wire/mac.ts';
import {
  ADVERTISEMENT_BYTES,
  hasSender,
  isSolicitation,
  isToSolicitedNode,
  ND_FLAG,
  solicitationMac,
  solicitedAt,
  writeAdvertisement,
} from '../../src/wire/nd.ts';
import { solicitationFrame, writeIcmpv6Checksum } from '../fakes/frames.ts';
import { check, guarded, slices } from '../fakes/property.ts';

const MAC = asMac(0x02_00_5e_10_00_01);
const source = Buffer.from('20010db8000000000000000000000001', 'hex');
const target = Buffer.from('20010db8000000000000000000ab0002', 'hex');

/** As the Linux kernel sends it: IPv6 header, solicitation, source link-layer address. */
const golden = Buffer.from(
  '60000000' +
    '0020' + // payload: 32 bytes
    '3aff' + // ICMPv6, hop limit 255
    source.toString('hex') +
    'ff0200000000000000000001ffab0002' + // the target's group
    '8700bcc0' + // solicitation, checksum
    '00000000' +
    target.toString('hex') +
    '010102005e100001', // the sender's MAC
  'hex',
);

const solicitation = (more: Partial<Parameters<typeof solicitationFrame>[0]> = {}): Buffer =>
  solicitationFrame({ mac: MAC, source, target, ...more }).subarray(HEADER_BYTES);

const isValid = (bytes: Buffer): boolean => isSolicitation(bytes, 0, bytes.length);

test('the golden solicitation is read', (t) => {
  t.deepEqual(solicitation(), golden);
  t.true(isValid(golden));
  t.true(isValid(Buffer.concat([golden, Buffer.alloc(5)])), 'padding');
  t.true(hasSender(golden, 0));
  t.true(isToSolicitedNode(golden, 0));
  t.is(solicitationMac(golden, 0), MAC);
  t.deepEqual(golden.subarray(solicitedAt(0), solicitedAt(0) + 16), target);
});

test('any changed bit makes it invalid or another message', (t) => {
  for (let bit = 0; bit < golden.length * 8; bit++) {
    const at = bit >> 3;
    const bytes = Buffer.from(golden);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
    // Traffic class and flow label are nobody's business here.
    const isFree = at < 4 && bit >> 3 !== 0 ? true : at === 0 && (bit & 7) < 4;
    t.is(isValid(bytes), isFree, `bit ${bit}`);
  }
});

test('what RFC 4861 §7.1.1 refuses is refused', (t) => {
  t.false(isValid(solicitation({ hopLimit: 254 })), 'passed on by a router');
  t.false(isValid(golden.subarray(0, golden.length - 1)), 'cut short');
  t.false(isValid(solicitation({ options: '0100020000000001' })), 'an option of no length');
  t.false(isValid(solicitation({ options: '0102020000000001' })), 'an option that ends outside');
  t.false(isValid(solicitation({ options: '01010200' })), 'half an option');
  const toGroup = Buffer.from(`ff02${'0'.repeat(26)}01`.slice(0, 32), 'hex');
  t.false(isValid(solicitation({ target: toGroup })), 'a group as target');
});

test('who asks, and of which group, is told', (t) => {
  const probe = solicitation({ source: Buffer.alloc(16), options: '' });
  t.true(isValid(probe));
  t.false(hasSender(probe, 0));
  t.is(solicitationMac(probe, 0), ZERO_MAC);
  t.is(solicitationMac(solicitation({ options: '0201020000000009' }), 0), ZERO_MAC);
  const toAll = solicitationFrame({ mac: MAC, source, target });
  toAll.set(Buffer.from('ff020000000000000000000000000001', 'hex'), HEADER_BYTES + 24);
  writeIcmpv6Checksum(toAll);
  t.true(isValid(toAll.subarray(HEADER_BYTES)));
  t.false(isToSolicitedNode(toAll, HEADER_BYTES));
});

test('the advertisement is written by RFC 4861 §4.4', (t) => {
  const buf = Buffer.alloc(ADVERTISEMENT_BYTES + 1, 0xa5);
  const flags = ND_FLAG.solicited | ND_FLAG.override;
  t.is(writeAdvertisement(buf, 0, { destination: source, target, mac: MAC, flags }), 72);
  const frame = Buffer.concat([Buffer.alloc(HEADER_BYTES), buf.subarray(0, ADVERTISEMENT_BYTES)]);
  const expected = Buffer.from(frame);
  writeIcmpv6Checksum(expected);
  t.deepEqual(frame, expected, 'the checksum');
  const at = HEADER_BYTES;
  t.is(frame.subarray(at, at + 8).toString('hex'), '6000000000203aff');
  t.deepEqual(frame.subarray(at + 8, at + 24), target);
  t.deepEqual(frame.subarray(at + 24, at + 40), source);
  t.is(frame.subarray(at + 40, at + 42).toString('hex'), '8800');
  t.is(frame.subarray(at + 44, at + 48).toString('hex'), '60000000');
  t.deepEqual(frame.subarray(at + 48, at + 64), target);
  t.is(frame.subarray(at + 64).toString('hex'), '020102005e100001');
  t.is(buf[ADVERTISEMENT_BYTES], 0xa5);
});

test('random packets: nothing outside is read', (t) => {
  const heads = [golden, golden.subarray(0, 64), golden.subarray(0, 40)];
  const property = fc.property(slices(80, ...heads), (slice) => {
    const buf = guarded(slice);
    const { start, end } = slice;
    if (!isSolicitation(buf, start, end)) return true;
    hasSender(buf, start);
    isToSolicitedNode(buf, start);
    return solicitationMac(buf, start) >= 0 && solicitedAt(start) + 16 <= end;
  });
  t.notThrows(() => check(property, 3000));
});
