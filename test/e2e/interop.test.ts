import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import {
  DATA_PLANES,
  type DataPlaneName,
  eventually,
  makeHosts,
  PLAIN,
  type TestMesh,
  type WeftHost,
} from './mesh.ts';

const VNI = 42;
/** What VXLAN over IPv4 leaves of an underlay of 1500 and of one of 9000. */
const MTU = 1450;
const JUMBO_MTU = 8950;

interface Foreign {
  readonly weft: WeftHost;
  /** A namespace on Weft's host. */
  readonly ours: LabNamespace;
  /** A namespace behind the foreign VTEP. */
  readonly theirs: LabNamespace;
}

/** One Weft host with a container on VNI 42, and a plain namespace that will be the other VTEP. */
async function weftBesideForeign(
  t: ExecutionContext,
  area: string,
  kind: DataPlaneName,
  mtu = MTU,
): Promise<Foreign & { readonly mesh: TestMesh; readonly foreign: LabNamespace }> {
  const mesh = await makeHosts(t, `${area}${kind[0] ?? ''}`, ['a', 'x'], kind);
  const [weft, other] = mesh.hosts;
  if (!weft || !other) throw new Error('two hosts were asked for');
  for (const { namespace, ifname } of [weft.host, other.host]) {
    await namespace.ip(`link set ${ifname} mtu ${mtu === MTU ? 1500 : 9000}`);
  }
  await weft.up();
  const options = ['--subnet', '10.7.0.0/24', '--vni', String(VNI), '--mtu', String(mtu), ...PLAIN];
  await weft.weft('network', 'create', 'blue', ...options);
  await weft.weft('vtep', 'add', 'blue', other.host.address);
  const [ours, theirs] = [await mesh.container('ours'), await mesh.container('theirs')];
  await weft.attach('blue', ours, '10.7.0.2');
  return { mesh, weft, ours, theirs, foreign: other.namespace };
}

/** A veth from `container` (eth0, 10.7.0.3) to the device that `host` knows as `port`. */
async function plug(
  mesh: TestMesh,
  container: LabNamespace,
  host: LabNamespace,
  port: string,
  mtu = MTU,
) {
  await mesh.lab.link([container, 'eth0'], [host, port], { mtu });
  await container.ip('addr add 10.7.0.3/24 dev eth0');
  // The foreign side encapsulates in the kernel: nobody would fill in a checksum left to hardware.
  await container.run('ethtool', ['-K', 'eth0', 'tx', 'off']);
}

async function exchange(t: ExecutionContext, { ours, theirs }: Foreign): Promise<void> {
  await eventually(() => ours.answers('10.7.0.3'), 20_000);
  t.is((await ours.ping('10.7.0.3', { count: 100, intervalSeconds: 0.005 })).received, 100);
  t.is((await theirs.ping('10.7.0.2', { count: 100, intervalSeconds: 0.005 })).received, 100);
  const there = await ours.transferTo(theirs, { address: '10.7.0.3' });
  const back = await theirs.transferTo(ours, { address: '10.7.0.2', seed: 2 });
  t.true(there.isIntact && there.bytes === 10_000_000);
  t.true(back.isIntact && back.bytes === 10_000_000);
}

const GIGABIT = 1e9;

/** TCP in each direction; the best second of half a minute, for the machine may have others to serve. */
async function carriesAGigabit(t: ExecutionContext, { ours, theirs }: Foreign): Promise<void> {
  for (const [from, to, address] of [
    [ours, theirs, '10.7.0.3'],
    [theirs, ours, '10.7.0.2'],
  ] as const) {
    let best = 0;
    for (let second = 0; second < 30 && best < GIGABIT; second++) {
      const { bitsPerSecond } = await from.iperfTo(to, {
        address,
        seconds: 1,
        extra: ['-C', 'cubic'],
      });
      best = Math.max(best, bitsPerSecond);
    }
    t.log(`${(best / GIGABIT).toFixed(2)} Gb/s toward ${address}`);
    t.true(best >= GIGABIT, `${best} b/s toward ${address}`);
  }
}

async function besideKernelVxlan(t: ExecutionContext, kind: DataPlaneName): Promise<void> {
  const world = await weftBesideForeign(t, 'kern', kind);
  const { mesh, foreign, theirs, weft } = world;
  await foreign.ip(
    `link add vx0 type vxlan id ${VNI} dstport 4789 local 192.0.2.2 nolearning dev u0`,
  );
  await foreign.ip('link add br0 type bridge stp_state 0');
  await plug(mesh, theirs, foreign, 'p0');
  for (const port of ['vx0', 'p0']) await foreign.ip(`link set ${port} master br0`);
  for (const device of ['vx0', 'br0']) await foreign.ip(`link set ${device} up`);
  const fdb = ['fdb', 'append', '00:00:00:00:00:00', 'dev', 'vx0', 'dst', weft.host.address];
  await foreign.run('bridge', fdb);
  await exchange(t, world);
  if (kind === 'native') await carriesAGigabit(t, world);

  const drops = (await weft.status()).dataPlane.drops;
  t.deepEqual(
    Object.entries(drops).filter(([name, count]) => name.startsWith('vxlan_') && count > 0),
    [],
  );
}

async function besideOpenVswitch(t: ExecutionContext, kind: DataPlaneName): Promise<void> {
  // Its userspace datapath moves frame by frame: between two of them TCP in frames of 1450 B stays
  // below 1 Gb/s on two processors (bench peer ovs-netdev). What it can do shows with longer ones.
  const world = await weftBesideForeign(t, 'ovs', kind, JUMBO_MTU);
  const { mesh, foreign, ours, theirs, weft } = world;
  const directory = join(weft.directory, 'ovs');
  const env = { OVS_RUNDIR: directory, OVS_LOGDIR: directory, OVS_DBDIR: directory };
  const database = join(directory, 'conf.db');
  const socket = join(directory, 'db.sock');
  await foreign.run('mkdir', [directory]);
  await foreign.run('ovsdb-tool', ['create', database, '/usr/share/openvswitch/vswitch.ovsschema']);
  foreign.start('ovsdb-server', [database, `--remote=punix:${socket}`], env);
  const vsctl = (words: string): Promise<string> =>
    foreign.run('ovs-vsctl', [`--db=unix:${socket}`, '--no-wait', ...words.split(' ')]);
  await eventually(async () => {
    const { status } = await foreign.tryRun('ovs-vsctl', [
      `--db=unix:${socket}`,
      '--no-wait',
      'init',
    ]);
    return status === 0;
  }, 10_000);
  foreign.start('ovs-vswitchd', [`unix:${socket}`], env);

  // The userspace datapath needs the underlay as a bridge of its own, with the host's address on it.
  await plug(mesh, theirs, foreign, 'p0', JUMBO_MTU);
  const setMtu = (mtu: number): Promise<unknown> =>
    Promise.all([ours, theirs].map((end) => end.ip(`link set eth0 mtu ${mtu}`)));
  await setMtu(MTU);
  await vsctl('add-br br0 -- set bridge br0 datapath_type=netdev');
  await vsctl('add-br bru -- set bridge bru datapath_type=netdev');
  await vsctl('add-port bru u0');
  await vsctl('set interface bru mtu_request=9000');
  await vsctl('add-port br0 p0');
  await vsctl(
    `add-port br0 vx0 -- set interface vx0 type=vxlan options:remote_ip=${weft.host.address} options:key=${VNI} options:dst_port=4789`,
  );
  await eventually(
    async () => (await foreign.tryRun('ip', ['link', 'show', 'bru'])).status === 0,
    10_000,
  );
  await foreign.ip('addr flush dev u0');
  await foreign.ip('addr add 192.0.2.2/24 dev bru');
  await foreign.ip('link set bru up');
  await weft.namespace.run('ethtool', ['-K', 'u0', 'tx', 'off']);
  await exchange(t, world);
  if (kind !== 'native') return;
  await setMtu(JUMBO_MTU);
  await carriesAGigabit(t, world);
}

for (const kind of DATA_PLANES) {
  test(`${kind}: a Linux kernel VXLAN device with a static FDB is a host like any other`, (t) =>
    besideKernelVxlan(t, kind));
  test(`${kind}: an Open vSwitch userspace bridge is a host like any other`, (t) =>
    besideOpenVswitch(t, kind));
}

test('tshark reads our datagrams as VXLAN with the right VNI, none malformed', async (t) => {
  const { ours, theirs, mesh, foreign, weft } = await weftBesideForeign(t, 'shark', 'native');
  await foreign.ip(
    `link add vx0 type vxlan id ${VNI} dstport 4789 local 192.0.2.2 remote 192.0.2.1 dev u0`,
  );
  await foreign.ip('link add br0 type bridge stp_state 0');
  await plug(mesh, theirs, foreign, 'p0');
  for (const port of ['vx0', 'p0']) await foreign.ip(`link set ${port} master br0`);
  for (const device of ['vx0', 'br0']) await foreign.ip(`link set ${device} up`);
  await eventually(() => ours.answers('10.7.0.3'), 20_000);

  const fields = ['vxlan.vni', 'vxlan.flags', 'icmp.type', 'udp.srcport', '_ws.malformed'];
  const shark = foreign.start('tshark', [
    ...[
      '-i',
      'u0',
      '-l',
      '-n',
      '-c',
      '20',
      '-f',
      `udp dst port 4789 and src host ${weft.host.address}`,
    ],
    ...['-T', 'fields', '-E', 'separator=;', ...fields.flatMap((field) => ['-e', field])],
  ]);
  await shark.waitForLine(/Capturing on/);
  await ours.ping('10.7.0.3', { count: 40, intervalSeconds: 0.05 });
  t.is(await shark.exited, 0);
  const rows = shark.output.split('\n').filter((line) => line.includes(';'));
  t.is(rows.length, 20);
  // Neighbours may ask for each other's MAC between the echoes: that is VXLAN too.
  let echoes = 0;
  for (const row of rows) {
    const [vni, flags, icmp, sourcePort, malformed] = row.split(';');
    t.is(Number(vni), VNI);
    t.is(Number(flags), 0x0800);
    echoes += Number(icmp === '8');
    t.true(Number(sourcePort) >= 1024);
    t.is(malformed, '');
  }
  t.true(echoes >= 10, `${echoes} echo requests`);
});
