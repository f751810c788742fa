import test from 'ava';
import type { FdbInfo } from '../../src/api/control.ts';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import { eventually, startMesh, type WeftHost } from './mesh.ts';
import { sendDatagrams } from './raw.ts';

test('a broadcast is answered once by each container, none twice', async (t) => {
  const mesh = await startMesh(t, 'three', ['a', 'b', 'c']);
  const [first] = mesh.hosts;
  await first?.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24');
  const containers = [];
  for (const [index, host] of mesh.hosts.entries()) {
    const container = await mesh.container(`c${index}`);
    await container.run('sysctl', ['-qw', 'net.ipv4.icmp_echo_ignore_broadcasts=0']);
    await eventually(
      async () => (await host.tryWeft('network', 'inspect', 'blue')).status === 0,
      5000,
    );
    await host.attach('blue', container, `10.7.0.${index + 2}`);
    containers.push(container);
  }
  const rounds = 6;
  const report = await containers[0]?.ping('10.7.0.255', { count: rounds, isBroadcast: true });
  const answers = new Map<string, number>();
  for (const [, address, round] of report?.output.matchAll(/ from ([\d.]+): icmp_seq=(\d+)/g) ??
    []) {
    const answer = `${address ?? ''} in round ${round ?? ''}`;
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
  }
  t.deepEqual(
    [...answers].filter(([, count]) => count !== 1),
    [],
  );
  // ping stops listening at the answer that completes its count, so the last round may miss the slower.
  for (let round = 1; round < rounds; round++) {
    for (const address of ['10.7.0.2', '10.7.0.3', '10.7.0.4']) {
      t.is(answers.get(`${address} in round ${round}`), 1, `${address} in round ${round}`);
    }
  }
});

/** Name of the host to which `from` would send a frame for `mac`. */
async function whereIs(from: WeftHost, mac: string, hosts: readonly WeftHost[]): Promise<string> {
  const entries = await from.json<FdbInfo[]>('fdb', 'blue');
  const target = entries.find((entry) => entry.mac === mac)?.target ?? 'nowhere';
  return hosts.find(({ host }) => target.includes(host.address))?.name ?? target;
}

/** Frames that a container has sent out of its interface. */
async function framesSent(container: LabNamespace): Promise<number> {
  const [link] = JSON.parse(await container.ip('-json -statistics link show eth0')) as {
    readonly stats64: { readonly tx: { readonly packets: number } };
  }[];
  return link?.stats64.tx.packets ?? 0;
}

/** One datagram to a neighbour whose MAC need not be asked for: nothing else leaves the container. */
async function sendOneFrame(
  from: LabNamespace,
  to: { readonly address: string; readonly mac: string },
): Promise<void> {
  await from.ip(`neigh replace ${to.address} lladdr ${to.mac} dev eth0 nud permanent`);
  await sendDatagrams(from, { address: to.address, port: 9 }, ['00']);
}

test('a MAC that moves to another host is followed with its first frame', async (t) => {
  const mesh = await startMesh(t, 'move', ['a', 'b', 'c']);
  const [a, b, c] = mesh.hosts;
  if (!a || !b || !c) throw new Error('three hosts were asked for');
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24');
  for (const host of [b, c]) {
    await eventually(
      async () => (await host.tryWeft('network', 'inspect', 'blue')).status === 0,
      5000,
    );
  }
  const [watcher, home, away] = [
    await mesh.container('watcher'),
    await mesh.container('home'),
    await mesh.container('away'),
  ];
  const mac = '02:00:5e:10:00:99';
  const watched = await a.attach('blue', watcher, '10.7.0.2');
  await b.attach('blue', home, '10.7.0.9', '--mac', mac);
  await eventually(() => watcher.answers('10.7.0.9'), 5000);
  t.is((await watcher.ping('10.7.0.9', { count: 3 })).received, 3);
  t.is(await whereIs(a, mac, mesh.hosts), 'b');

  await b.weft('detach', 'blue', '--netns', home.name);
  // IPv6 would say something by itself.
  await away.run('sysctl', ['-qw', 'net.ipv6.conf.default.disable_ipv6=1']);
  await c.attach('blue', away, '10.7.0.9', '--mac', mac);
  // What the kernel announced by itself.
  const announced = await framesSent(away);
  await sendOneFrame(away, { address: '10.7.0.2', mac: watched.mac });
  await eventually(async () => (await whereIs(a, mac, mesh.hosts)) !== 'b', 3000);
  t.is(await framesSent(away), announced + 1);
  t.is(await whereIs(a, mac, mesh.hosts), 'c');
  await eventually(() => watcher.answers('10.7.0.9'), 5000);
  t.is((await watcher.ping('10.7.0.9', { count: 3 })).received, 3);
});
