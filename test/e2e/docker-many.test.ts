import test from 'ava';
import { IMAGE } from '../../bench/lib/docker-engine.ts';
import type { NameInfo, NetworkDetail } from '../../src/api/control.ts';
import { startEngines, upWeft, type DockerHost } from './docker-host.ts';
import { eventually } from './mesh.ts';

const LONG_MS = 60_000;
const NFT = '/usr/sbin/nft';
const BLUE = ['--driver', 'weft', '--ipam-driver', 'weft', '--subnet', '10.77.0.0/16'] as const;
const NETWORK = 'docker-10.77.0.0-16';
/** On both engines together; one in four publishes a port. */
const CONTAINERS = Number(process.env['DOCKER_CONTAINERS'] ?? 20);
const AT_ONCE = 10;
const SAMPLED = 10;

/** Runs `work` for each of `items`, so many at once. */
async function forEach<T>(
  items: readonly T[],
  parallel: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const waiting = [...items];
  const one = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: parallel }, one));
}

/** What is left of containers on a host. */
async function traces({ weft }: DockerHost): Promise<unknown> {
  const links = (await weft.namespace.ipJson('link show')) as { ifname?: string }[];
  const { attached } = await weft.json<NetworkDetail>('network', 'inspect', NETWORK);
  const rules = await weft.namespace.run(NFT, ['list', 'ruleset']);
  return {
    links: links.flatMap(({ ifname = '' }) => (/^w[vc]/.test(ifname) ? [ifname] : [])),
    endpoints: attached.length,
    names: (await weft.json<NameInfo[]>('dns', 'ls')).length,
    ports: (rules.match(/dnat ip to/g) ?? []).length,
    forwarded: rules.includes('masquerade'),
  };
}

const NOTHING = { links: [], endpoints: 0, names: 0, ports: 0, forwarded: true };

test('many containers at once on two engines reach each other, and leave nothing', async (t) => {
  const { hosts } = await startEngines(t, 'dmany');
  const [a, b] = hosts;
  for (const { engine } of hosts) {
    await engine.docker('network', 'create', ...BLUE, 'blue');
    await eventually(
      async () => (await b.weft.tryWeft('network', 'inspect', NETWORK)).status === 0,
      LONG_MS,
    );
  }
  const containers = Array.from({ length: CONTAINERS }, (_, index) => ({
    host: index % 2 === 0 ? a : b,
    name: `c${index}`,
    flags: index % 4 < 2 ? [] : ['-p', '80'],
  }));
  await forEach(containers, AT_ONCE, ({ host, name, flags }) =>
    host.engine.start('blue', name, ...flags),
  );
  const { attached } = await a.weft.json<NetworkDetail>('network', 'inspect', NETWORK);
  t.is(attached.length, CONTAINERS);
  t.is(new Set(attached.map(({ address }) => address)).size, CONTAINERS);
  await eventually(async () => {
    const known = await Promise.all(hosts.map(({ weft }) => weft.json<NameInfo[]>('dns', 'ls')));
    return known.every(
      (list) => list.filter(({ name }) => /^c\d+$/.test(name)).length === CONTAINERS,
    );
  }, LONG_MS);
  const step = Math.max(1, Math.floor(CONTAINERS / SAMPLED));
  const sampled = containers.filter((_, index) => index % step === 0);
  const names = await a.weft.json<NameInfo[]>('dns', 'ls');
  const addressOf = (container: string): string =>
    names.find(({ name }) => name === container)?.address ?? 'none';
  await forEach(sampled, 4, async ({ host, name }) => {
    const targets = sampled.filter((other) => other.name !== name);
    const pings = targets.map((other) => `ping -c 1 -w 5 ${addressOf(other.name)} >/dev/null`);
    const { status } = await host.engine.exec(name, 'sh', '-c', pings.join(' && '));
    t.is(status, 0, `${name} reaches ${targets.map((other) => other.name).join(', ')}`);
  });
  await forEach(containers, AT_ONCE, ({ host, name }) => host.engine.docker('rm', '-f', name));
  for (const host of hosts) {
    await eventually(
      async () => JSON.stringify(await traces(host)) === JSON.stringify(NOTHING),
      LONG_MS,
    );
  }
  const audit = await a.weft.tryWeft('ipam', 'audit');
  t.is(audit.status, 0, audit.stdout);

  // A daemon that was killed in between leaves no more.
  await a.engine.start('blue', 'last', '-p', '8080:80');
  await a.weft.kill();
  await upWeft(a);
  await a.engine.docker('rm', '-f', 'last');
  const one = await a.engine.tryDocker('run', '--rm', '--network', 'blue', IMAGE, 'true');
  t.is(one.status, 0, one.stderr);
  for (const host of hosts) {
    await eventually(
      async () => JSON.stringify(await traces(host)) === JSON.stringify(NOTHING),
      LONG_MS,
    );
  }
});
