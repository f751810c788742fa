import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { DockerEngine, makeImage } from '../../bench/lib/docker-engine.ts';
import type { EndpointInfo, NetworkDetail, NetworkInfo } from '../../src/api/control.ts';
import { eventually, makeHosts, waitForPeers, type WeftHost } from './mesh.ts';

const BLUE = ['--driver', 'weft', '--ipam-driver', 'weft', '--subnet', '10.77.0.0/24'] as const;
const WEFT_BLUE = 'docker-10.77.0.0-24';

interface DockerHost {
  readonly weft: WeftHost;
  readonly engine: DockerEngine;
}

async function startEngines(t: ExecutionContext, area: string): Promise<[DockerHost, DockerHost]> {
  const mesh = await makeHosts(t, area, ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const image = await makeImage(a.directory);
  const hosts = await Promise.all(
    [a, b].map(async (weft) => {
      const directory = join(weft.directory, weft.name);
      const engine = new DockerEngine({ name: weft.name, namespace: weft.namespace, directory });
      t.teardown(() => engine.destroy());
      await weft.up('--docker-plugin', weft.dockerPlugin);
      await engine.up();
      await engine.load(image);
      return { weft, engine };
    }),
  );
  await b.weft('join', a.host.address);
  await Promise.all([a, b].map((host) => waitForPeers(host, 2)));
  return hosts as [DockerHost, DockerHost];
}

async function addressOf({ engine }: DockerHost, container: string, network = 'blue') {
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  return engine.docker('inspect', '--format', format, container);
}

/** What Weft has on a host: names of links, endpoints' ids. */
async function weftLinks({ weft }: DockerHost): Promise<string[]> {
  const links = (await weft.namespace.ipJson('link show')) as { ifname?: string }[];
  return links
    .flatMap(({ ifname = '' }) => (/^w[vc]/.test(ifname) ? [ifname] : []))
    .sort();
}

async function endpoints({ weft }: DockerHost, network = WEFT_BLUE): Promise<EndpointInfo[]> {
  return [...(await weft.json<NetworkDetail>('network', 'inspect', network)).attached];
}

test('two engines share a network: addresses, ping, 10 MB, restarts, and nothing is left', async (t) => {
  const [a, b] = await startEngines(t, 'docker');
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
  t.log(web, await b.engine.docker('exec', 'db', 'ip', 'addr', 'show', 'eth0'));
  const ping = await a.engine.exec('web', 'ping', '-c', '3', '-w', '10', '10.77.0.200');
  t.is(ping.status, 0, ping.stdout);
  t.log(await endpoints(a), await weftLinks(a), await weftLinks(b));
  await a.engine.docker('rm', '-f', 'web');
  await b.engine.docker('rm', '-f', 'db');
  t.deepEqual(await endpoints(a), []);
  t.deepEqual([...(await weftLinks(a)), ...(await weftLinks(b))], []);
  await a.engine.docker('network', 'rm', 'blue');
  await b.engine.docker('network', 'rm', 'blue');
  t.deepEqual(await b.weft.json<NetworkInfo[]>('network', 'ls'), []);
});
