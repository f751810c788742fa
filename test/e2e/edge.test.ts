import test, { type ExecutionContext } from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { NetworkDetail } from '../../src/api/control.ts';
import { internet } from './internet.ts';
import { eventually, startMesh, type TestMesh, type WeftHost } from './mesh.ts';

const LONG_MS = 20_000;
/** By its path: npx puts another program of that name first. */
const NFT = '/usr/sbin/nft';

async function known(host: WeftHost, network: string): Promise<void> {
  await eventually(
    async () => (await host.tryWeft('network', 'inspect', network)).status === 0,
    LONG_MS,
  );
}

const answersSoon = (from: LabNamespace, target: string): Promise<number> =>
  eventually(() => from.answers(target), LONG_MS);

const isSilent = async (from: LabNamespace, target: string): Promise<boolean> =>
  !(await from.answers(target, { waitSeconds: 1 }));

async function setBridgeFilter(host: WeftHost, value: 0 | 1): Promise<boolean> {
  const { status } = await host.namespace.tryRun('sysctl', [
    ...['-q', '-w', `net.bridge.bridge-nf-call-iptables=${value}`],
  ]);
  return status === 0;
}

/** What an interface of `where` sees, as tshark tells it: one line a packet. */
async function capture(
  where: LabNamespace,
  device: string,
  filter: string,
  fields: readonly string[],
) {
  const shark = where.start('tshark', [
    ...['-i', device, '-l', '-n', '-f', filter, '-T', 'fields', '-E', 'separator=;'],
    ...fields.flatMap((field) => ['-e', field]),
  ]);
  await shark.waitForLine(/Capture started/, LONG_MS);
  return shark;
}

interface Edge {
  readonly mesh: TestMesh;
  readonly a: WeftHost;
  readonly b: WeftHost;
  readonly outside: LabNamespace;
}

async function edge(t: ExecutionContext, area: string): Promise<Edge> {
  const mesh = await startMesh(t, area, ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  return { mesh, a, b, outside: await internet(mesh) };
}

test('a routed network reaches outside from every host, an internal one nobody', async (t) => {
  const { mesh, a, b, outside } = await edge(t, 'edge');
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--routed');
  await a.weft('network', 'create', 'dark', '--subnet', '10.8.0.0/24', '--internal');
  await a.weft('network', 'create', 'wire', '--subnet', '10.7.0.0/24');
  const [web, db, cave, twin] = await Promise.all(
    ['web', 'db', 'cave', 'twin'].map((name) => mesh.container(name)),
  );
  if (!web || !db || !cave || !twin) throw new Error('four containers were asked for');
  await a.attach('blue', web, '10.7.0.10');
  await known(b, 'wire');
  await b.attach('blue', db, '10.7.0.11');
  await a.attach('dark', cave, '10.8.0.10');
  await b.attach('wire', twin, '10.7.0.10');

  const answers = await capture(outside, 'any', 'icmp', ['ip.src', 'ip.dst']);
  await answersSoon(web, '203.0.113.1');
  await answersSoon(db, '203.0.113.1');
  await answersSoon(web, '10.7.0.11');
  await answers.waitForLine(/^198\.51\.100\.1;203\.0\.113\.1$/m, LONG_MS);
  await answers.waitForLine(/^198\.51\.100\.5;203\.0\.113\.1$/m, LONG_MS);
  t.false(/^10\./m.test(answers.output), 'what leaves bears the address of its host');

  // Same MAC and address everywhere, and none of its frames on the tunnel.
  const neighbour = async (sandbox: LabNamespace): Promise<string> =>
    /lladdr (\S+)/.exec(await sandbox.ip('neigh show 10.7.0.1'))?.[1] ?? 'none';
  t.is(await neighbour(web), await neighbour(db));
  t.regex(await neighbour(web), /^02:57:45:/);
  const { drops } = (await a.status()).dataPlane;
  t.true((drops['port_gateway'] ?? 0) > 0);
  t.is(drops['vxlan_gateway'], 0);

  // The internal network has its gateway, but no way out; no network leads into another.
  t.true(await cave.answers('10.8.0.1'));
  await cave.ip('route add default via 10.8.0.1');
  for (const target of ['203.0.113.1', '10.7.0.10', '10.7.0.1']) {
    t.true(await isSilent(cave, target), `internal to ${target}`);
  }
  t.true(await isSilent(web, '10.8.0.10'), 'nor from a routed network into it');
  t.true(await isSilent(web, '10.8.0.1'), 'nor to its gateway');

  // The twin has the address of another network's endpoint; neither hears of the other.
  const heard = await capture(twin, 'eth0', 'arp', ['arp.src.proto_ipv4', 'arp.dst.proto_ipv4']);
  await db.ip('neigh flush dev eth0');
  t.is((await db.ping('10.7.0.10')).received, 3);
  t.true(await isSilent(db, '10.7.0.77'));
  await twin.tryRun('ping', ['-c', '1', '-W', '1', '10.7.0.78']);
  await heard.waitForLine(/;10\.7\.0\.78$/m, LONG_MS);
  t.false(/10\.7\.0\.77|10\.7\.0\.11/.test(heard.output), heard.output);

  // Whoever is in two networks is no way from one to the other.
  const both = await mesh.container('both');
  await both.run('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=1']);
  await a.attach('blue', both, '10.7.0.20');
  await a.attach('dark', both, '10.8.0.20', '--ifname', 'eth1');
  await web.ip('route add 10.8.0.0/24 via 10.7.0.20');
  await cave.ip('route add 10.7.0.0/24 via 10.8.0.20');
  await answersSoon(web, '10.7.0.20');
  t.true(await isSilent(web, '10.8.0.10'));

  // What bridged frames are subject to on a host with br_netfilter makes no difference.
  if (await setBridgeFilter(a, 1)) {
    t.is((await web.ping('10.7.0.20')).received, 3);
    t.is((await web.ping('203.0.113.1')).received, 3);
    await setBridgeFilter(a, 0);
  }

  // Nobody outside gets in by a route to the subnet.
  await outside.ip('route add 10.7.0.0/24 via 198.51.100.1');
  t.true(await isSilent(outside, '10.7.0.10'));

  // The table is repaired, and goes with the last network that needs it.
  await a.namespace.run(NFT, ['flush', 'ruleset']);
  await a.daemon?.waitForLine(/Table inet weft of nftables was gone; made again/, LONG_MS);
  t.is((await web.ping('203.0.113.1')).received, 3);
  for (const [network, sandbox] of [
    ['blue', web],
    ['blue', both],
    ['dark', both],
    ['dark', cave],
  ] as const) {
    await a.weft('detach', network, '--netns', sandbox.name);
  }
  await eventually(
    async () => (await a.namespace.run(NFT, ['list', 'tables'])).trim() === '',
    LONG_MS,
  );
  const uplink = await a.namespace.run('cat', ['/proc/sys/net/ipv4/conf/inet0/forwarding']);
  t.is(uplink.trim(), await hostDefault(a), 'what was opened is closed again');
});

/** What the kernel gave new interfaces: a lab on a host that forwards does so, too. */
async function hostDefault(host: WeftHost): Promise<string> {
  return (await host.namespace.run('cat', ['/proc/sys/net/ipv4/conf/default/forwarding'])).trim();
}

test('a subnet that a host has a route for gets no gateway there', async (t) => {
  const { mesh, a, b } = await edge(t, 'route');
  const taken = await a.tryWeft(
    'network',
    'create',
    'x',
    '--subnet',
    '198.51.100.0/24',
    '--routed',
  );
  t.is(taken.status, 1);
  t.regex(taken.stderr, /overlaps the route "198\.51\.100\.0\/30 dev inet0" of this host/);
  const plain = await a.weft('network', 'create', 'x', '--subnet', '198.51.100.0/24');
  t.regex(plain, /198\.51\.100\.0\/24/);

  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--internal');
  const second = await a.tryWeft('network', 'create', 'red', '--subnet', '10.7.0.0/16', '--routed');
  t.regex(second.stderr, /overlaps 10\.7\.0\.0\/24 of network blue/);
  await known(b, 'blue');
  await b.namespace.ip('route add 10.7.0.128/25 dev inet0');
  const web = await mesh.container('web');
  const refused = await b.tryWeft('attach', 'blue', '--netns', web.name);
  t.regex(refused.stderr, /overlaps the route "10\.7\.0\.128\/25 dev inet0"/);
  const { attached } = await b.json<NetworkDetail>('network', 'inspect', 'blue');
  t.deepEqual(attached, []);
  t.false((await b.namespace.ip('link show')).includes('weft:'), 'nothing half done');
});
