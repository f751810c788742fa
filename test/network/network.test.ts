import test from 'ava';
import { asVni, MAX_VNI } from '../../src/base/types.ts';
import {
  AUTOMATIC_VNI,
  checkNetworkFree,
  checkNetworkName,
  checkSubnet,
  chooseVni,
} from '../../src/network/network.ts';
import { formatCidr } from '../../src/wire/cidr.ts';

test('network names', (t) => {
  for (const name of ['a', 'blue', 'team-1.prod_eu', '9lives', 'x'.repeat(64)]) {
    t.notThrows(() => checkNetworkName(name));
  }
  for (const name of ['', '-a', '.a', '_a', 'a b', 'a:b', 'a/b', 'x'.repeat(65), 'größe', 'a\n']) {
    t.throws(() => checkNetworkName(name), { code: 'E_NAME_INVALID' }, JSON.stringify(name));
  }
});

test('a VNI is the same for a name, in the high range, and steps past those taken', (t) => {
  const free = () => false;
  const first = chooseVni('blue', free);
  t.is(chooseVni('blue', free), first);
  t.not(chooseVni('green', free), first);
  t.true(first >= AUTOMATIC_VNI.min && first <= AUTOMATIC_VNI.max);
  const taken = new Set([first, asVni(first + 1)]);
  t.is(
    chooseVni('blue', (vni) => taken.has(vni)),
    asVni(first + 2),
  );
});

test('the search for a VNI goes round at the end of the range, and ends', (t) => {
  const only = asVni(AUTOMATIC_VNI.min);
  const last = asVni(MAX_VNI);
  t.is(
    chooseVni('blue', (vni) => vni !== only),
    only,
  );
  t.is(
    chooseVni('blue', (vni) => vni !== last),
    last,
  );
  t.throws(() => chooseVni('blue', () => true), { code: 'E_VNI_RANGE' });
});

test('subnets that workloads can use', (t) => {
  const good = ['10.0.0.0/8', '10.7.0.0/24', '192.168.1.4/30', '100.64.0.0/10', 'fd00:7::/64'];
  for (const text of [...good, '2001:db8::/48', 'fd00::4/126']) {
    t.is(formatCidr(checkSubnet(text)), text);
  }
  t.is(formatCidr(checkSubnet('FD00:0007:0::/64')), 'fd00:7::/64');
});

const REFUSED: readonly (readonly [string, RegExp])[] = [
  ['10.7.0.5/24', /host bits set; you probably mean 10\.7\.0\.0\/24\.$/],
  ['fd00::1/64', /you probably mean fd00::\/64\.$/],
  ['10.7.0.0', /no prefix length; give one, such as 10\.7\.0\.0\/24\.$/],
  ['fd00::', /such as fd00::\/64\.$/],
  ['blue', /"blue" is no subnet/],
  ['10.7.0.0/33', /is no subnet/],
  ['10.7.0.0/31', /prefix length 31; for IPv4 give 8 to 30\.$/],
  ['10.0.0.0/7', /prefix length 7/],
  ['fd00::/127', /for IPv6 give 48 to 126\.$/],
  ['fd00::/32', /prefix length 32/],
  ['127.0.0.0/8', /127\.0\.0\.0\/8 is loopback/],
  ['127.5.0.0/16', /is loopback/],
  ['0.0.0.0/8', /this network/],
  ['224.0.0.0/8', /is multicast/],
  ['239.1.1.0/24', /is multicast/],
  ['255.255.255.0/24', /is reserved/],
  ['fe80::/64', /is link-local/],
  ['ff02::/64', /is multicast/],
  ['::/64', /loopback/],
];

for (const [text, message] of REFUSED) {
  test(`subnet ${text} is refused with one sentence`, (t) => {
    t.throws(() => checkSubnet(text), { code: 'E_SUBNET_INVALID', message });
  });
}

test('a network that collides names the one in its way', (t) => {
  const existing = [{ name: 'blue', vni: asVni(42) }];
  t.throws(() => checkNetworkFree({ name: 'blue', vni: asVni(43) }, existing), {
    code: 'E_NETWORK_EXISTS',
    message: /blue exists already, with VNI 42/,
  });
  t.throws(() => checkNetworkFree({ name: 'green', vni: asVni(42) }, existing), {
    code: 'E_VNI_TAKEN',
    message: /VNI 42 belongs to network blue/,
  });
  t.notThrows(() => checkNetworkFree({ name: 'green', vni: asVni(43) }, existing));
});
