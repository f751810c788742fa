import test, { type ExecutionContext } from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import { sendDatagrams } from './raw.ts';
import { damageSeen, kernelCounters } from './kernel-counters.ts';
import { eventually, makeHosts, PLAIN, startMesh, USER_SPACE } from './mesh.ts';

const WEB = { v4: '10.7.0.2', v6: 'fd00:7::2' };
const DB = { v4: '10.7.0.3', v6: 'fd00:7::3' };
const OFFLOADS = ['rx', 'tx', 'sg', 'tso', 'gso', 'gro'];
const TRANSFER_BYTES = 2_000_000;
/** A datagram in one frame, one in fragments, and the smallest there is. */
const DATAGRAM_BYTES = [1200, 9000, 1];

/** Without them the container's kernel finishes each packet itself and checks each that comes. */
async function switchOffloads(container: LabNamespace, to: 'on' | 'off'): Promise<void> {
  await container.run('ethtool', ['-K', 'eth0', ...OFFLOADS.flatMap((name) => [name, to])]);
}

async function addIpv6(container: LabNamespace, address: string): Promise<void> {
  await container.ip(`addr add ${address}/64 dev eth0 nodad`);
}

async function transferAll(
  t: ExecutionContext,
  from: LabNamespace,
  to: LabNamespace,
  { v4, v6 }: typeof WEB,
): Promise<void> {
  for (const address of [v4, v6]) {
    const sent = await from.transferTo(to, { address, bytes: TRANSFER_BYTES });
    t.true(sent.isIntact && sent.bytes === TRANSFER_BYTES, `TCP to ${address}`);
    for (const bytes of DATAGRAM_BYTES) {
      const datagram = await from.transferTo(to, { address, bytes, protocol: 'udp' });
      t.true(datagram.isIntact && datagram.bytes === bytes, `UDP to ${address}, ${bytes} bytes`);
    }
  }
}

test('no kernel finds a wrong checksum, whichever container leaves them to its interface', async (t) => {
  const mesh = await startMesh(t, 'sum', ['a', 'b'], 'native', USER_SPACE);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--vni', '42', ...PLAIN);
  await eventually(
    async () => (await b.tryWeft('network', 'inspect', 'blue')).status === 0,
    20_000,
  );
  await a.attach('blue', web, WEB.v4);
  await b.attach('blue', db, DB.v4);
  await addIpv6(web, WEB.v6);
  await addIpv6(db, DB.v6);
  for (const [ofWeb, ofDb] of [
    ['off', 'on'],
    ['off', 'off'],
  ] as const) {
    await switchOffloads(web, ofWeb);
    await switchOffloads(db, ofDb);
    await transferAll(t, web, db, DB);
    await transferAll(t, db, web, WEB);
    for (const namespace of [web, db, a.namespace, b.namespace]) {
      t.deepEqual(await damageSeen(namespace), {}, `offloads ${ofWeb} and ${ofDb}`);
    }
  }
  const { dataPlane } = await a.status();
  t.is(dataPlane.kind, 'native');
  t.is(dataPlane.drops['port_offload_invalid'], 0);
});

test('a kernel VXLAN device, and the kernel behind it, find no wrong checksum', async (t) => {
  const mesh = await makeHosts(t, 'sumk', ['a', 'x'], 'native');
  const [weft, other] = mesh.hosts;
  if (!weft || !other) throw new Error('two hosts were asked for');
  const foreign = other.namespace;
  await weft.up(...USER_SPACE);
  await weft.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--vni', '42', ...PLAIN);
  await weft.weft('vtep', 'add', 'blue', other.host.address);
  const web = await mesh.container('web');
  await weft.attach('blue', web, WEB.v4);
  await addIpv6(web, WEB.v6);
  // The device itself is the other container: its kernel takes our frames out and checks them.
  await foreign.ip(
    `link add vx0 mtu 1450 type vxlan id 42 dstport 4789 local ${other.host.address} remote ${weft.host.address} dev u0`,
  );
  await foreign.ip(`addr add ${DB.v4}/24 dev vx0`);
  await foreign.ip(`addr add ${DB.v6}/64 dev vx0 nodad`);
  await foreign.ip('link set vx0 up');
  // A veth underlay never fills in the inner checksum that a kernel would leave to a network card.
  await foreign.run('ethtool', ['-K', 'vx0', 'tx', 'off']);
  await eventually(() => web.answers(DB.v4), 20_000);
  for (const state of ['on', 'off'] as const) {
    await switchOffloads(web, state);
    await transferAll(t, web, foreign, DB);
    await transferAll(t, foreign, web, WEB);
    for (const namespace of [web, foreign]) {
      t.deepEqual(await damageSeen(namespace), {}, `offloads ${state}`);
    }
  }
});

test('a frame whose checksum is wrong arrives as it is, and the kernel refuses it', async (t) => {
  const mesh = await makeHosts(t, 'sumw', ['a', 'x'], 'native');
  const [weft, other] = mesh.hosts;
  if (!weft || !other) throw new Error('two hosts were asked for');
  await weft.up(...USER_SPACE);
  await weft.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24', '--vni', '42', ...PLAIN);
  await weft.weft('vtep', 'add', 'blue', other.host.address);
  const web = await mesh.container('web');
  const { mac } = await weft.attach('blue', web, WEB.v4);
  await switchOffloads(web, 'off');
  const to = mac.replaceAll(':', '');
  // UDP from 10.7.0.3 port 1 to 10.7.0.2 port 9, four bytes of payload; the IPv4 header is right.
  const packet = '4500002000010000401166ba0a0700030a070002' + '00010009000c' + 'dead' + '01020304';
  const frame = `${to}0200000099010800${packet}`;
  const datagram = `0800000000002a00${frame}`;
  await sendDatagrams(other.namespace, { address: weft.host.address, port: 4789 }, [
    datagram,
    datagram,
  ]);
  await eventually(async () => (await kernelCounters(web))['UdpInCsumErrors'] === 2, 20_000);
  t.deepEqual(await damageSeen(web), { UdpInCsumErrors: 2 });
});
