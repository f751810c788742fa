import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { NameInfo } from '../../src/api/control.ts';
import { startEngines, upWeft, type DockerHost } from './docker-host.ts';
import { eventually, timed } from './mesh.ts';

const LONG_MS = 30_000;
const GATEWAY = '10.77.0.1';
const BLUE = ['--driver', 'weft', '--ipam-driver', 'weft', '--subnet', '10.77.0.0/24'] as const;
const NETWORK = 'docker-10.77.0.0-24';
/** What a container is given that is to find names of the whole mesh, where the engine does not say so. */
const DNS = ['--dns', GATEWAY, '--dns-search', 'weft.local'] as const;
const BYTES = 10_000_000;

/** What the host's own daemon answers, sorted; it sees the names of all networks. */
async function dig(from: LabNamespace, ...words: readonly string[]): Promise<string> {
  const options = ['+short', '+timeout=1', '+tries=1', `@${GATEWAY}`];
  const { stdout } = await from.tryRun('dig', [...options, ...words]);
  return stdout.trim().split('\n').sort().join();
}

async function pings({ engine }: DockerHost, container: string, name: string): Promise<boolean> {
  const { status } = await engine.exec(container, 'ping', '-c', '1', '-w', '5', name);
  return status === 0;
}

/** Fetches 10 MB by name; both ends hash what they had. */
async function fetches(
  [from, sender]: readonly [DockerHost, string],
  [to, receiver]: readonly [DockerHost, string],
  name: string,
): Promise<boolean> {
  const make = `yes | head -c ${BYTES} > /tmp/sent; md5sum < /tmp/sent; httpd -p 5000 -h /tmp`;
  const sent = await from.engine.exec(sender, 'sh', '-c', make);
  const fetch = `wget -q -O - http://${name}:5000/sent | md5sum`;
  const received = await to.engine.exec(receiver, 'sh', '-c', fetch);
  return sent.stdout === received.stdout && /^[0-9a-f]{32}/.test(sent.stdout);
}

test('containers are found by their names on the other host, until they go', async (t) => {
  const { hosts } = await startEngines(t, 'dnames', {
    // On each host names are answered at its own address too, and the engine gives that to containers.
    weft: (address) => ['--dns-listen', address],
    engine: (address) => ['--dns', address, '--dns-search', 'weft.local'],
  });
  const [a, b] = hosts;
  for (const { engine, weft } of hosts) {
    await engine.docker('network', 'create', ...BLUE, 'blue');
    await eventually(
      async () => (await b.weft.tryWeft('network', 'inspect', NETWORK)).status === 0,
      LONG_MS,
    );
    await eventually(async () => (await dig(weft.namespace, 'nobody.weft.local')) === '', LONG_MS);
  }
  await a.engine.start('blue', 'web', '--ip', '10.77.0.10', '--hostname', 'front');
  const known = await timed(
    () =>
      eventually(
        async () => (await dig(b.weft.namespace, 'web.weft.local')) === '10.77.0.10',
        LONG_MS,
      ),
    1000,
  );
  t.true(known.ms <= known.allowedMs, known.text);
  t.log(`known on the other host ${known.text} after "docker run" returned`);
  const aliases = ['--network-alias', 'database', '--network-alias', 'no dns name'];
  await b.engine.start('blue', 'DB', '--ip', '10.77.0.11', ...DNS, ...aliases);
  await eventually(
    async () => (await dig(a.weft.namespace, 'db.weft.local')) === '10.77.0.11',
    LONG_MS,
  );
  for (const name of ['front', `web.${NETWORK}`]) {
    t.is(await dig(b.weft.namespace, `${name}.weft.local`), '10.77.0.10');
  }
  t.is(await dig(a.weft.namespace, 'database.weft.local'), '10.77.0.11');
  t.regex(
    await dig(a.weft.namespace, '-x', '10.77.0.11'),
    /\bdb\.docker-10\.77\.0\.0-24\.weft\.local/,
  );

  // Through Docker's own resolver, by short names and whole ones.
  for (const name of ['web', 'front', 'web.weft.local', `web.${NETWORK}.weft.local`]) {
    t.true(await pings(b, 'DB', name), `${name}, by --dns of the container`);
  }
  for (const name of ['db', 'database', 'db.weft.local']) {
    t.true(await pings(a, 'web', name), `${name}, by --dns of the engine`);
  }
  t.true(await fetches([b, 'DB'], [a, 'web'], 'db'));
  t.true(await fetches([a, 'web'], [b, 'DB'], 'web'));

  // Another name, another network, and restarts of both sides.
  await a.engine.docker('rename', 'web', 'site');
  await eventually(
    async () => (await dig(b.weft.namespace, 'site.weft.local')) === '10.77.0.10',
    LONG_MS,
  );
  t.is(await dig(b.weft.namespace, 'web.weft.local'), '');
  await a.weft.kill();
  await a.engine.docker('rename', 'site', 'web');
  await upWeft(a, '--dns-listen', a.weft.host.address);
  await eventually(
    async () => (await dig(b.weft.namespace, 'web.weft.local')) === '10.77.0.10',
    LONG_MS,
  );
  await b.engine.stop();
  t.is(await dig(b.weft.namespace, 'db.weft.local'), '', 'stopped with its engine');
  await b.engine.up();
  await b.engine.docker('start', 'DB');
  await eventually(
    async () => (await dig(a.weft.namespace, 'db.weft.local')) === '10.77.0.11',
    LONG_MS,
  );
  await a.engine.docker('network', 'disconnect', 'blue', 'web');
  await eventually(async () => (await dig(b.weft.namespace, 'web.weft.local')) === '', LONG_MS);
  await a.engine.docker(
    'network',
    'connect',
    '--ip',
    '10.77.0.12',
    '--alias',
    'www',
    'blue',
    'web',
  );
  for (const name of ['web', 'www']) {
    await eventually(
      async () => (await dig(b.weft.namespace, `${name}.weft.local`)) === '10.77.0.12',
      LONG_MS,
    );
  }

  await a.engine.docker('rm', '-f', 'web');
  const gone = await timed(
    () => eventually(async () => (await dig(b.weft.namespace, 'web.weft.local')) === '', LONG_MS),
    1000,
  );
  t.true(gone.ms <= gone.allowedMs, gone.text);
  t.log(`gone on the other host ${gone.text} after "docker rm" returned`);
  await b.engine.docker('rm', '-f', 'DB');
  await a.weft.weft('dns', 'add', 'printer', '10.77.0.99', '--network', NETWORK);
  for (const { engine } of hosts) await engine.docker('network', 'rm', 'blue');
  for (const { weft } of hosts) {
    await eventually(async () => (await weft.json<NameInfo[]>('dns', 'ls')).length === 0, LONG_MS);
  }
});
