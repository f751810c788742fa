import test from 'ava';
import { asMac, asPeerId, asVni } from '../../src/base/types.ts';
import { Askers } from '../../src/daemon/askers.ts';
import { Directory } from '../../src/daemon/directory.ts';
import type { EndpointRecord, NetworkRecord, VtepRecord } from '../../src/daemon/records.ts';
import { memoryRows } from '../fakes/memory-rows.ts';

const SELF = asPeerId('a');
const HOST_ADDRESS = { address: '192.0.2.1', port: 53 };
const onBridge = (network: string) => ({
  ...{ address: '10.7.0.1', port: 53, network, device: { name: 'weft-b', index: 3 } },
});

/** As an engine's endpoint has it: no identity, and the path that the engine has told. */
const NO_INODE = '';

function world() {
  const networks = memoryRows<NetworkRecord>();
  const endpoints = memoryRows<EndpointRecord>();
  const directory = new Directory(asPeerId('a'.repeat(32)), {
    networks,
    endpoints,
    vteps: memoryRows<VtepRecord>(),
    uses: memoryRows(),
  });
  const define = (name: string, subnet: string, edge?: 'internal'): void =>
    directory.putNetwork({
      ...{ id: name, name, vni: asVni(1), subnet, mtu: 1450, encap: 'vxlan' },
      ...{ createdBy: SELF, createdAt: '', ...(edge && { edge }) },
    });
  const attach = (
    id: string,
    network: string,
    address: string,
    inode: string,
    path = `/run/netns/${inode}`,
  ): void =>
    directory.putEndpoint({
      ...{ id, network, address, host: SELF, mac: asMac(1), ifname: 'eth0' },
      sandbox: { path, inode },
    });
  define('blue', '10.7.0.0/24');
  define('red', '10.7.0.0/24');
  define('green', '10.8.0.0/24');
  attach('1', 'blue', '10.7.0.2/24', 'web');
  attach('2', 'green', '10.8.0.2/24', 'web');
  attach('3', 'red', '10.7.0.2/24', 'db');
  return { askers: new Askers(SELF, directory), directory, attach, define };
}

test('an endpoint is known by each of its addresses', (t) => {
  const { askers, directory } = world();
  directory.putNetwork({
    ...{ id: 'teal', name: 'teal', vni: asVni(2), subnet: '10.9.0.0/24', subnet6: 'fd00:9::/64' },
    ...{ mtu: 1450, encap: 'vxlan', createdBy: SELF, createdAt: '' },
  });
  directory.putEndpoint({
    ...{ id: '9', network: 'teal', host: SELF, mac: asMac(9), ifname: 'eth1' },
    ...{ address: '10.9.0.2/24', address6: 'fd00:9::2/64' },
    sandbox: { path: '/run/netns/web', inode: 'web' },
  });
  askers.changed();
  for (const asker of ['10.9.0.2', 'fd00:9::2']) {
    t.deepEqual(askers.permit(onBridge('teal'), asker)?.view, ['teal', 'blue', 'green'], asker);
    t.deepEqual(askers.permit(HOST_ADDRESS, asker)?.view, ['teal', 'blue', 'green'], asker);
  }
});

test('on a bridge an endpoint sees its network, then the others of its sandbox', (t) => {
  const { askers, attach } = world();
  t.deepEqual(askers.permit(onBridge('blue'), '10.7.0.2')?.view, ['blue', 'green']);
  t.deepEqual(askers.permit(onBridge('red'), '10.7.0.2')?.view, ['red']);
  t.deepEqual(askers.permit(onBridge('blue'), '10.7.0.99')?.view, ['blue'], 'a nested station');
  attach('4', 'blue', '10.7.0.9/24', 'db');
  askers.changed();
  t.deepEqual(askers.permit(onBridge('red'), '10.7.0.2')?.view, ['red', 'blue']);
});

test("the host sees all, from the bridge's own address", (t) => {
  t.is(world().askers.permit(onBridge('blue'), '10.7.0.1')?.view, 'all');
});

test("at an address of the host an asker is known by its own, and never sees another network's names", (t) => {
  const { askers } = world();
  const view = (asker: string) => askers.permit(HOST_ADDRESS, asker)?.view;
  t.deepEqual(view('10.8.0.2'), ['green', 'blue']);
  t.deepEqual(view('10.8.0.200'), ['green']);
  t.deepEqual(view('10.7.0.2'), [], 'two networks have that subnet');
  t.is(view('127.0.0.1'), 'all');
  t.is(view('192.168.1.7'), 'all');
  t.is(view('fd00::7'), 'all');
  t.is(view('198.51.100.7'), undefined, 'a stranger');
  t.is(view('2001:db8::7'), undefined);
  t.is(view('nonsense'), undefined);
});

test('who is on internal networks alone has no names outside looked up', (t) => {
  const { askers, attach, define } = world();
  define('vault', '10.9.0.0/24', 'internal');
  attach('5', 'vault', '10.9.0.2/24', 'safe');
  attach('6', 'vault', '10.9.0.3/24', 'web');
  const mayForward = (asker: string) => askers.permit(onBridge('vault'), asker)?.mayForward;
  t.false(mayForward('10.9.0.2'));
  t.false(mayForward('10.9.0.99'));
  t.true(mayForward('10.9.0.3'), 'it is on blue as well');
  t.false(askers.permit(HOST_ADDRESS, '10.9.0.2')?.mayForward);
  t.true(askers.permit(HOST_ADDRESS, '10.7.0.2')?.mayForward);
});

test('containers of an engine are told apart, though their sandboxes have no identity', (t) => {
  const { askers, attach, define } = world();
  define('dark', '10.9.0.0/24', 'internal');
  attach('4', 'dark', '10.9.0.2/24', NO_INODE, '/run/docker/netns/one');
  attach('5', 'green', '10.8.0.5/24', NO_INODE, '/run/docker/netns/two');
  attach('6', 'blue', '10.7.0.5/24', NO_INODE, '/run/docker/netns/two');
  askers.changed();
  t.deepEqual(askers.permit(onBridge('dark'), '10.9.0.2'), { view: ['dark'], mayForward: false });
  t.deepEqual(askers.permit(onBridge('blue'), '10.7.0.5'), {
    ...{ view: ['blue', 'green'], mayForward: true },
  });
});
