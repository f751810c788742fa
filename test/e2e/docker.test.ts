import test from 'ava';
import { IMAGE } from '../../bench/lib/docker-engine.ts';
import type { EndpointInfo, NetworkDetail, NetworkInfo } from '../../src/api/control.ts';
import { addressOf, startEngines, upWeft, type DockerHost } from './docker-host.ts';
import { eventually } from './mesh.ts';

const BLUE = ['--driver', 'weft', '--ipam-driver', 'weft', '--subnet', '10.77.0.0/24'] as const;
const RED = [
  ...['--driver', 'weft', '--ipam-driver', 'weft', '--subnet', '10.78.0.0/24'],
  ...['--ipam-opt', 'weft.network=red', '-o', 'weft.network=red', '-o', 'weft.vni=78'],
] as const;
const WEFT_BLUE = 'docker-10.77.0.0-24';

/** What Weft has on a host: names of links, endpoints' ids. */
async function weftLinks({ weft }: DockerHost): Promise<string[]> {
  const links = (await weft.namespace.ipJson('link show')) as { ifname?: string }[];
  return links.flatMap(({ ifname = '' }) => (/^w[vc]/.test(ifname) ? [ifname] : [])).sort();
}

async function endpoints({ weft }: DockerHost, network = WEFT_BLUE): Promise<EndpointInfo[]> {
  return [...(await weft.json<NetworkDetail>('network', 'inspect', network)).attached];
}

async function pings({ engine }: DockerHost, container: string, address: string) {
  const { status } = await engine.exec(container, 'ping', '-c', '1', '-w', '5', address);
  return status === 0;
}

const BYTES = 10_000_000;

/** Fetches 10 MB over TCP from another container; both ends hash what they had. */
async function transfers(
  [from, sender]: readonly [DockerHost, string],
  [to, receiver]: readonly [DockerHost, string],
  address: string,
): Promise<boolean> {
  const make = `yes | head -c ${BYTES} > /tmp/sent; md5sum < /tmp/sent; httpd -p 5000 -h /tmp`;
  const sent = await from.engine.exec(sender, 'sh', '-c', make);
  const fetch = `wget -q -O - http://${address}:5000/sent | md5sum`;
  const received = await to.engine.exec(receiver, 'sh', '-c', fetch);
  return sent.stdout === received.stdout && /^[0-9a-f]{32}/.test(sent.stdout);
}

const runs = Number(process.env['DOCKER_RUNS'] ?? 5);

test('two engines share a network: addresses, traffic, restarts, and nothing is left', async (t) => {
  const {
    hosts: [a, b],
  } = await startEngines(t, 'docker');
  await a.engine.docker('network', 'create', ...BLUE, 'blue');
  await eventually(
    async () => (await b.weft.tryWeft('network', 'inspect', WEFT_BLUE)).status === 0,
    20_000,
  );
  await b.engine.docker('network', 'create', ...BLUE, 'blue');
  await a.engine.start('blue', 'web');
  await b.engine.start('blue', 'db', '--ip', '10.77.0.200', '--mac-address', '02:00:00:00:00:99');
  const web = await addressOf(a, 'web');
  t.is(await addressOf(b, 'db'), '10.77.0.200');
  const inside = await b.engine.docker('exec', 'db', 'ip', 'addr', 'show', 'eth0');
  t.regex(inside, /mtu 1426/);
  t.regex(inside, /02:00:00:00:00:99/);
  const all = await a.engine.exec('web', 'ping', '-c', '5', '-w', '20', '10.77.0.200');
  t.regex(all.stdout, / 0% packet loss/);
  t.true(await transfers([b, 'db'], [a, 'web'], '10.77.0.200'));
  const taken = await a.engine.tryDocker(
    'run',
    '--rm',
    '--network',
    'blue',
    '--ip',
    '10.77.0.200',
    IMAGE,
  );
  t.regex(taken.stderr, /remote: Address 10\.77\.0\.200.* belongs to/);

  // To a second network while it runs, and away from it.
  await a.engine.docker('network', 'create', ...RED, 'red');
  await a.engine.docker('network', 'connect', '--ip', '10.78.0.9', 'red', 'web');
  t.is(await addressOf(a, 'web', 'red'), '10.78.0.9');
  t.is((await endpoints(a, 'red')).length, 1);
  await a.engine.docker('network', 'disconnect', 'red', 'web');
  t.deepEqual(await endpoints(a, 'red'), []);
  await a.engine.docker('network', 'rm', 'red');
  t.is((await a.weft.tryWeft('network', 'inspect', 'red')).status, 1);

  // The container, the daemon (softly and by kill -9) and the engine start again.
  await b.engine.docker('restart', '-t', '1', 'db');
  await eventually(() => pings(a, 'web', '10.77.0.200'), 20_000);
  t.is(await a.weft.daemon?.stop(), 0);
  await upWeft(a);
  await b.weft.kill();
  await upWeft(b);
  await eventually(() => pings(a, 'web', '10.77.0.200'), 20_000);
  t.is((await endpoints(a)).length, 2);
  await b.engine.stop();
  await b.engine.up();
  await b.engine.docker('start', 'db');
  t.is(await addressOf(b, 'db'), '10.77.0.200');
  await eventually(() => pings(b, 'db', web), 20_000);

  // An engine that lets its containers live: they are not cut off.
  await a.engine.stop();
  await a.engine.up('--live-restore');
  await a.engine.docker('start', 'web');
  const kept = await addressOf(a, 'web');
  a.engine.process?.signal('SIGTERM');
  await a.engine.process?.exited;
  await eventually(() => pings(b, 'db', kept), 20_000);
  await a.engine.up('--live-restore');
  t.is(await addressOf(a, 'web'), kept);
  await eventually(() => pings(b, 'db', kept), 20_000);
  const again = await a.engine.tryDocker('run', '--rm', '--network', 'blue', '--ip', kept, IMAGE);
  t.regex(again.stderr, /belongs to/);

  for (let run = 0; run < runs; run++) {
    const one = await a.engine.tryDocker(
      ...['run', '--rm', '--network', 'blue', IMAGE, 'ping', '-c', '1', '-w', '5', '10.77.0.200'],
    );
    t.is(one.status, 0, one.stderr);
  }
  t.is((await endpoints(a)).length, 2);

  await a.engine.docker('rm', '-f', 'web');
  await b.engine.docker('rm', '-f', 'db');
  t.deepEqual(await endpoints(a), []);
  await eventually(
    async () => [...(await weftLinks(a)), ...(await weftLinks(b))].length === 0,
    20_000,
  );
  const busy = await a.weft.tryWeft('network', 'rm', WEFT_BLUE);
  t.regex(busy.stderr, /in use by Docker on host a, b/);
  await a.engine.docker('network', 'rm', 'blue');
  await b.engine.docker('network', 'rm', 'blue');
  for (const { weft } of [a, b]) {
    await eventually(
      async () => (await weft.json<NetworkInfo[]>('network', 'ls')).length === 0,
      20_000,
    );
    const links = (await weft.namespace.ipJson('link show')) as { ifname?: string }[];
    t.deepEqual(links.map(({ ifname }) => ifname).sort(), ['lo', 'u0']);
  }
});
