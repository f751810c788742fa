import { mkdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import { asMac, asPeerId, asVni } from '../../src/base/types.ts';
import type { Endpoint } from '../../src/network/endpoint.ts';
import { hostEndName } from '../../src/network/names.ts';
import { PORT_MTU } from '../../src/network/port-mtu.ts';
import type { Attachment } from '../../src/network/sandbox.ts';
import { readLinks, readRoutes, type Link } from '../../src/os/ip-json.ts';
import type { Sandbox, SandboxReference } from '../../src/os/netns.ts';
import { addToSum, foldSum, pseudoHeaderSum4 } from '../../src/wire/checksum.ts';
import { HEADER_BYTES as ETHERNET_BYTES } from '../../src/wire/ethernet.ts';
import { IP_PROTOCOL, ipv4Destination, ipv4HeaderBytes, ipv4Source } from '../../src/wire/ipv4.ts';
import { UDP_HEADER_BYTES, udpLength } from '../../src/wire/udp.ts';
import { openLab } from './lab.ts';
import type { HostAnswer, HostCall } from './network-host.ts';

const PROGRAM = fileURLToPath(new URL('./network-host.js', import.meta.url));
const SPEC = { network: 'blue', vni: asVni(42), mtu: 1430 } as const;
const BRIDGE = 'weft-42';

/** Acts as the daemon of the host whose namespace is `host`. */
async function act(host: LabNamespace, calls: readonly HostCall[]): Promise<HostAnswer[]> {
  const text = await host.run(process.execPath, [PROGRAM, JSON.stringify(calls)]);
  return JSON.parse(text) as HostAnswer[];
}

/** As `act` for one call that must succeed. */
async function must(host: LabNamespace, call: HostCall): Promise<unknown> {
  const [answer] = await act(host, [call]);
  if (answer?.code === undefined) return answer?.value;
  throw new Error(answer.message);
}

const linksOf = async (where: LabNamespace): Promise<Link[]> =>
  readLinks(await where.ipJson('address show'));

async function linkOf(where: LabNamespace, name: string): Promise<Link> {
  const link = (await linksOf(where)).find((each) => each.name === name);
  if (link === undefined) throw new Error(`there is no ${name} in ${where.name}`);
  return link;
}

function endpointIn(sandbox: Sandbox, last: number, more: Partial<Endpoint> = {}): Endpoint {
  return {
    id: `${last}`.repeat(32).slice(0, 32),
    network: SPEC.network,
    host: asPeerId('0123456789abcdef0123456789abcdef'),
    mac: asMac(0x02005e100000 + last),
    address: `10.7.0.${last}/24`,
    ifname: 'eth0',
    sandbox,
    ...more,
  };
}

/** Opens a TAP device that takes no offload, and prints each UDP frame that it reads as hex. */
const TAP_READER = `
import fcntl, os, struct, sys
tap = os.open('/dev/net/tun', os.O_RDWR)
IFF_TAP, IFF_NO_PI, TUNSETIFF = 0x0002, 0x1000, 0x400454ca
fcntl.ioctl(tap, TUNSETIFF, struct.pack('16sH22x', sys.argv[1].encode(), IFF_TAP | IFF_NO_PI))
print('ready', flush=True)
while True:
    frame = os.read(tap, 65536)
    if frame[12:14] == b'\\x08\\x00' and frame[23] == 17:
        print(frame.hex(), flush=True)
`;

const plug = (endpoint: Endpoint): Attachment => ({ endpoint, bridge: BRIDGE, mtu: SPEC.mtu });

/** A host with the network's bridge, and two sandboxes. */
async function openHost(t: ExecutionContext) {
  const lab = openLab(t, 'net');
  const host = await lab.namespace('host');
  const [one, two] = [await lab.namespace('c1'), await lab.namespace('c2')];
  await must(host, { call: 'ensureBridge', with: SPEC });
  const resolve = async (reference: SandboxReference) =>
    (await must(host, { call: 'resolve', with: reference })) as Sandbox;
  return { lab, host, one, two, resolve };
}

test('name, path and pid lead to one sandbox', async (t) => {
  const { one, two, resolve } = await openHost(t);
  const process = one.start('bash', ['-c', 'echo ready; exec sleep 60']);
  await process.waitForLine(/ready/);
  const byName = await resolve({ netns: one.name });
  t.is(byName.path, one.path);
  t.deepEqual(await resolve({ netns: one.path }), byName);
  t.deepEqual(await resolve({ netns: `/var/run/netns/${one.name}` }), byName);
  const { pid = 0 } = process;
  const byPid = await resolve({ pid });
  t.deepEqual(byPid, { path: `/proc/${pid}/ns/net`, inode: byName.inode });
  t.deepEqual(await resolve({ netns: `/proc/${pid}/task/${pid}/ns/net` }), {
    ...byPid,
    path: `/proc/${pid}/task/${pid}/ns/net`,
  });
  t.not((await resolve({ netns: two.name })).inode, byName.inode);
});

test("the host's own namespace and a file that is none are refused", async (t) => {
  const { host, one } = await openHost(t);
  const stale = `${one.path}-stale`;
  await mkdir('/run/netns', { recursive: true });
  await writeFile(stale, '');
  t.teardown(() => rm(stale));
  const [own, file] = await act(host, [
    { call: 'resolve', with: { netns: host.name } },
    { call: 'resolve', with: { netns: stale } },
  ]);
  t.is(own?.code, 'E_USAGE');
  t.regex(own?.message ?? '', /the host's own network namespace/);
  t.is(file?.code, 'E_SANDBOX_MISSING');
});

test('workloads attached by name and by pid reach each other; the sandbox gets what was asked and no more', async (t) => {
  const { host, one, two, resolve } = await openHost(t);
  await two.ip('link set lo down');
  const process = two.start('bash', ['-c', 'echo ready; exec sleep 60']);
  await process.waitForLine(/ready/);
  const { pid = 0 } = process;
  const [first, second] = [
    endpointIn(await resolve({ netns: one.name }), 1),
    endpointIn(await resolve({ pid }), 2, { ifname: 'net.7' }),
  ];
  const answers = await act(host, [
    { call: 'attach', with: plug(first) },
    { call: 'attach', with: plug(second) },
  ]);
  t.deepEqual(
    answers.map(({ message }) => message),
    [undefined, undefined],
  );
  t.log(`attach took ${answers.map(({ ms }) => ms?.toFixed(1)).join(' and ')} ms`);

  const inside = await linkOf(two, 'net.7');
  t.like(inside, { kind: 'veth', mac: '02:00:5e:10:00:02', mtu: 1430, isUp: true });
  t.deepEqual(
    inside.addresses.filter(({ scope }) => scope === 'global'),
    [{ address: '10.7.0.2', prefixLength: 24, scope: 'global' }],
  );
  t.deepEqual(readRoutes(await two.ipJson('route show')), [
    { destination: '10.7.0.0/24', device: 'net.7', source: '10.7.0.2' },
  ]);
  t.false((await linkOf(two, 'lo')).isUp);

  for (const name of [BRIDGE, hostEndName(first.id), hostEndName(second.id)]) {
    const link = await linkOf(host, name);
    // What is too long comes as far as the data plane, which says so.
    const mtu = name === BRIDGE ? SPEC.mtu : PORT_MTU;
    t.like(link, { mtu, isUp: true, addresses: [] }, name);
  }
  t.like(await linkOf(host, BRIDGE), { bridge: { stp: false, multicastSnooping: false } });

  const ping = await one.ping('10.7.0.2', { count: 20, intervalSeconds: 0.01 });
  t.is(ping.lossPercent, 0);
  const full = { bytes: 1430 - 28, isUnfragmented: true };
  t.is((await one.ping('10.7.0.2', { count: 1, ...full })).received, 1);
  const transfer = await two.transferTo(one, { address: '10.7.0.1', bytes: 1_000_000 });
  t.true(transfer.isIntact);
});

test("the bridge's MAC stays whatever ports come and go", async (t) => {
  const { host, one, resolve } = await openHost(t);
  const { mac } = await linkOf(host, BRIDGE);
  const endpoint = endpointIn(await resolve({ netns: one.name }), 1);
  await must(host, { call: 'attach', with: plug(endpoint) });
  await host.ip(`link set ${hostEndName(endpoint.id)} address 00:00:00:00:00:01`);
  t.is((await linkOf(host, BRIDGE)).mac, mac);
  await must(host, { call: 'detach', with: endpoint.id });
  t.like(await linkOf(host, BRIDGE), { mac, mtu: 1430 });
});

test('IPv6 addresses work at once, also where the sandbox had IPv6 off', async (t) => {
  const { host, one, two, resolve } = await openHost(t);
  await one.run('tee', ['/proc/sys/net/ipv6/conf/default/disable_ipv6'], { input: '1' });
  const endpoints = [
    endpointIn(await resolve({ netns: one.name }), 1, { address: 'fd00:7::1/64' }),
    endpointIn(await resolve({ netns: two.name }), 2, { address: 'fd00:7::2/64' }),
  ] as const;
  for (const endpoint of endpoints) await must(host, { call: 'attach', with: plug(endpoint) });
  t.is((await two.ping('fd00:7::1', { count: 3 })).received, 3);

  // Linux takes IPv6 addresses away with the link, and this sandbox switches IPv6 off again.
  await one.run('tee', ['/proc/sys/net/ipv6/conf/eth0/disable_ipv6'], { input: '1' });
  await must(host, { call: 'attach', with: plug(endpoints[0]) });
  t.is((await two.ping('fd00:7::1', { count: 3 })).received, 3);
});

test('attaching again changes nothing and repairs what was changed', async (t) => {
  const { host, one, resolve } = await openHost(t);
  const endpoint = endpointIn(await resolve({ netns: one.name }), 1);
  const attach = { call: 'attach', with: plug(endpoint) } as const;
  await must(host, attach);
  const before = await linksOf(one);
  t.deepEqual(await must(host, attach), []);
  t.deepEqual(await linksOf(one), before);
  await one.ip('link set eth0 down mtu 1300');
  await one.ip('addr flush dev eth0');
  await host.ip(`link set ${hostEndName(endpoint.id)} nomaster`);
  t.is(((await must(host, attach)) as string[]).length, 4);
  t.like(await linkOf(one, 'eth0'), { mtu: 1430, isUp: true });
  t.like(await linkOf(host, hostEndName(endpoint.id)), { master: BRIDGE });
});

test('a taken name tells who has it, and nothing changes', async (t) => {
  const { host, one, resolve } = await openHost(t);
  const sandbox = await resolve({ netns: one.name });
  await must(host, { call: 'attach', with: plug(endpointIn(sandbox, 1)) });
  await one.ip('link add eth1 address 02:00:00:00:00:77 type bridge');
  const before = [await linksOf(host), await linksOf(one)];
  const [byOurs, byOther] = await act(host, [
    { call: 'attach', with: plug(endpointIn(sandbox, 2)) },
    { call: 'attach', with: plug(endpointIn(sandbox, 3, { ifname: 'eth1' })) },
  ]);
  t.is(byOurs?.code, 'E_IFNAME_TAKEN');
  t.regex(byOurs?.message ?? '', /taken by endpoint 1{32} of network blue;/);
  t.is(byOther?.code, 'E_IFNAME_TAKEN');
  t.regex(byOther?.message ?? '', /taken by a bridge with MAC 02:00:00:00:00:77;/);
  t.deepEqual([await linksOf(host), await linksOf(one)], before);
});

test('an attach that the kernel refuses half-way leaves nothing on either side', async (t) => {
  const { host, one, resolve } = await openHost(t);
  const sandbox = await resolve({ netns: one.name });
  const before = [await linksOf(host), await linksOf(one)];
  const [noBridge, badAddress] = await act(host, [
    { call: 'attach', with: { ...plug(endpointIn(sandbox, 1)), bridge: 'weft-43' } },
    { call: 'attach', with: plug(endpointIn(sandbox, 2, { address: '10.7.0.300/24' })) },
  ]);
  t.is(noBridge?.code, 'E_COMMAND_FAILED');
  t.regex(
    noBridge?.message ?? '',
    /master weft-43.* was refused: .*; what was done before it has been undone\.$/,
  );
  t.is(badAddress?.code, 'E_COMMAND_FAILED');
  t.regex(badAddress?.message ?? '', /10\.7\.0\.300/);
  t.deepEqual([await linksOf(host), await linksOf(one)], before);
});

test('detaching: both ends go; again, and after the sandbox has gone, it does nothing', async (t) => {
  const { lab, host, one, two, resolve } = await openHost(t);
  const first = endpointIn(await resolve({ netns: one.name }), 1);
  const second = endpointIn(await resolve({ netns: two.name }), 2);
  await must(host, { call: 'attach', with: plug(first) });
  await must(host, { call: 'attach', with: plug(second) });
  t.true(await must(host, { call: 'detach', with: first.id }));
  t.deepEqual(
    (await linksOf(one)).map(({ name }) => name),
    ['lo'],
  );
  t.false(await must(host, { call: 'detach', with: first.id }));
  await lab.removeNamespace(two);
  await t.notThrowsAsync(must(host, { call: 'detach', with: second.id }));
  const [attach] = await act(host, [{ call: 'attach', with: plug(second) }]);
  t.is(attach?.code, 'E_SANDBOX_MISSING');
  t.deepEqual(
    (await linksOf(host)).map(({ name }) => name),
    ['lo', BRIDGE],
  );
});

test('an audit restores a deleted bridge and interface, and traffic flows again', async (t) => {
  const { host, one, two, resolve } = await openHost(t);
  const endpoints = [
    endpointIn(await resolve({ netns: one.name }), 1),
    endpointIn(await resolve({ netns: two.name }), 2),
  ];
  for (const endpoint of endpoints) await must(host, { call: 'attach', with: plug(endpoint) });
  await host.ip('tuntap add wtap-42 mode tap');
  const audit = { call: 'audit', with: [{ ...SPEC, device: 'wtap-42', endpoints }] } as const;
  await must(host, audit);
  t.deepEqual(await must(host, audit), { changes: [], lost: [] });
  t.like(await linkOf(host, 'wtap-42'), { master: BRIDGE, mtu: PORT_MTU, isUp: true });

  await host.ip(`link del ${BRIDGE}`);
  await two.ip('link del eth0');
  const report = (await must(host, audit)) as { changes: string[]; lost: unknown[] };
  t.deepEqual(report.lost, []);
  t.is(report.changes.length, 4);
  t.is((await one.ping('10.7.0.2', { count: 3 })).received, 3);

  t.is(((await must(host, { call: 'audit', with: [] })) as typeof report).changes.length, 3);
  t.deepEqual(
    (await linksOf(host)).map(({ name }) => name),
    ['lo', 'wtap-42'],
  );
});

test('offloads stay on in the sandbox: a plain TAP device still gets finished checksums', async (t) => {
  const { host, one, resolve } = await openHost(t);
  const endpoint = endpointIn(await resolve({ netns: one.name }), 1);
  const tap = host.start('python3', ['-c', TAP_READER, 'wtap-42']);
  await tap.waitForLine(/^ready$/);
  await must(host, { call: 'attach', with: plug(endpoint) });
  await must(host, { call: 'ensurePort', with: SPEC, ifname: 'wtap-42' });
  t.regex(await one.run('ethtool', ['-k', 'eth0']), /^tx-checksumming: on$/m);

  await one.ip('neigh add 10.7.0.99 lladdr 02:00:5e:10:00:63 dev eth0');
  await one.run('bash', ['-c', 'echo -n "a payload" > /dev/udp/10.7.0.99/5000']);
  const [hex] = await tap.waitForLine(/^[0-9a-f]+$/);
  const frame = Buffer.from(hex, 'hex');
  const udpAt = ETHERNET_BYTES + ipv4HeaderBytes(frame, ETHERNET_BYTES);
  const udpBytes = udpLength(frame, udpAt);
  const pseudo = pseudoHeaderSum4(
    ipv4Source(frame, ETHERNET_BYTES),
    ipv4Destination(frame, ETHERNET_BYTES),
    IP_PROTOCOL.udp,
    udpBytes,
  );
  t.is(frame.toString('latin1', udpAt + UDP_HEADER_BYTES, udpAt + udpBytes), 'a payload');
  // A right checksum makes the sum over all of it fold to zero; a partial one can't.
  t.is(foldSum(addToSum(frame, udpAt, udpAt + udpBytes, pseudo)), 0);
});
