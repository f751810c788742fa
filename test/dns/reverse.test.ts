import test from 'ava';
import fc from 'fast-check';
import { reverseAddress } from '../../src/dns/reverse.ts';
import { addressBytes, formatAddress } from '../../src/wire/cidr.ts';
import { check } from '../fakes/property.ts';

test('every address has a reverse name that leads back to it', (t) => {
  const address = fc.oneof(
    fc.bigInt(0n, 2n ** 32n - 1n).map((value) => ({ family: 4 as const, value })),
    fc.bigInt(0n, 2n ** 128n - 1n).map((value) => ({ family: 6 as const, value })),
  );
  const property = fc.property(address, (each) => {
    const bytes = [...addressBytes(each)];
    const nibbles = bytes.flatMap((byte) => [byte >> 4, byte & 15]).map((n) => n.toString(16));
    const name =
      each.family === 4
        ? `${bytes.reverse().join('.')}.in-addr.arpa`
        : `${nibbles.reverse().join('.')}.ip6.arpa`;
    return reverseAddress(name) === formatAddress(each);
  });
  t.notThrows(() => check(property, 500));
});

test('what is not the whole name of an address is none', (t) => {
  for (const name of [
    ...['in-addr.arpa', '.in-addr.arpa', '7.10.in-addr.arpa', '256.0.0.10.in-addr.arpa'],
    ...['01.0.0.10.in-addr.arpa', '1.2.3.4.5.in-addr.arpa', '1.ip6.arpa', 'example.com'],
    `${'0.'.repeat(31)}g.ip6.arpa`,
    `${'0.'.repeat(31)}00.ip6.arpa`,
  ]) {
    t.is(reverseAddress(name), undefined, name);
  }
});
