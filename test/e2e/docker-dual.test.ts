import test from 'ava';
import type { NetworkInfo, PoolInfo } from '../../src/api/control.ts';
import { addressOf, startEngines, type DockerHost } from './docker-host.ts';
import { eventually } from './mesh.ts';

const LONG_MS = 30_000;
const CREATE = [
  ...['network', 'create', '--driver', 'weft', '--ipam-driver', 'weft', '--ipv6'],
  ...['--subnet', '10.77.0.0/24', '--subnet', 'fd00:77::/64', 'blue'],
];

async function address6Of({ engine }: DockerHost, container: string): Promise<string> {
  const format = '{{(index .NetworkSettings.Networks "blue").GlobalIPv6Address}}';
  return (await engine.docker('inspect', '--format', format, container)).trim();
}

async function reaches({ engine }: DockerHost, container: string, address: string) {
  const words = ['ping', '-c', '1', '-w', '5', address];
  return (await engine.exec(container, ...words)).status === 0;
}

async function used({ weft }: DockerHost): Promise<number[]> {
  return (await weft.json<PoolInfo[]>('ipam', 'status')).map(({ here }) => here.used);
}

test('docker network create --ipv6: containers of two engines reach each other by both families', async (t) => {
  const { hosts } = await startEngines(t, 'ddual');
  const [a, b] = hosts;
  for (const { engine } of hosts) {
    await engine.docker(...CREATE);
    await eventually(
      async () => (await b.weft.json<NetworkInfo[]>('network', 'ls')).length === 1,
      LONG_MS,
    );
  }
  await a.engine.start('blue', 'web', '--ip', '10.77.0.10', '--ip6', 'fd00:77::10');
  await b.engine.start('blue', 'db');
  t.is(await address6Of(a, 'web'), 'fd00:77::10');
  const [db, db6] = [(await addressOf(b, 'db')).trim(), await address6Of(b, 'db')];
  t.regex(db6, /^fd00:77:[0-9a-f:]+$/);
  for (const address of [db, db6, 'fd00:77::1']) {
    await eventually(() => reaches(a, 'web', address), LONG_MS);
  }
  for (const address of ['10.77.0.10', 'fd00:77::10']) {
    t.true(await reaches(b, 'db', address), address);
  }
  const route = await a.engine.docker('exec', 'web', 'ip', '-6', 'route', 'show', 'default');
  t.regex(route, /^default via fd00:77::1 dev eth0/);
  t.deepEqual(
    [await used(a), await used(b)],
    [
      [1, 1],
      [1, 1],
    ],
  );

  // Restarted, it has both again; removed, neither is held.
  await a.engine.docker('restart', '-t', '1', 'web');
  t.is(await address6Of(a, 'web'), 'fd00:77::10');
  await eventually(() => reaches(a, 'web', db6), LONG_MS);
  await a.engine.docker('rm', '-f', 'web');
  await b.engine.docker('rm', '-f', 'db');
  t.deepEqual(
    [await used(a), await used(b)],
    [
      [0, 0],
      [0, 0],
    ],
  );
  for (const { engine } of hosts) await engine.docker('network', 'rm', 'blue');
  await eventually(
    async () => (await a.weft.json<NetworkInfo[]>('network', 'ls')).length === 0,
    LONG_MS,
  );
});
