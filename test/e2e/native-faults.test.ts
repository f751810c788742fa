import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import { eventually, startMesh, type WeftHost } from './mesh.ts';

interface Link {
  readonly ifname: string;
}

/** Whether one echo of `bytes` comes back within a second. */
async function reaches(from: LabNamespace, address: string, bytes = 56): Promise<boolean> {
  const args = ['-c', '1', '-W', '1', '-s', String(bytes), address];
  return (await from.tryRun('ping', args)).status === 0;
}

async function sendFailures(host: WeftHost): Promise<number> {
  return (await host.status()).dataPlane.drops['underlay_send_failed'] ?? 0;
}

/** Two hosts with a container each, 10.7.0.2 and 10.7.0.3. */
async function pair(t: Parameters<typeof startMesh>[0], area: string) {
  const mesh = await startMesh(t, area, ['a', 'b'], 'native');
  const [a, b] = mesh.hosts as [WeftHost, WeftHost];
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24');
  await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', db, '10.7.0.3');
  await eventually(() => reaches(web, '10.7.0.3'), 10_000);
  return { a, b, web, db };
}

test('the underlay goes down, comes up, and has its MTU lowered: what fits goes on', async (t) => {
  const { a, web } = await pair(t, 'nfu');
  const { namespace, ifname } = a.host;
  await namespace.ip(`link set ${ifname} down`);
  t.false(await reaches(web, '10.7.0.3'));
  t.true((await sendFailures(a)) > 0);
  await namespace.ip(`link set ${ifname} up`);
  await eventually(() => reaches(web, '10.7.0.3'), 10_000);

  await namespace.ip(`link set ${ifname} mtu 1300`);
  const before = await sendFailures(a);
  t.false(await reaches(web, '10.7.0.3', 1400));
  t.true((await sendFailures(a)) > before);
  t.true(await reaches(web, '10.7.0.3', 1000));
  await namespace.ip(`link set ${ifname} mtu 1500`);
  t.true(await reaches(web, '10.7.0.3', 1400));
});

test('a TAP deleted under the daemon stops its network there, and nothing else', async (t) => {
  const { a, b } = await pair(t, 'nft');
  const taps = (await a.namespace.ipJson('link show type tun')) as Link[];
  t.is(taps.length, 1);
  await a.namespace.ip(`link del ${taps[0]?.ifname ?? ''}`);
  t.is((await a.status()).dataPlane.kind, 'native');
  t.is((await a.peers()).length, 2);
  t.is((await b.peers()).filter(({ state }) => state === 'alive').length, 2);
});
