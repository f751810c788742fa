import test from 'ava';
import type { EndpointInfo, NetworkDetail } from '../../src/api/control.ts';
import { ask, serve } from './ask.ts';
import { eventually, startMesh } from './mesh.ts';

const LONG_MS = 20_000;
/** By its path: npx puts another program of that name first. */
const NFT = '/usr/sbin/nft';

test('published ports lead to the endpoint, from outside, from the host and from its neighbours', async (t) => {
  const mesh = await startMesh(t, 'ports', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--routed');
  await a.weft('network', 'create', 'dark', '--subnet', '10.8.0.0/24', '--internal');
  const [web, near, cave] = [
    await mesh.container('web'),
    await mesh.container('near'),
    await mesh.container('cave'),
  ];
  const published = ['--publish', '8080:80', '--publish', '192.0.2.1:53:80/udp'];
  const info = await a.attach('blue', web, '10.7.0.10', ...published);
  t.deepEqual(info.ports, [
    { protocol: 'tcp', hostPort: 8080, port: 80 },
    { protocol: 'udp', hostAddress: '192.0.2.1', hostPort: 53, port: 80 },
  ]);
  await a.attach('blue', near, '10.7.0.11');
  await a.attach('dark', cave, '10.8.0.10');
  await serve(web, 'web', 80);
  await serve(near, 'near', 80);

  const everyWay = async (): Promise<void> => {
    await eventually(
      async () => (await ask(b.namespace, 'tcp', '192.0.2.1', 8080)) === 'web',
      LONG_MS,
    );
    await eventually(
      async () => (await ask(b.namespace, 'udp', '192.0.2.1', 53)) === 'web',
      LONG_MS,
    );
    for (const [from, address] of [
      [a.namespace, '192.0.2.1'],
      [a.namespace, '127.0.0.1'],
      [near, '192.0.2.1'],
      [near, '10.7.0.1'],
    ] as const) {
      await eventually(async () => (await ask(from, 'tcp', address, 8080)) === 'web', LONG_MS);
    }
    await eventually(
      async () => (await ask(a.namespace, 'udp', '192.0.2.1', 53)) === 'web',
      LONG_MS,
    );
  };
  await everyWay();
  await cave.ip('route add default via 10.8.0.1');
  t.is(await ask(cave, 'tcp', '192.0.2.1', 8080), '', 'not from another network');

  // What another has is refused in one sentence, and changes nothing.
  const refusals = [
    [['8080:80'], new RegExp(`Port 8080/tcp is published for endpoint ${info.endpoint}; give`)],
    [['4789:80/udp'], /Port 4789\/udp is used by a program of this host/],
    [['203.0.113.9:81:80'], /203\.0\.113\.9 is no address of this host/],
  ] as const;
  for (const [[port], sentence] of refusals) {
    const box = ['--netns', near.name, '--ifname', 'eth9', '--publish', port];
    const { status, stderr } = await a.tryWeft('attach', 'blue', ...box);
    t.is(status, 1);
    t.regex(stderr, sentence);
  }
  const internal = await a.tryWeft('publish', 'nothing', '81:80');
  t.regex(internal.stderr, /There is no endpoint nothing/);

  const moved = await a.json<EndpointInfo>('publish', info.endpoint, '0:80/udp');
  const free = moved.ports?.[2]?.hostPort ?? 0;
  t.is(await ask(b.namespace, 'udp', '192.0.2.1', free), 'web', `port ${free}`);
  const back = await a.json<EndpointInfo>('unpublish', info.endpoint, `${free}:80/udp`);
  t.is(back.ports?.length, 2);

  // They are there again after a crash, and after somebody flushed them.
  await a.kill();
  await a.namespace.run(NFT, ['flush', 'ruleset']);
  await a.up();
  await everyWay();
  const shown = await a.json<NetworkDetail>('network', 'inspect', 'blue');
  t.is(shown.attached.find(({ endpoint }) => endpoint === info.endpoint)?.ports?.length, 2);

  await a.weft('detach', '--endpoint', info.endpoint);
  t.is(await ask(b.namespace, 'tcp', '192.0.2.1', 8080), '');
  t.notRegex(await a.namespace.run(NFT, ['list', 'ruleset']), /8080/);
});
