import test, { type ExecutionContext } from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { EndpointInfo, NameInfo, NetworkInfo, PoolInfo } from '../../src/api/control.ts';
import { CniRuntime } from './cni-runtime.ts';
import {
  DATA_PLANES,
  type DataPlaneName,
  eventually,
  startMesh,
  type TestMesh,
  type WeftHost,
} from './mesh.ts';

const LONG_MS = 20_000;
/** By its path: npx puts another program of that name first. */
const NFT = '/usr/sbin/nft';

/** Greets whoever connects to port 5000, and asks a port for its greeting. */
const ECHO = `require('net').createServer((s) => s.end('hello')).listen(5000, '::', () => console.log('listening'))`;
const ASK = `const [host, port] = process.argv.slice(1);
setTimeout(() => process.exit(1), 5000);
require('net').connect(+port, host).on('data', (b) => console.log(String(b))).on('end', () => process.exit())`;

const bare = (cidr = ''): string => cidr.split('/')[0] ?? '';

/** Its addresses without prefix lengths, IPv4 first. */
const both = ({ address, address6 }: EndpointInfo): readonly [string, string] => [
  bare(address),
  bare(address6),
];

const attach = (
  host: WeftHost,
  sandbox: LabNamespace,
  ...more: readonly string[]
): Promise<EndpointInfo> =>
  host.json<EndpointInfo>('attach', 'web', '--netns', sandbox.name, ...more);

/** What the pools of the network count as in use on a host. */
async function used(host: WeftHost): Promise<number[]> {
  const pools = await host.json<PoolInfo[]>('ipam', 'status');
  return pools.filter(({ network }) => network === 'web').map(({ here }) => here.used);
}

async function knows(host: WeftHost, network: string): Promise<void> {
  await eventually(
    async () => (await host.tryWeft('network', 'inspect', network)).status === 0,
    LONG_MS,
  );
}

async function twoHosts(t: ExecutionContext, area: string, kind: DataPlaneName = 'native') {
  const mesh = await startMesh(t, area, ['a', 'b'], kind);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  return { mesh, a, b };
}

async function bothFamiliesCross(t: ExecutionContext, kind: DataPlaneName): Promise<void> {
  const { mesh, a, b } = await twoHosts(t, `dual${kind[0]}`, kind);
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  const made = await a.json<NetworkInfo>(
    ...['network', 'create', 'web', '--subnet', '10.32.0.0/16', '--ipv6', '--vni', '42'],
  );
  t.regex(made.subnet6 ?? '', /^fd[0-9a-f]{2}:[0-9a-f:]+:2a::\/64$/);
  await knows(b, 'web');
  t.deepEqual(await b.json('network', 'ls'), await a.json('network', 'ls'));

  const there = await attach(b, db);
  const here = await attach(a, web);
  // Usable as soon as it is told: nothing is tentative.
  t.false(
    /tentative.*scope global|scope global.*tentative/.test(await web.ip('-6 addr show dev eth0')),
  );
  t.is((await web.ip('-6 addr show dev eth0 scope global')).match(/inet6/g)?.length, 1);
  for (const target of both(there)) {
    await eventually(() => web.answers(target), LONG_MS);
    const { sent, received } = await web.ping(target, { count: 100, intervalSeconds: 0.01 });
    t.is(received, sent, target);
    const large = await web.ping(target, { count: 20, intervalSeconds: 0.01, bytes: 1300 });
    t.is(large.received, 20, target);
    const sentThere = await web.transferTo(db, { address: target, bytes: 10_000_000 });
    t.true(sentThere.isIntact, target);
  }
  for (const target of both(here)) {
    t.true((await db.transferTo(web, { address: target, bytes: 1_000_000 })).isIntact, target);
  }

  // Both questions are answered where they are asked, from the one row of the endpoint.
  await web.ip('neigh flush dev eth0');
  for (const target of both(there)) t.true(await web.answers(target));
  const { answered } = (await a.status()).dataPlane;
  t.true(answered.arp > 0 && answered.nd > 0, JSON.stringify(answered));

  // A restart takes both back, and what somebody took from the interface meanwhile.
  a.daemon?.signal('SIGTERM');
  await a.daemon?.exited;
  await web.ip(`addr del ${here.address6 ?? ''} dev eth0`);
  await a.up();
  await eventually(() => web.answers(both(there)[1]), LONG_MS);
  for (const target of both(there)) t.is((await web.ping(target)).received, 3, target);
  t.deepEqual(await used(a), [1, 1]);
  const again = await attach(a, web);
  t.deepEqual(both(again), both(here));
  t.deepEqual(await a.json('ipam', 'audit'), { findings: [], isClean: true });

  // Detaching frees both; killed at once, it stays so.
  await a.weft('detach', 'web', '--netns', web.name);
  await a.kill();
  await a.up();
  t.deepEqual(await used(a), [0, 0]);
  t.false((await web.ip('-br link')).includes('eth0'));
  t.deepEqual(await used(b), [1, 1]);
}

for (const kind of DATA_PLANES) {
  test(`${kind}: an endpoint of a network with two subnets has an address of both, across hosts and restarts`, (t) =>
    bothFamiliesCross(t, kind));
}

test('what is asked for is had or refused with the address, and nothing is half done', async (t) => {
  const { mesh, a, b } = await twoHosts(t, 'dualask');
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  const create = ['network', 'create', 'web', '--subnet', '10.32.0.0/24', '--subnet6'];
  const wrong = await a.tryWeft(...create, '10.33.0.0/24');
  t.is(wrong.status, 1);
  t.regex(wrong.stderr, /two IPv4 subnets; give an IPv4 one with --subnet and an IPv6 one/);
  t.deepEqual(await a.json('network', 'ls'), []);
  await a.weft(...create, 'fd00:32::/64', '--ip-range6', 'fd00:32::100/120');
  await knows(b, 'web');
  const first = await attach(a, web, '--ip', '10.32.0.20', '--ip6', 'fd00:32::20');
  t.deepEqual(both(first), ['10.32.0.20', 'fd00:32::20']);
  const taken = await b.tryWeft(
    ...['attach', 'web', '--netns', db.name, '--ip', '10.32.0.21', '--ip6', 'fd00:32::20'],
  );
  t.is(taken.status, 1);
  t.regex(taken.stderr, /Address fd00:32::20(\/64)? of network web belongs to/);
  t.deepEqual(await used(b), [0, 0]);
  t.false((await db.ip('-br link')).includes('eth0'));
  const second = await attach(b, db);
  t.regex(bare(second.address6), /^fd00:32::1[0-9a-f]{2}$/, 'from the range');
  const outside = await a.tryWeft('attach', 'web', '--netns', web.name, '--ip6', 'fd00:33::1');
  t.regex(outside.stderr, /outside the network's subnet fd00:32::\/64/);
});

/** Beyond the hosts' uplinks; it has no way back to addresses of containers. */
const OUTSIDE = ['203.0.113.1', '2001:db8:ffff::1'] as const;

async function internet(
  mesh: TestMesh,
  hosts: readonly WeftHost[],
): Promise<{ readonly outside: LabNamespace; readonly uplinks: readonly string[] }> {
  const outside = await mesh.lab.namespace('internet');
  await outside.ip(`addr add ${OUTSIDE[0]}/32 dev lo`);
  await outside.ip(`addr add ${OUTSIDE[1]}/128 dev lo nodad`);
  const uplinks: string[] = [];
  for (const [index, { namespace }] of hosts.entries()) {
    const subnets = [
      [`198.51.100.${index * 4 + 1}`, `198.51.100.${index * 4 + 2}`, '/30'],
      [`2001:db8:${index + 1}::1`, `2001:db8:${index + 1}::2`, '/64 nodad'],
    ] as const;
    await mesh.lab.link([namespace, 'inet0'], [outside, `h${index}`]);
    for (const [near, far, length] of subnets) {
      const [bits, ...nodad] = length.split(' ');
      await namespace.ip([`addr add ${near}${bits} dev inet0`, ...nodad].join(' '));
      await outside.ip([`addr add ${far}${bits} dev h${index}`, ...nodad].join(' '));
      await namespace.ip(`route add default via ${far} dev inet0`);
      uplinks.push(near);
    }
  }
  return { outside, uplinks };
}

/** What `dig +short` says, sorted. */
async function dig(from: LabNamespace, server: string, ...words: string[]): Promise<string[]> {
  const out = await from.run('dig', [`@${server}`, '+short', '+timeout=2', '+tries=2', ...words]);
  return out.split('\n').filter(Boolean).sort();
}

test('both gateways lead out, published ports lead in, and names have both addresses', async (t) => {
  const { mesh, a, b } = await twoHosts(t, 'dualedge');
  const { outside, uplinks } = await internet(mesh, [a, b]);
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  const made = await a.json<NetworkInfo>(
    ...['network', 'create', 'web', '--subnet', '10.32.0.0/24', '--ipv6', '--routed'],
  );
  const gateways = [made.gateway ?? '', made.gateway6 ?? ''];
  t.is(gateways[0], '10.32.0.1');
  t.is(gateways[1], `${bare(made.subnet6)}1`);
  await knows(b, 'web');
  const here = await attach(a, web, '--dns-name', 'web', '--publish', '8080:5000');
  const there = await attach(b, db, '--dns-name', 'db');
  for (const target of both(there)) await eventually(() => web.answers(target), LONG_MS);

  // Out by either family from either host, without a way back to the containers' own addresses.
  for (const sandbox of [web, db]) {
    for (const target of [...OUTSIDE, ...gateways]) {
      await eventually(() => sandbox.answers(target), LONG_MS);
    }
  }
  // A router that somebody plays on the wire is not heeded, and Weft plays none.
  const settings = await web.run('sysctl', ['-n', 'net.ipv6.conf.eth0.accept_ra']);
  t.is(settings.trim(), '0');
  const routes = await web.ip('-6 route show default');
  t.regex(routes, new RegExp(`^default via ${gateways[1]} dev eth0 metric 1024`));
  t.is(routes.trim().split('\n').length, 1, routes);

  // In by the port that the host publishes, at its address of either family.
  for (const address of uplinks.slice(0, 2)) {
    const server = web.start(process.execPath, ['-e', ECHO]);
    await server.waitForLine(/listening/, LONG_MS);
    const said = await outside.run(process.execPath, ['-e', ASK, address, '8080']);
    t.is(said.trim(), 'hello', address);
    server.signal('SIGTERM');
    await server.exited;
  }

  // Names have both addresses, and both have the name.
  for (const server of gateways) {
    await eventually(async () => {
      const found = await dig(web, server, 'db.weft.local', 'A').catch(() => []);
      return found.join() === both(there)[0];
    }, LONG_MS);
    t.deepEqual(await dig(web, server, 'db.weft.local', 'AAAA'), [both(there)[1]]);
    for (const address of both(there)) {
      t.deepEqual(await dig(web, server, '-x', address), ['db.weft.local.'], address);
    }
  }
  const names = await a.json<NameInfo[]>('dns', 'ls');
  t.deepEqual(
    names.filter(({ name }) => name === 'web').map(({ address }) => address),
    both(here),
  );

  // What goes with the last endpoint: addresses, forwarding, table, names.
  await a.weft('detach', 'web', '--netns', web.name);
  t.deepEqual(await used(a), [0, 0]);
  await eventually(
    async () => (await dig(db, gateways[1] ?? '', 'web.weft.local', 'AAAA')).length === 0,
    LONG_MS,
  );
  await eventually(
    async () => (await a.namespace.tryRun(NFT, ['list', 'table', 'inet', 'weft'])).status !== 0,
    LONG_MS,
  );
});

interface CniResult {
  readonly ips: readonly { readonly address: string; readonly gateway?: string }[];
  readonly routes: readonly { readonly dst: string }[];
}

test('libcni: pods of two nodes have both addresses and reach each other by both', async (t) => {
  const { mesh, a, b } = await twoHosts(t, 'dualcni');
  const pods = [await mesh.container('one'), await mesh.container('two')];
  const results: CniResult[] = [];
  const runtimes = [];
  for (const [index, host] of [a, b].entries()) {
    const pod = pods[index];
    if (!pod) throw new Error('two pods were asked for');
    const runtime = await CniRuntime.on(host.namespace, host.stateDirectory);
    runtime.configure('pods', '1.0.0', {
      ...{ type: 'weft', socket: host.socket, subnet: '10.7.0.0/24', subnet6: 'fd00:7::/64' },
      edge: 'routed',
    });
    const answer = await runtime.call('add', 'pods', pod.path, { containerId: pod.name });
    t.is(answer.status, 0, answer.stderr);
    results.push(JSON.parse(answer.stdout) as CniResult);
    const checked = await runtime.call('check', 'pods', pod.path, { containerId: pod.name });
    t.is(checked.status, 0, checked.stderr);
    runtimes.push({ runtime, pod });
  }
  const [first, second] = results;
  t.deepEqual(
    first?.ips.map(({ gateway }) => gateway),
    ['10.7.0.1', 'fd00:7::1'],
  );
  t.deepEqual(
    first?.routes.map(({ dst }) => dst),
    ['0.0.0.0/0', '::/0'],
  );
  t.is(second?.ips.length, 2);
  for (const { address } of second?.ips ?? []) {
    await eventually(() => pods[0]?.answers(bare(address)) ?? Promise.resolve(false), LONG_MS);
  }
  for (const { runtime, pod } of runtimes) {
    const deleted = await runtime.call('del', 'pods', pod.path, { containerId: pod.name });
    t.is(deleted.status, 0, deleted.stderr);
  }
  for (const host of [a, b]) {
    const pools = await host.json<PoolInfo[]>('ipam', 'status');
    t.deepEqual(
      pools.map(({ here }) => here.used),
      [0, 0],
    );
  }
});
