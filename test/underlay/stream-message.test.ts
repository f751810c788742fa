import test from 'ava';
import fc from 'fast-check';
import { lengthPrefix, MessageAssembler } from '../../src/underlay/stream-message.ts';

const runs = { seed: Number(process.env['SEED'] ?? 20_260_102) };

test('a message survives any cutting of the stream', (t) => {
  const cuts = fc.array(fc.nat(40), { maxLength: 20, size: 'max' });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200, size: 'max' }), cuts, (message, cuts) => {
      const stream = Buffer.concat([lengthPrefix(message.length), message]);
      const assembler = new MessageAssembler(200);
      let start = 0;
      for (const cut of [...cuts, stream.length]) {
        const end = Math.min(stream.length, start + cut);
        const result = assembler.push(stream.subarray(start, end));
        if (end === stream.length) {
          t.deepEqual(result, Buffer.from(message));
          return;
        }
        t.is(result, 'partial');
        start = end;
      }
    }),
    runs,
  );
});

test('a length over the limit is refused as soon as it is known', (t) => {
  const assembler = new MessageAssembler(100);
  t.is(assembler.push(Buffer.from([0, 0, 0])), 'partial');
  t.is(assembler.announced, undefined);
  t.is(assembler.push(Buffer.from([101])), 'too_long');
  t.is(assembler.announced, 101);
});

test('an empty message is a message', (t) => {
  t.deepEqual(new MessageAssembler(0).push(lengthPrefix(0)), Buffer.alloc(0));
});

test('bytes after the message are not part of it', (t) => {
  const stream = Buffer.concat([lengthPrefix(2), Buffer.from('abcd')]);
  t.deepEqual(new MessageAssembler(10).push(stream), Buffer.from('ab'));
});

test('random bytes never throw', (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 12 }), { maxLength: 8 }), (chunks) => {
      const assembler = new MessageAssembler(16);
      for (const chunk of chunks) {
        const result = assembler.push(Buffer.from(chunk));
        t.true(typeof result === 'string' || result.length <= 16);
        if (result !== 'partial') return;
      }
    }),
    runs,
  );
});
