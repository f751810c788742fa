import test from 'ava';
import { canonicalDnsName } from '../../src/base/dns-name.ts';
import { checkEndpointNames } from '../../src/network/endpoint-names.ts';

test('a name is kept in lower case and without a last dot', (t) => {
  t.is(canonicalDnsName('Web.Shop.'), 'web.shop');
  t.is(canonicalDnsName('a_b-c.1'), 'a_b-c.1');
  t.is(canonicalDnsName('x'.repeat(63)), 'x'.repeat(63));
  const longest = `${`${'x'.repeat(63)}.`.repeat(3)}${'y'.repeat(61)}`;
  t.is(canonicalDnsName(longest), longest);
  for (const text of ['', '.', 'a..b', '.a', '-a', 'a-', 'a b', 'é', 'a/b', 'a*', 'a\n']) {
    t.is(canonicalDnsName(text), undefined, JSON.stringify(text));
  }
  t.is(canonicalDnsName('x'.repeat(64)), undefined);
  t.is(canonicalDnsName(`${longest}z`), undefined);
});

test('an endpoint has each name once and 16 at most', (t) => {
  t.deepEqual(checkEndpointNames(['Web', 'www', 'WEB.']), ['web', 'www']);
  const many = Array.from({ length: 17 }, (_, index) => `n${index}`);
  t.is(checkEndpointNames(many.slice(1)).length, 16);
  const code = 'E_NAME_INVALID';
  t.throws(() => checkEndpointNames(many), { code, message: /17 names are too many.*16/ });
  t.throws(() => checkEndpointNames(['a b']), { code, message: /"a b" is no DNS name; give/ });
});
