import test from 'ava';
import { startEngines, type DockerHost } from './docker-host.ts';
import { eventually } from './mesh.ts';

const BLUE = ['--driver', 'weft', '--ipam-driver', 'weft', '--subnet', '10.77.0.0/24'] as const;
const LONG_MS = 60_000;

test("containers of Docker follow their network's MTU, down and up", async (t) => {
  const {
    hosts: [a, b],
  } = await startEngines(t, 'dockmtu');
  await a.engine.docker('network', 'create', ...BLUE, 'blue');
  await eventually(
    async () => (await b.weft.tryWeft('network', 'inspect', 'docker-10.77.0.0-24')).status === 0,
    LONG_MS,
  );
  await b.engine.docker('network', 'create', ...BLUE, 'blue');
  await a.engine.start('blue', 'web');
  await b.engine.start('blue', 'db', '--ip', '10.77.0.200');
  const mtu = async ({ engine }: DockerHost, container: string): Promise<number> => {
    const { stdout } = await engine.exec(container, 'ip', 'link', 'show', 'eth0');
    return Number(/mtu (\d+)/.exec(stdout)?.[1]);
  };
  const atFirst = await mtu(a, 'web');
  t.true(atFirst > 1400);
  await eventually(async () => {
    const { status } = await a.engine.exec('web', 'ping', '-c', '1', '-w', '2', '10.77.0.200');
    return status === 0;
  }, LONG_MS);
  const { namespace, ifname } = a.weft.host;
  await namespace.ip(`link set ${ifname} mtu 1400`);
  for (const [host, container] of [
    [a, 'web'],
    [b, 'db'],
  ] as const) {
    await eventually(async () => (await mtu(host, container)) === atFirst - 100, LONG_MS);
  }
  await namespace.ip(`link set ${ifname} mtu 1500`);
  await eventually(async () => (await mtu(a, 'web')) === atFirst, LONG_MS);
  await eventually(async () => (await mtu(b, 'db')) === atFirst, LONG_MS);
  t.false((a.weft.daemon?.output ?? '').includes('MTU could not be set'));
});
