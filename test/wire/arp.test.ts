import test from 'ava';
import fc from 'fast-check';
import { asMac } from '../../src/base/types.ts';
import {
  ARP_BYTES,
  arpOperation,
  arpSenderIp,
  arpSenderMac,
  arpTargetIp,
  isArp,
  writeArp,
} from '../../src/wire/arp.ts';
import { ZERO_MAC } from '../../src/wire/mac.ts';
import { check, guarded, slices } from '../fakes/property.ts';

const golden = Buffer.from(
  '0001' + // hardware: Ethernet
    '0800' + // protocol: IPv4
    '06' + // bytes of a MAC
    '04' + // bytes of an address
    '0001' + // request
    '02005e100001' + // sender
    '0a070001' + // 10.7.0.1
    '000000000000' + // unknown yet
    '0a070002', // 10.7.0.2
  'hex',
);

test('the golden request is written and read', (t) => {
  const buf = Buffer.alloc(ARP_BYTES);
  const sender = { senderMac: asMac(0x02005e100001), senderIp: 0x0a070001 };
  const target = { targetMac: ZERO_MAC, targetIp: 0x0a070002 };
  t.is(writeArp(buf, 0, { operation: 1, ...sender, ...target }), ARP_BYTES);
  t.deepEqual(buf, golden);
  t.true(isArp(golden, 0, golden.length));
  t.is(arpOperation(golden, 0), 1);
  t.is(arpSenderMac(golden, 0), asMac(0x02005e100001));
  t.is(arpSenderIp(golden, 0), 0x0a070001);
  t.is(arpTargetIp(golden, 0), 0x0a070002);
});

test('other hardware, protocol or sizes, and a cut packet, are not ARP for IPv4', (t) => {
  for (const at of [0, 1, 2, 3, 4, 5]) {
    const bytes = Buffer.from(golden);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    t.false(isArp(bytes, 0, bytes.length), `byte ${at}`);
  }
  t.false(isArp(golden, 0, ARP_BYTES - 1));
});

test('random packets: nothing outside is read', (t) => {
  const property = fc.property(slices(40, golden.subarray(0, 8)), (slice) => {
    const buf = guarded(slice);
    return !isArp(buf, slice.start, slice.end) || arpTargetIp(buf, slice.start) >= 0;
  });
  t.notThrows(() => check(property));
});
