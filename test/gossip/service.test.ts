import fc from 'fast-check';
import test from 'ava';
import { asPeerId } from '../../src/base/types.ts';
import {
  decodeServiceAnswer,
  decodeServiceRequest,
  encodeServiceAnswer,
  encodeServiceRequest,
} from '../../src/gossip/service.ts';
import { check } from '../fakes/property.ts';

const sender = asPeerId('0123456789abcdef'.repeat(2));

test('a question travels with its mesh, its sender and its service', (t) => {
  const bytes = encodeServiceRequest({
    ...{ label: 'weft', sender, service: 'ipam', body: Buffer.from('?') },
  });
  t.is(
    Buffer.from(bytes).toString('hex'),
    '020104776566740123456789abcdef0123456789abcdef046970616d3f',
  );
  t.deepEqual(decodeServiceRequest(Buffer.from(bytes)), {
    ...{ label: 'weft', sender, service: 'ipam', body: Buffer.from('?') },
  });
});

test('an answer has a body, a refusal has none', (t) => {
  const answer = (what: Uint8Array | 'unknown' | 'refused') =>
    decodeServiceAnswer(Buffer.from(encodeServiceAnswer(what)));
  t.deepEqual(answer(Buffer.from('!')), Buffer.from('!'));
  t.deepEqual(answer(Buffer.of()), Buffer.of());
  t.is(answer('unknown'), undefined);
  t.is(answer('refused'), undefined);
});

test('bytes cut short or of another kind are no question', (t) => {
  const whole = Buffer.from(
    encodeServiceRequest({ label: 'weft', sender, service: 'ipam', body: Buffer.of() }),
  );
  for (let length = 0; length < whole.length; length++) {
    t.is(decodeServiceRequest(whole.subarray(0, length)), undefined, `${length} bytes`);
  }
  check(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const request = decodeServiceRequest(Buffer.from(bytes));
      return request === undefined || request.body.length < bytes.length;
    }),
  );
});
