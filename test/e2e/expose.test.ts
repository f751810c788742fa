import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { EndpointInfo } from '../../src/api/control.ts';
import { eventually, startMesh } from './mesh.ts';

const LONG_MS = 20_000;

async function dig(from: LabNamespace, server: string, name: string): Promise<string> {
  const { stdout } = await from.tryRun('dig', [`@${server}`, '+short', '+timeout=2', name]);
  return stdout.trim();
}

/** The MTU follows the paths to the other hosts, which are found meanwhile. */
const withoutMtu = ({ mtu, ...rest }: EndpointInfo): Omit<EndpointInfo, 'mtu'> => {
  if (mtu < 1280) throw new Error(`${rest.endpoint} has MTU ${mtu}`);
  return rest;
};

test('a host joins a network, is found by its name, and leaves again', async (t) => {
  const mesh = await startMesh(t, 'expose', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  await a.weft('network', 'create', 'wire', '--subnet', '10.7.0.0/24');
  await eventually(
    async () => (await b.tryWeft('network', 'inspect', 'wire')).status === 0,
    LONG_MS,
  );
  const [near, far] = [await mesh.container('near'), await mesh.container('far')];
  await a.attach('wire', near, '10.7.0.2');
  await b.attach('wire', far, '10.7.0.3');

  const info = await a.json<EndpointInfo>('expose', 'wire', '--ip', '10.7.0.100');
  t.like(info, { address: '10.7.0.100/24', owner: 'host', names: ['a'] });
  // Again is no harm; another address is a conflict.
  t.deepEqual(withoutMtu(await a.json<EndpointInfo>('expose', 'wire')), withoutMtu(info));
  const other = await a.tryWeft('expose', 'wire', '--ip', '10.7.0.101');
  t.regex(
    other.stderr,
    /on network wire already, with address 10\.7\.0\.100; "weft hide wire" first/,
  );
  const second = await b.json<EndpointInfo>('expose', 'wire');

  const everyWay = async (): Promise<void> => {
    for (const [from, to] of [
      [near, '10.7.0.100'],
      [far, '10.7.0.100'],
      [a.namespace, '10.7.0.2'],
      [a.namespace, '10.7.0.3'],
      [a.namespace, second.address.split('/')[0] ?? ''],
    ] as const) {
      await eventually(() => from.answers(to), LONG_MS);
    }
  };
  await everyWay();
  // A plain wire has no address to ask for names but that of a host on it.
  const server = second.address.split('/')[0] ?? '';
  await eventually(async () => (await dig(far, server, 'a.weft.local')) === '10.7.0.100', LONG_MS);
  t.is(await dig(a.namespace, '10.7.0.100', 'b.wire.weft.local'), server);

  // The host is on the network, and no way out of it.
  await a.namespace.run('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=1']);
  await near.ip('route add 192.0.2.0/24 via 10.7.0.100');
  t.true(await near.answers('192.0.2.1'), 'its own addresses it does have');
  // The setting was for all interfaces: a rule holds until the next sweep takes this one out again.
  const forwards = `/proc/sys/net/ipv4/conf/${info.ifname}/forwarding`;
  const isOn = async (): Promise<boolean> =>
    (await a.namespace.run('cat', [forwards])).trim() === '1';
  await eventually(async () => {
    await a.namespace.run('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=0']);
    await a.namespace.run('sysctl', ['-q', '-w', 'net.ipv4.ip_forward=1']);
    t.false(await near.answers('192.0.2.2', { waitSeconds: 1 }));
    return isOn();
  }, LONG_MS);
  await eventually(async () => !(await isOn()), LONG_MS);
  const ipv6 = `cat /proc/sys/net/ipv6/conf/${info.ifname}/disable_ipv6`;
  t.is((await a.namespace.run('sh', ['-c', ipv6])).trim(), '1');

  // It is there again after a crash, and after somebody removed it.
  await a.kill();
  await a.up();
  t.deepEqual(
    (await a.json<EndpointInfo[]>('ps')).filter(({ owner }) => owner === 'host').map(withoutMtu),
    [withoutMtu(info)],
  );
  await everyWay();
  await a.namespace.ip(`link delete ${info.ifname}`);
  await everyWay();

  // Refused in one sentence each.
  await a.weft('network', 'create', 'twin', '--subnet', '10.7.0.0/25');
  for (const [words, sentence] of [
    [['expose', 'twin'], /overlaps the route "10\.7\.0\.0\/24 dev weft-h\d+" of this host/],
    [['expose', 'none'], /There is no network none/],
    [['network', 'rm', 'wire'], /Network wire has 4 endpoints/],
    [['hide', 'twin'], /This host is not on network twin/],
  ] as const) {
    const { status, stderr } = await a.tryWeft(...words);
    t.is(status, 1, words.join(' '));
    t.regex(stderr, sentence);
  }
  await b.weft('hide', 'wire');
  const taken = await b.tryWeft('expose', 'wire', '--ip', '10.7.0.2');
  t.regex(taken.stderr, /Address 10\.7\.0\.2(?:\/24)? .*(?:belongs to|is taken|has)/);
  t.false((await b.namespace.ip('-o link')).includes('weft-h'), 'nothing half done');

  await a.weft('hide', 'wire');
  t.false((await a.namespace.ip('-o link')).includes('weft-h'));
  t.notRegex(await a.namespace.ip('route show'), /10\.7\.0/);
  t.false(await far.answers('10.7.0.100', { waitSeconds: 1 }));
  t.is((await a.tryWeft('hide', 'wire')).status, 1);
});

const bare = (cidr = ''): string => cidr.split('/')[0] ?? '';

test('a host joins networks with IPv6, and is no way from one to the other', async (t) => {
  const mesh = await startMesh(t, 'expose6', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const host = a.namespace;
  const setAll = (isOn: boolean): Promise<string> =>
    host.run('sysctl', ['-q', '-w', `net.ipv6.conf.all.forwarding=${isOn ? 1 : 0}`]);
  // As a host with other duties has it.
  await setAll(true);
  const dual = ['--subnet', '10.7.0.0/24', '--subnet6', 'fd00:7::/64'];
  await a.weft('network', 'create', 'dual', ...dual);
  await a.weft('network', 'create', 'six', '--subnet', 'fd00:8::/64');
  for (const name of ['dual', 'six']) {
    await eventually(
      async () => (await b.tryWeft('network', 'inspect', name)).status === 0,
      LONG_MS,
    );
  }
  const [near, far] = [await mesh.container('near'), await mesh.container('far')];
  await a.attach('dual', near, '10.7.0.2', '--ip6', 'fd00:7::2');
  await b.attach('dual', far, '10.7.0.3', '--ip6', 'fd00:7::3');
  const other = await mesh.container('other');
  await b.attach('six', other, 'fd00:8::3');

  const info = await a.json<EndpointInfo>('expose', 'dual', '--ip6', 'fd00:7::100');
  t.like(info, { address6: 'fd00:7::100/64', owner: 'host', names: ['a'] });
  t.deepEqual(withoutMtu(await a.json<EndpointInfo>('expose', 'dual')), withoutMtu(info));
  const conflict = await a.tryWeft('expose', 'dual', '--ip6', 'fd00:7::101');
  t.regex(conflict.stderr, /already, with address 10\.7\.0\.\d+ and fd00:7::100; "weft hide dual"/);
  const six = await a.json<EndpointInfo>('expose', 'six', '--ip', 'fd00:8::100');
  t.like(six, { address: 'fd00:8::100/64' });
  const second = await b.json<EndpointInfo>('expose', 'dual');

  const everyWay = async (): Promise<void> => {
    for (const [from, to] of [
      [near, 'fd00:7::100'],
      [far, 'fd00:7::100'],
      [far, bare(info.address)],
      [other, 'fd00:8::100'],
      [host, 'fd00:7::2'],
      [host, 'fd00:7::3'],
      [host, '10.7.0.3'],
      [host, 'fd00:8::3'],
      [host, bare(second.address6)],
    ] as const) {
      await eventually(() => from.answers(to), LONG_MS);
    }
  };
  await everyWay();
  const { stdout } = await far.tryRun('dig', [
    ...['@fd00:7::100', '+short', '+timeout=2', 'a.weft.local', 'AAAA'],
  ]);
  t.regex(stdout, /^fd00:7::100$/m);

  // The host forwards, both containers have a route by it, and yet: for the rule of nftables alone.
  await far.ip('-6 route add fd00:8::/64 via fd00:7::100');
  await other.ip('-6 route add fd00:7::/64 via fd00:8::100');
  const passes = (): Promise<boolean> => far.answers('fd00:8::3', { waitSeconds: 1 });
  t.false(await passes());
  await eventually(async () => {
    await host.tryRun('/usr/sbin/nft', ['delete', 'table', 'inet', 'weft']);
    return passes();
  }, LONG_MS);
  await eventually(async () => !(await passes()), LONG_MS);
  // Nobody on the network tells the host where to send what.
  const heeds = `cat /proc/sys/net/ipv6/conf/${info.ifname}/accept_ra`;
  t.is((await host.run('sh', ['-c', heeds])).trim(), '0');

  await a.kill();
  await a.up();
  const own = (await a.json<EndpointInfo[]>('ps')).filter(({ owner }) => owner === 'host');
  t.deepEqual(own.map(({ address6, address }) => address6 ?? address).sort(), [
    'fd00:7::100/64',
    'fd00:8::100/64',
  ]);
  await everyWay();
  await host.ip(`link delete ${info.ifname}`);
  await host.run('sysctl', ['-q', '-w', `net.ipv6.conf.${six.ifname}.disable_ipv6=1`]);
  await everyWay();

  await a.weft('network', 'create', 'twin', '--subnet', 'fd00:7::/65');
  const twin = await a.tryWeft('expose', 'twin');
  t.regex(twin.stderr, /overlaps the route "fd00:7::\/64 dev weft-h\d+" of this host/);

  t.regex(
    await a.weft('hide', 'dual'),
    /^hidden 10\.7\.0\.\d+\/24 and fd00:7::100\/64 \(this host\)/,
  );
  await a.weft('hide', 'six');
  t.false((await host.ip('-o link')).includes('weft-h'));
  t.notRegex(await host.ip('-6 route show table all'), /fd00:[78]:/);
  t.notRegex(await host.run('/usr/sbin/nft', ['list', 'tables']), /weft/);
  t.false(await far.answers('fd00:7::100', { waitSeconds: 1 }));
});
