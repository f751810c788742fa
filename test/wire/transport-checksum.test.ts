import test from 'ava';
import fc from 'fast-check';
import { asMac } from '../../src/base/types.ts';
import { addToSum, foldSum, pseudoHeaderSum4, pseudoHeaderSum6 } from '../../src/wire/checksum.ts';
import { HEADER_BYTES } from '../../src/wire/ethernet.ts';
import { IP_PROTOCOL, IPV4_HEADER_BYTES, writeIpv4 } from '../../src/wire/ipv4.ts';
import { IPV6_HEADER_BYTES } from '../../src/wire/ipv6.ts';
import { completeTransportChecksum } from '../../src/wire/transport-checksum.ts';
import { ipv6Frame, udpFrame } from '../fakes/frames.ts';
import { check } from '../fakes/property.ts';

const MACS = { destination: asMac(0x02005e100002), source: asMac(0x02005e100001) };
const FLOW = { source: 0x0a070001, destination: 0x0a070002, sourcePort: 5000, destinationPort: 53 };
const L4 = HEADER_BYTES + IPV4_HEADER_BYTES;
const L4_OVER_IPV6 = HEADER_BYTES + IPV6_HEADER_BYTES;

/** Puts the folded sum of the pseudo header into the field, as a kernel with offloads does. */
function makePartial(frame: Buffer, fieldAt: number, pseudo: number): void {
  frame.writeUInt16BE(~foldSum(pseudo) & 0xffff, fieldAt);
}

/** A TCP segment over IPv4 with these bytes behind its fixed header. */
function tcpFrame(payload: Uint8Array): Buffer {
  const bytes = 20 + payload.length;
  const frame = Buffer.alloc(L4 + bytes);
  frame.writeUInt16BE(0x0800, 12);
  writeIpv4(frame, HEADER_BYTES, { ...FLOW, protocol: IP_PROTOCOL.tcp, payloadBytes: bytes });
  frame[L4 + 12] = 5 << 4;
  frame.set(payload, L4 + 20);
  makePartial(frame, L4 + 16, pseudoHeaderSum4(FLOW.source, FLOW.destination, 6, bytes));
  return frame;
}

test('a partial UDP checksum becomes what the sender would have computed', (t) => {
  const property = fc.property(fc.uint8Array({ maxLength: 40 }), (payload) => {
    const whole = udpFrame(MACS, FLOW, payload);
    const partial = Buffer.from(whole);
    const pseudo = pseudoHeaderSum4(FLOW.source, FLOW.destination, 17, whole.length - L4);
    makePartial(partial, L4 + 6, pseudo);
    completeTransportChecksum(partial, 0, partial.length);
    return partial.equals(whole);
  });
  t.notThrows(() => check(property));
});

test('a partial TCP checksum then sums to nothing, padding left out', (t) => {
  const frame = Buffer.concat([tcpFrame(Buffer.from('odd bytes')), Buffer.alloc(5, 0xee)]);
  const end = frame.length - 5;
  completeTransportChecksum(frame, 0, frame.length);
  const pseudo = pseudoHeaderSum4(FLOW.source, FLOW.destination, 6, end - L4);
  t.is(foldSum(addToSum(frame, L4, end, pseudo)), 0);
});

test('UDP over IPv6 behind an options header is found', (t) => {
  const udp = Buffer.from('138800350009' + '0000' + 'aa', 'hex');
  const options = Buffer.from('1100010400000000', 'hex');
  const addresses = { source: Buffer.alloc(16, 0xfd), destination: Buffer.alloc(16, 0xfe) };
  const frame = ipv6Frame(MACS, addresses, 60, Buffer.concat([options, udp]));
  const at = L4_OVER_IPV6 + options.length;
  const pseudo = pseudoHeaderSum6(frame, HEADER_BYTES + 8, 17, udp.length);
  makePartial(frame, at + 6, pseudo);
  completeTransportChecksum(frame, 0, frame.length);
  t.is(foldSum(addToSum(frame, at, frame.length, pseudo)), 0);
});

test('what has no transport header that can be trusted stays as it is', (t) => {
  const longer = udpFrame(MACS, FLOW, Buffer.from('abc'));
  longer.writeUInt16BE(400, L4 + 4);
  const fragment = tcpFrame(Buffer.from('abc'));
  fragment.writeUInt16BE(0x2000, HEADER_BYTES + 6);
  const cut = tcpFrame(Buffer.from('abc')).subarray(0, -1);
  const other = Buffer.alloc(HEADER_BYTES);
  for (const frame of [longer, fragment, cut, other]) {
    const before = Buffer.from(frame);
    completeTransportChecksum(frame, 0, frame.length);
    t.deepEqual(frame, before);
  }
});
