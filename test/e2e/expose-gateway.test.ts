import test from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { EndpointInfo } from '../../src/api/control.ts';
import { ask, serve } from './ask.ts';
import { internet } from './internet.ts';
import { eventually, startMesh, type WeftHost } from './mesh.ts';

const LONG_MS = 20_000;
/** By its path: npx puts another program of that name first. */
const NFT = '/usr/sbin/nft';

const bare = (cidr = ''): string => cidr.split('/')[0] ?? '';

/** Waits until it is true, and says what was waited for if it never is. */
async function soon(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  await eventually(isTrue, LONG_MS).catch((cause: unknown) => {
    throw new Error(what, { cause });
  });
}

const pingsSoon = (from: LabNamespace, to: string): Promise<void> =>
  soon(`${from.name} pings ${to}`, () => from.answers(to));
const isSilent = async (from: LabNamespace, to: string): Promise<boolean> =>
  !(await from.answers(to, { waitSeconds: 1 }));
const saysSoon = (
  who: string,
  from: LabNamespace,
  to: string,
  port: number,
  protocol: 'tcp' | 'udp' = 'tcp',
): Promise<void> =>
  soon(`${who} answers ${from.name} at ${to}, ${protocol} ${port}`, async () => {
    return (await ask(from, protocol, to, port)) === who;
  });

const set = (on: LabNamespace, setting: string): Promise<string> =>
  on.run('sysctl', ['-q', '-w', setting]);

async function known(host: WeftHost, ...networks: readonly string[]): Promise<void> {
  for (const network of networks) {
    await eventually(
      async () => (await host.tryWeft('network', 'inspect', network)).status === 0,
      LONG_MS,
    );
  }
}

/** Rules, routes and addresses of Weft's, in one order and without what is numbered anew: what is left of an exposed host. */
async function traces(host: LabNamespace): Promise<string> {
  const shown = await Promise.all([
    ...['rule show', '-6 rule show', '-o address'].map((words) => host.ip(words)),
    ...['-4', '-6'].map((family) => host.ip(`${family} route show table all`)),
    host.run(NFT, ['list', 'ruleset']),
  ]);
  return shown
    .join('')
    .split('\n')
    .filter((line) => /7783|proto 87|weft-h/.test(line))
    .map((line) => line.replace(/^\d+: (?=weft)/, ''))
    .sort()
    .join('\n');
}

test('a host joins networks whose gateway it is, and all that the gateway does goes on', async (t) => {
  const mesh = await startMesh(t, 'exposegw', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const host = a.namespace;
  const outside = await internet(mesh);
  // As careful distributions have it: an answer must come by where the question would go.
  await set(host, 'net.ipv4.conf.all.rp_filter=1');
  const dual = ['--subnet', '10.7.0.0/24', '--subnet6', 'fd00:7::/64', '--routed'];
  await a.weft('network', 'create', 'blue', ...dual);
  await a.weft('network', 'create', 'dark', '--subnet', '10.8.0.0/24', '--internal');
  await known(b, 'blue', 'dark');
  const [near, far] = [await mesh.container('near'), await mesh.container('far')];
  const peer = await mesh.container('peer');
  const [cave, pit] = [await mesh.container('cave'), await mesh.container('pit')];
  await a.attach('blue', near, '10.7.0.2', '--ip6', 'fd00:7::2', '--publish', '8080:80');
  await a.attach('blue', peer, '10.7.0.4', '--ip6', 'fd00:7::4');
  await b.attach('blue', far, '10.7.0.3', '--ip6', 'fd00:7::3');
  await a.attach('dark', cave, '10.8.0.2');
  await b.attach('dark', pit, '10.8.0.3');
  await serve(near, 'near', 80);
  await serve(host, 'host', 9090);
  t.is(await traces(host), '');

  const info = await a.json<EndpointInfo>(
    ...['expose', 'blue', '--ip', '10.7.0.100', '--ip6', 'fd00:7::100'],
  );
  t.like(info, { address: '10.7.0.100/24', address6: 'fd00:7::100/64', owner: 'host' });
  const dark = bare((await a.json<EndpointInfo>('expose', 'dark')).address);
  const second = await b.json<EndpointInfo>('expose', 'blue');

  const everyWay = async (): Promise<void> => {
    for (const [from, to] of [
      ...[near, far].flatMap((from) =>
        ['10.7.0.100', 'fd00:7::100'].map((to) => [from, to] as const),
      ),
      ...['10.7.0.2', '10.7.0.3', 'fd00:7::2', 'fd00:7::3'].map((to) => [host, to] as const),
      ...[bare(second.address), bare(second.address6)].map((to) => [host, to] as const),
      ...[cave, pit].map((from) => [from, dark] as const),
      ...['10.8.0.2', '10.8.0.3'].map((to) => [host, to] as const),
      // What the gateway was before it still is.
      ...['10.7.0.1', '192.0.2.1', '203.0.113.1', '2001:db8:ffff::1'].map(
        (to) => [near, to] as const,
      ),
      [far, '203.0.113.1'],
    ] as const) {
      await pingsSoon(from, to);
    }
  };
  const byPorts = async (): Promise<void> => {
    for (const [from, to] of [
      [outside, '198.51.100.1'],
      [outside, '2001:db8:1::1'],
      [b.namespace, '192.0.2.1'],
      ...['192.0.2.1', '127.0.0.1', '10.7.0.1', '10.7.0.100'].map((to) => [host, to] as const),
      ...['192.0.2.1', '10.7.0.1', 'fd00:7::1'].map((to) => [peer, to] as const),
    ] as const) {
      await saysSoon('near', from, to, 8080);
    }
    await saysSoon('near', host, '10.7.0.2', 80, 'udp');
    await saysSoon('host', far, '10.7.0.100', 9090);
    await saysSoon('host', near, 'fd00:7::100', 9090, 'udp');
    // The gateway's address stays the host's too, for its own containers; its own address has no published ports.
    await saysSoon('host', near, '10.7.0.1', 9090);
    t.is(await ask(far, 'tcp', '10.7.0.100', 8080), '');
  };
  await everyWay();
  await byPorts();
  for (const [from, to, address] of [
    [host, far, '10.7.0.3'],
    [far, host, 'fd00:7::100'],
    [pit, host, dark],
  ] as const) {
    const { sentSha256, receivedSha256 } = await from.transferTo(to, { address });
    t.is(receivedSha256, sentSha256);
  }
  // The gateway is told by no other MAC than its own.
  await near.ip('neigh flush dev eth0');
  await pingsSoon(near, '10.7.0.1');
  t.regex(await near.ip('neigh show 10.7.0.1'), /lladdr 02:57:45:/);

  // By name: asked at its own address, and at the gateway's.
  for (const [from, server] of [
    [far, '10.7.0.100'],
    [near, '10.7.0.1'],
    [host, '10.7.0.100'],
  ] as const) {
    await eventually(async () => {
      const words = [`@${server}`, '+short', '+timeout=2', 'a.blue.weft.local'];
      return (await from.tryRun('dig', words)).stdout.trim() === '10.7.0.100';
    }, LONG_MS);
  }

  // No way from one network to the other, nor out, though the host forwards on all its interfaces.
  for (const family of ['4', '6']) await set(host, `net.ipv${family}.conf.all.forwarding=1`);
  await far.ip('route add 10.8.0.0/24 via 10.7.0.100');
  await far.ip('route add 203.0.113.1/32 via 10.7.0.100');
  await far.ip('-6 route add 2001:db8:ffff::1/128 via fd00:7::100');
  await pit.ip(`route add 10.7.0.0/24 via ${dark}`);
  await pit.ip(`route add 203.0.113.1/32 via ${dark}`);
  await cave.ip('route add default via 10.8.0.1');
  for (const [from, to] of [
    [far, '10.8.0.2'],
    [far, '203.0.113.1'],
    [far, '2001:db8:ffff::1'],
    [pit, '10.7.0.2'],
    [pit, '203.0.113.1'],
    [cave, '10.7.0.100'],
    [near, dark],
  ] as const) {
    t.true(await isSilent(from, to), `${from.name} to ${to}`);
  }
  await far.ip('route del 203.0.113.1/32 via 10.7.0.100');

  // Whatever the host thinks of where answers come from, and whether or not it judges bridged frames.
  for (const filter of [2, 0]) {
    await set(host, `net.ipv4.conf.all.rp_filter=${filter}`);
    await everyWay();
  }
  const bridged = 'net.bridge.bridge-nf-call-iptables';
  const isFiltered = await host.tryRun('sysctl', ['-q', '-w', `${bridged}=1`]);
  if (isFiltered.status === 0) {
    await everyWay();
    await byPorts();
    await set(host, `${bridged}=0`);
  }

  // There again after a crash, and after somebody took away what it is made of.
  const before = await traces(host);
  await a.kill();
  await host.ip('rule add from 10.9.0.1 to 10.9.0.0/24 lookup 7783 priority 1783 protocol 87');
  await a.up();
  t.is(await traces(host), before, 'what belongs to nobody is gone, the rest is what it was');
  await everyWay();
  await host.ip('rule flush protocol 87');
  await host.ip('route flush table 7783');
  await a.daemon?.waitForLine(
    /rule \\"from 0\.0\.0\.0 to 10\.7\.0\.0\/24\\" was gone; made again/,
    LONG_MS,
  );
  await everyWay();
  await host.ip(`link delete ${info.ifname}`);
  await everyWay();
  await byPorts();
  t.is(await traces(host), before);

  // Refused in one sentence.
  await a.weft('network', 'create', 'apart', '--subnet', '10.9.0.0/24', '--routed', '--isolate');
  const refused = await a.tryWeft('expose', 'apart');
  t.is(refused.status, 1);
  t.regex(
    refused.stderr,
    /Network apart is isolated: its endpoints reach nobody but the gateway 10\.9/,
  );

  t.regex(await a.weft('hide', 'blue'), /^hidden 10\.7\.0\.100\/24 and fd00:7::100\/64/);
  t.regex(await traces(host), /10\.8\.0/, 'that of the other network stays');
  t.notRegex(await traces(host), /10\.7\.0|fd00:7/);
  await a.weft('hide', 'dark');
  t.is(await traces(host), '');
  t.true(await isSilent(far, '10.7.0.100'));
  await pingsSoon(near, '203.0.113.1');
  await pingsSoon(host, '10.7.0.2');
  await saysSoon('near', host, '192.0.2.1', 8080);
});
