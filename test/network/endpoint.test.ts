import test from 'ava';
import { asMac, asPeerId } from '../../src/base/types.ts';
import {
  checkEndpointAddress,
  checkEndpointFree,
  checkEndpointMac,
  type Endpoint,
} from '../../src/network/endpoint.ts';
import { checkSubnet } from '../../src/network/network.ts';

const subnet = checkSubnet('10.7.0.0/24');

test('an address takes the prefix length of the subnet', (t) => {
  t.is(checkEndpointAddress('10.7.0.9', subnet), '10.7.0.9/24');
  t.is(checkEndpointAddress('10.7.0.9/24', subnet), '10.7.0.9/24');
  t.is(checkEndpointAddress('fd00:7::00a', checkSubnet('fd00:7::/64')), 'fd00:7::a/64');
});

const REFUSED: readonly (readonly [string, string, RegExp])[] = [
  ['10.7.0.0', 'E_ADDRESS_OUTSIDE', /first or last of 10\.7\.0\.0\/24/],
  ['10.7.0.255', 'E_ADDRESS_OUTSIDE', /first or last/],
  ['10.8.0.9', 'E_ADDRESS_OUTSIDE', /outside the network's subnet 10\.7\.0\.0\/24/],
  ['fd00::1', 'E_ADDRESS_OUTSIDE', /outside/],
  ['10.7.0.9/16', 'E_ADDRESS_INVALID', /another prefix length.*with \/24/],
  ['ten', 'E_ADDRESS_INVALID', /"ten" is no IP address/],
  ['', 'E_ADDRESS_INVALID', /no IP address/],
];

for (const [text, code, message] of REFUSED) {
  test(`address "${text}" is refused with one sentence`, (t) => {
    t.throws(() => checkEndpointAddress(text, subnet), { code, message });
  });
}

test('a MAC must be that of one station', (t) => {
  t.is(checkEndpointMac('02:00:5E:10:00:01'), asMac(0x02005e100001));
  for (const text of ['', '02:00:5e:10:00', 'zz:00:5e:10:00:01']) {
    t.throws(() => checkEndpointMac(text), { code: 'E_MAC_INVALID', message: /is no MAC/ });
  }
  for (const text of ['00:00:00:00:00:00', '01:00:5e:00:00:01', 'ff:ff:ff:ff:ff:ff']) {
    t.throws(() => checkEndpointMac(text), { code: 'E_MAC_INVALID', message: /group address/ });
  }
});

test('address and MAC belong to one endpoint of a network', (t) => {
  const first: Endpoint = {
    id: 'aaaaaaaaaaaa',
    network: 'blue',
    host: asPeerId('h1'),
    mac: asMac(0x02005e100001),
    address: '10.7.0.9/24',
    ifname: 'eth0',
    sandbox: { path: '/run/netns/x', inode: '4:1' },
  };
  const second = {
    ...first,
    id: 'bbbbbbbbbbbb',
    mac: asMac(0x02005e100002),
    address: '10.7.0.10/24',
  };
  t.notThrows(() => checkEndpointFree(first, [first, second]));
  t.throws(() => checkEndpointFree({ ...second, address: first.address }, [first, second]), {
    code: 'E_ADDRESS_TAKEN',
    message: /10\.7\.0\.9\/24 of network blue belongs to endpoint aaaaaaaaaaaa in \/run\/netns\/x/,
  });
  t.throws(() => checkEndpointFree({ ...second, mac: first.mac }, [first, second]), {
    code: 'E_MAC_TAKEN',
    message: /02:00:5e:10:00:01 belongs to endpoint aaaaaaaaaaaa/,
  });
  t.notThrows(() => checkEndpointFree({ ...first, id: 'c', network: 'green' }, [first, second]));
});
