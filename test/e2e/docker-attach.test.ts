import { join } from 'node:path';
import test from 'ava';
import { DockerEngine, IMAGE, makeImage } from '../../bench/lib/docker-engine.ts';
import type { EndpointInfo } from '../../src/api/control.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { eventually, startMesh } from './mesh.ts';

const LONG_MS = 20_000;

test('a running container joins several networks at once, and leaves them', async (t) => {
  const mesh = await startMesh(t, 'dattach', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const directory = join(a.directory, 'engine');
  const engine = new DockerEngine({ name: 'a', namespace: a.namespace, directory });
  t.teardown(() => engine.destroy());
  await engine.up();
  await engine.load(await makeImage(a.directory));
  await engine.start('none', 'web');
  const weft = (...words: readonly string[]) =>
    a.namespace.tryRun('env', [
      ...[`DOCKER_HOST=unix://${join(directory, 'docker.sock')}`, process.execPath],
      ...[join(packageRoot, 'bin/weft'), ...words, '--socket', a.socket],
    ]);

  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--routed');
  await a.weft('network', 'create', 'green', '--subnet', '10.8.0.0/24');
  const far = await mesh.container('far');
  await eventually(
    async () => (await b.tryWeft('network', 'inspect', 'green')).status === 0,
    LONG_MS,
  );
  await b.attach('blue', far, '10.7.0.9');
  await b.attach('green', far, '10.8.0.9', '--ifname', 'eth1');
  for (const [network, ip] of [
    ['blue', '10.7.0.2'],
    ['green', '10.8.0.2'],
  ] as const) {
    const { status, stderr } = await weft('attach', network, '--docker', 'web', '--ip', ip);
    t.is(status, 0, stderr);
    await eventually(() => far.answers(ip), LONG_MS);
  }
  // Again is no harm.
  const again = await weft('attach', 'green', '--docker', 'web', '--json');
  t.like(JSON.parse(again.stdout), { ifname: 'eth1', address: '10.8.0.2/24', names: ['web'] });
  const links = await engine.exec('web', 'ip', '-o', 'link');
  t.regex(links.stdout, /eth0[^]*eth1/);

  // Who is there, here and everywhere.
  const here = await a.json<EndpointInfo[]>('ps');
  t.deepEqual(
    here.map(({ network, address, owner, names }) => [network, address, owner, names?.[0]]),
    [
      ['blue', '10.7.0.2/24', 'docker web', 'web'],
      ['green', '10.8.0.2/24', 'docker web', 'web'],
    ],
  );
  t.true(here.every(({ since = '' }) => Math.abs(Date.now() - Date.parse(since)) < 120_000));
  t.regex(await a.weft('ps'), /^NAME +NETWORK +ADDRESS +MAC +OWNER +SINCE +ENDPOINT\nweb +blue /);
  const all = await b.weft('ps', '--all');
  t.regex(all, /web +green +10\.8\.0\.2\/24 .*docker web .* a /);
  t.regex(all, /- +green +10\.8\.0\.9\/24 .*netns .*far .* b /);

  // A restarted daemon still knows whose they are.
  await a.kill();
  await a.up();
  t.deepEqual(await a.json<EndpointInfo[]>('ps'), here);

  t.is((await weft('detach', 'blue', '--docker', 'web')).status, 0);
  t.notRegex((await engine.exec('web', 'ip', '-o', 'link')).stdout, /eth0/);
  t.true(await far.answers('10.8.0.2'));

  // What can't be attached is told in one sentence.
  await engine.docker('run', '-d', '--name', 'hosted', '--network', 'host', IMAGE, 'sleep', '100');
  const hosted = await weft('attach', 'blue', '--docker', 'hosted');
  t.regex(hosted.stderr, /Container hosted has the host's own network/);
  await engine.docker('stop', 'web');
  const stopped = await weft('attach', 'blue', '--docker', 'web');
  t.regex(stopped.stderr, /Container web does not run \(it is exited\)/);
  t.regex((await weft('attach', 'blue', '--docker', 'nobody')).stderr, /knows no container nobody/);
  await eventually(async () => (await a.json<EndpointInfo[]>('ps')).length === 0, LONG_MS);
  t.regex(await a.weft('ps'), /This host has no endpoint/);
});
