import test from 'ava';
import type { EndpointInfo, ForgetReport, KeyInfo, NetworkDetail } from '../../src/api/control.ts';
import { sealedNetwork } from './links.ts';
import { eventually, joinMesh, startMesh, waitForPeers, type WeftHost } from './mesh.ts';

const LONG_MS = 90_000;
const PINGS = { count: 1000, intervalSeconds: 0.01 } as const;

const keysOf = (host: WeftHost): Promise<KeyInfo[]> => host.json<KeyInfo[]>('keys');

async function seals(host: WeftHost, number: number): Promise<boolean> {
  return (await keysOf(host)).some((key) => key.number === number && key.state === 'in use');
}

test('keys rotate and retire under traffic, a host is expelled, and all of it outlives restarts', async (t) => {
  const mesh = await startMesh(t, 'keys', ['a', 'b', 'c']);
  const [a, b, c] = mesh.hosts as [WeftHost, WeftHost, WeftHost];
  const [web, db, bad] = [
    await mesh.container('web'),
    await mesh.container('db'),
    await mesh.container('bad'),
  ];
  await sealedNetwork(mesh.hosts);
  await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', db, '10.7.0.3');
  await c.attach('blue', bad, '10.7.0.4');
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);
  await eventually(() => bad.answers('10.7.0.2'), LONG_MS);

  const pings = web.ping('10.7.0.3', PINGS);
  const inUse = (await keysOf(a)).find(({ state }) => state === 'in use');
  const early = await a.tryWeft('keys', 'retire', inUse?.id ?? '');
  t.is(early.status, 1);
  t.regex(early.stderr, /^weft: Key [0-9a-f]{8} is what this host[^\n]*seals with[^\n]*\n$/);
  await a.weft('keys', 'rotate');
  for (const host of [a, b, c]) await eventually(() => seals(host, 2), LONG_MS);
  await eventually(
    async () => (await keysOf(a)).find(({ number }) => number === 2)?.sealedWithBy.length === 2,
    LONG_MS,
  );
  await a.weft('keys', 'retire');
  await eventually(
    async () =>
      (await keysOf(c)).every(({ number, state }) => (number === 1) === (state === 'retired')),
    LONG_MS,
  );
  const { sent, received } = await pings;
  t.is(received, sent, 'no frame is lost by it');

  await a.weft('expel', 'c');
  await eventually(() => seals(b, 3), LONG_MS);
  await eventually(
    async () => (await b.peers()).some(({ name, state }) => name === 'c' && state === 'dead'),
    LONG_MS,
  );
  t.false(await bad.answers('10.7.0.2', { waitSeconds: 1 }));
  t.true(await web.answers('10.7.0.3'));
  t.false(
    (await keysOf(c)).some(({ number }) => number === 3),
    'it gets no new key',
  );

  await b.kill();
  await b.up();
  await waitForPeers(b, 2, LONG_MS);
  t.regex(await b.weft('expel', '--list'), /^NAME +ID\nc +[0-9a-f]{32}\n$/);
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);
  await c.kill();
  await c.up();
  const token = (await a.weft('token')).trim();
  const again = await c.tryWeft('join', a.host.address, '--token', token);
  t.is(again.status, 1);
  t.regex(again.stderr, /^weft: This host is expelled from the mesh of [^\n]*\n$/);
  await a.weft('expel', '--undo', 'c');
  await joinMesh(c, a);
  await waitForPeers(a, 3, LONG_MS);
  await eventually(() => bad.answers('10.7.0.2'), LONG_MS);
});

test('an expelled host is forgotten while it goes on: its addresses are given to others, and what it has of them goes when it returns', async (t) => {
  const mesh = await startMesh(t, 'expelled', ['a', 'b', 'c']);
  const [a, b, c] = mesh.hosts as [WeftHost, WeftHost, WeftHost];
  const [web, bad, heir] = [
    await mesh.container('web'),
    await mesh.container('bad'),
    await mesh.container('heir'),
  ];
  await sealedNetwork(mesh.hosts);
  await b.attach('blue', web, '10.7.0.3');
  await c.attach('blue', bad, '10.7.0.4');
  await eventually(() => bad.answers('10.7.0.3'), LONG_MS);

  await a.weft('expel', 'c');
  for (const host of [a, b]) {
    await eventually(
      async () => (await host.peers()).some(({ name, state }) => name === 'c' && state === 'dead'),
      LONG_MS,
    );
  }
  const { host, endpoints } = await b.json<ForgetReport>('forget', 'c');
  t.is(host, 'c');
  t.is(endpoints.length, 1);
  const isGone = async (on: WeftHost): Promise<boolean> =>
    (await on.json<NetworkDetail>('network', 'inspect', 'blue')).attached.length === 1;
  for (const on of [a, b]) await eventually(() => isGone(on), LONG_MS);
  await a.attach('blue', heir, '10.7.0.4');
  await eventually(() => web.answers('10.7.0.4'), LONG_MS);
  // It runs, and believes in its endpoint as before.
  t.is((await c.json<EndpointInfo[]>('ps')).length, 1);

  await a.weft('expel', '--undo', 'c');
  await joinMesh(c, a);
  await waitForPeers(a, 3, LONG_MS);
  await eventually(async () => (await c.json<EndpointInfo[]>('ps')).length === 0, LONG_MS);
  await eventually(async () => (await bad.ip('-br addr show type veth')) === '', LONG_MS);
  t.true(await web.answers('10.7.0.4'));
  const { warnings } = await c.status();
  t.true(
    warnings.some((warning) => warning.includes('taken from this host')),
    warnings.join(' '),
  );
});
