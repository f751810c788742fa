import { join } from 'node:path';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import { run } from '../../bench/lib/process.ts';
import { eventually, makeHosts, startMesh, waitForPeers, type WeftHost, joinMesh } from './mesh.ts';

const CREATE = ['network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--vni', '42'] as const;

/** By its path: one of AVA's dependencies puts another program of that name on npm's PATH. */
const NFT = '/usr/sbin/nft';

async function knowsBlue(host: WeftHost): Promise<void> {
  await eventually(
    async () => (await host.tryWeft('network', 'inspect', 'blue')).status === 0,
    5000,
  );
}

async function reaches(from: LabNamespace, to: string, timeoutMs: number): Promise<number> {
  return eventually(() => from.answers(to, { waitSeconds: 0.2 }), timeoutMs);
}

test('two hosts with IPv6 only, one on other ports, that join by bracketed address', async (t) => {
  const mesh = await makeHosts(t, 'six', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  await a.namespace.ip(`addr del ${a.host.address}/24 dev u0`);
  await a.up('--listen', '[::]:7783');
  // The IPv4 address that this host still has must not be what it tells the others.
  await b.up('--listen', '[::]:9000', '--vxlan-port', '14789');
  await joinMesh(b, a, `[${a.host.address6}]`);
  await Promise.all([waitForPeers(a, 2), waitForPeers(b, 2)]);
  t.is((await b.status()).advertise, `[${b.host.address6}]:9000`);

  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  const { mtu } = await a.json<{ mtu: number }>(...CREATE);
  t.is(mtu, 1500 - 94);
  await knowsBlue(b);
  await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', db, '10.7.0.3');
  await reaches(web, '10.7.0.3', 20_000);
  t.is((await db.ping('10.7.0.2', { count: 20, intervalSeconds: 0.01, bytes: 1400 })).received, 20);
});

test('what is deleted under a running daemon is repaired within its sweep, and the log says so', async (t) => {
  const mesh = await startMesh(t, 'heal', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.weft(...CREATE);
  await knowsBlue(b);
  const { endpoint } = await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', db, '10.7.0.3');
  await reaches(web, '10.7.0.3', 20_000);

  for (const name of ['wtap-42', 'weft-42', `wv${endpoint.slice(0, 12)}`]) {
    await a.namespace.ip(`link del ${name}`);
  }
  // Two sweeps: one may come while the three are being deleted.
  await reaches(web, '10.7.0.3', 21_000);
  for (const sentence of [
    /"Device wtap-42 was deleted; opened again\."/,
    /"Bridge weft-42 of network blue was missing; made\."/,
    /"Endpoint [0-9a-f]+ had no interface; made eth0 in [^"]+"/,
  ]) {
    // The log is written after the deed.
    const isTold = (): Promise<boolean> => Promise.resolve(sentence.test(a.daemon?.output ?? ''));
    await t.notThrowsAsync(eventually(isTold, 21_000), sentence.source);
  }
});

test('what is changed inside a container is repaired within its sweep, and the log says so', async (t) => {
  const mesh = await startMesh(t, 'inside', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.weft(...CREATE);
  await knowsBlue(b);
  await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', db, '10.7.0.3');
  await reaches(web, '10.7.0.3', 20_000);

  for (const [harm, sentence] of [
    ['addr del 10.7.0.2/24 dev eth0', /eth0 in [^ ]+: no address 10\.7\.0\.2\/24; repaired/],
    ['link set eth0 down', /eth0 in [^ ]+: down instead of up; repaired/],
    ['route del 10.7.0.0/24 dev eth0', /eth0 in [^ ]+: no route to 10\.7\.0\.0\/24; repaired/],
    ['link set eth0 mtu 1300', /eth0 in [^ ]+: MTU 1300 instead of 1426; repaired/],
  ] as const) {
    await web.ip(harm);
    // The log is kept whole: a sentence is looked for in what was said since.
    const said = a.daemon?.output.length ?? 0;
    await eventually(
      () => Promise.resolve(sentence.test(a.daemon?.output.slice(said) ?? '')),
      25_000,
    );
    await reaches(web, '10.7.0.3', 20_000);
    t.regex(a.daemon?.output ?? '', sentence);
  }
});

test('a host cut off is dead to the others; healed, all are alive and frames cross again', async (t) => {
  const mesh = await startMesh(t, 'cut', ['a', 'b', 'c']);
  const [a, b, c] = mesh.hosts;
  if (!a || !b || !c) throw new Error('three hosts were asked for');
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.weft(...CREATE);
  await knowsBlue(b);
  await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', db, '10.7.0.3');
  await reaches(web, '10.7.0.3', 20_000);

  const hook = (name: string): string => `type filter hook ${name} priority 0;`;
  const cut = `table inet cut { chain in { ${hook('input')} iif "u0" drop; }; chain out { ${hook('output')} oif "u0" drop; }; }`;
  await a.namespace.run(NFT, [cut]);
  await Promise.all([waitForPeers(b, 2), waitForPeers(c, 2)]);
  // Both sides go on by themselves; what they make is one thing afterwards.
  await a.weft('network', 'create', 'left', '--subnet', '10.8.0.0/24', '--vni', '8');
  await b.weft('network', 'create', 'right', '--subnet', '10.9.0.0/24', '--vni', '8');

  await a.namespace.run(NFT, ['delete', 'table', 'inet', 'cut']);
  await Promise.all([a, b, c].map((host) => waitForPeers(host, 3, 15_000)));
  await reaches(web, '10.7.0.3', 20_000);
  for (const host of [a, b, c]) {
    await eventually(async () => (await host.status()).networks === 3, 20_000);
    const { warnings } = await host.status();
    t.true(
      warnings.some((warning) =>
        /^Network right has VNI 8 of the older network left/.test(warning),
      ),
      warnings.join('\n'),
    );
  }
});

test('a full disk is told by command and status, and heals; the daemon goes on', async (t) => {
  const mesh = await makeHosts(t, 'full', ['a', 'b']);
  const [a] = mesh.hosts;
  if (!a) throw new Error('a host was asked for');
  mkdirSync(a.stateDirectory);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', a.stateDirectory]);
  t.teardown(() => run('umount', ['--lazy', a.stateDirectory]));
  await a.up();
  const ballast = join(a.stateDirectory, 'ballast');
  t.throws(() => writeFileSync(ballast, Buffer.alloc(2 ** 20)), { code: 'ENOSPC' });

  // The file has a few free pages, which some rows still fit in.
  const made: string[] = [];
  const create = (): ReturnType<typeof a.tryWeft> =>
    a.tryWeft('network', 'create', `n${made.length}`, '--subnet', '10.7.0.0/24');
  let said = await create();
  while (said.status === 0 && made.length < 100) {
    made.push(`n${made.length}`);
    said = await create();
  }
  // Refused in the middle, it is in effect, and is written as soon as there is room.
  if (said.stderr.includes('a restart will forget this change')) made.push(`n${made.length}`);
  t.is(said.status, 1);
  t.regex(said.stderr, /^weft: The state directory can't be written \(No space.*\n$/);
  t.true((await a.status()).warnings.some((warning) => warning.includes("can't be written")));

  rmSync(ballast);
  await a.weft('network', 'create', 'three', '--subnet', '10.7.0.0/24');
  t.false((await a.status()).warnings.some((warning) => warning.includes("can't be written")));
  await a.kill();
  await a.up();
  const names = (await a.json<{ name: string }[]>('network', 'ls')).map(({ name }) => name);
  t.deepEqual(names.toSorted(), [...made, 'three'].toSorted());
});
