/** Weave's smoke tests 120, 150 and 175 in our terms (docs/conformance.md). */
import test from 'ava';
import type { EndpointInfo } from '../../src/api/control.ts';
import { cutPairs, joinAll, linkTo, LONG_MS, sealedNetwork, waitForPath } from './links.ts';
import {
  attachPair,
  eventually,
  joinMesh,
  makeHosts,
  PLAIN,
  startMesh,
  timed,
  waitForPeers,
} from './mesh.ts';

/** From two hosts that know each other by a third to addresses on both. */
const ADDRESSES_WITHIN_MS = 40_000;

test('120_discovery: hosts that joined in a chain go straight, by the middle one if they must, and then not without it', async (t) => {
  const mesh = await makeHosts(t, 'w120', ['a', 'b', 'c']);
  const { hosts } = mesh;
  const [a, b, c] = hosts;
  if (!a || !b || !c) throw new Error('three hosts were asked for');
  await joinAll(
    hosts,
    ({ host }) => ['--advertise', host.address],
    (index) => hosts[index - 1],
  );
  await sealedNetwork(hosts);
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.attach('blue', web, '10.7.0.2');
  await c.attach('blue', db, '10.7.0.3');
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);
  await waitForPath(a, c, /^direct /);
  await b.daemon?.stop();
  await eventually(async () => (await a.peers()).some(({ state }) => state === 'left'), LONG_MS);
  t.true(await web.answers('10.7.0.3'));

  // Only the middle one reaches both; it takes no part in the network.
  await b.up('--advertise', b.host.address);
  for (const host of hosts) await waitForPeers(host, 3, LONG_MS);
  await cutPairs(hosts, (one, other) => one + other !== 2);
  await waitForPath(a, c, /^relay b$/);
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);
  const [cache, queue] = [await mesh.container('cache'), await mesh.container('queue')];
  let address = '';
  const had = await timed(async () => {
    for (const [host, container] of [
      [a, cache],
      [c, queue],
    ] as const) {
      const words = ['attach', 'blue', '--netns', container.name, '--json'];
      await eventually(async () => {
        const { status, stdout } = await host.tryWeft(...words);
        if (status === 0) [address = ''] = (JSON.parse(stdout) as EndpointInfo).address.split('/');
        return status === 0;
      }, LONG_MS);
    }
  }, ADDRESSES_WITHIN_MS);
  t.log(`addresses after ${had.text}`);
  t.true(had.ms <= had.allowedMs, had.text);
  await eventually(() => cache.answers(address), LONG_MS);

  // What can't be relayed is said.
  await a.weft('network', 'create', 'plain', '--subnet', '10.8.0.0/24', ...PLAIN);
  await eventually(
    async () => (await c.tryWeft('network', 'inspect', 'plain')).status === 0,
    LONG_MS,
  );
  for (const [host, ip] of [
    [a, '10.8.0.2'],
    [c, '10.8.0.3'],
  ] as const) {
    const container = await mesh.container(`plain${host.name}`);
    const words = ['attach', 'plain', '--netns', container.name, '--ip', ip];
    await eventually(async () => (await host.tryWeft(...words)).status === 0, LONG_MS);
  }
  const warning = /^Host c is reached by a relay, which can't carry plain VXLAN: /;
  await eventually(
    async () => (await a.status()).warnings.some((text) => warning.test(text)),
    LONG_MS,
  );

  await b.kill();
  await eventually(async () => /no path answers/.test((await linkTo(a, c)).why), LONG_MS);
  t.false(await web.answers('10.7.0.3'));
});

test('150_connect_forget, 175_target_peer_persistence: whom a host joined and left is remembered over crashes and restarts', async (t) => {
  const mesh = await startMesh(t, 'w150', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const web = await attachPair(mesh, [a, b]);
  await eventually(() => web.answers('10.7.0.3'), LONG_MS);

  const bogus = await b.tryWeft('join', '192.0.2.99');
  t.is(bogus.status, 1);
  t.regex(bogus.stderr, /^weft: [^\n]*192\.0\.2\.99[^\n]*\n$/);
  t.is((await b.peers()).length, 2);

  const isTogether = async (): Promise<void> => {
    for (const host of [a, b]) await waitForPeers(host, 2, LONG_MS);
    await eventually(() => web.answers('10.7.0.3'), LONG_MS);
  };
  const isApart = async (): Promise<void> => {
    await eventually(async () => !(await web.answers('10.7.0.3')), LONG_MS);
    // Long enough for a host that calls others to have them.
    t.is((await web.ping('10.7.0.3', { count: 3 })).received, 0);
    t.is((await b.peers()).length, 1);
  };
  await b.kill();
  await b.up();
  await isTogether();
  await b.weft('leave');
  await isApart();
  await b.kill();
  await b.up();
  await isApart();
  await b.daemon?.stop();
  await b.up();
  await isApart();
  await joinMesh(b, a);
  await isTogether();
  await b.daemon?.stop();
  await b.up();
  await isTogether();
});
