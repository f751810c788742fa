import test from 'ava';
import { attachPair, eventually, startMesh, timed, waitForPeers } from './mesh.ts';

test('a killed daemon is declared dead within 10 s, and started again carries traffic within 3 s', async (t) => {
  const mesh = await startMesh(t, 'kill', ['a', 'b', 'c']);
  const [a, b, c] = mesh.hosts;
  if (!a || !b || !c) throw new Error('three hosts were asked for');
  const web = await attachPair(mesh, [a, b]);
  t.is((await web.ping('10.7.0.3')).received, 3);

  await b.kill();
  const stateAt = async (host: typeof a): Promise<string | undefined> =>
    (await host.peers()).find((peer) => peer.name === 'b')?.state;
  const tookMs = await eventually(
    async () => (await stateAt(a)) === 'dead' && (await stateAt(c)) === 'dead',
    10_000,
  );
  t.log(`dead after ${Math.round(tookMs)} ms`);

  const back = await timed(async () => {
    await b.up();
    await eventually(() => web.answers('10.7.0.3', { waitSeconds: 0.2 }), 30_000);
  }, 3000);
  t.log(`traffic back after ${back.text}`);
  t.true(back.ms <= back.allowedMs, back.text);
  await waitForPeers(a, 3);
  t.is((await b.status()).endpoints.local, 1);
});

test('SIGTERM leaves the mesh and keeps the interfaces; the next start takes them back', async (t) => {
  const mesh = await startMesh(t, 'term', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24');
  await eventually(
    async () => (await b.tryWeft('network', 'inspect', 'blue')).status === 0,
    20_000,
  );
  await a.attach('blue', web, '10.7.0.2');
  const attached = await b.attach('blue', db, '10.7.0.3');

  t.is(await b.daemon?.stop(), 0);
  await eventually(async () => (await a.peers()).some((peer) => peer.state === 'left'), 20_000);
  t.regex(await db.ip('-br addr show eth0'), /10\.7\.0\.3\/24/);

  await b.up();
  await waitForPeers(a, 2);
  t.is((await web.ping('10.7.0.3')).received, 3);
  const again = await b.json<{ attached: { endpoint: string }[] }>('network', 'inspect', 'blue');
  t.true(again.attached.some(({ endpoint }) => endpoint === attached.endpoint));
});

test('what was deleted while the daemon was down is repaired at its start', async (t) => {
  const mesh = await startMesh(t, 'mend', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const [web, db, gone] = [
    await mesh.container('web'),
    await mesh.container('db'),
    await mesh.container('gone'),
  ];
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--vni', '77');
  await eventually(
    async () => (await b.tryWeft('network', 'inspect', 'blue')).status === 0,
    20_000,
  );
  await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', db, '10.7.0.3');
  await b.attach('blue', gone, '10.7.0.4');
  await b.kill();
  await b.namespace.ip('link del weft-77');
  await mesh.lab.removeNamespace(gone);

  await b.up();
  t.is((await b.status()).endpoints.local, 1);
  await eventually(() => web.answers('10.7.0.3'), 20_000);
  await eventually(async () => (await a.status()).endpoints.mesh === 2, 20_000);
});
