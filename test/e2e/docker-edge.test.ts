import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { NetworkDetail, NetworkInfo } from '../../src/api/control.ts';
import { ask, serve } from './ask.ts';
import { startEngines, upWeft, type DockerHost } from './docker-host.ts';
import { internet } from './internet.ts';
import { eventually } from './mesh.ts';

const LONG_MS = 30_000;
/** By its path: npx puts another program of that name first. */
const NFT = '/usr/sbin/nft';
const network = (subnet: string): string[] => [
  ...['network', 'create', '--driver', 'weft', '--ipam-driver', 'weft', '--subnet', subnet],
];

async function reaches({ engine }: DockerHost, container: string, address: string, seconds = 5) {
  const words = ['ping', '-c', '1', '-w', String(seconds), address];
  return (await engine.exec(container, ...words)).status === 0;
}

/** How to enter a container's network namespace: this machine's engines may not give more capabilities. */
async function enter({ engine }: DockerHost, container: string): Promise<string[]> {
  const pid = await engine.docker('inspect', '--format', '{{.State.Pid}}', container);
  return ['nsenter', `--net=/proc/${pid}/ns/net`];
}

async function setRoute(host: DockerHost, container: string, to: string, via: string) {
  const [program = '', ...words] = await enter(host, container);
  await host.weft.namespace.run(program, [...words, 'ip', 'route', 'replace', to, 'via', via]);
}

/** A program in the container that says who it is at port 80, by TCP and UDP. */
async function serveIn(host: DockerHost, container: string): Promise<void> {
  await serve(host.weft.namespace, container, 80, await enter(host, container));
}

const saysSoon = (
  who: string,
  ...[from, protocol, host, port]: readonly [LabNamespace, 'tcp' | 'udp', string, number]
): Promise<number> =>
  eventually(async () => (await ask(from, protocol, host, port)) === who, LONG_MS);

test('containers get out, published ports in, and an internal network neither', async (t) => {
  const { mesh, hosts } = await startEngines(t, 'dedge');
  const [a, b] = hosts;
  const outside = await internet(mesh);
  for (const { engine } of hosts) {
    await engine.docker(...network('10.77.0.0/24'), '--gateway', '10.77.0.254', 'blue');
    await engine.docker(...network('10.78.0.0/24'), '--internal', 'dark');
    await eventually(
      async () => (await b.weft.json<NetworkInfo[]>('network', 'ls')).length === 2,
      LONG_MS,
    );
  }
  const ports = ['8080:80', '127.0.0.1:8081:80', '8082-8090:80', '5353:80/udp', '80'];
  const publish = ports.flatMap((port) => ['-p', port]);
  await a.engine.start('blue', 'web', '--ip', '10.77.0.10', ...publish);
  await b.engine.start('blue', 'db', '--ip', '10.77.0.11', '-p', '8080:80');
  await a.engine.start('dark', 'cave', '--ip', '10.78.0.10', '-p', '8099:80');
  await b.engine.start('dark', 'twin', '--ip', '10.78.0.11');
  await Promise.all([serveIn(a, 'web'), serveIn(b, 'db')]);

  const route = await a.engine.docker('exec', 'web', 'ip', 'route', 'show', 'default');
  t.regex(route, /^default via 10\.77\.0\.254 dev eth0/);
  await eventually(() => reaches(a, 'web', '203.0.113.1'), LONG_MS);
  await eventually(() => reaches(b, 'db', '203.0.113.1'), LONG_MS);
  await eventually(() => reaches(a, 'web', '10.77.0.11'), LONG_MS);
  await eventually(() => reaches(a, 'cave', '10.78.0.11'), LONG_MS);
  t.notRegex(await a.engine.docker('exec', 'cave', 'ip', 'route'), /default/);
  for (const gateway of ['10.78.0.1', '10.78.0.11']) {
    await setRoute(a, 'cave', 'default', gateway);
    for (const target of ['203.0.113.1', '10.77.0.10', '10.77.0.254']) {
      t.false(await reaches(a, 'cave', target, 1), `internal to ${target} by ${gateway}`);
    }
  }
  t.false(await reaches(a, 'web', '10.78.0.10', 1), 'nor from a routed network into it');

  // Whoever is on two networks is no way from one to the other, unless that is what it is for.
  const transit = async (name: string, ...flags: string[]): Promise<boolean> => {
    await a.engine.start('blue', name, '--ip', '10.77.0.20', ...flags);
    await a.engine.docker('network', 'connect', '--ip', '10.78.0.20', 'dark', name);
    const words = ['cat', '/proc/sys/net/ipv4/conf/eth1/forwarding'];
    const isClosed = async (): Promise<boolean> =>
      (await a.engine.exec(name, ...words)).stdout === '0\n';
    if (flags.length === 0) await eventually(isClosed, LONG_MS);
    await setRoute(a, 'web', '10.78.0.0/24', '10.77.0.20');
    await setRoute(a, 'cave', '10.77.0.0/24', '10.78.0.20');
    await eventually(() => reaches(a, 'web', '10.77.0.20'), LONG_MS);
    const isReached = await reaches(a, 'web', '10.78.0.10', 2);
    await a.engine.docker('rm', '-f', name);
    return isReached;
  };
  t.true(await transit('router', '--sysctl', 'net.ipv4.ip_forward=1'));
  t.false(await transit('both'));

  const detail = await a.weft.json<NetworkDetail>('network', 'inspect', 'docker-10.77.0.0-24');
  const here = detail.attached.find(({ address }) => address === '10.77.0.10/24');
  const given = [8080, 8081, 8082, 5353];
  const chosen = here?.ports?.find(({ hostPort }) => !given.includes(hostPort))?.hostPort ?? 0;
  t.true(chosen > 1024);
  const everyWay = async (): Promise<void> => {
    for (const port of [8080, 8082, chosen]) {
      await saysSoon('web', outside, 'tcp', '198.51.100.1', port);
    }
    await saysSoon('web', outside, 'udp', '198.51.100.1', 5353);
    await saysSoon('web', a.weft.namespace, 'tcp', '127.0.0.1', 8081);
    await saysSoon('web', b.weft.namespace, 'tcp', '192.0.2.1', 8080);
    await saysSoon('db', outside, 'tcp', '198.51.100.5', 8080);
  };
  await everyWay();
  t.is(await ask(outside, 'tcp', '198.51.100.1', 8081), '', 'that of 127.0.0.1 is not outside');
  t.is(await ask(outside, 'tcp', '198.51.100.1', 8099), '', 'nothing leads into the internal one');
  const twice = await a.engine.tryDocker(
    ...['run', '--rm', '--network', 'blue', '-p', '8080:80', 'weft-busybox:1', 'true'],
  );
  t.regex(twice.stderr, /remote: Port 8080\/tcp is published for endpoint/);
  t.is((await a.weft.json<NetworkInfo[]>('network', 'ls'))[0]?.endpoints, 2, 'nothing is left');

  // The host itself on Docker's network, of which it is the gateway: all goes on, over restarts too.
  const host = a.weft.namespace;
  await a.weft.weft('expose', detail.name, '--ip', '10.77.0.99');
  const isExposed = async (): Promise<void> => {
    await eventually(() => reaches(b, 'db', '10.77.0.99'), LONG_MS);
    await eventually(() => reaches(a, 'web', '10.77.0.99'), LONG_MS);
    for (const target of ['10.77.0.10', '10.77.0.11']) {
      await eventually(() => host.answers(target), LONG_MS);
    }
    await saysSoon('db', host, 'tcp', '10.77.0.11', 80);
  };
  await isExposed();

  // The daemon and, with live-restore, the engine start again; the table is flushed in between.
  await a.weft.kill();
  await a.weft.namespace.run(NFT, ['flush', 'ruleset']);
  await upWeft(a);
  await everyWay();
  await isExposed();
  await a.weft.weft('hide', detail.name);
  t.notRegex(await host.ip('rule show'), /10\.77/);
  await everyWay();
  await b.engine.stop();
  await b.engine.up('--live-restore');
  await b.engine.docker('start', 'db');
  await serveIn(b, 'db');
  b.engine.process?.signal('SIGTERM');
  await b.engine.process?.exited;
  await everyWay();
  await b.engine.up('--live-restore');
  await everyWay();

  // Stopped, it is not led to; started, it is again.
  await a.engine.docker('stop', '-t', '1', 'web');
  t.is(await ask(outside, 'tcp', '198.51.100.1', 8080), '');
  t.notRegex(await a.weft.namespace.run(NFT, ['list', 'ruleset']), /dnat ip to/);
  await a.engine.docker('start', 'web');
  await serveIn(a, 'web');
  await saysSoon('web', outside, 'tcp', '198.51.100.1', 8080);

  for (const { engine } of hosts) {
    await engine.docker('rm', '-f', ...(await engine.docker('ps', '-aq')).split('\n'));
    await engine.docker('network', 'rm', 'blue', 'dark');
  }
  for (const { weft } of hosts) {
    t.is((await weft.namespace.run(NFT, ['list', 'tables'])).trim(), '');
  }
});
