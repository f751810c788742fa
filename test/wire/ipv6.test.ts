import test from 'ava';
import fc from 'fast-check';
import {
  ipv6NextHeader,
  ipv6PayloadLength,
  isIpv6,
  isIpv6Cut,
  isIpv6Fragment,
  MAX_EXTENSIONS,
  walkedPayloadOffset,
  walkedProtocol,
  walkIpv6,
  writeIpv6,
} from '../../src/wire/ipv6.ts';
import { check, guarded, slices } from '../fakes/property.ts';

const source = Buffer.from('20010db8000000000000000000000001', 'hex');
const destination = Buffer.from('20010db8000000000000000000000002', 'hex');

/** A packet whose bytes behind the fixed header are the hex in `parts`. */
function packet(nextHeader: number, ...parts: readonly string[]): Buffer {
  const payload = Buffer.from(parts.join(''), 'hex');
  const buf = Buffer.alloc(40 + payload.length);
  payload.copy(
    buf,
    writeIpv6(buf, 0, { source, destination, nextHeader, payloadBytes: payload.length }),
  );
  return buf;
}

function walk(bytes: Buffer, end = bytes.length) {
  const found = walkIpv6(bytes, 0, end);
  return {
    protocol: walkedProtocol(found),
    at: walkedPayloadOffset(0, found),
    isFragment: isIpv6Fragment(found),
    isCut: isIpv6Cut(found),
  };
}

const HOP_BY_HOP_THEN_ROUTING = '2b00010400000000'; // next 43, 8 bytes, PadN
const ROUTING_THEN_OPTIONS = '3c02000000000000'.padEnd(48, '0'); // next 60, 8 + 2 * 8 bytes
const OPTIONS_THEN_AUTHENTICATION = '3300010400000000';
const AUTHENTICATION_THEN_UDP = '1104'.padEnd(48, '0'); // next 17, (4 + 2) * 4 bytes
const UDP_PORTS = '9c400035';

test('the fixed header is written by RFC 8200 §3', (t) => {
  const bytes = packet(17, UDP_PORTS);
  t.is(
    bytes.toString('hex'),
    '60000000' +
      '0004' +
      '11' +
      '40' +
      source.toString('hex') +
      destination.toString('hex') +
      UDP_PORTS,
  );
  t.true(isIpv6(bytes, 0, bytes.length));
  t.is(ipv6PayloadLength(bytes, 0), 4);
  t.is(ipv6NextHeader(bytes, 0), 17);
  t.false(isIpv6(bytes, 0, 39));
});

test('no extension header', (t) => {
  t.deepEqual(walk(packet(17, UDP_PORTS)), {
    protocol: 17,
    at: 40,
    isFragment: false,
    isCut: false,
  });
});

test('hop-by-hop, routing, destination options, authentication, UDP', (t) => {
  const chain = [HOP_BY_HOP_THEN_ROUTING, ROUTING_THEN_OPTIONS, OPTIONS_THEN_AUTHENTICATION];
  const bytes = packet(0, ...chain, AUTHENTICATION_THEN_UDP, UDP_PORTS);
  const at = bytes.length - 4;
  t.deepEqual(walk(bytes), { protocol: 17, at, isFragment: false, isCut: false });
});

test('the walk ends behind a fragment header', (t) => {
  const bytes = packet(44, '3c00000100000001', OPTIONS_THEN_AUTHENTICATION);
  t.deepEqual(walk(bytes), { protocol: 60, at: 48, isFragment: true, isCut: false });
});

test('a header that is cut off ends the walk there', (t) => {
  const bytes = packet(0, HOP_BY_HOP_THEN_ROUTING, ROUTING_THEN_OPTIONS, UDP_PORTS);
  for (let end = 40; end < 72; end++) {
    const expected = end < 48 ? { protocol: 0, at: 40 } : { protocol: 43, at: 48 };
    t.deepEqual(walk(bytes, end), { ...expected, isFragment: false, isCut: true }, `${end} bytes`);
  }
});

test('a chain longer than the bound is given up', (t) => {
  const chain = new Array<string>(MAX_EXTENSIONS).fill('3c00010400000000');
  t.false(walk(packet(60, ...chain.slice(1), '1100010400000000', UDP_PORTS)).isCut);
  t.true(walk(packet(60, ...chain, '1100010400000000', UDP_PORTS)).isCut);
});

test('random packets: nothing outside is read, the walk ends inside', (t) => {
  const heads = [0, 43, 44, 51, 60].map((type) => packet(type));
  const property = fc.property(slices(200, ...heads), (slice) => {
    const { start, end } = slice;
    const buf = guarded(slice);
    if (!isIpv6(buf, start, end)) return true;
    const at = walkedPayloadOffset(start, walkIpv6(buf, start, end));
    return at >= start + 40 && at <= end;
  });
  t.notThrows(() => check(property, 3000));
});
