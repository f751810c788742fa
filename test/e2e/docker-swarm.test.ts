import test from 'ava';
import { IMAGE } from '../../bench/lib/docker-engine.ts';
import type { EndpointInfo, NetworkDetail, NetworkInfo } from '../../src/api/control.ts';
import { eventually } from './mesh.ts';
import { PLUGIN, startSwarm, type SwarmHost } from './swarm-hosts.ts';

const WEFT_BLUE = 'docker-10.77.0.0-24';
/** A task that failed is tried again after five seconds, and this machine may be busy. */
const LONG_MS = 90_000;
const IDLE = ['sh', '-c', "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done"];

const network = (name: string, subnet: string, ...flags: string[]): string[] => [
  ...['network', 'create', '--driver', PLUGIN, '--ipam-driver', PLUGIN, '--subnet', subnet],
  ...[...flags, name],
];

const service = (name: string, ...flags: string[]): string[] => [
  ...['service', 'create', '--detach', '--no-resolve-image', '--name', name],
  ...['--network', 'blue', ...flags, IMAGE, ...IDLE],
];

/** The containers of a service that run on a host. */
async function tasks({ engine }: SwarmHost, name: string): Promise<string[]> {
  const label = `label=com.docker.swarm.service.name=${name}`;
  const text = await engine.docker('ps', '--quiet', '--filter', label);
  return text.split('\n').filter((id) => id !== '');
}

async function endpoints(host: SwarmHost): Promise<readonly EndpointInfo[]> {
  return (await host.json<NetworkDetail>('network', 'inspect', WEFT_BLUE)).attached;
}

async function pings({ engine }: SwarmHost, container: string, target: string): Promise<boolean> {
  return (await engine.exec(container, 'ping', '-c', '1', '-w', '5', target)).status === 0;
}

/** The address of a service's first container on a host; empty if there is none. */
async function addressOf(host: SwarmHost, name: string): Promise<string> {
  const [id = ''] = await tasks(host, name);
  const format = '{{(index .NetworkSettings.Networks "blue").IPAddress}}';
  const { stdout } = await host.engine.tryDocker('inspect', '--format', format, id);
  return stdout.trim();
}

/** Whether each of two hosts runs a task of `web`, and these reach each other both ways. */
async function isWhole(one: SwarmHost, other: SwarmHost): Promise<boolean> {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    const [container] = await tasks(from, 'web');
    const address = await addressOf(to, 'web');
    if (container === undefined || address === '') return false;
    if (!(await pings(from, container, address))) return false;
  }
  return true;
}

/** Links of Weft's on a host. */
async function links({ namespace }: SwarmHost): Promise<string[]> {
  const all = (await namespace.ipJson('link show')) as { ifname?: string }[];
  return all.flatMap(({ ifname = '' }) => (/^(weft-|wtap-|w[vc])/.test(ifname) ? [ifname] : []));
}

test('a global service of a Swarm reaches across, and goes on over restarts', async (t) => {
  const { hosts } = await startSwarm(t, 'swarm', ['a', 'b']);
  const [a, b] = hosts;
  if (a === undefined || b === undefined) throw new Error('two hosts were asked for');
  await a.engine.docker(...network('blue', '10.77.0.0/24', '--attachable'));
  await a.engine.docker(...service('web', '--mode', 'global'));
  await eventually(() => isWhole(a, b), LONG_MS);
  t.is((await endpoints(a)).length, 2);
  t.notRegex(
    a.engine.process?.output ?? '',
    /address already in use/,
    "Docker's own overlay works",
  );

  // By names: Docker's of the Swarm's tasks, and Weft's of a service on all hosts.
  const [inside = ''] = await tasks(a, 'web');
  const addresses = [await addressOf(a, 'web'), await addressOf(b, 'web')];
  for (const [name, server] of [
    ['tasks.web', '127.0.0.11'],
    ['web.weft.local', '10.77.0.1'],
  ] as const) {
    await eventually(async () => {
      const { stdout } = await a.engine.exec(inside, 'nslookup', name, server);
      return addresses.every((address) => stdout.includes(address));
    }, LONG_MS);
  }

  // A person's container, at an address of its own choice, on the worker.
  await b.engine.start('blue', 'db', '--ip', '10.77.0.200');
  t.true(await pings(b, 'db', addresses[0] ?? ''));
  t.true(await pings(a, inside, '10.77.0.200'));
  const pid = await a.engine.docker('inspect', '--format', '{{.State.Pid}}', inside);
  const taken = await a.tryWeft('attach', WEFT_BLUE, '--pid', pid, '--ip', '10.77.0.200');
  t.regex(taken.stderr, /Address 10\.77\.0\.200.* belongs to/);
  await b.engine.docker('rm', '-f', 'db');

  // The daemon dies, on either host: Docker starts the plugin again, and nobody is cut off for good.
  for (const host of hosts) {
    const { pid: daemon } = await host.status();
    process.kill(daemon, 'SIGKILL');
    await eventually(async () => {
      const { status, stdout } = await host.tryWeft('status', '--json');
      return status === 0 && (JSON.parse(stdout) as { pid: number }).pid !== daemon;
    }, LONG_MS);
  }
  await eventually(() => isWhole(a, b), LONG_MS);

  // More tasks, and fewer; a task on the worker started anew.
  await a.engine.docker(...service('many', '--replicas', '6', '--endpoint-mode', 'dnsrr'));
  const running = async (): Promise<number> =>
    (await tasks(a, 'many')).length + (await tasks(b, 'many')).length;
  await eventually(async () => (await running()) === 6, LONG_MS);
  await eventually(async () => (await endpoints(b)).length === 8, LONG_MS);
  const given = (await endpoints(a)).map(({ address }) => address);
  t.is(new Set(given).size, 8);
  const asked = await a.engine.exec((await tasks(a, 'web'))[0] ?? '', 'nslookup', 'many');
  t.is(asked.stdout.match(/^Address(?: \d+)?: 10\.77\.0\.\d+$/gm)?.length, 6, asked.stdout);
  await a.engine.docker('service', 'scale', '--detach', 'many=1');
  await eventually(async () => (await running()) === 1, LONG_MS);
  await eventually(async () => (await endpoints(a)).length === 3, LONG_MS);
  await b.engine.docker('rm', '-f', ...(await tasks(b, 'web')));
  await eventually(() => isWhole(a, b), LONG_MS);

  // The worker's engine starts again, and then the manager's.
  for (const host of [b, a]) {
    await host.engine.stop();
    await host.engine.up();
    await eventually(() => isWhole(a, b), LONG_MS);
  }

  await a.engine.docker('service', 'rm', 'web', 'many');
  await eventually(async () => (await endpoints(a)).length === 0, LONG_MS);
  await eventually(
    async () => (await a.engine.tryDocker('network', 'rm', 'blue')).status === 0,
    LONG_MS,
  );
  for (const host of hosts) {
    await eventually(
      async () => (await host.json<NetworkInfo[]>('network', 'ls')).length === 0,
      LONG_MS,
    );
    await eventually(async () => (await links(host)).length === 0, LONG_MS);
  }
});
