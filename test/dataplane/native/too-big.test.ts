import test from 'ava';
import fc from 'fast-check';
import { MAX_TOO_BIG_BYTES, writeTooBig } from '../../../src/dataplane/too-big.ts';
import { checksum } from '../../../src/wire/checksum.ts';
import { HEADER_BYTES } from '../../../src/wire/ethernet.ts';
import { packet4, packet6 } from '../../fakes/long-packets.ts';
import { check } from '../../fakes/property.ts';
import { testAddon } from './test-addon.ts';

const MTU = 1326;

function answerHere(frame: Buffer): string {
  const answer = Buffer.alloc(MAX_TOO_BIG_BYTES);
  const bytes = writeTooBig(frame, 0, frame.length, MTU, answer);
  return answer.subarray(0, bytes).toString('hex');
}

const answerThere = (frame: Buffer): string =>
  testAddon.tooBig(frame, MTU)?.toString('hex') ?? '';

const packets: readonly Buffer[] = [
  packet4({ bytes: 1400 }),
  packet4({ bytes: 1400, protocol: 1 }),
  packet6({ bytes: 1400 }),
  packet6({ bytes: 1400, protocol: 58 }),
];

/** A packet with a few bytes of its headers changed, cut short or not. */
const nearPackets = fc
  .tuple(
    fc.constantFrom(...packets),
    fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 3 }),
    fc.oneof(fc.constant(2000), fc.integer({ min: HEADER_BYTES, max: 80 })),
  )
  .map(([packet, changes, bytes]) => {
    const frame = Buffer.from(packet);
    for (const [at, byte] of changes) frame[at] = byte;
    return frame.subarray(0, bytes);
  });

test('both data planes say the same, whatever is too long', (t) => {
  let answered = 0;
  const property = fc.property(nearPackets, (frame) => {
    const here = answerHere(frame);
    answered += Number(here !== '');
    return here === answerThere(frame);
  });
  t.notThrows(() => check(property, 20_000));
  t.true(answered > 1000, `${answered} were answered`);
});

test('fragmentation needed, by RFC 792 and RFC 1191', (t) => {
  const packet = packet4({ bytes: 1400 });
  const answer = Buffer.from(answerHere(packet), 'hex');
  t.is(answer.length, HEADER_BYTES + 576);
  t.deepEqual(answer.subarray(0, 6), packet.subarray(6, 12));
  t.deepEqual(answer.subarray(6, 12), packet.subarray(0, 6));
  const ip = answer.subarray(HEADER_BYTES);
  t.is(ip.readUInt16BE(2), 576);
  t.deepEqual([ip[0], ip[9]], [0x45, 1]);
  t.is(checksum(ip, 0, 20), 0);
  t.deepEqual(ip.subarray(12, 16), packet.subarray(HEADER_BYTES + 16, HEADER_BYTES + 20));
  t.deepEqual(ip.subarray(16, 20), packet.subarray(HEADER_BYTES + 12, HEADER_BYTES + 16));
  t.deepEqual([ip[20], ip[21], ip.readUInt16BE(26)], [3, 4, MTU]);
  t.is(checksum(ip, 20, 576), 0);
  t.deepEqual(ip.subarray(28), packet.subarray(HEADER_BYTES, HEADER_BYTES + 548));
});

const SILENT: readonly (readonly [string, Buffer])[] = [
  ['a fragment behind the first', packet4({ bytes: 1400, fragment: 0x2010 })],
  ['an error', packet4({ bytes: 1400, protocol: 1, icmpType: 3 })],
  ['a packet to a group', packet4({ bytes: 1400, to: [224, 0, 0, 1] })],
  ['a packet of nobody', packet4({ bytes: 1400, from: [0, 0, 0, 0] })],
  ['an error of IPv6', packet6({ bytes: 1400, protocol: 58, icmpType: 1 })],
  ['a packet to a group of IPv6', packet6({ bytes: 1400, to: 0xff })],
  ['a packet of nobody of IPv6', packet6({ bytes: 1400, from: 0x00 })],
  ['what is no IP', Buffer.alloc(1400)],
];

for (const [what, frame] of SILENT) {
  test(`no message about ${what}`, (t) => {
    t.is(answerHere(frame), '');
    t.is(answerThere(frame), '');
  });
}
