import test from 'ava';
import fc from 'fast-check';
import { seededRng } from '../../src/base/rng.ts';
import { asMac } from '../../src/base/types.ts';
import {
  BROADCAST_MAC,
  formatMac,
  isGroupMac,
  isStationMac,
  isZeroMac,
  parseMac,
  randomLocalMac,
  readMac,
  writeMac,
  ZERO_MAC,
} from '../../src/wire/mac.ts';
import { check } from '../fakes/property.ts';

const anyMac = fc.maxSafeNat().map((value) => asMac(value % 2 ** 48));

test('bytes become one integer, first byte highest', (t) => {
  t.is(readMac(Buffer.from('ff0123456789abff', 'hex'), 1), asMac(0x0123456789ab));
});

test('what is written is read, and bytes around it stay', (t) => {
  check(
    fc.property(anyMac, (mac) => {
      const buf = Buffer.alloc(8, 0xee);
      writeMac(buf, 1, mac);
      return readMac(buf, 1) === mac && buf[0] === 0xee && buf[7] === 0xee;
    }),
  );
  t.is(readMac(Buffer.alloc(6, 0xff), 0), BROADCAST_MAC);
});

test('reading agrees with Buffer.readUIntBE', (t) => {
  check(
    fc.property(
      fc.uint8Array({ minLength: 6, maxLength: 6 }),
      (bytes) => readMac(bytes, 0) === asMac(Buffer.from(bytes).readUIntBE(0, 6)),
    ),
  );
  t.is(readMac(Buffer.alloc(6), 0), ZERO_MAC);
});

test('text: colons or dashes, any case; always printed one way', (t) => {
  t.is(parseMac('02:00:5e:10:00:01'), asMac(0x02005e100001));
  t.is(parseMac('02-00-5E-10-00-01'), asMac(0x02005e100001));
  t.is(formatMac(asMac(0x02005e100001)), '02:00:5e:10:00:01');
  t.is(formatMac(ZERO_MAC), '00:00:00:00:00:00');
  check(fc.property(anyMac, (mac) => parseMac(formatMac(mac)) === mac));
});

for (const text of [
  '',
  '02:00:5e:10:00',
  '02:00:5e:10:00:01:02',
  '02:00-5e:10:00:01',
  '2:0:5e:10:0:1',
  '02005e100001',
  '02:00:5e:10:00:0g',
  ' 02:00:5e:10:00:01',
  '02:00:5e:10:00:01\n',
]) {
  test(`no MAC: ${JSON.stringify(text)}`, (t) => t.is(parseMac(text), undefined));
}

test('group and station addresses', (t) => {
  t.true(isGroupMac(BROADCAST_MAC));
  t.true(isGroupMac(asMac(0x01005e000001)));
  t.true(isGroupMac(asMac(0x333300000001)));
  t.false(isGroupMac(asMac(0x02005e100001)));
  t.true(isStationMac(asMac(0x02005e100001)));
  t.false(isStationMac(BROADCAST_MAC));
  t.false(isStationMac(ZERO_MAC));
  t.true(isZeroMac(ZERO_MAC));
});

test('random addresses are unicast, locally administered and differ', (t) => {
  const rng = seededRng(7);
  const macs = Array.from({ length: 1000 }, () => randomLocalMac(rng));
  for (const mac of macs) t.regex(formatMac(mac), /^[0-9a-f][26ae]:/);
  t.is(new Set(macs).size, macs.length);
  const firstBytes = new Set(macs.map((mac) => formatMac(mac).slice(0, 2)));
  t.is(firstBytes.size, 64);
});
