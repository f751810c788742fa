import test from 'ava';
import { CONFIG, CONTAINER, plugin } from './fixture.ts';

/** As the reference plugin `bridge` hands it on: its own config, and its own keys in it. */
const BRIDGE = {
  ...{
    cniVersion: '1.1.0',
    name: 'lan',
    type: 'bridge',
    bridge: 'cni0',
    mtu: 9000,
    isGateway: true,
  },
  ipam: { type: 'weft-ipam', network: 'pods' },
} as const;
const HOLDER = `cni lan ${CONTAINER} eth0`;

function ipam() {
  const { host, call: callPlugin } = plugin();
  const call = (command: string, config: object, env: Readonly<Record<string, string>> = {}) =>
    callPlugin(command, config, env, 'weft-ipam');
  return { host, call };
}

test('an address is held until DEL, without an interface', async (t) => {
  const { host, call } = ipam();
  const { status, body } = await call('ADD', BRIDGE);
  t.is(status, 200);
  t.deepEqual(body, {
    ...{ cniVersion: '1.1.0', ips: [{ address: '10.66.0.2/24' }], routes: [], dns: {} },
  });
  t.deepEqual([...host.reserved.keys()], [HOLDER]);
  t.deepEqual(host.attached, []);
  t.like(await call('ADD', BRIDGE), { body: { code: 101 } });
  const prevResult = { ips: [{ address: '10.66.0.2/24' }] };
  t.deepEqual(await call('CHECK', { ...BRIDGE, prevResult }), { status: 204 });
  const other = { ips: [{ address: '10.66.0.3/24' }] };
  t.like(await call('CHECK', { ...BRIDGE, prevResult: other }), { body: { code: 102 } });
  t.like(await call('CHECK', BRIDGE), { body: { code: 102 } });
  t.deepEqual(await call('DEL', BRIDGE, { CNI_NETNS: '' }), { status: 204 });
  t.is(host.reserved.size, 0);
  t.deepEqual(await call('DEL', BRIDGE), { status: 204 });
  t.like(await call('CHECK', { ...BRIDGE, prevResult }), { body: { code: 3 } });
});

test('the program by its plain name does the same for a config of another type', async (t) => {
  const { host, call } = plugin();
  const config = { ...BRIDGE, ipam: { type: 'weft', network: 'pods' } };
  t.like(await call('ADD', config), { status: 200 });
  t.deepEqual([...host.reserved.keys()], [HOLDER]);
  // And in Weft's own config either name means itself.
  t.like(await call('ADD', { ...CONFIG, ipam: { type: 'weft-ipam' } }), { status: 200 });
  t.is(host.attached.length, 1);
});

test('gateway, routes and a wished address are in the result; older versions tell the family', async (t) => {
  const { host, call } = ipam();
  host.networks.set('pods', { subnets: ['10.66.0.0/24'], gateways: ['10.66.0.1'] });
  const routes = [{ dst: '0.0.0.0/0' }, { dst: '10.96.0.0/12', gw: '10.66.0.9' }];
  const { body } = await call('ADD', {
    ...{ ...BRIDGE, cniVersion: '0.3.1', ipam: { ...BRIDGE.ipam, routes } },
    runtimeConfig: { ips: ['10.66.0.7'] },
  });
  t.deepEqual(body, {
    cniVersion: '0.3.1',
    ips: [{ version: '4', address: '10.66.0.7/24', gateway: '10.66.0.1' }],
    ...{ routes, dns: {} },
  });
});

test('the network that ADD makes is of the ipam, and not of the other plugin', async (t) => {
  const { host, call } = ipam();
  const config = { ...BRIDGE, ipam: { type: 'weft-ipam', subnet: '10.9.0.0/24' } };
  t.deepEqual(await call('STATUS', config), { status: 204 });
  t.like(await call('STATUS', { ...BRIDGE, ipam: { type: 'weft-ipam' } }), { body: { code: 50 } });
  t.like(await call('ADD', config), { status: 200 });
  t.deepEqual(host.networks.get('lan')?.subnets, ['10.9.0.0/24']);
  const otherwise = { ...config, ipam: { type: 'weft-ipam', subnet: '10.8.0.0/24' } };
  t.like(await call('ADD', otherwise, { CNI_IFNAME: 'b' }), { body: { code: 7 } });
  t.is(host.reserved.size, 1);
});

test('of a network with two subnets both addresses, and each may be wished', async (t) => {
  const { host, call } = ipam();
  const six = { subnet6: 'fd00:66::/64', gateway6: 'fd00:66::1' };
  const config = { ...BRIDGE, ipam: { type: 'weft-ipam', subnet: '10.66.0.0/24', ...six } };
  const { body } = await call('ADD', { ...config, runtimeConfig: { ips: ['fd00:66::7'] } });
  const ips = [{ address: '10.66.0.2/24' }, { address: 'fd00:66::7/64' }];
  t.like(body, { ips });
  t.deepEqual(host.networks.get('lan')?.subnets, ['10.66.0.0/24', 'fd00:66::/64']);
  t.deepEqual(await call('CHECK', { ...config, prevResult: { ips } }), { status: 204 });
  const half = { ips: ips.slice(0, 1) };
  t.like(await call('CHECK', { ...config, prevResult: half }), { body: { code: 102 } });
  await call('DEL', config);
  t.is(host.reserved.size, 0);
});

test('GC lets go of what is not named, and nothing of other configs', async (t) => {
  const { host, call } = ipam();
  await call('ADD', BRIDGE);
  await call('ADD', BRIDGE, { CNI_IFNAME: 'eth1' });
  await call('ADD', { ...BRIDGE, name: 'lan2' });
  const valid = [{ containerID: CONTAINER, ifname: 'eth0' }];
  t.deepEqual(await call('GC', { ...BRIDGE, 'cni.dev/valid-attachments': valid }), { status: 204 });
  t.deepEqual([...host.reserved.keys()], [HOLDER, `cni lan2 ${CONTAINER} eth0`]);
  t.like(await call('GC', BRIDGE), { body: { code: 7 } });
});

for (const [what, code, config, env] of [
  ['an interface with a blank', 4, BRIDGE, { CNI_IFNAME: 'a b' }],
  ['an interface of 16 letters', 4, BRIDGE, { CNI_IFNAME: 'a'.repeat(16) }],
  ['two addresses', 7, { ...BRIDGE, runtimeConfig: { ips: ['10.66.0.8', '10.66.0.9'] } }, {}],
  ['a network that is not there', 7, { ...BRIDGE, ipam: { type: 'weft-ipam', network: 'x' } }, {}],
  ['a subnet that is a number', 7, { ...BRIDGE, ipam: { type: 'weft-ipam', subnet: 7 } }, {}],
  [
    'a route with a table',
    2,
    { ...BRIDGE, ipam: { ...BRIDGE.ipam, routes: [{ dst: '::/0', table: 5 }] } },
    {},
  ],
] as const) {
  test(`refused with code ${code}: ${what}`, async (t) => {
    const { host, call } = ipam();
    const { status, body } = await call('ADD', config, env);
    t.is(status, 422);
    t.like(body, { code });
    t.is(host.reserved.size, 0);
  });
}
