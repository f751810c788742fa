import test from 'ava';
import { unwrapRelayed, wrapRelayed } from '../../src/link/relayed.ts';

test('a control datagram by a relay has its sender before it', (t) => {
  const wrapped = wrapRelayed(0x0102030405060708n, Buffer.of(0x01, 0xff));
  t.is(wrapped.toString('hex'), '52' + '0102030405060708' + '01ff');
  t.deepEqual(unwrapRelayed(wrapped), {
    sender: 0x0102030405060708n,
    bytes: Buffer.of(0x01, 0xff),
  });
});

test('what is cut off, nested or another kind is none', (t) => {
  const wrapped = wrapRelayed(1n, Buffer.of(0x01));
  for (let length = 0; length < wrapped.length; length++) {
    t.is(unwrapRelayed(wrapped.subarray(0, length)), undefined);
  }
  t.is(unwrapRelayed(wrapRelayed(1n, wrapped)), undefined);
  t.is(unwrapRelayed(Buffer.from(wrapped).fill(0x50, 0, 1)), undefined);
});
