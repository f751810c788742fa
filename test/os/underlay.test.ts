import test from 'ava';
import { defaultAdvertise, findLocalAddress } from '../../src/os/underlay.ts';
import { FakeKernel } from '../fakes/fake-kernel.ts';

const global = (address: string, prefixLength = 24) => ({ address, prefixLength, scope: 'global' });

function hostWithDefaultRoute() {
  const kernel = new FakeKernel();
  kernel.addLink('docker0', { kind: 'bridge', isUp: true, addresses: [global('172.17.0.1', 16)] });
  kernel.addLink('eth0', { kind: '', isUp: true, mtu: 9000, addresses: [global('198.51.100.7')] });
  kernel.addLink('eth1', {
    ...{ kind: '', isUp: true, mtu: 1400 },
    addresses: [
      { address: 'fe80::1', prefixLength: 64, scope: 'link' },
      global('192.0.2.8'),
      global('192.0.2.9'),
    ],
  });
  return kernel;
}

test('the interface and MTU that carry an address', async (t) => {
  const kernel = hostWithDefaultRoute();
  const found = await findLocalAddress(kernel, '192.0.2.9');
  t.deepEqual(found, { address: '192.0.2.9', ifname: 'eth1', mtu: 1400 });
  t.is(await findLocalAddress(kernel, '192.0.2.99'), undefined);
});

test('advertised by default: what the default route uses', async (t) => {
  const kernel = hostWithDefaultRoute();
  kernel.addRoute({ destination: 'default', device: 'eth1', gateway: '192.0.2.1' });
  t.like(await defaultAdvertise(kernel), { address: '192.0.2.8', ifname: 'eth1' });
  const preferring = hostWithDefaultRoute();
  preferring.addRoute({ destination: 'default', device: 'eth1', source: '192.0.2.9' });
  t.like(await defaultAdvertise(preferring), { address: '192.0.2.9' });
});

test('advertised without a default route: the first global address on no bridge', async (t) => {
  t.like(await defaultAdvertise(hostWithDefaultRoute()), { address: '198.51.100.7' });
});

test('advertised is only what the daemon listens on', async (t) => {
  const kernel = hostWithDefaultRoute();
  kernel.addRoute({ destination: 'default', device: 'eth1', gateway: '192.0.2.1' });
  await t.throwsAsync(defaultAdvertise(kernel, [6]), {
    ...{ code: 'E_ROUTE_MISSING', message: /no global IPv6 address/ },
  });
  kernel.addLink('eth2', { kind: '', isUp: true, addresses: [global('2001:db8::2', 64)] });
  t.like(await defaultAdvertise(kernel, [6]), { address: '2001:db8::2', ifname: 'eth2' });
});

test('a host that nobody could reach says what to do', async (t) => {
  const kernel = new FakeKernel();
  kernel.addLink('lo', {
    ...{ kind: 'loopback', isUp: true },
    addresses: [{ address: '127.0.0.1', prefixLength: 8, scope: 'host' }],
  });
  kernel.addLink('eth9', { kind: '', addresses: [global('192.0.2.8')] });
  await t.throwsAsync(defaultAdvertise(kernel), {
    ...{ code: 'E_ROUTE_MISSING', message: /--advertise\.$/ },
  });
});
