import test from 'ava';
import fc from 'fast-check';
import { asMac } from '../../src/base/types.ts';
import {
  ETHER_TYPE,
  HEADER_BYTES,
  payloadOffset,
  readDestination,
  readOuterType,
  readPayloadType,
  readSource,
  readVlanId,
  writeEthernet,
} from '../../src/wire/ethernet.ts';
import { withTags } from '../fakes/frames.ts';
import { check, guarded, slices } from '../fakes/property.ts';

const plain = Buffer.from(
  '333300000001' + // destination
    '02005e100001' + // source
    '0800' + // type: IPv4
    'abcd',
  'hex',
);

test('an untagged header', (t) => {
  t.is(HEADER_BYTES, 14);
  t.is(readDestination(plain, 0), asMac(0x333300000001));
  t.is(readSource(plain, 0), asMac(0x02005e100001));
  t.is(readOuterType(plain, 0), ETHER_TYPE.ipv4);
  t.is(payloadOffset(plain, 0, plain.length), 14);
  t.is(readPayloadType(plain, 14), ETHER_TYPE.ipv4);
  t.is(readVlanId(plain, 0, plain.length), -1);
});

test('one tag: VLAN 100 with priority 5', (t) => {
  const tagged = withTags(plain, [0x8100, 0xa064]);
  t.is(readOuterType(tagged, 0), ETHER_TYPE.customerTag);
  t.is(payloadOffset(tagged, 0, tagged.length), 18);
  t.is(readPayloadType(tagged, 18), ETHER_TYPE.ipv4);
  t.is(readVlanId(tagged, 0, tagged.length), 100);
});

test('two tags are passed, a third is payload', (t) => {
  const double = withTags(plain, [0x88a8, 7], [0x8100, 8]);
  t.is(payloadOffset(double, 0, double.length), 22);
  t.is(readPayloadType(double, 22), ETHER_TYPE.ipv4);
  t.is(readVlanId(double, 0, double.length), 7);
  const triple = withTags(plain, [0x88a8, 7], [0x8100, 8], [0x8100, 9]);
  t.is(readPayloadType(triple, payloadOffset(triple, 0, triple.length)), ETHER_TYPE.customerTag);
});

test('a tag that is cut off is not passed', (t) => {
  const tagged = withTags(plain, [0x8100, 100]);
  for (const end of [14, 15, 17]) {
    t.is(payloadOffset(tagged, 0, end), 14);
    t.is(readVlanId(tagged, 0, end), -1);
  }
});

test('written headers read back', (t) => {
  const buf = Buffer.alloc(20, 0xee);
  const header = {
    destination: asMac(0x333300000001),
    source: asMac(0x02005e100001),
    etherType: ETHER_TYPE.ipv4,
  };
  t.is(writeEthernet(buf, 2, header), 16);
  t.deepEqual(buf.subarray(2, 16), plain.subarray(0, 14));
  t.is(buf[1], 0xee);
  t.is(buf[16], 0xee);
});

test('random frames: nothing outside is read', (t) => {
  t.notThrows(() =>
    check(
      fc.property(slices(40, plain.subarray(0, 12), withTags(plain, [0x8100, 1])), (slice) => {
        fc.pre(slice.end - slice.start >= HEADER_BYTES);
        const buf = guarded(slice);
        const at = payloadOffset(buf, slice.start, slice.end);
        readPayloadType(buf, at);
        readVlanId(buf, slice.start, slice.end);
        return at <= slice.end;
      }),
    ),
  );
});
