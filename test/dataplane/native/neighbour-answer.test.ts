import test from 'ava';
import fc from 'fast-check';
import { asMac } from '../../../src/base/types.ts';
import { answerNeighbour, ND_ANSWER_BYTES } from '../../../src/dataplane/neighbour-answer.ts';
import { ETHER_TYPE, HEADER_BYTES } from '../../../src/wire/ethernet.ts';
import {
  arpRequestFrame,
  solicitationFrame,
  withTags,
  writeIcmpv6Checksum,
} from '../../fakes/frames.ts';
import { check } from '../../fakes/property.ts';
import { testAddon } from './test-addon.ts';

const [ASKER, OWNER] = [asMac(0x02_00_00_00_00_01), asMac(0x02_00_00_00_00_02)];
const source = Buffer.from('20010db8000000000000000000000001', 'hex');
const target = Buffer.from('20010db8000000000000000000ab0002', 'hex');
const everybody = { neighbour4: () => OWNER, neighbour6: () => OWNER };

function answerHere(frame: Buffer): string {
  const answer = Buffer.alloc(ND_ANSWER_BYTES);
  const bytes = answerNeighbour(frame, 0, frame.length, everybody, answer);
  return answer.subarray(0, bytes).toString('hex');
}

const solicitation = solicitationFrame({ mac: ASKER, source, target });
const questions: readonly Buffer[] = [
  arpRequestFrame(ASKER, 0x0a070001, 0x0a070002),
  arpRequestFrame(ASKER, 0, 0x0a070002),
  solicitation,
  solicitationFrame({ mac: ASKER, source: Buffer.alloc(16), target, options: '' }),
  solicitationFrame({ mac: ASKER, source, target, options: '0e010000000000000101020000000001' }),
  withTags(solicitation, [ETHER_TYPE.customerTag, 7]),
];

/** A question with a few bytes changed, its checksum put right again or not, cut short or padded. */
const nearQuestions = fc
  .tuple(
    fc.constantFrom(...questions),
    fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 3 }),
    fc.boolean(),
    fc.integer({ min: -12, max: 8 }),
  )
  .map(([question, changes, isRight, more]) => {
    const frame = Buffer.concat([question, Buffer.alloc(Math.max(0, more))]);
    for (const [at, byte] of changes) if (at < question.length) frame[at] = byte;
    if (isRight && question.length >= HEADER_BYTES + 44) {
      writeIcmpv6Checksum(frame.subarray(0, question.length));
    }
    return frame.subarray(0, question.length + more);
  });

test('both data planes answer alike, whatever is asked', (t) => {
  let answered = 0;
  const property = fc.property(nearQuestions, (frame) => {
    const native = testAddon.answerNeighbour(frame, OWNER)?.toString('hex') ?? '';
    answered += Number(native !== '');
    return native === answerHere(frame);
  });
  t.notThrows(() => check(property, 20_000));
  t.true(answered > 1000, `${answered} were answered`);
});

test('random frames are answered alike', (t) => {
  const frames = fc.uint8Array({ minLength: HEADER_BYTES, maxLength: 120 }).map((bytes) => Buffer.from(bytes));
  const property = fc.property(frames, (frame) => {
    return (testAddon.answerNeighbour(frame, OWNER)?.toString('hex') ?? '') === answerHere(frame);
  });
  t.notThrows(() => check(property, 2000));
});
