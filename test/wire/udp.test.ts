import test from 'ava';
import fc from 'fast-check';
import { asMac } from '../../src/base/types.ts';
import { addToSum, foldSum, pseudoHeaderSum4 } from '../../src/wire/checksum.ts';
import {
  UDP_HEADER_BYTES,
  udpDestinationPort,
  udpLength,
  udpSourcePort,
  writeUdp,
  writeUdpChecksum,
} from '../../src/wire/udp.ts';
import { udpFrame } from '../fakes/frames.ts';
import { check, guarded, slices } from '../fakes/property.ts';

test('the header is written and read', (t) => {
  const buf = Buffer.alloc(9, 0xee);
  t.is(writeUdp(buf, 1, { sourcePort: 0xc001, destinationPort: 4789, payloadBytes: 50 }), 9);
  t.is(buf.toString('hex'), 'ee' + 'c001' + '12b5' + '003a' + '0000');
  t.is(udpSourcePort(buf, 1), 0xc001);
  t.is(udpDestinationPort(buf, 1), 4789);
  t.is(udpLength(buf, 1), 58);
});

test('a datagram with its checksum sums to nothing', (t) => {
  const macs = { destination: asMac(0x02005e100002), source: asMac(0x02005e100001) };
  const flow = {
    source: 0x0a070001,
    destination: 0x0a070002,
    sourcePort: 5000,
    destinationPort: 53,
  };
  const frame = udpFrame(macs, flow, Buffer.from('odd'));
  const pseudo = pseudoHeaderSum4(flow.source, flow.destination, 17, frame.length - 34);
  t.is(foldSum(addToSum(frame, 34, frame.length, pseudo)), 0);
});

test('a checksum of zero is sent as all ones', (t) => {
  const buf = Buffer.alloc(8);
  writeUdp(buf, 0, { sourcePort: 0, destinationPort: 0, payloadBytes: 0 });
  writeUdpChecksum(buf, 0, 0xffff - 8);
  t.is(buf.readUInt16BE(6), 0xffff);
});

test('random datagrams: nothing outside is read', (t) => {
  const property = fc.property(slices(20, Buffer.from('c00112b5003a0000', 'hex')), (slice) => {
    if (slice.end - slice.start < UDP_HEADER_BYTES) return true;
    const [buf, at] = [guarded(slice), slice.start];
    const fields = [udpSourcePort(buf, at), udpDestinationPort(buf, at), udpLength(buf, at)];
    return fields.every((field) => field >= 0 && field <= 65_535);
  });
  t.notThrows(() => check(property));
});
