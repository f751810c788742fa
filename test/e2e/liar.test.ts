import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { MESH_KEY } from '../../bench/gossip/member.ts';
import type { EndpointInfo } from '../../src/api/control.ts';
import { attachPair, eventually, makeHosts, waitForPeers, type WeftHost } from './mesh.ts';

const LIAR = fileURLToPath(new URL('./liar-program.js', import.meta.url));

const count = async (host: WeftHost, name: string): Promise<number> =>
  (await host.status()).gossip.counters[name] ?? 0;

test("a member that lies about others' endpoints or addresses is refused, and nothing changes", async (t) => {
  const mesh = await makeHosts(t, 'lie', ['a', 'b', 'c']);
  const [a, b, c] = mesh.hosts;
  if (!a || !b || !c) return t.fail();
  const keyFile = join(a.directory, 'mesh-key');
  writeFileSync(keyFile, MESH_KEY.toString('base64'), { mode: 0o600 });
  await a.up('--mesh-key-file', keyFile);
  await b.up('--mesh-key-file', keyFile, '--join', a.host.address);
  for (const host of [a, b]) await waitForPeers(host, 2);
  const web = await attachPair(mesh, [a, b]);
  const endpoints = (): Promise<EndpointInfo[]> => a.json<EndpointInfo[]>('ps', '--all');
  await eventually(async () => (await endpoints()).length === 2, 20_000);
  const before = await endpoints();
  const { id: victim } = await b.status();

  const liar = c.namespace.start(
    process.execPath,
    [LIAR, c.host.address, a.host.address, victim],
    {},
    'lines',
  );
  await liar.waitForLine(/^lied$/, 20_000);
  await eventually(async () => (await count(a, 'claimForged')) >= 2, 10_000);
  await eventually(async () => (await count(a, 'rowForeign')) >= 2, 10_000);
  // The owner has heard what was said of its row, and has had the last word.
  await eventually(async () => (await count(b, 'rowsRefuted')) >= 1, 10_000);

  t.deepEqual(await endpoints(), before);
  const peers = await a.peers();
  t.is(peers.find(({ id }) => id === victim)?.address, `${b.host.address}:7783`);
  t.is(peers.find(({ id }) => id === victim)?.state, 'alive');
  await web.run('ping', ['-c', '3', '-i', '0.2', '-W', '2', '10.7.0.3']);
  liar.signal('SIGKILL');
  await liar.exited;
});
