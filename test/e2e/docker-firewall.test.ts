import test from 'ava';
import { ask, serve } from './ask.ts';
import { addressOf, startEngines, type DockerHost } from './docker-host.ts';
import { internet } from './internet.ts';
import { eventually } from './mesh.ts';

const LONG_MS = 30_000;
/** An engine that makes a bridge of its own and sets the policy of FORWARD to DROP, as it does by default. */
const OWN_FIREWALL = { engine: () => ['--iptables=true', '--bridge='] };
/** As docs/docker.md has them. */
const RULES = [
  ['-I', 'DOCKER-USER', '-i', 'weft-+', '-j', 'ACCEPT'],
  ['-I', 'DOCKER-USER', '-o', 'weft-+', '-j', 'ACCEPT'],
];

async function reaches({ engine }: DockerHost, container: string, address: string) {
  return (await engine.exec(container, 'ping', '-c', '1', '-w', '1', address)).status === 0;
}

test('beside Docker’s own firewall containers get out, in and across by the two rules of the docs', async (t) => {
  const { mesh, hosts } = await startEngines(t, 'dfire', OWN_FIREWALL);
  const [a, b] = hosts;
  const outside = await internet(mesh);
  for (const { engine, weft } of hosts) {
    t.regex(await weft.namespace.run('iptables', ['-S', 'FORWARD']), /^-P FORWARD DROP$/m);
    await engine.docker(
      ...['network', 'create', '-d', 'weft', '--ipam-driver', 'weft'],
      ...['--subnet', '10.77.0.0/24', 'blue'],
    );
    await eventually(
      async () => (await b.weft.tryWeft('network', 'inspect', 'docker-10.77.0.0-24')).status === 0,
      LONG_MS,
    );
  }
  await a.engine.start('blue', 'web', '-p', '8080:80');
  await b.engine.start('blue', 'db');
  const db = await addressOf(b, 'db');
  const web = await addressOf(a, 'web');
  const pid = await a.engine.docker('inspect', '--format', '{{.State.Pid}}', 'web');
  await serve(a.weft.namespace, 'web', 80, ['nsenter', `--net=/proc/${pid}/ns/net`]);

  t.false(await reaches(a, 'web', '203.0.113.1'));
  const policy = await a.weft.namespace.run('iptables', ['-v', '-S', 'FORWARD']);
  t.regex(policy, /^-P FORWARD DROP -c [1-9]/m, 'it was the policy that dropped it');
  for (const { weft } of hosts) {
    for (const rule of RULES) await weft.namespace.run('iptables', rule);
  }
  await eventually(() => reaches(a, 'web', '203.0.113.1'), LONG_MS);
  await eventually(() => reaches(a, 'web', db), LONG_MS);
  await eventually(
    async () => (await ask(outside, 'tcp', '198.51.100.1', 8080)) === 'web',
    LONG_MS,
  );

  // Weft's own table still decides what gets in, and Docker's own bridge is as it was.
  await outside.ip(`route add ${web}/32 via 198.51.100.1`);
  t.is(await ask(outside, 'tcp', web, 80), '');
  await a.engine.start('bridge', 'plain');
  t.false(await reaches(a, 'plain', web), 'nor from one network to the other');
});
