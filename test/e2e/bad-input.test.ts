import test from 'ava';
import { eventually, makeHosts, PLAIN, startMesh, upJoined, type WeftHost } from './mesh.ts';
import { sendDatagrams } from './raw.ts';

async function dropsOf(host: WeftHost): Promise<Readonly<Record<string, number>>> {
  return (await host.status()).dataPlane.drops;
}

const FRAME = `ffffffffffff02000000990108060001${'00'.repeat(26)}`;
const vxlan = (flags: string, vni: string, frame: string): string =>
  `${flags}000000${vni}00${frame}`;

test('broken VXLAN datagrams are counted by name and change nothing', async (t) => {
  const mesh = await startMesh(t, 'bad', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--vni', '42', ...PLAIN);
  await eventually(
    async () => (await b.tryWeft('network', 'inspect', 'blue')).status === 0,
    20_000,
  );
  const { mac } = await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', db, '10.7.0.3');
  t.is((await web.ping('10.7.0.3')).received, 3);

  const before = await dropsOf(a);
  const ourMac = `ffffffffffff${mac.replaceAll(':', '')}0806${'00'.repeat(28)}`;
  const groupSource = `ffffffffffff01005e0000010806${'00'.repeat(28)}`;
  await sendDatagrams(b.namespace, { address: a.host.address, port: 4789 }, [
    '0800',
    vxlan('00', '00002a', FRAME),
    vxlan('08', '000bad', FRAME),
    vxlan('08', '00002a', 'ffff'),
    vxlan('08', '00002a', FRAME + '00'.repeat(9000)),
    vxlan('08', '00002a', ourMac),
    vxlan('08', '00002a', groupSource),
  ]);
  const expected = {
    vxlan_short: 1,
    vxlan_flags: 1,
    vxlan_vni_unknown: 1,
    vxlan_frame_short: 1,
    vxlan_frame_long: 1,
    vxlan_source_local: 1,
    vxlan_source_invalid: 1,
  };
  await eventually(async () => {
    const now = await dropsOf(a);
    return Object.entries(expected).every(
      ([name, count]) => now[name] === (before[name] ?? 0) + count,
    );
  }, 3000);
  t.is((await web.ping('10.7.0.3')).received, 3);
});

test('reserved bits are ignored, strangers are refused, noise on the mesh port is counted', async (t) => {
  const mesh = await makeHosts(t, 'noise', ['a', 'b', 'x']);
  const [a, b, x] = mesh.hosts;
  if (!a || !b || !x) throw new Error('three hosts were asked for');
  await a.up();
  await upJoined(b, a);
  const web = await mesh.container('web');
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--vni', '42', ...PLAIN);
  await a.attach('blue', web, '10.7.0.2');

  await sendDatagrams(x.namespace, { address: a.host.address, port: 4789 }, [
    vxlan('08', '00002a', FRAME),
  ]);
  await eventually(async () => (await dropsOf(a))['vxlan_vtep_unknown'] === 1, 3000);

  // Every reserved bit set: RFC 7348 says to ignore them, so the frame's source is learned.
  await sendDatagrams(b.namespace, { address: a.host.address, port: 4789 }, [
    `ffffffff00002aff${FRAME}`,
  ]);
  await eventually(async () => (await a.weft('fdb', 'blue')).includes('02:00:00:00:99:01'), 3000);

  const noise = Array.from({ length: 200 }, (_, index) =>
    Buffer.from(
      Array.from({ length: (index * 7) % 300 }, (_unused, at) => (index * 31 + at * 17) & 255),
    ).toString('hex'),
  );
  await sendDatagrams(x.namespace, { address: a.host.address, port: 7783 }, noise);
  await eventually(async () => ((await dropsOf(a))['mesh_unknown'] ?? 0) > 100, 3000);
  t.is((await a.peers()).filter((peer) => peer.state === 'alive').length, 2);
});

test('a join that can not work says why, and changes nothing', async (t) => {
  const mesh = await makeHosts(t, 'join', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  await a.up();
  const cases: readonly (readonly [string, RegExp])[] = [
    [`${b.host.address}:7783`, /192\.0\.2\.2.*refused/],
    ['no-such-host.invalid', /no-such-host\.invalid/],
    [a.host.address, /itself|this very host/],
    ['nonsense:port', /nonsense:port/],
  ];
  for (const [target, sentence] of cases) {
    const { status, stderr } = await a.tryWeft('join', target);
    t.true(status === 1 || status === 2, `${target}: ${status}`);
    t.regex(stderr, sentence);
    t.is(stderr.trim().split('\n').length, 1, stderr);
  }
  t.is((await a.peers()).length, 1);

  await b.up('--name', 'a');
  const token = (await a.weft('token')).trim();
  const twin = await b.tryWeft('join', a.host.address, '--token', token);
  t.is(twin.status, 1);
  t.regex(twin.stderr, /name.*"a".*192\.0\.2\.2.*192\.0\.2\.1/);
  t.is((await a.peers()).filter((peer) => peer.state === 'alive').length, 1);
  // It has kept its own keys, and is told how to get those of the mesh.
  const without = await b.tryWeft('join', a.host.address);
  t.is(without.status, 1);
  t.regex(
    without.stderr,
    /^weft: [^\n]*does not know this host's keys; run "weft token" there[^\n]*\n$/,
  );
});

test('names, VNIs, addresses and interfaces that are taken are refused with a sentence', async (t) => {
  const mesh = await makeHosts(t, 'taken', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  await a.up();
  await upJoined(b, a);
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  const create = (name: string, ...more: string[]): readonly string[] => [
    ...['network', 'create', name, '--subnet', '10.7.0.0/24', ...more],
  ];
  await a.weft(...create('blue', '--vni', '42'));
  await a.weft(...create('red', '--vni', '43'));
  const first = await a.attach('blue', web, '10.7.0.2');
  await eventually(async () => (await b.status()).endpoints.mesh === 1, 20_000);

  const refused: readonly (readonly [WeftHost, readonly string[], RegExp])[] = [
    [a, create('blue'), /blue/],
    [b, create('green', '--vni', '42'), /42.*blue/],
    [a, create('green', '--vni', '16777216'), /16777216.*16777215/],
    [a, create('green', '--mtu', '100000'), /100000/],
    [a, create('no/slash'), /no\/slash/],
    [a, ['network', 'create', 'green', '--subnet', '10.7.0.1/24'], /10\.7\.0\.0\/24/],
    [a, ['network', 'rm', 'blue'], /blue.*endpoint/],
    [a, ['network', 'rm', 'nowhere'], /nowhere/],
    [a, ['attach', 'blue', '--netns', db.name, '--ip', '10.7.0.255'], /10\.7\.0\.255/],
    [a, ['attach', 'blue', '--netns', db.name, '--ip', '10.8.0.2'], /10\.8\.0\.2.*10\.7\.0\.0\/24/],
    [b, ['attach', 'blue', '--netns', db.name, '--ip', '10.7.0.2'], /10\.7\.0\.2/],
    [a, ['attach', 'blue', '--netns', 'vanished', '--ip', '10.7.0.3'], /vanished/],
    [
      a,
      ['attach', 'blue', '--netns', db.name, '--ip', '10.7.0.3', '--ifname', 'much-too-long-name'],
      /15/,
    ],
    [a, ['attach', 'red', '--netns', web.name, '--ip', '10.7.0.3'], /eth0/],
    [a, ['attach', 'blue', '--pid', '999999999', '--ip', '10.7.0.3'], /999999999/],
    [a, ['detach', '--endpoint', 'ffffffff'], /ffffffff/],
    [b, ['detach', '--endpoint', first.endpoint], /host a\b|on a\b|"a"/],
  ];
  for (const [host, words, sentence] of refused) {
    const { status, stderr } = await host.tryWeft(...words);
    t.true(status === 1 || status === 2, `${words.join(' ')}: ${status}`);
    t.regex(stderr, sentence, words.join(' '));
    t.is(stderr.trim().split('\n').length, 1, stderr);
  }
  t.is((await a.status()).endpoints.mesh, 1);
  t.is((await a.status()).networks, 2);
  const links = JSON.parse(await a.namespace.ip('-json link show type veth')) as {
    ifname?: string;
  }[];
  t.is(links.filter(({ ifname }) => ifname !== undefined && ifname !== 'u0').length, 1);
  t.is(await db.ip('-br link show type veth'), '');
});

test('attach and detach are idempotent, and what is gone is gone', async (t) => {
  const mesh = await makeHosts(t, 'idem', ['a', 'b']);
  const [a] = mesh.hosts;
  if (!a) throw new Error('a host was asked for');
  await a.up();
  const web = await mesh.container('web');
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--vni', '42', ...PLAIN);
  const first = await a.attach('blue', web, '10.7.0.2');
  const second = await a.attach('blue', web, '10.7.0.2');
  t.deepEqual(second, first);
  await a.weft('detach', 'blue', '--netns', web.name);
  t.is(await web.ip('-br link show type veth'), '');
  t.is((await a.tryWeft('detach', 'blue', '--netns', web.name)).status, 1);
  await a.weft('network', 'rm', 'blue');
  t.is((await a.namespace.tryRun('ip', ['link', 'show', 'weft-42'])).status, 1);
});

test('commands without a daemon end with status 3, wrong usage with 2', async (t) => {
  const mesh = await makeHosts(t, 'exit', ['a', 'b']);
  const [a] = mesh.hosts;
  if (!a) throw new Error('a host was asked for');
  const absent = await a.tryWeft('status');
  t.is(absent.status, 3);
  t.regex(absent.stderr, /weft up/);
  t.is((await a.tryWeft('frobnicate')).status, 2);
  t.is((await a.tryWeft('network', 'create', 'blue')).status, 2);
  await a.up();
  const twice = await a.tryWeft('up', '--state-dir', a.stateDirectory);
  t.is(twice.status, 1);
  t.is(twice.stderr.trim().split('\n').length, 1, twice.stderr);
});
