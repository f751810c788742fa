import test from 'ava';
import fc from 'fast-check';
import { encodeClaim } from '../../src/gossip/cargo.ts';
import { decodeHeader, encodeHeader } from '../../src/gossip/message.ts';
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswerHead,
  encodeRefusal,
  encodeRequestHead,
  type Refusal,
} from '../../src/gossip/sync-message.ts';
import { idOf } from '../fakes/fake-signatures.ts';
import { check } from '../fakes/property.ts';
import { record } from './fixtures.ts';

const header = encodeHeader(1, 'test');
const FROM = { address: '192.0.2.1', port: 7783 };
const NOTHING_ELSE = {
  ...{ claims: [], rows: [], malformedClaims: 0, malformedRows: 0, excess: 0 },
  ...{ ranges: [], malformedRanges: 0, known: [], wanted: [] },
};

const request = Buffer.concat([
  encodeRequestHead(header, { protocol: { min: 1, max: 2 }, purpose: 'join', self: record('1') }),
  encodeClaim({ record: record('2') }),
]);
const answer = Buffer.from(encodeAnswerHead(header, record('1'), FROM));

test('a request and an answer are read back', (t) => {
  t.deepEqual(decodeRequest(request, header.length, idOf), {
    ...{ protocol: { min: 1, max: 2 }, purpose: 'join', self: record('1') },
    ...{ ...NOTHING_ELSE, claims: [{ record: record('2') }] },
    ...{ salt: 0, opening: undefined, sharedUntil: undefined },
  });
  t.deepEqual(decodeAnswer(answer, header.length, idOf), {
    ...{ self: record('1'), appearAs: FROM, postponed: [], sharedUntil: undefined },
    ...NOTHING_ELSE,
  });
});

const REFUSALS: readonly Refusal[] = [
  { reason: 'version', protocol: { min: 1, max: 1 } },
  { reason: 'label', label: 'other' },
  { reason: 'self' },
  { reason: 'name-taken', holder: record('3') },
  { reason: 'detached' },
];

for (const refusal of REFUSALS) {
  test(`a refusal for ${refusal.reason} is read back`, (t) => {
    const bytes = Buffer.from(encodeRefusal(header, refusal));
    t.deepEqual(decodeAnswer(bytes, header.length, idOf), { refusal });
  });
}

test('random, cut and damaged messages are read or refused, and never throw', (t) => {
  const whole = fc.constantFrom(
    ...[request, answer],
    ...REFUSALS.map((refusal) => Buffer.from(encodeRefusal(header, refusal))),
  );
  const damaged = fc
    .tuple(whole, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat(200))
    .map(([message, changes, length]) => {
      const bytes = Buffer.from(message);
      for (const [place, byte] of changes) bytes[place % bytes.length] = byte;
      return bytes.subarray(0, Math.max(header.length, length));
    });
  const random = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  let read = 0;
  const property = fc.property(fc.oneof(random, damaged), (bytes) => {
    const bodyAt = decodeHeader(bytes)?.bodyAt ?? 0;
    if (decodeRequest(bytes, bodyAt, idOf) !== undefined) read++;
    if (decodeAnswer(bytes, bodyAt, idOf) !== undefined) read++;
  });
  t.notThrows(() => check(property, 10_000));
  t.true(read > 100, `only ${read} were read`);
});
