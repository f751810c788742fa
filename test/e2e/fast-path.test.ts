import test, { type ExecutionContext } from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import { flood } from '../../bench/lib/udpgen.ts';
import { UNDERLAY_MODES, type UnderlayMode } from '../../bench/lib/topology.ts';
import type { TrafficCounters } from '../../src/dataplane/dataplane.ts';
import { Tap } from '../../src/tun/tap.ts';
import { asMac } from '../../src/base/types.ts';
import { checksum } from '../../src/wire/checksum.ts';
import { udpFrame, withTags } from '../fakes/frames.ts';
import { damageSeen } from './kernel-counters.ts';
import {
  eventually,
  makeHosts,
  PLAIN,
  startMesh,
  upJoined,
  waitForPeers,
  type WeftHost,
} from './mesh.ts';

const WEB = { v4: '10.7.0.2', v6: 'fd00:7::2', mac: '02:00:00:00:07:02' };
const DB = { v4: '10.7.0.3', v6: 'fd00:7::3', mac: '02:00:00:00:07:03' };
type Place = typeof WEB;
const [WEB_MAC, DB_MAC] = [asMac(0x02_00_00_00_07_02), asMac(0x02_00_00_00_07_03)];

const OFFLOADS = ['rx', 'tx', 'sg', 'tso', 'gso', 'gro'];
const NETWORK_MTU = 1450;
const ICMP_AND_IPV4_BYTES = 28;
const ICMP_AND_IPV6_BYTES = 48;
const TRANSFER_BYTES = 3_000_000;

/** Frames that a host's fast path has carried. */
async function carried(host: WeftHost): Promise<number> {
  const { dataPlane } = await host.status();
  const said = /(\d+) frames? carried/.exec(dataPlane.features['fastPath'] ?? '');
  if (said === null) throw new Error(`no fast path: ${dataPlane.features['fastPath']}`);
  return Number(said[1]);
}

async function drops(host: WeftHost, reason: string): Promise<number> {
  return (await host.status()).dataPlane.drops[reason] ?? 0;
}

async function attach(host: WeftHost, container: LabNamespace, place: Place): Promise<void> {
  await eventually(
    async () => (await host.tryWeft('network', 'inspect', 'blue')).status === 0,
    5000,
  );
  await host.attach('blue', container, place.v4, '--mac', place.mac);
  await container.ip(`addr add ${place.v6}/64 dev eth0 nodad`);
}

/** No question by broadcast, which would tell everybody where the asker is. */
async function knows(container: LabNamespace, { v4, mac }: Place): Promise<void> {
  await container.ip(`neigh replace ${v4} lladdr ${mac} dev eth0`);
}

/** Two hosts with a container each that have found each other. */
async function twoContainers(t: ExecutionContext, area: string, names = ['a', 'b']) {
  const mesh = await startMesh(t, area, names);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--vni', '42', ...PLAIN);
  await attach(a, web, WEB);
  await attach(b, db, DB);
  await eventually(() => web.answers(DB.v4, { waitSeconds: 1 }), 5000);
  return { mesh, a, b, web, db };
}

async function isIntact(
  t: ExecutionContext,
  from: LabNamespace,
  to: LabNamespace,
  { v4, v6 }: Place,
) {
  for (const address of [v4, v6]) {
    const sent = await from.transferTo(to, { address, bytes: TRANSFER_BYTES });
    t.true(sent.isIntact && sent.bytes === TRANSFER_BYTES, `TCP to ${address}`);
    for (const bytes of [1, 1200, 20_000]) {
      const datagram = await from.transferTo(to, { address, bytes, protocol: 'udp' });
      t.true(datagram.isIntact && datagram.bytes === bytes, `UDP to ${address}, ${bytes} bytes`);
    }
  }
}

async function setOffloads(hosts: readonly WeftHost[], mode: UnderlayMode): Promise<void> {
  for (const { namespace, host } of hosts) {
    const settings = UNDERLAY_MODES[mode];
    if (settings.length > 0) await namespace.run('ethtool', ['-K', host.ifname, ...settings]);
  }
}

for (const mode of ['offload', 'no-tx-offload', 'no-offload'] as const) {
  test(`${mode}: TCP, datagrams and fragments of IPv4 and IPv6 arrive whole`, async (t) => {
    const { a, b, web, db } = await twoContainers(t, `fp${mode.replaceAll('-', '').slice(0, 4)}`);
    await setOffloads([a, b], mode);
    for (const [ofWeb, ofDb] of [
      ['on', 'on'],
      ['off', 'off'],
    ] as const) {
      await web.run('ethtool', ['-K', 'eth0', ...OFFLOADS.flatMap((name) => [name, ofWeb])]);
      await db.run('ethtool', ['-K', 'eth0', ...OFFLOADS.flatMap((name) => [name, ofDb])]);
      const before = await carried(a);
      await isIntact(t, web, db, DB);
      await isIntact(t, db, web, WEB);
      t.true((await carried(a)) > before + 100);
      for (const namespace of [web, db, a.namespace, b.namespace]) {
        t.deepEqual(await damageSeen(namespace), {}, `containers' offloads ${ofWeb}, ${ofDb}`);
      }
    }
  });
}

test('what it carries is in the counters of port and VTEP, to the frame', async (t) => {
  const { a, b, web, db } = await twoContainers(t, 'fpcnt');
  for (const [container, other] of [
    [web, DB],
    [db, WEB],
  ] as const) {
    // The kernel's own questions, to routers and neighbours, would count as well.
    await container.run('sh', ['-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6']);
    await knows(container, other);
  }
  const count = async (host: WeftHost) => {
    const { ports, vteps } = (await host.status()).dataPlane;
    const numbers = ({ rxFrames, rxBytes, txFrames, txBytes }: TrafficCounters) => [
      ...[rxFrames, rxBytes, txFrames, txBytes],
    ];
    return [...[...ports, ...vteps].flatMap(numbers), await carried(host)];
  };
  const before = [await count(a), await count(b)];
  const { received } = await web.ping(DB.v4, { count: 200, intervalSeconds: 0.002, bytes: 1000 });
  t.is(received, 200);
  const after = [await count(a), await count(b)];
  const once = [200, 200 * 1042, 200, 200 * 1042];
  for (const [index, counted] of after.entries()) {
    const grown = counted.map((value, at) => value - (before[index]?.[at] ?? 0));
    t.deepEqual(grown, [...once, ...once, 400]);
  }
});

test('small datagrams in bursts go by user space, in order; the others do not wait for them', async (t) => {
  const { a, web, db } = await twoContainers(t, 'fpbst');
  const ends = { client: web, server: db, serverAddress: DB.v4, mtu: NETWORK_MTU };
  const bySlowPath = async (): Promise<number> => {
    const { ports } = (await a.status()).dataPlane;
    return ports.reduce((sum, { rxFrames }) => sum + rxFrames, 0) - (await carried(a));
  };
  const before = await bySlowPath();
  await eventually(async () => {
    const { sent, received, reordered } = await flood(ends, { bytes: 64, seconds: 0.3 });
    t.true(received <= sent);
    t.is(reordered, 0);
    return (await bySlowPath()) - before > 1000;
  }, 20_000);
  const fast = await carried(a);
  const { received } = await flood(ends, { bytes: 64, seconds: 0.5, rate: 1000 });
  t.true(received >= 450);
  t.true((await carried(a)) - fast >= 450, 'paced ones do not');
});

test('frames of the MTU fit, and strange sources take the slow path', async (t) => {
  const { b, web, db } = await twoContainers(t, 'fpodd');
  const edges = [
    [DB.v4, NETWORK_MTU - ICMP_AND_IPV4_BYTES],
    [DB.v6, NETWORK_MTU - ICMP_AND_IPV6_BYTES],
  ] as const;
  for (const [address, bytes] of edges) {
    const { received } = await web.ping(address, { count: 5, intervalSeconds: 0.01, bytes });
    t.is(received, 5, `${bytes} bytes to ${address}`);
  }

  const strange = { ...DB, mac: '02:00:00:00:99:99' };
  await db.ip(`link set eth0 address ${strange.mac}`);
  await knows(db, WEB);
  // Its host would answer with the endpoint's own.
  await knows(web, strange);
  t.true(await db.answers(WEB.v4, { waitSeconds: 2 }));
  const before = await carried(b);
  t.is((await db.ping(WEB.v4, { count: 20, intervalSeconds: 0.01 })).received, 20);
  t.is(await carried(b), before, 'a source that is not the endpoint');

  const refused = await drops(b, 'port_source_spoofed');
  await db.ip(`link set eth0 address ${WEB.mac}`);
  t.false(await db.answers('10.7.0.99', { waitSeconds: 1 }));
  t.true((await drops(b, 'port_source_spoofed')) > refused, "web's address from elsewhere");
});

test('tagged frames arrive, by the slow path', async (t) => {
  const { a, b, web } = await twoContainers(t, 'fptag');
  const tap = Tap.open({ name: 'tap0', netns: web.path });
  t.teardown(() => tap.close());
  await web.ip('link add br0 type bridge mcast_snooping 0 forward_delay 0');
  for (const words of ['set br0 up', 'set tap0 master br0 up', 'set eth0 master br0']) {
    await web.ip(`link ${words}`);
  }
  const macs = { source: WEB_MAC, destination: DB_MAC };
  const flow = { source: 0x0a070002, destination: 0x0a070003, sourcePort: 9, destinationPort: 9 };
  const plain = udpFrame(macs, flow, Buffer.alloc(1000, 1));
  const sendAll = async (frame: Buffer) => {
    const before = (await b.status()).dataPlane.ports[0]?.txFrames ?? 0;
    const fast = await carried(a);
    for (let i = 0; i < 20; i++) t.true(tap.writeFrame(frame, 0, frame.length));
    await eventually(
      async () => ((await b.status()).dataPlane.ports[0]?.txFrames ?? 0) >= before + 20,
      5000,
    );
    return (await carried(a)) - fast;
  };
  t.true((await sendAll(plain)) >= 20);
  t.is(await sendAll(withTags(plain, [0x8100, 5])), 0);
});

test('a MAC that speaks from another host is answered there, from its first frame on', async (t) => {
  const { mesh, a, b, web, db } = await twoContainers(t, 'fpmove', ['a', 'b', 'c']);
  const c = mesh.hosts[2];
  if (!c) throw new Error('three hosts were asked for');
  await knows(web, DB);
  t.is((await web.ping(DB.v4, { count: 20, intervalSeconds: 0.01 })).received, 20);
  t.true((await carried(a)) > 0);

  await b.weft('detach', 'blue', '--netns', db.name);
  const moved = await mesh.container('moved');
  await eventually(async () => {
    const words = ['--netns', moved.name, '--ip', DB.v4, '--mac', DB.mac];
    return (await c.tryWeft('attach', 'blue', ...words)).status === 0;
  }, 10_000);
  await knows(moved, WEB);
  t.true(await moved.answers(WEB.v4, { waitSeconds: 1 }), 'the answer to its first frame');
  const before = await carried(c);
  t.is((await moved.ping(WEB.v4, { count: 20, intervalSeconds: 0.01 })).received, 20);
  t.true((await carried(c)) > before);
});

test('a host whose daemon hangs is cut off when the others give it up', async (t) => {
  const { a, b, web, db } = await twoContainers(t, 'fphang');
  await knows(web, DB);
  await knows(db, WEB);
  b.daemon?.signal('SIGSTOP');
  t.true(await db.answers(WEB.v4, { waitSeconds: 1 }), 'the kernel forwards without it');
  await eventually(async () => {
    const { features } = (await a.status()).dataPlane;
    return features['fastPath']?.includes(' 0 VTEPs') ?? false;
  }, 60_000);
  const [before, refused] = [await carried(a), await drops(a, 'vxlan_vtep_unknown')];
  t.false(await db.answers(WEB.v4, { waitSeconds: 1 }));
  t.is(await carried(a), before);
  t.true((await drops(a, 'vxlan_vtep_unknown')) > refused);

  b.daemon?.signal('SIGCONT');
  await waitForPeers(a, 2, 30_000);
  await eventually(() => db.answers(WEB.v4, { waitSeconds: 1 }), 10_000);
});

test('nothing is forwarded for a daemon that was killed, and the next one starts clean', async (t) => {
  const { a, b, web, db } = await twoContainers(t, 'fpkill');
  await knows(web, DB);
  await knows(db, WEB);
  t.is((await web.ping(DB.v4, { count: 10, intervalSeconds: 0.01 })).received, 10);
  await b.kill();
  t.is((await db.ping(WEB.v4, { count: 3, intervalSeconds: 0.01, waitSeconds: 1 })).received, 0);
  t.is((await web.ping(DB.v4, { count: 3, intervalSeconds: 0.01, waitSeconds: 1 })).received, 0);
  await b.up();
  await waitForPeers(b, 2);
  await eventually(() => db.answers(WEB.v4, { waitSeconds: 1 }), 10_000);
  const [there, here] = [await carried(b), await carried(a)];
  t.is((await db.ping(WEB.v4, { count: 10, intervalSeconds: 0.01 })).received, 10);
  t.true((await carried(b)) > there && (await carried(a)) > here);
});

test('one host may do without it, and says so', async (t) => {
  const mesh = await makeHosts(t, 'fpoff', ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  await a.up();
  await upJoined(b, a, '--fast-path', 'off');
  await waitForPeers(b, 2);
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', ...PLAIN);
  await attach(a, web, WEB);
  await attach(b, db, DB);
  await isIntact(t, web, db, DB);
  await isIntact(t, db, web, WEB);
  t.true((await carried(a)) > 100);
  const { features } = (await b.status()).dataPlane;
  t.is(features['fastPath'], 'off: switched off by --fast-path off');
});

test('a kernel VXLAN device at the other end is served both ways', async (t) => {
  const mesh = await makeHosts(t, 'fpkrn', ['a', 'x']);
  const [a, other] = mesh.hosts;
  if (!a || !other) throw new Error('two hosts were asked for');
  const foreign = other.namespace;
  await a.up();
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--vni', '42', ...PLAIN);
  await a.weft('vtep', 'add', 'blue', other.host.address);
  const web = await mesh.container('web');
  await attach(a, web, WEB);
  await foreign.ip(
    `link add vx0 mtu 1450 type vxlan id 42 dstport 4789 local ${other.host.address} remote ${a.host.address} dev u0 noudpcsum`,
  );
  await foreign.ip('link set vx0 up');
  await foreign.ip(`addr add ${DB.v4}/24 dev vx0`);
  await foreign.ip(`addr add ${DB.v6}/64 dev vx0 nodad`);
  await isIntact(t, web, foreign, DB);
  await isIntact(t, foreign, web, WEB);
  const before = await carried(a);
  t.is((await foreign.ping(WEB.v4, { count: 50, intervalSeconds: 0.002 })).received, 50);
  t.true((await carried(a)) - before >= 98, 'both ways');
  for (const namespace of [web, foreign]) t.deepEqual(await damageSeen(namespace), {});
});

/** Sends a frame in VXLAN as a fast path does, without an outer checksum, under this TOS byte. */
const SEND_MARKED = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK
s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, int(sys.argv[1]))
s.sendto(bytes.fromhex(sys.argv[2]), (sys.argv[3], 4789))
`;

/** From the first container to the second, with this mark inside. */
function markedFrame(mark: number): Buffer {
  const macs = { source: WEB_MAC, destination: DB_MAC };
  const flow = { source: 0x0a070002, destination: 0x0a070003, sourcePort: 9, destinationPort: 9 };
  const frame = udpFrame(macs, flow, Buffer.alloc(100, 1));
  frame[15] = mark;
  frame.writeUInt16BE(0, 24);
  frame.writeUInt16BE(checksum(frame, 14, 34), 24);
  return frame;
}

/** One ping with this TOS byte, as `tshark` sees its headers on the way: the outer byte, the inner one. */
async function seenOnWay(
  from: LabNamespace,
  at: WeftHost,
  tos: string,
): Promise<readonly string[]> {
  const fields = ['-T', 'fields', '-e', 'ip.dsfield', '-Y', 'icmp.type == 8'];
  const shark = at.namespace.start('tshark', ['-i', at.host.ifname, '-n', '-l', ...fields]);
  await shark.waitForLine(/Capturing on/, 20_000);
  const pinging = from.tryRun('ping', ['-c', '20', '-i', '0.2', '-Q', tos, DB.v4]);
  const [line] = await shark.waitForLine(/^0x.*$/, 20_000);
  shark.signal('SIGINT');
  await Promise.all([shark.exited, pinging]);
  return line.split(',');
}

test('classes go out with the frames, and congestion marks of the underlay come in', async (t) => {
  const { a, b, web, db } = await twoContainers(t, 'fpecn');
  t.deepEqual(await seenOnWay(web, b, '0xba'), ['0xba', '0xba'], 'class and ECT(0)');
  t.deepEqual(await seenOnWay(web, b, '0'), ['0x00', '0x00']);

  const fields = ['-T', 'fields', '-e', 'ip.dsfield', '-f', 'udp dst port 9'];
  const shark = db.start('tshark', ['-i', 'eth0', '-n', '-l', ...fields]);
  await shark.waitForLine(/Capturing on/, 20_000);
  const send = (outer: number, inner: number): Promise<string> => {
    const datagram = Buffer.concat([Buffer.from('0800000000002a00', 'hex'), markedFrame(inner)]);
    const words = [String(outer), datagram.toString('hex'), b.host.address];
    return a.namespace.run('python3', ['-c', SEND_MARKED, ...words]);
  };
  const before = await carried(b);
  await send(2, 2);
  await shark.waitForLine(/^0x02$/, 20_000);
  t.true((await carried(b)) > before, 'the fast path takes what needs no change');
  await send(3, 2);
  await shark.waitForLine(/^0x03$/, 20_000);
  const refused = await drops(b, 'vxlan_ecn');
  await send(3, 0);
  await eventually(async () => (await drops(b, 'vxlan_ecn')) === refused + 1, 5000);
});
