import test from 'ava';
import fc from 'fast-check';
import {
  TCP_HEADER_BYTES,
  tcpDestinationPort,
  tcpFlags,
  tcpSourcePort,
} from '../../src/wire/tcp.ts';
import { check, guarded, slices } from '../fakes/property.ts';

const SYN_ACK = Buffer.from('01bbc001' + '0000000100000002' + '5012ffff00000000', 'hex');

test('ports and flags are read where RFC 9293 has them', (t) => {
  t.is(SYN_ACK.length, TCP_HEADER_BYTES);
  t.is(tcpSourcePort(SYN_ACK, 0), 443);
  t.is(tcpDestinationPort(SYN_ACK, 0), 0xc001);
  t.is(tcpFlags(SYN_ACK, 0), 'S.');
});

test('random segments: nothing outside is read', (t) => {
  const property = fc.property(slices(40, SYN_ACK), (slice) => {
    if (slice.end - slice.start < TCP_HEADER_BYTES) return true;
    const [buf, at] = [guarded(slice), slice.start];
    const ports = [tcpSourcePort(buf, at), tcpDestinationPort(buf, at)];
    return ports.every((port) => port >= 0 && port <= 65_535) && tcpFlags(buf, at).length <= 5;
  });
  t.notThrows(() => check(property));
});
