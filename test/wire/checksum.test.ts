import test from 'ava';
import fc from 'fast-check';
import {
  addToSum,
  checksum,
  foldSum,
  pseudoHeaderSum4,
  pseudoHeaderSum6,
} from '../../src/wire/checksum.ts';
import { check } from '../fakes/property.ts';
import { slowChecksum } from '../model/checksum.ts';

test('the example of RFC 1071 §3', (t) => {
  const words = Buffer.from('0001f203f4f5f6f7', 'hex');
  t.is(addToSum(words, 0, words.length), 0x2ddf0); // the RFC's sum before the carry is folded
  t.is(checksum(words, 0, words.length), ~0xddf2 & 0xffff);
});

test('a header with its checksum sums to nothing', (t) => {
  const header = Buffer.from('450000340000400040060000c0000201c6336402', 'hex');
  header.writeUInt16BE(checksum(header, 0, header.length), 10);
  t.is(checksum(header, 0, header.length), 0);
});

test('an odd last byte is the high half of a word', (t) => {
  t.is(
    checksum(Buffer.from('000102', 'hex'), 0, 3),
    checksum(Buffer.from('00010200', 'hex'), 0, 4),
  );
});

test('agrees with the slow oracle, in one piece or in two', (t) => {
  check(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(100), (bytes, half) => {
      const cut = Math.min(half * 2, bytes.length);
      const inTwo = foldSum(addToSum(bytes, cut, bytes.length, addToSum(bytes, 0, cut & ~1)));
      const whole = checksum(bytes, 0, bytes.length);
      return whole === slowChecksum(bytes) && ((cut & 1) === 1 || inTwo === whole);
    }),
  );
  t.is(checksum(Buffer.alloc(65535, 0xff), 0, 65535), slowChecksum(Buffer.alloc(65535, 0xff)));
});

test('pseudo headers sum like the bytes they stand for', (t) => {
  const four = Buffer.from('c0000201c6336402' + '0011' + '0010', 'hex');
  t.is(foldSum(pseudoHeaderSum4(0xc0000201, 0xc6336402, 17, 16)), checksum(four, 0, four.length));
  const addresses = '20010db8000000000000000000000001' + '20010db8000000000000000000000002';
  const six = Buffer.from(addresses + '00012345' + '0000003a', 'hex');
  t.is(foldSum(pseudoHeaderSum6(six, 0, 58, 0x12345)), checksum(six, 0, six.length));
});
