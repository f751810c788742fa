import test from 'ava';
import fc from 'fast-check';
import { asVni, MAX_VNI } from '../../src/base/types.ts';
import { DROP_REASONS } from '../../src/dataplane/drop-reason.ts';
import { refusalName } from '../../src/encap/encapsulation.ts';
import { sourcePort, vxlan, VXLAN_REFUSALS } from '../../src/encap/vxlan.ts';
import { check, guarded, slices } from '../fakes/property.ts';

// A datagram as a Linux kernel VTEP sends it for VNI 5001.
const golden = Buffer.from(
  '08' + // flags: I alone
    '000000' + // reserved
    '001389' + // VNI: 5001
    '00' + // reserved
    'ffffffffffff' + // inner destination: broadcast
    '02005e100001' + // inner source
    '0806', // inner type: ARP
  'hex',
);
const FRAME_AT = 8;

test('constants of RFC 7348', (t) => {
  t.is(vxlan.name, 'vxlan');
  t.is(vxlan.udpPort, 4789);
  t.is(vxlan.headroomBytes, 8);
});

test('wrap writes the golden header and nothing else', (t) => {
  const buf = Buffer.alloc(golden.length + 4, 0xee);
  golden.copy(buf, 4 + FRAME_AT, FRAME_AT);
  t.is(vxlan.wrap(buf, 4 + FRAME_AT, asVni(5001)), 4);
  t.deepEqual(buf.subarray(4), golden);
  t.deepEqual(buf.subarray(0, 4), Buffer.alloc(4, 0xee));
});

test('unwrap finds the golden frame', (t) => {
  const out = { vni: asVni(0) };
  t.is(vxlan.unwrap(golden, 0, golden.length, out), FRAME_AT);
  t.is(out.vni, asVni(5001));
});

test('reserved bits are ignored on receipt', (t) => {
  const dirty = Buffer.from(golden);
  dirty.fill(0xff, 0, 4);
  dirty[7] = 0xff;
  const out = { vni: asVni(0) };
  t.is(vxlan.unwrap(dirty, 0, dirty.length, out), FRAME_AT);
  t.is(out.vni, asVni(5001));
});

test('without the I flag it is refused, whatever the other bits are', (t) => {
  for (const flags of [0x00, 0xf7, 0x04, 0x10]) {
    const bytes = Buffer.from(golden);
    bytes[0] = flags;
    const out = { vni: asVni(42) };
    t.is(refusalName(vxlan, vxlan.unwrap(bytes, 0, bytes.length, out)), 'vxlan_flags');
    t.is(out.vni, asVni(42), 'a refusal writes nothing');
    t.false(vxlan.looksLike(bytes, 0, bytes.length));
  }
  t.true(vxlan.looksLike(golden, 0, golden.length));
});

test('every truncation has its refusal', (t) => {
  const out = { vni: asVni(0) };
  for (let end = 0; end < golden.length; end++) {
    const code = vxlan.unwrap(golden, 0, end, out);
    t.is(refusalName(vxlan, code), end < 8 ? 'vxlan_short' : 'vxlan_frame_short', `${end} bytes`);
  }
});

test('what is wrapped is unwrapped', (t) => {
  const property = fc.property(
    fc.nat(MAX_VNI),
    fc.nat(64),
    fc.uint8Array({ minLength: 14, maxLength: 100 }),
    (vni, at, frame) => {
      const frameAt = at + vxlan.headroomBytes;
      const buf = Buffer.alloc(frameAt + frame.length, 0xee);
      buf.set(frame, frameAt);
      const out = { vni: asVni(0) };
      const start = vxlan.wrap(buf, frameAt, asVni(vni));
      const found = vxlan.unwrap(buf, start, buf.length, out);
      return start === at && found === frameAt && Number(out.vni) === vni;
    },
  );
  t.notThrows(() => check(property));
});

test('random datagrams: a frame or a refusal, and nothing outside is read', (t) => {
  const property = fc.property(slices(40, golden.subarray(0, FRAME_AT), golden), (slice) => {
    const { start, end } = slice;
    const code = vxlan.unwrap(guarded(slice), start, end, { vni: asVni(0) });
    vxlan.looksLike(guarded(slice), start, end);
    return code < 0 ? refusalName(vxlan, code).startsWith('vxlan_') : code + 14 <= end;
  });
  t.notThrows(() => check(property, 5000));
});

test('each refusal is a drop reason of the data plane', (t) => {
  for (const refusal of VXLAN_REFUSALS) t.true(DROP_REASONS.includes(refusal));
});

test('source ports cover exactly the dynamic range', (t) => {
  const ports = new Set(Array.from({ length: 2 ** 15 }, (_, hash) => sourcePort(hash)));
  t.is(ports.size, 2 ** 14);
  t.is(Math.min(...ports), 49152);
  t.is(Math.max(...ports), 65535);
  t.is(sourcePort(0xffffffff), 65535);
});
