import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { EndpointInfo } from '../../src/api/control.ts';
import { eventually, startMesh } from './mesh.ts';

const LONG_MS = 20_000;

async function dig(from: LabNamespace, server: string, name: string): Promise<string> {
  const { stdout } = await from.tryRun('dig', [`@${server}`, '+short', '+timeout=2', name]);
  return stdout.trim();
}

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
  t.deepEqual(await a.json<EndpointInfo>('expose', 'wire'), info);
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
  // The setting was for all interfaces; the next sweep takes this one out again.
  await eventually(async () => !(await near.answers('192.0.2.2', { waitSeconds: 1 })), LONG_MS);
  const ipv6 = `cat /proc/sys/net/ipv6/conf/${info.ifname}/disable_ipv6`;
  t.is((await a.namespace.run('sh', ['-c', ipv6])).trim(), '1');

  // It is there again after a crash, and after somebody removed it.
  await a.kill();
  await a.up();
  t.deepEqual(
    (await a.json<EndpointInfo[]>('ps')).filter(({ owner }) => owner === 'host'),
    [info],
  );
  await everyWay();
  await a.namespace.ip(`link delete ${info.ifname}`);
  await everyWay();

  // Refused in one sentence each.
  await a.weft('network', 'create', 'open', '--subnet', '10.8.0.0/24', '--routed');
  await a.weft('network', 'create', 'six', '--subnet', 'fd00:7::/64');
  await a.weft('network', 'create', 'twin', '--subnet', '10.7.0.0/25');
  for (const [words, sentence] of [
    [
      ['expose', 'open'],
      /Network open is routed: every host is on it already, as its gateway 10\.8/,
    ],
    [['expose', 'six'], /Network six has the subnet fd00:7::\/64; a host joins/],
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
