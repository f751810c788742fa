import test from 'ava';
import fc from 'fast-check';
import {
  addressBytes,
  canonicalAddress,
  containsAddress,
  firstAddress,
  formatAddress,
  formatCidr,
  hasHostBits,
  isHostAddress,
  lastAddress,
  parseAddress,
  parseCidr,
  readAddress,
  subnetOf,
  type Cidr,
  type IpAddress,
} from '../../src/wire/cidr.ts';
import { check } from '../fakes/property.ts';

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`the test's own CIDR ${text} is wrong`);
  return parsed;
}

const address = (text: string): IpAddress => cidr(`${text}/0`).address;

for (const [text, canonical] of [
  ['10.7.0.5', '10.7.0.5'],
  ['0.0.0.0', '0.0.0.0'],
  ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'], // RFC 5952 §4.2.2: one group is not shortened
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], // §4.2.3: the first of equal runs
  ['::', '::'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'], // §5
  ['::ffff:c000:201', '::ffff:192.0.2.1'],
  ['::192.0.2.1', '::c000:201'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
] as const) {
  test(`${text} is written ${canonical}`, (t) => t.is(canonicalAddress(text), canonical));
}

for (const text of [
  ...['', '1', '10.1', '10.0.0.256', '010.0.0.1', '0x0a000001', '10.0.0.1 ', '10.0.0.1/24'],
  ...[
    '1::2::3',
    '2001:db8',
    'fe80::1%eth0',
    '::ffff:010.0.0.1',
    '::1.2.3',
    '1.2.3.4::',
    '[::1]',
    'host',
  ],
]) {
  test(`no address: ${JSON.stringify(text)}`, (t) => t.is(parseAddress(text), undefined));
}

for (const text of [
  '10.0.0.0',
  '10.0.0.0/',
  '10.0.0.0/33',
  '10.0.0.0/08',
  '::/129',
  '/24',
  '10.0.0.0/-1',
  'x/8',
]) {
  test(`no CIDR: ${text}`, (t) => t.is(parseCidr(text), undefined));
}

test('a CIDR keeps its host bits and knows its subnet', (t) => {
  const given = cidr('10.7.3.5/22');
  t.is(formatCidr(given), '10.7.3.5/22');
  t.true(hasHostBits(given));
  t.is(formatCidr(subnetOf(given)), '10.7.0.0/22');
  t.false(hasHostBits(subnetOf(given)));
  t.is(formatAddress(firstAddress(given)), '10.7.0.0');
  t.is(formatAddress(lastAddress(given)), '10.7.3.255');
});

test('a subnet contains its own addresses, of its own family', (t) => {
  const subnet = cidr('10.7.0.0/24');
  t.true(containsAddress(subnet, address('10.7.0.255')));
  t.false(containsAddress(subnet, address('10.7.1.0')));
  t.false(containsAddress(cidr('0.0.0.0/0'), address('::')));
  t.true(containsAddress(cidr('2001:db8::/64'), address('2001:db8::ffff')));
});

for (const [subnet, allowed, refused] of [
  ['10.7.0.0/24', ['10.7.0.1', '10.7.0.254'], ['10.7.0.0', '10.7.0.255', '10.7.1.1']],
  ['10.7.0.0/30', ['10.7.0.1', '10.7.0.2'], ['10.7.0.0', '10.7.0.3']],
  ['10.7.0.0/31', ['10.7.0.0', '10.7.0.1'], ['10.7.0.2']],
  ['10.7.0.9/32', ['10.7.0.9'], ['10.7.0.8']],
  ['2001:db8::/64', ['2001:db8::1', '2001:db8::ffff:ffff:ffff:ffff'], ['2001:db8::']],
  ['2001:db8::/127', ['2001:db8::', '2001:db8::1'], ['2001:db8::2']],
] as const) {
  test(`endpoints of ${subnet}`, (t) => {
    for (const text of allowed) t.true(isHostAddress(cidr(subnet), address(text)), text);
    for (const text of refused) t.false(isHostAddress(cidr(subnet), address(text)), text);
  });
}

test('bytes, integer and text agree', (t) => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  const property = fc.property(bytes, (given) => {
    const read = readAddress(given, 0, given.length === 4 ? 4 : 6);
    const parsed = parseAddress(formatAddress(read));
    return parsed?.value === read.value && Buffer.compare(addressBytes(read), given) === 0;
  });
  t.notThrows(() => check(property));
});

test('any text is an address or none, without an exception', (t) => {
  const text = fc.stringMatching(/^[0-9a-fx.:/%[\] ]{0,45}$/);
  const property = fc.property(text, (given) => {
    const parsed = parseCidr(given)?.address ?? parseAddress(given);
    return (
      parsed === undefined || canonicalAddress(formatAddress(parsed)) === formatAddress(parsed)
    );
  });
  t.notThrows(() => check(property, 5000));
});
