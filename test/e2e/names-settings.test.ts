import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { NetworkDetail } from '../../src/api/control.ts';
import { eventually, joinMesh, makeHosts, startMesh, timed, waitForPeers } from './mesh.ts';

const NAME_SERVER = fileURLToPath(new URL('./name-server-program.js', import.meta.url));
const NFT = '/usr/sbin/nft';
const LONG_MS = 20_000;
const ROUTED = ['network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--routed'] as const;
const GATEWAY = '10.7.0.1';

/** The status that an answer bears and what it says; undefined if there is none. */
async function dig(from: LabNamespace, server: string, name: string) {
  const { stdout } = await from.tryRun('dig', [`@${server}`, '+timeout=1', '+tries=1', name]);
  const status = /status: ([A-Z]+)/.exec(stdout)?.[1];
  const addresses = [...stdout.matchAll(/[ \t]IN[ \t]+A[ \t]+(\S+)/g)].map(
    ([, address]) => address ?? '',
  );
  return status === undefined ? undefined : { status, addresses };
}

async function knows(from: LabNamespace, name: string, address: string): Promise<boolean> {
  return (await dig(from, GATEWAY, name))?.addresses.join() === address;
}

test('without names nothing listens for questions, and other servers are reached', async (t) => {
  const mesh = await makeHosts(t, 'nodns', ['a', 'dns']);
  const [a, dns] = mesh.hosts;
  if (!a || !dns) throw new Error('two hosts were asked for');
  const upstream = dns.namespace.start(process.execPath, [NAME_SERVER, dns.host.address]);
  await upstream.waitForLine(/^listening/);
  await a.up('--dns', 'off');
  await a.weft(...ROUTED);
  const web = await mesh.container('web');
  await a.attach('blue', web, '10.7.0.2', '--dns-name', 'web');
  const away = async () => dig(web, dns.host.address, 'away.example');
  await eventually(async () => (await away())?.addresses[0] === '198.51.100.7', LONG_MS);
  t.is(await dig(web, GATEWAY, 'web.weft.local'), undefined);
  const { dns: told } = await a.json<NetworkDetail>('network', 'inspect', 'blue');
  t.is(told, undefined, 'nobody is told to ask here');
  t.notRegex(await a.namespace.run('ss', ['-Hlntu']), /:53\s/);
});

test('the domain is what was asked for, with and without the last dot', async (t) => {
  const mesh = await makeHosts(t, 'domain', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  await a.up('--dns-domain', 'foo.bar.');
  await b.up('--dns-domain', 'foo.bar');
  await joinMesh(b, a);
  await Promise.all([a, b].map((host) => waitForPeers(host, 2)));
  await a.weft(...ROUTED);
  await eventually(
    async () => (await b.tryWeft('network', 'inspect', 'blue')).status === 0,
    LONG_MS,
  );
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.attach('blue', web, '10.7.0.2', '--dns-name', 'web');
  await b.attach('blue', db, '10.7.0.3', '--dns-name', 'db');
  for (const from of [web, db]) {
    await eventually(() => knows(from, 'web.foo.bar', '10.7.0.2'), LONG_MS);
    await eventually(() => knows(from, 'db.blue.foo.bar.', '10.7.0.3'), LONG_MS);
    t.deepEqual((await dig(from, GATEWAY, 'web.weft.local'))?.addresses ?? [], []);
  }
  for (const host of [a, b]) {
    const { dns } = await host.json<NetworkDetail>('network', 'inspect', 'blue');
    t.deepEqual(dns, { servers: [GATEWAY], search: ['foo.bar'] });
  }
});

test('a name that went while its host was cut off is gone within two seconds of its return', async (t) => {
  const mesh = await startMesh(t, 'stale', ['a', 'b', 'c']);
  const [a, b, c] = mesh.hosts;
  if (!a || !b || !c) throw new Error('three hosts were asked for');
  await a.weft(...ROUTED);
  await eventually(
    async () => (await c.tryWeft('network', 'inspect', 'blue')).status === 0,
    LONG_MS,
  );
  const [web, db, kept] = (await Promise.all(
    ['web', 'db', 'kept'].map((name) => mesh.container(name)),
  )) as [LabNamespace, LabNamespace, LabNamespace];
  await a.attach('blue', web, '10.7.0.2', '--dns-name', 'web');
  await c.attach('blue', db, '10.7.0.3', '--dns-name', 'db');
  await c.attach('blue', kept, '10.7.0.4', '--dns-name', 'kept');
  await eventually(() => knows(web, 'db.weft.local', '10.7.0.3'), LONG_MS);

  const hook = (name: string): string => `type filter hook ${name} priority 0;`;
  await c.namespace.run(NFT, [
    `table inet cut { chain in { ${hook('input')} iif "u0" drop; }; chain out { ${hook('output')} oif "u0" drop; }; }`,
  ]);
  await Promise.all([waitForPeers(a, 2), waitForPeers(b, 2)]);
  // What a dead host has is not named; its rows are there.
  await eventually(async () => !(await knows(web, 'kept.weft.local', '10.7.0.4')), LONG_MS);
  await c.weft('detach', 'blue', '--netns', db.name);
  await c.kill();
  await c.up();

  await c.namespace.run(NFT, ['delete', 'table', 'inet', 'cut']);
  await Promise.all([a, b, c].map((host) => waitForPeers(host, 3)));
  const back = await timed(
    () => eventually(() => knows(web, 'kept.weft.local', '10.7.0.4'), LONG_MS),
    2000,
  );
  t.true(back.ms <= back.allowedMs, back.text);
  t.is((await dig(web, GATEWAY, 'db.weft.local'))?.status, 'NXDOMAIN');
});
