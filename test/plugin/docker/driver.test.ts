import test, { type ExecutionContext } from 'ava';
import type { Control } from '../../../src/api/control.ts';
import { hostEndName } from '../../../src/network/names.ts';
import { MortalHost, World } from '../../daemon/mortal-host.ts';
import {
  endpointId,
  FakeEngine,
  makeHosts,
  NETWORK_ID,
  portMapping,
  refusal,
  SANDBOX,
} from './engine.ts';

const SUBNET = '10.77.0.0/24';
const NAME = 'docker-10.77.0.0-24';
const weftId = (number: number): string => endpointId(number).slice(0, 32);

const POOL = `weft,${NAME},${SUBNET}`;

/** Hosts that do not know of each other; the older network is the first one's. */
async function makeApart(t: ExecutionContext) {
  const world = new World(1);
  const a = new MortalHost('a', '192.0.2.1', world);
  const b = new MortalHost('b', '192.0.2.2', world);
  await a.start();
  await b.start();
  t.teardown(() => {
    for (const host of [a, b]) host.kill();
  });
  const [one, two] = [new FakeEngine(a), new FakeEngine(b)];
  await one.createNetwork(SUBNET);
  await world.pass(5000);
  return { world, a, b, one, two };
}

const names = async (host: MortalHost): Promise<string[]> =>
  (await host.control.listNetworks()).map(({ name }) => name);

test('a container comes and goes: address, interface, row, and nothing after it', async (t) => {
  const { a, one } = await makeHosts(t);
  const pool = await one.createNetwork(SUBNET);
  const before = await a.links();
  const address = await one.address(pool);
  const last = Number(/^10\.77\.0\.(\d+)\/24$/.exec(address)?.[1]);
  const mac = `02:42:0a:4d:00:${last.toString(16).padStart(2, '0')}`;
  t.deepEqual(await one.createEndpoint(1, address), { MacAddress: mac });
  const device = await one.join(1);
  t.is(a.kernel.find(device)?.mtu, 1426);
  t.is(a.kernel.find(device)?.mac, mac);
  t.is(a.kernel.find(hostEndName(weftId(1)))?.mtu, 65_521);
  t.is(await one.join(1), device, 'asked again before it was moved');
  a.kernel.addNamespace(SANDBOX);
  a.kernel.moveLink(device, 'eth0', SANDBOX);
  t.regex(await refusal(one.join(1)), /already/);
  const [row] = await a.endpoints();
  t.is(row?.address, address);
  for (let times = 0; times < 2; times++) {
    await one.leave(1);
    await one.deleteEndpoint(1);
    await one.release(pool, address);
  }
  t.deepEqual(await a.links(), before);
  t.deepEqual(await a.endpoints(), []);
  t.not(await one.address(pool), address, 'it rests');
  await one.deleteNetwork();
  await one.deleteNetwork();
  t.deepEqual(await names(a), []);
  t.deepEqual(await a.links(), []);
});

test('two engines that name one subnet share it, and it goes with the last of them', async (t) => {
  const { world, a, b, one, two } = await makeHosts(t);
  const first = await one.createNetwork(SUBNET);
  await world.pass(2000);
  const second = await two.createNetwork(SUBNET, { id: 'b'.repeat(64) });
  t.is(second, first);
  const given = [await one.address(first), await one.address(first), await two.address(second)];
  t.is(new Set(given).size, 3);
  t.regex(
    await b.run((control) => refusal(control.removeNetwork(NAME))),
    /in use by Docker on host a, b/,
  );
  await one.deleteNetwork();
  t.deepEqual(await names(a), [NAME]);
  await world.pass(2000);
  await two.deleteNetwork('b'.repeat(64));
  await world.pass(2000);
  t.deepEqual([...(await names(a)), ...(await names(b))], []);
});

test('both let go at one moment: the network does not stay', async (t) => {
  const { world, a, b, one, two } = await makeHosts(t);
  await one.createNetwork(SUBNET);
  await world.pass(2000);
  await two.createNetwork(SUBNET);
  await world.pass(2000);
  await Promise.all([one.deleteNetwork(), two.deleteNetwork()]);
  await world.pass(5000);
  t.deepEqual([...(await names(a)), ...(await names(b))], []);
});

test('two meshes made one network and are joined: without containers the younger one is no more', async (t) => {
  const { world, a, b, one, two } = await makeApart(t);
  await two.createNetwork(SUBNET);
  await b.run((control) => control.join(['192.0.2.1']));
  await world.pass(20_000);
  t.deepEqual([await names(a), await names(b)], [[NAME], [NAME]]);
  const [first, second] = [await one.address(POOL), await two.address(POOL)];
  t.not(first, second);
  await two.createEndpoint(1, second);
  await two.join(1);
  t.is((await b.endpoints())[0]?.address, second);
  await two.leave(1);
  await two.deleteEndpoint(1);
  await one.deleteNetwork();
  await world.pass(2000);
  await two.deleteNetwork();
  await world.pass(5000);
  t.deepEqual([...(await names(a)), ...(await names(b))], []);
  t.deepEqual([...(await a.links()), ...(await b.links())], []);
});

test('two meshes made one network: containers of the younger go on, and keep or refuse', async (t) => {
  const { world, a, b, one, two } = await makeApart(t);
  await two.createNetwork(SUBNET);
  const attach = async (engine: FakeEngine, number: number, last: number) => {
    await engine.createEndpoint(number, await engine.address(POOL, `10.77.0.${last}`));
    const device = await engine.join(number);
    const { kernel } = engine.host;
    kernel.addNamespace(`${SANDBOX}${number}`);
    kernel.moveLink(device, 'eth0', `${SANDBOX}${number}`);
  };
  await attach(one, 1, 9);
  await attach(two, 2, 9);
  await attach(two, 3, 11);
  const before = await b.links();
  await b.run((control) => control.join(['192.0.2.1']));
  await world.pass(20_000);
  t.deepEqual(await b.links(), before);
  t.regex(await refusal(attach(two, 4, 12)), /two networks that were made by that name|dispute/);
  const plan = (await b.control.ipamPlan()).plan;
  t.is(
    await a.run(async (control) => (await control.ipamRepair(plan)).plan),
    '',
    'all is repaired',
  );
  await world.pass(20_000);
  t.deepEqual(await b.links(), before, 'not one is cut off');
  const { warnings } = await b.control.status();
  t.regex(warnings.join(), /docker network disconnect/);
  await two.leave(2);
  await two.deleteEndpoint(2);
  await two.release(POOL, '10.77.0.9');
  await world.pass(20_000);
  t.deepEqual(
    (await b.endpoints()).map(({ endpoint, network, address }) => [endpoint, network, address]),
    [
      [weftId(1), NAME, '10.77.0.9/24'],
      [weftId(3), NAME, '10.77.0.11/24'],
    ],
  );
  t.deepEqual(await names(b), [NAME]);
  t.deepEqual(await b.run(async (control) => (await control.ipamAudit()).findings), []);
  const after = await b.links();
  // The engine starts anew and replays; then the last container goes.
  b.kill();
  await b.start();
  await world.pass(5000);
  t.deepEqual(await b.links(), after);
  t.is(await two.pool(SUBNET), POOL);
  t.is(await two.address(POOL, '10.77.0.11'), '10.77.0.11/24');
  await two.leave(3);
  await two.deleteEndpoint(3);
  for (const last of [11, 12]) await two.release(POOL, `10.77.0.${last}`);
  t.deepEqual(
    [...b.disk.keys()].filter((key) => key.includes('reservation')),
    [],
  );
});

test('a network of a person is used by name and outlives the engine', async (t) => {
  const { a, one } = await makeHosts(t);
  await a.run((control: Control) =>
    control.createNetwork({ name: 'blue', subnet: SUBNET, vni: 42 }),
  );
  const options = { 'weft.network': 'blue' };
  const pool = await one.createNetwork(SUBNET, { options, ipam: { Options: options } });
  t.regex(pool, /^weft,blue,/);
  const address = await one.address(pool);
  await one.createEndpoint(1, address);
  await one.join(1);
  t.deepEqual(
    (await a.endpoints()).map(({ network }) => network),
    ['blue'],
  );
  await one.leave(1);
  await one.deleteEndpoint(1);
  await one.deleteNetwork();
  t.deepEqual(await names(a), ['blue']);
});

test('-o weft.network alone names the network too', async (t) => {
  const { a, one } = await makeHosts(t);
  const pool = await one.createNetwork(SUBNET, { options: { 'weft.network': 'green' } });
  t.deepEqual(await names(a), ['green']);
  t.regex(await one.address(pool), /^10\.77\.0\.\d+\/24$/);
});

test('gateway, auxiliary addresses, range, VNI and MTU are the network’s', async (t) => {
  const { a, one } = await makeHosts(t);
  const pool = await one.createNetwork(SUBNET, {
    options: { 'weft.vni': '77', 'weft.mtu': '1400' },
    ipam: { SubPool: '10.77.0.128/25' },
    aux: { printer: '10.77.0.5' },
    gateway: '10.77.0.254',
  });
  const [network] = await a.control.listNetworks();
  t.like(network, {
    ...{ vni: 77, mtu: 1400, ipRange: '10.77.0.128/25', gateway: '10.77.0.254' },
    reserved: ['10.77.0.5'],
  });
  const chosen = await one.address(pool);
  t.true(Number(/^10\.77\.0\.(\d+)\/24$/.exec(chosen)?.[1]) >= 128, chosen);
  t.is(await one.address(pool, '10.77.0.9'), '10.77.0.9/24');
  t.regex(await refusal(one.address(pool, '10.77.0.9')), /10\.77\.0\.9.*belongs to/);
  t.regex(await refusal(one.address(pool, '10.77.0.254')), /is the gateway/);
  t.regex(await refusal(one.address(pool, '10.77.0.5')), /reserved/);
});

test('containers are kept from each other if that was asked for, on every host', async (t) => {
  const { world, a, b, one, two } = await makeHosts(t);
  const isolate = { options: { 'weft.isolate': 'true' } };
  const pool = await one.createNetwork(SUBNET, isolate);
  await world.pass(2000);
  const sentence = await refusal(
    two.createNetwork(SUBNET, { id: 'b'.repeat(64), options: { 'weft.isolate': 'false' } }),
  );
  t.regex(sentence, /exists and is isolated; leave out -o weft\.isolate/);
  await two.createNetwork(SUBNET, { id: 'b'.repeat(64) });
  t.regex(
    await refusal(one.createNetwork('10.79.0.0/24', { options: { 'weft.isolate': 'yes' } })),
    /Option weft\.isolate is "yes"; give true or false/,
  );
  await one.createEndpoint(1, await one.address(pool));
  await one.join(1);
  t.true(a.kernel.find(hostEndName(weftId(1)))?.isIsolated);
  for (const host of [a, b]) {
    t.like((await host.control.listNetworks())[0], { isolated: true });
    for (const name of (await host.links()).filter((each) => each.startsWith('wtap-'))) {
      t.true(host.kernel.find(name)?.isIsolated, 'what other hosts send reaches nobody either');
    }
  }
});

test('names that people have added to a network go with it', async (t) => {
  const { world, a, b, one, two } = await makeHosts(t);
  await one.createNetwork(SUBNET);
  await world.pass(2000);
  await two.createNetwork(SUBNET);
  const add = (network?: string) =>
    a.run((control) =>
      control.addName({ name: 'db', address: '10.77.0.9', ...(network && { network }) }),
    );
  await add(NAME);
  await add();
  await one.deleteNetwork();
  await world.pass(2000);
  t.is((await a.control.listNames()).length, 2, 'the other engine has the network still');
  await two.deleteNetwork();
  await world.pass(2000);
  for (const host of [a, b]) {
    t.deepEqual(
      (await host.control.listNames()).map(({ network }) => network),
      [undefined],
    );
  }
});

const INTERNAL = { 'com.docker.network.internal': true };

/** What the kernel's table of Weft's holds, as text. */
const rules = ({ nft }: MortalHost): string => JSON.stringify(nft.tables.get('weft') ?? []);
/** How many rules masquerade what comes from the subnet. */
const masquerades = ({ nft }: MortalHost): number =>
  (nft.tables.get('weft') ?? [])
    .map((object) => JSON.stringify(object))
    .filter((text) => text.includes('"masquerade"') && text.includes('10.77.0.0')).length;
/** Where published ports lead to, as PORT>ADDRESS:PORT, in the prerouting chain. */
const translations = ({ nft }: MortalHost): string[] =>
  (nft.tables.get('weft') ?? []).flatMap((object) => {
    const text = JSON.stringify(object);
    const to = /"chain":"prerouting".*"dport"}},"right":(\d+)}}.*"addr":"([\d.]+)","port":(\d+)/;
    const [, hostPort, address, port] = to.exec(text) ?? [];
    return address === undefined ? [] : [`${hostPort}>${address}:${port}`];
  });

test('a network has its gateway on every host, and containers a default route to it', async (t) => {
  const { world, a, b, one, two } = await makeHosts(t);
  await one.createNetwork(SUBNET, { gateway: '10.77.0.254' });
  await world.pass(2000);
  await two.createNetwork(SUBNET);
  const { vni = 0 } = (await a.control.listNetworks())[0] ?? {};
  for (const [host, engine] of [[a, one] as const, [b, two] as const]) {
    const bridge = host.kernel.find(`weft-${vni}`);
    t.deepEqual(
      bridge?.addresses.map(({ address, prefixLength }) => `${address}/${prefixLength}`),
      ['10.77.0.254/24'],
    );
    t.is(masquerades(host), 2);
    await engine.createEndpoint(1, await engine.address(POOL));
    const said = await engine.joined(1);
    t.is(said['Gateway'], '10.77.0.254');
    t.true(said['DisableGatewayService']);
    await engine.leave(1);
    await engine.deleteEndpoint(1);
    await engine.deleteNetwork();
  }
  t.deepEqual([...a.nft.tables, ...b.nft.tables], []);
});

test('an internal network has no way out, and none in', async (t) => {
  const { a, one, two } = await makeHosts(t);
  await one.createNetwork(SUBNET, { own: INTERNAL });
  t.is((await a.control.listNetworks())[0]?.edge, 'internal');
  t.is(masquerades(a), 0);
  await one.createEndpoint(1, await one.address(POOL));
  // Docker itself takes such ports without a word.
  t.false('Gateway' in (await one.joined(1, { ports: [portMapping(8080)] })));
  t.regex(await refusal(one.publish(1, [portMapping(8080)])), /is internal, so no port/);
  t.regex(
    await refusal(one.createNetwork(SUBNET, { id: 'c'.repeat(64) })),
    /is Docker network a{12} on this host already/,
  );
  t.regex(
    await refusal(two.createNetwork(SUBNET)),
    /exists and is internal; give --internal, or give another name/,
  );
});

test('published ports lead to the container until it leaves, and over a restart', async (t) => {
  const { a, one } = await makeHosts(t);
  const pool = await one.createNetwork(SUBNET);
  await one.createEndpoint(1, await one.address(pool, '10.77.0.9'));
  const device = await one.join(1);
  await one.publish(1, [
    portMapping(8080),
    portMapping(9000, { HostPortEnd: 9002 }),
    { ...portMapping(9000, { HostPortEnd: 9002 }), Port: 81 },
    portMapping(5353, { Proto: 17, HostIP: '127.0.0.1' }),
    portMapping(0),
  ]);
  const to = '10.77.0.9:80';
  const expected = [
    ...[`8080>${to}`, `9000>${to}`, '9001>10.77.0.9:81', `5353>${to}`, `32768>${to}`],
  ];
  t.deepEqual(translations(a), expected);
  t.regex(rules(a), /"daddr"}},"right":"127\.0\.0\.1"}}.*"udp".*5353/);
  a.kernel.addNamespace(SANDBOX);
  a.kernel.moveLink(device, 'eth0', SANDBOX);
  a.kill();
  a.nft.tables.clear();
  await a.start();
  t.deepEqual(translations(a), expected);

  // Said again, it is what was said last; a port of another is refused, and nothing of it stays.
  await one.publish(1, [portMapping(8080)]);
  t.deepEqual(translations(a), [`8080>${to}`]);
  await one.createEndpoint(2, await one.address(pool, '10.77.0.10'));
  await one.join(2);
  const said = await refusal(one.publish(2, [portMapping(8081), portMapping(8080)]));
  t.regex(said, /^Port 8080\/tcp is published for endpoint/);
  t.deepEqual(translations(a), [`8080>${to}`]);
  a.nft.failWith = new Error('nft');
  t.not(await refusal(one.publish(2, [portMapping(8081)])), '');
  a.nft.failWith = undefined;
  t.deepEqual(
    (await a.endpoints()).map(({ ports = [] }) => ports.length),
    [1, 0],
  );

  for (let times = 0; times < 2; times++) await one.revoke(1);
  t.deepEqual(translations(a), []);
  await one.publish(2, [portMapping(8080)]);
  // An engine that was killed does not revoke.
  await one.leave(2);
  t.deepEqual(translations(a), []);
  await one.revoke(2);
});

test('a plain wire has no gateway: no route, and no ports of a container that is on nothing else', async (t) => {
  const { a, one } = await makeHosts(t);
  await a.run((control: Control) => control.createNetwork({ name: 'wire', subnet: SUBNET }));
  const options = { 'weft.network': 'wire' };
  const pool = await one.createNetwork(SUBNET, { options, ipam: { Options: options } });
  await one.createEndpoint(1, await one.address(pool));
  const ports = [portMapping(8080)];
  t.regex(await refusal(one.joined(1, { ports })), /^Network wire has no gateway.*leave out -p/);
  t.deepEqual(await a.endpoints(), []);
  t.false('Gateway' in (await one.joined(1)));
  await one.leave(1);
  const [id, other] = ['d'.repeat(64), '10.79.0.0/24'];
  const routed = await one.createNetwork(other, { id });
  await one.createEndpoint(2, await one.address(routed), { network: id });
  await one.joined(2, { network: id, ports });
  t.false('Gateway' in (await one.joined(1, { ports })), 'its ports are the other’s');
});

test('what was reserved is held over a restart, and the engine may say it again once', async (t) => {
  const { a, one } = await makeHosts(t);
  const pool = await one.createNetwork(SUBNET, { aux: { x: '10.77.0.5' } });
  const address = await one.address(pool);
  await one.createEndpoint(1, address);
  const device = await one.join(1);
  a.kernel.addNamespace(SANDBOX);
  a.kernel.moveLink(device, 'eth0', SANDBOX);
  a.kill();
  await a.start();
  t.deepEqual(
    (await a.endpoints()).map((row) => row.address),
    [address],
  );
  t.regex(await refusal(one.address(pool, address)), /belongs to/);
  // The engine starts anew and replays.
  t.is(await one.pool(SUBNET), pool);
  t.is(await one.gateway(pool, '10.77.0.1'), '10.77.0.1/24');
  t.is(await one.address(pool, '10.77.0.5'), '10.77.0.5/24');
  t.is(await one.address(pool, address), address);
  t.regex(await refusal(one.address(pool, address)), /belongs to/);
  await one.leave(1);
  await one.deleteEndpoint(1);
  await one.release(pool, address);
  t.deepEqual(await a.endpoints(), []);
});

test('a sandbox that vanished takes its endpoint along; an interface nobody fetched goes too', async (t) => {
  const { world, a, one } = await makeHosts(t);
  const pool = await one.createNetwork(SUBNET);
  await one.createEndpoint(1, await one.address(pool));
  a.kernel.addNamespace(SANDBOX);
  a.kernel.moveLink(await one.join(1), 'eth0', SANDBOX);
  await one.createEndpoint(2, await one.address(pool));
  await one.join(2);
  await world.pass(30_000);
  t.is((await a.endpoints()).length, 2);
  a.kernel.removeNamespace(SANDBOX);
  await world.pass(15_000);
  t.deepEqual(
    (await a.endpoints()).map(({ endpoint }) => endpoint),
    [weftId(2)],
  );
  await world.pass(120_000);
  t.deepEqual(await a.endpoints(), []);
  t.is(a.kernel.find(hostEndName(weftId(2))), undefined);
  t.deepEqual(await one.leave(2), {});
});

test('an address that an engine asked for and forgot comes back', async (t) => {
  const { world, one } = await makeHosts(t);
  const pool = await one.createNetwork('10.77.0.0/30');
  const address = await one.address(pool);
  t.regex(await refusal(one.address(pool)), /./);
  await world.pass(700_000);
  t.is(await one.address(pool), address);
});

test('a pool that overlaps a route of the host is refused with the route', async (t) => {
  const { a, one } = await makeHosts(t);
  a.kernel.addRoute({ destination: '10.77.0.128/25', device: 'u0' });
  const said = await refusal(one.createNetwork(SUBNET));
  t.regex(said, /overlaps the host's route to 10\.77\.0\.128\/25 by u0/);
  t.deepEqual(await names(a), []);
});

/** What is on disk, but for rows: one that was taken back leaves a tombstone. */
const kept = ({ disk }: MortalHost): string[] =>
  [...disk.keys()].filter((key) => !key.startsWith('row\0')).sort();

const WRONG: readonly (readonly [string, unknown, RegExp])[] = [
  ['NetworkDriver.Nothing', {}, /does not know the call/],
  ['Nothing', null, /does not know the call/],
  ['NetworkDriver.CreateNetwork', null, /CreateNetwork has a wrong body/],
  ['NetworkDriver.CreateNetwork', { NetworkID: 'a/b' }, /wrong NetworkID/],
  ['NetworkDriver.CreateNetwork', { NetworkID: 5 }, /wrong NetworkID/],
  ['NetworkDriver.CreateNetwork', { NetworkID: NETWORK_ID, IPv4Data: 'x' }, /wrong IPv4Data/],
  ['NetworkDriver.CreateNetwork', { NetworkID: NETWORK_ID }, /one IPv4 subnet/],
  ['NetworkDriver.CreateEndpoint', { NetworkID: NETWORK_ID }, /wrong EndpointID/],
  [
    'NetworkDriver.CreateEndpoint',
    { NetworkID: NETWORK_ID, EndpointID: endpointId(1), Interface: {} },
    /none of this host's/,
  ],
  [
    'NetworkDriver.Join',
    { NetworkID: NETWORK_ID, EndpointID: endpointId(1), SandboxKey: SANDBOX },
    /none of this host's/,
  ],
  ['IpamDriver.RequestPool', { Pool: '10.0.0.0/33' }, /no subnet/],
  ['IpamDriver.RequestPool', { Pool: '10.0.0.1/24' }, /host bits/],
  ['IpamDriver.RequestPool', { Pool: '', SubPool: '10.0.0.0/25' }, /needs a --subnet/],
  ['IpamDriver.RequestPool', { AddressSpace: 'Other', Pool: SUBNET }, /Address space "Other"/],
  ['IpamDriver.RequestPool', { Pool: SUBNET, Options: { 'weft.netwrk': 'x' } }, /did you mean/],
  [
    'NetworkDriver.ProgramExternalConnectivity',
    {
      NetworkID: NETWORK_ID,
      EndpointID: endpointId(1),
      Options: { 'com.docker.network.portmap': 7 },
    },
    /wrong com\.docker\.network\.portmap/,
  ],
  [
    'NetworkDriver.ProgramExternalConnectivity',
    {
      ...{ NetworkID: NETWORK_ID, EndpointID: endpointId(1) },
      Options: { 'com.docker.network.portmap': [portMapping(80, { Proto: 132 })] },
    },
    /IP protocol 132, and Weft publishes tcp and udp/,
  ],
  ['IpamDriver.RequestAddress', { PoolID: 'a/b' }, /no pool of Weft/],
  ['IpamDriver.RequestAddress', { PoolID: `weft,none,${SUBNET}` }, /not made yet/],
  ['IpamDriver.ReleaseAddress', { PoolID: 7 }, /wrong PoolID/],
];

test('wrong calls get one sentence in the field that their API reads, and change nothing', async (t) => {
  const { a, one } = await makeHosts(t);
  const disk = kept(a);
  for (const [name, body, sentence] of WRONG) {
    const said = await refusal(one.call(name, body));
    t.regex(said, sentence, `${name} ${JSON.stringify(body)}`);
    t.regex(said, /^[^\n]*[.?]$/);
  }
  for (const options of [
    { foo: 'bar' },
    { 'weft.vni': 'x' },
    { 'weft.vni': '99999999' },
    { 'weft.encap': 'gre' },
  ]) {
    t.regex(await refusal(one.createNetwork(SUBNET, { options })), /foo|vni|VNI|encap/);
  }
  t.deepEqual(kept(a), disk);
  t.deepEqual(await names(a), []);
  t.deepEqual(await a.links(), []);
});

test('a kernel that refuses at any step of Join leaves nothing, and the next Join works', async (t) => {
  const { a, one } = await makeHosts(t);
  const pool = await one.createNetwork(SUBNET);
  await one.createEndpoint(1, await one.address(pool));
  const before = a.kernel.snapshot();
  for (let step = 1; ; step++) {
    a.kernel.failAt = a.kernel.steps + step;
    const said = await refusal(one.join(1));
    a.kernel.failAt = Infinity;
    if (said === '') break;
    t.deepEqual(a.kernel.snapshot(), before, `step ${step}: ${said}`);
    t.deepEqual(await a.endpoints(), []);
  }
  t.is((await a.endpoints()).length, 1);
});

test('500 calls at once: each has an answer, no address comes twice', async (t) => {
  const { world, a, one } = await makeHosts(t);
  const pool = await one.createNetwork('10.78.0.0/16');
  const asked = Promise.all(
    Array.from({ length: 500 }, () =>
      a.docker.call('IpamDriver.RequestAddress', { PoolID: pool, Address: '', Options: null }),
    ),
  );
  // The disk in memory takes a quarter of a second for each.
  await world.pass(150_000);
  const answers = await asked;
  const given = answers.map(({ body }) => (body as { Address?: string }).Address);
  t.is(new Set(given).size, 500);
  t.false(given.includes(undefined));
});
