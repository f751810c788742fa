import test from 'ava';
import fc from 'fast-check';
import { AppError } from '../../../src/base/errors.ts';
import { CODE } from '../../../src/plugin/cni/error.ts';
import { CONFIG, CONTAINER, handedOn, NETNS, plugin } from './fixture.ts';

const ADDED = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:02', sandbox: NETNS, mtu: 1450 }],
  ips: [{ address: '10.66.0.2/24', interface: 0 }],
  routes: [],
  dns: {},
};

test('the life of a container: added, checked, deleted, and deleted again', async (t) => {
  const { host, call } = plugin();
  t.deepEqual(await call('ADD', CONFIG), { status: 200, body: ADDED });
  t.like(host.attached[0], { network: 'pods', netns: NETNS, ifname: 'eth0' });
  t.is(host.attached[0]?.origin, `cni pods ${CONTAINER}`);
  t.regex(host.attached[0]?.id ?? '', /^[0-9a-f]{32}$/);
  t.deepEqual(await call('CHECK', { ...CONFIG, prevResult: ADDED }), { status: 204 });
  t.like(await call('ADD', CONFIG), { status: 422, body: { code: 101 } });
  t.deepEqual(await call('DEL', CONFIG, { CNI_NETNS: '' }), { status: 204 });
  t.is(host.endpoints.size, 0);
  t.deepEqual(await call('DEL', CONFIG), { status: 204 });
  t.like(await call('CHECK', { ...CONFIG, prevResult: ADDED }), { body: { code: 3 } });
});

for (const [version, ip, link] of [
  ['0.3.0', { version: '4' }, {}],
  ['0.3.1', { version: '4' }, {}],
  ['0.4.0', { version: '4' }, {}],
  ['1.0.0', {}, {}],
  ['1.1.0', {}, { mtu: 1450 }],
] as const) {
  test(`a result has the shape of ${version}`, async (t) => {
    const { call } = plugin();
    const { body } = await call('ADD', { ...CONFIG, cniVersion: version });
    t.deepEqual(body, {
      ...ADDED,
      cniVersion: version,
      interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:02', sandbox: NETNS, ...link }],
      ips: [{ address: '10.66.0.2/24', interface: 0, ...ip }],
    });
  });
}

test('two containers, interfaces, configs or hosts are never one endpoint', async (t) => {
  const { host, call } = plugin();
  host.networks.set('other', { subnets: ['10.66.0.0/24'], gateways: [] });
  await call('ADD', CONFIG);
  await call('ADD', CONFIG, { CNI_IFNAME: 'eth1' });
  await call('ADD', CONFIG, { CNI_CONTAINERID: 'b' });
  await call('ADD', { ...CONFIG, name: 'other' });
  t.is(host.endpoints.size, 4);
});

test('what plugins before this one made stays in the result', async (t) => {
  const { call } = plugin();
  const prevResult = {
    interfaces: [{ name: 'br0' }, { name: 'eth9', sandbox: NETNS, mac: '02:00:00:00:00:09' }],
    ips: [{ address: '192.0.2.9/24', interface: 1 }],
    routes: [{ dst: '0.0.0.0/0' }],
    dns: { nameservers: ['192.0.2.53'] },
  };
  const { body } = await call('ADD', { ...CONFIG, prevResult });
  t.deepEqual(body, {
    cniVersion: '1.1.0',
    interfaces: [...prevResult.interfaces, ...ADDED.interfaces],
    ips: [...prevResult.ips, { address: '10.66.0.2/24', interface: 2 }],
    routes: prevResult.routes,
    dns: prevResult.dns,
  });
  t.deepEqual(await call('CHECK', { ...CONFIG, prevResult: body }), { status: 204 });
});

test('CHECK says what differs', async (t) => {
  const { host, call } = plugin();
  await call('ADD', CONFIG);
  host.differences = ['eth0 is missing'];
  const [link] = ADDED.interfaces;
  const wrong = {
    ...ADDED,
    interfaces: [{ ...link, mac: '02:00:00:00:00:03' }],
    ips: [{ address: '10.66.0.3/24', interface: 0 }],
  };
  t.deepEqual(await call('CHECK', { ...CONFIG, prevResult: wrong }), {
    status: 422,
    body: {
      cniVersion: '1.1.0',
      code: 102,
      msg: `eth0 of container ${CONTAINER} is not as it was made: the MAC is 02:00:00:00:00:02 and not 02:00:00:00:00:03; prevResult lacks the address 10.66.0.2/24; the endpoint lacks the address 10.66.0.3/24; eth0 is missing.`,
    },
  });
  t.like(await call('CHECK', CONFIG), { body: { code: 7 } });
  t.like(await call('CHECK', { ...CONFIG, prevResult: {} }), { body: { code: 102 } });
});

test('capabilities reach the endpoint: address, MAC, names', async (t) => {
  const { host, call } = plugin();
  const runtimeConfig = {
    ...{ ips: ['10.66.0.7/24'], mac: '02:00:00:00:00:07', portMappings: [] },
    aliases: { pods: ['web', 'www'], other: ['no'] },
    dns: { servers: ['10.66.0.1'], searches: ['weft.local'] },
  };
  const args = 'IgnoreUnknown=1;K8S_POD_NAME=Web-0;K8S_POD_NAMESPACE=shop';
  const { body } = await call('ADD', { ...CONFIG, runtimeConfig }, { CNI_ARGS: args });
  t.like(host.attached[0], {
    ...{ ip: '10.66.0.7/24', mac: '02:00:00:00:00:07' },
    names: ['web-0', 'web-0.shop', 'web', 'www'],
  });
  t.like(body, { dns: { nameservers: ['10.66.0.1'], search: ['weft.local'] } });
});

test('containers are told where names are answered, unless their config says otherwise', async (t) => {
  const { host, call } = plugin();
  const dns = { servers: ['10.66.0.1'], search: ['weft.local'] };
  host.networks.set('pods', { subnets: ['10.66.0.0/24'], gateways: [], dns });
  const nameservers = ['10.66.0.1'];
  t.like((await call('ADD', CONFIG)).body, { dns: { nameservers, search: ['weft.local'] } });
  const own = { ...CONFIG, dns: { nameservers: ['192.0.2.53'] } };
  const { body } = await call('ADD', own, { CNI_IFNAME: 'eth1' });
  t.deepEqual((body as { dns: object }).dns, { nameservers: ['192.0.2.53'] });
});

test('a name that DNS has no room for does not hinder a container; the older conventions hold', async (t) => {
  const { host, call } = plugin();
  const CNI_ARGS = 'K8S_POD_NAME=no name;IP=10.66.0.8;MAC=02:00:00:00:00:08';
  t.like(await call('ADD', CONFIG, { CNI_ARGS }), { status: 200 });
  t.like(host.attached[0], { ip: '10.66.0.8', mac: '02:00:00:00:00:08' });
  t.is(host.attached[0]?.names, undefined);
  const args = { cni: { ips: ['10.66.0.9'] } };
  await call('ADD', { ...CONFIG, args, runtimeConfig: { aliases: ['a'] } }, { CNI_IFNAME: 'eth1' });
  t.like(host.attached[1], { ip: '10.66.0.9', names: ['a'] });
  const two = { runtimeConfig: { ips: ['10.66.0.8', '10.66.0.9'] } };
  t.like(await call('ADD', { ...CONFIG, ...two }), { body: { code: 7 } });
});

test('a network is made on ADD if the config gives its subnet, and must have that subnet', async (t) => {
  const { host, call } = plugin();
  const config = { ...CONFIG, network: 'new' };
  t.like(await call('ADD', config), { body: { code: 7, details: 'E_NETWORK_MISSING' } });
  t.like(await call('STATUS', config), { body: { code: 50 } });
  t.deepEqual(await call('STATUS', { ...config, subnet: '10.9.0.0/24' }), { status: 204 });
  t.like(await call('ADD', { ...config, subnet: '10.9.0.0/24' }), { status: 200 });
  t.is(host.attached.at(-1)?.network, 'new');
  const { body } = await call('ADD', { ...config, subnet: '10.8.0.0/24' });
  t.like(body, { code: 7 });
  t.regex((body as { msg: string }).msg, /subnet 10\.9\.0\.0\/24 and not 10\.8\.0\.0\/24/);
});

test('a routed network leads out by its gateway, an internal one and a plain wire do not', async (t) => {
  const { host, call } = plugin();
  const facts = { subnets: ['10.66.0.0/24'], gateways: ['10.66.0.1'] };
  const ips = [{ address: '10.66.0.2/24', interface: 0, gateway: '10.66.0.1' }];
  host.networks.set('pods', { ...facts, edge: 'routed' });
  t.deepEqual((await call('ADD', CONFIG)).body, {
    ...{ ...ADDED, ips },
    routes: [{ dst: '0.0.0.0/0', gw: '10.66.0.1' }],
  });
  host.networks.set('pods', { ...facts, edge: 'internal' });
  const { body } = await call('ADD', CONFIG, { CNI_IFNAME: 'eth1' });
  t.like(body, { ips, routes: [] });
  // An address that --gateway keeps free is somebody's, and not the hosts'.
  host.networks.set('pods', facts);
  const wire = await call('ADD', CONFIG, { CNI_IFNAME: 'eth2' });
  t.like(wire.body, { ips: ADDED.ips, routes: [] });
});

test('routes of the config take the place of the default one', async (t) => {
  const { host, call } = plugin();
  const facts = { subnets: ['10.66.0.0/24'], gateways: ['10.66.0.1'], edge: 'routed' } as const;
  host.networks.set('pods', facts);
  const routes = [{ dst: '10.96.0.0/12' }, { dst: '192.0.2.0/24', gw: '10.66.0.9' }];
  const { body } = await call('ADD', { ...CONFIG, ipam: { routes } });
  t.deepEqual((body as { routes: object[] }).routes, [
    { dst: '10.96.0.0/12', gw: '10.66.0.1' },
    { dst: '192.0.2.0/24', gw: '10.66.0.9' },
  ]);
  t.deepEqual(host.attached[0]?.routes, [
    { destination: '10.96.0.0/12' },
    { destination: '192.0.2.0/24', via: '10.66.0.9' },
  ]);
});

test('the network that ADD makes has the edge of the config, and must have it if it is there', async (t) => {
  const { host, call } = plugin();
  const config = { ...CONFIG, network: 'new', subnet: '10.9.0.0/24', edge: 'routed' };
  t.like(await call('ADD', config), { status: 200 });
  t.is(host.networks.get('new')?.edge, 'routed');
  const { body } = await call('ADD', { ...config, edge: 'internal' });
  t.like(body, { code: 7 });
  t.regex((body as { msg: string }).msg, /Network new is routed and not internal/);
});

test('ports of the runtime reach the endpoint, and CHECK misses them', async (t) => {
  const { host, call } = plugin();
  const portMappings = [
    { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
    // As containerd spells it.
    { HostPort: 53, ContainerPort: 5353, Protocol: 'UDP', HostIP: '192.0.2.1' },
    { hostPort: 81, containerPort: 80, hostIP: '0.0.0.0' },
    { hostPort: 0, containerPort: 9000 },
  ];
  const config = { ...CONFIG, runtimeConfig: { portMappings } };
  t.like(await call('ADD', config), { status: 200 });
  t.deepEqual(host.attached[0]?.ports, [
    { protocol: 'tcp', hostPort: 8080, port: 80 },
    { protocol: 'udp', hostAddress: '192.0.2.1', hostPort: 53, port: 5353 },
    { protocol: 'tcp', hostPort: 81, port: 80 },
  ]);
  t.deepEqual(await call('CHECK', { ...config, prevResult: ADDED }), { status: 204 });
  const [[id, endpoint] = ['', undefined]] = host.endpoints;
  if (endpoint === undefined) return t.fail();
  host.endpoints.set(id, { ...endpoint, ports: endpoint.ports?.slice(0, 1) ?? [] });
  const { body } = await call('CHECK', { ...config, prevResult: ADDED });
  t.regex(
    (body as { msg: string }).msg,
    /port 192\.0\.2\.1 53\/udp to 5353 is not published; port 81\/tcp to 80 is not published/,
  );
});

test('rates of the runtime go before those of the config, and CHECK compares them', async (t) => {
  const { host, call } = plugin();
  const own = { ingressRate: 1_000_000, ingressBurst: 80_000 };
  const bandwidth = { egressRate: 2_000_000, egressBurst: 90_000 };
  await call('ADD', { ...CONFIG, bandwidth });
  t.deepEqual(host.attached[0]?.bandwidth, { egress: { rate: 2_000_000, burst: 90_000 } });
  await call(
    'ADD',
    { ...CONFIG, bandwidth, runtimeConfig: { bandwidth: own } },
    { CNI_IFNAME: 'b' },
  );
  t.deepEqual(host.attached[1]?.bandwidth, { ingress: { rate: 1_000_000, burst: 80_000 } });
  await call('ADD', { ...CONFIG, runtimeConfig: { bandwidth: {} } }, { CNI_IFNAME: 'c' });
  t.is(host.attached[2]?.bandwidth, undefined);
  const { body } = await call('CHECK', {
    ...{ ...CONFIG, bandwidth, prevResult: ADDED },
    runtimeConfig: { bandwidth: own },
  });
  t.regex(
    (body as { msg: string }).msg,
    /ingress is unlimited instead of 1000000 bit\/s, burst 80000 bits; egress is 2000000 bit\/s, burst 90000 bits instead of unlimited/,
  );
});

test('GC removes what is not named, and nothing of other configs', async (t) => {
  const { host, call } = plugin();
  await call('ADD', CONFIG);
  await call('ADD', CONFIG, { CNI_CONTAINERID: 'stale' });
  await call('ADD', { ...CONFIG, name: 'pods2', network: 'pods' });
  t.is(host.endpoints.size, 3);
  const valid = [{ containerID: CONTAINER, ifname: 'eth0' }];
  const gc = { ...CONFIG, 'cni.dev/valid-attachments': valid };
  t.deepEqual(await call('GC', gc), { status: 204 });
  t.is(host.endpoints.size, 2);
  t.false([...host.endpoints.values()].some(({ origin }) => origin?.endsWith('stale')));
  t.like(await call('GC', CONFIG), { body: { code: 7 } });
  t.is(host.endpoints.size, 2);
});

test('STATUS tells what hinders', async (t) => {
  const { host, call } = plugin();
  t.deepEqual(await call('STATUS', CONFIG), { status: 204 });
  for (const [hindered, code] of [
    ['addresses', 50],
    ['disk', 50],
    ['cutOff', 51],
  ] as const) {
    host.hindered = hindered;
    t.like(await call('STATUS', CONFIG), { status: 422, body: { code } });
  }
});

test('errors of the daemon have the codes of the specification', async (t) => {
  const { host, call } = plugin();
  for (const [code, expected] of [
    ['E_SANDBOX_MISSING', 3],
    ['E_IFNAME_INVALID', 4],
    ['E_STATE', 5],
    ['E_ADDRESS_OUTSIDE', 7],
    ['E_ROUTE_INVALID', 7],
    ['E_BANDWIDTH_INVALID', 7],
    ['E_ADDRESS_NO_MAJORITY', 11],
    ['E_ADDRESS_EXHAUSTED', 100],
  ] as const) {
    host.failWith = new AppError(code, 'A sentence.');
    t.deepEqual(await call('ADD', CONFIG), {
      status: 422,
      body: { cniVersion: '1.1.0', code: expected, msg: 'A sentence.', details: code },
    });
  }
  host.failWith = new TypeError('oops');
  t.like(await call('DEL', CONFIG), { body: { code: 100, details: 'E_INTERNAL' } });
});

const mapping = (more: object) => ({
  ...CONFIG,
  runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, ...more }] },
});

const BAD: readonly [what: string, code: number, ...call: Parameters<typeof handedOn>][] = [
  ['no command', 4, '', CONFIG],
  ['an unknown command', 4, 'add', CONFIG],
  ['no container', 4, 'DEL', CONFIG, { CNI_CONTAINERID: '' }],
  ['a container with a slash', 4, 'ADD', CONFIG, { CNI_CONTAINERID: 'a/b' }],
  ['a container of 129 letters', 4, 'ADD', CONFIG, { CNI_CONTAINERID: 'a'.repeat(129) }],
  ['no interface', 4, 'DEL', CONFIG, { CNI_IFNAME: '' }],
  ['no namespace', 4, 'ADD', CONFIG, { CNI_NETNS: '' }],
  ['a relative namespace', 4, 'ADD', CONFIG, { CNI_NETNS: 'a' }],
  ['no JSON', 6, 'ADD', '{'],
  ['nothing', 6, 'DEL', ''],
  ['null', 6, 'ADD', 'null'],
  ['a list', 6, 'ADD', '[]'],
  ['no version', 1, 'ADD', { name: 'pods', type: 'weft' }],
  ['an old version', 1, 'ADD', { ...CONFIG, cniVersion: '0.2.0' }],
  ['a version of another type', 1, 'ADD', { ...CONFIG, cniVersion: 1 }],
  ['CHECK before it was', 1, 'CHECK', { ...CONFIG, cniVersion: '0.3.1' }],
  ['GC before it was', 1, 'GC', { ...CONFIG, cniVersion: '1.0.0' }],
  ['STATUS before it was', 1, 'STATUS', { ...CONFIG, cniVersion: '1.0.0' }],
  ['no name', 7, 'ADD', { cniVersion: '1.1.0', type: 'weft' }],
  ['no name', 7, 'DEL', { cniVersion: '1.1.0', type: 'weft' }],
  ['a name with a slash', 7, 'ADD', { ...CONFIG, name: 'a/b' }],
  ['an MTU that is text', 7, 'ADD', { ...CONFIG, mtu: '1400' }],
  ['addresses that are none', 7, 'ADD', { ...CONFIG, runtimeConfig: { ips: '10.0.0.1' } }],
  [
    'a port over 65535',
    7,
    'ADD',
    { ...CONFIG, runtimeConfig: { portMappings: [{ hostPort: 1e9, containerPort: 1 }] } },
  ],
  ['an edge that there is not', 7, 'ADD', { ...CONFIG, edge: 'open' }],
  [
    'a route with a priority',
    2,
    'ADD',
    { ...CONFIG, ipam: { routes: [{ dst: '0.0.0.0/0', priority: 5 }] } },
  ],
  ['a port of SCTP', 2, 'ADD', mapping({ protocol: 'sctp' })],
  ['a port at no address', 7, 'ADD', mapping({ hostIP: 'eth0' })],
  [
    'a port at an address of no family of the network',
    7,
    'ADD',
    mapping({ hostIP: '2001:db8::1' }),
  ],
  ["another's addresses", 2, 'ADD', { ...CONFIG, ipam: { type: 'host-local' } }],
  ['Infiniband', 2, 'ADD', { ...CONFIG, runtimeConfig: { infinibandGUID: 'c2:11' } }],
];
for (const [what, code, ...words] of BAD) {
  test(`${words[0] || 'a call'} with ${what} (${code})`, async (t) => {
    const { host, call } = plugin();
    const { status, body } = await call(...words);
    t.is(status, 422);
    t.like(body, { code });
    t.regex((body as { msg: string }).msg, /^[A-Z].{10,400}\.$/);
    t.is(host.endpoints.size, 0);
  });
}

test('a container of an odd config can still be deleted', async (t) => {
  const { host, call } = plugin();
  await call('ADD', CONFIG);
  const odd = { ...CONFIG, mtu: 'x', runtimeConfig: 7, prevResult: [], ipam: {} };
  t.deepEqual(await call('DEL', odd), { status: 204 });
  t.is(host.endpoints.size, 0);
});

test('whatever is handed on is answered, with a document of the specification', async (t) => {
  const { face } = plugin();
  const words = fc.oneof(fc.constantFrom('ADD', 'DEL', 'CHECK', 'GC', 'STATUS'), fc.string());
  const config = fc.oneof(
    fc.jsonValue().map((value) => JSON.stringify({ ...CONFIG, ...(value as object) })),
    fc
      .record({ prevResult: fc.jsonValue(), runtimeConfig: fc.jsonValue(), ipam: fc.jsonValue() })
      .map((value) => JSON.stringify({ ...CONFIG, ...value })),
    fc.string(),
  );
  const bodies = fc.oneof(
    fc.jsonValue(),
    fc
      .tuple(words, config, fc.string())
      .map(([command, stdin, id]) => handedOn(command, stdin, { CNI_CONTAINERID: id })),
  );
  const check = fc.assert(
    fc.asyncProperty(bodies, async (body) => {
      const answer = await face.answer(body);
      if (answer.status !== 422) return answer.status === 204 || answer.status === 200;
      const { code, msg } = answer.body as { code: unknown; msg: unknown };
      return typeof code === 'number' && typeof msg === 'string' && code !== 0;
    }),
    {
      numRuns: 500,
      ...(process.env['SEED'] !== undefined && { seed: Number(process.env['SEED']) }),
    },
  );
  await t.notThrowsAsync(check);
});

test('of a network with two subnets a container has both addresses, and CHECK wants both', async (t) => {
  const { call, host } = plugin();
  const config = { ...CONFIG, name: 'two', subnet: '10.66.0.0/24', subnet6: 'fd00:66::/64' };
  host.networks.set('two', {
    ...{ subnets: ['10.66.0.0/24', 'fd00:66::/64'], edge: 'routed' },
    gateways: ['10.66.0.1', 'fd00:66::1'],
  });
  const { body } = await call('ADD', config);
  t.like(body, {
    ips: [
      { address: '10.66.0.2/24', gateway: '10.66.0.1', interface: 0 },
      { address: 'fd00:66::2/64', gateway: 'fd00:66::1', interface: 0 },
    ],
    routes: [
      { dst: '0.0.0.0/0', gw: '10.66.0.1' },
      { dst: '::/0', gw: 'fd00:66::1' },
    ],
  });
  const prevResult = body as { readonly ips: readonly object[] };
  t.is((await call('CHECK', { ...config, prevResult })).status, 204);
  const half = { ...prevResult, ips: prevResult.ips.slice(0, 1) };
  const refused = await call('CHECK', { ...config, prevResult: half });
  t.like(refused.body, { code: CODE.differs });
  t.regex(JSON.stringify(refused.body), /prevResult lacks the address fd00:66::2\/64/);
});

test('one address of each family can be asked for, and a subnet that the network lacks is told', async (t) => {
  const { call, host } = plugin();
  const config = { ...CONFIG, name: 'two', subnet: '10.66.0.0/24', subnet6: 'fd00:66::/64' };
  const runtimeConfig = { ips: ['10.66.0.7/24', 'fd00:66::7/64'] };
  const { body } = await call('ADD', { ...config, runtimeConfig });
  t.like(body, { ips: [{ address: '10.66.0.7/24' }, { address: 'fd00:66::7/64' }] });
  const twice = { runtimeConfig: { ips: ['fd00:66::7', 'fd00:66::8'] } };
  t.like((await call('ADD', { ...config, ...twice })).body, { code: CODE.invalidConfig });
  const { body: other } = await call('ADD', { ...config, name: 'pods' });
  t.like(other, { code: CODE.invalidConfig });
  t.regex(JSON.stringify(other), /has the subnet 10\.66\.0\.0\/24 and not fd00:66::\/64/);
  t.is(host.attached.length, 1);
});
