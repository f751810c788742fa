import test from 'ava';
import fc from 'fast-check';
import { checksum } from '../../src/wire/checksum.ts';
import {
  ipv4Destination,
  ipv4HeaderBytes,
  ipv4Protocol,
  ipv4Source,
  ipv4TotalLength,
  isIpv4,
  isIpv4Fragment,
  writeIpv4,
} from '../../src/wire/ipv4.ts';
import { check, guarded, slices } from '../fakes/property.ts';

const golden = Buffer.from(
  '4500' + // version 4, five words; no DSCP
    '0073' + // 115 bytes in all
    '0000' + // identification
    '4000' + // don't fragment
    '4011' + // TTL 64, UDP
    'b861' + // checksum
    'c0a80001' + // 192.168.0.1
    'c0a800c7', // 192.168.0.199
  'hex',
);

test('the golden header is written, checksum and all', (t) => {
  const buf = Buffer.alloc(22, 0xee);
  const header = { source: 0xc0a80001, destination: 0xc0a800c7, protocol: 17, payloadBytes: 95 };
  t.is(writeIpv4(buf, 1, header), 21);
  t.is(buf.toString('hex'), `ee${golden.toString('hex')}ee`);
  t.is(checksum(golden, 0, golden.length), 0);
});

test('the golden header is read', (t) => {
  t.true(isIpv4(golden, 0, golden.length));
  t.is(ipv4HeaderBytes(golden, 0), 20);
  t.is(ipv4TotalLength(golden, 0), 115);
  t.is(ipv4Protocol(golden, 0), 17);
  t.is(ipv4Source(golden, 0), 0xc0a80001);
  t.is(ipv4Destination(golden, 0), 0xc0a800c7);
});

for (const [name, firstByte, end] of [
  ['cut short', 0x45, 19],
  ['version 6', 0x65, 20],
  ['header of four words', 0x44, 20],
  ['options that are cut off', 0x46, 20],
] as const) {
  test(`no IPv4 header: ${name}`, (t) => {
    const bytes = Buffer.from(golden);
    bytes[0] = firstByte;
    t.false(isIpv4(bytes, 0, end));
  });
}

for (const [field, isFragment] of [
  [0x0000, false],
  [0x4000, false], // don't fragment
  [0x8000, false], // the reserved bit
  [0x2000, true], // first fragment
  [0x0001, true], // last fragment
] as const) {
  test(`fragment field 0x${field.toString(16)}: ${isFragment}`, (t) => {
    const bytes = Buffer.from(golden);
    bytes.writeUInt16BE(field, 6);
    t.is(isIpv4Fragment(bytes, 0), isFragment);
  });
}

test('random packets: nothing outside is read', (t) => {
  const property = fc.property(slices(60, golden), (slice) => {
    const { start, end } = slice;
    const buf = guarded(slice);
    if (!isIpv4(buf, start, end)) return true;
    isIpv4Fragment(buf, start);
    ipv4Destination(buf, start);
    return start + ipv4HeaderBytes(buf, start) <= end;
  });
  t.notThrows(() => check(property));
});
