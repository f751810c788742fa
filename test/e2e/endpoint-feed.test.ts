import test, { type ExecutionContext } from 'ava';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import type { FdbInfo, VtepInfo } from '../../src/api/control.ts';
import {
  DATA_PLANES,
  type DataPlaneName,
  eventually,
  joinMesh,
  PLAIN,
  startMesh,
  type TestMesh,
  type WeftHost,
} from './mesh.ts';

/** A workload and where it runs. */
interface Placed {
  readonly host: WeftHost;
  readonly sandbox: LabNamespace;
  readonly mac: string;
  readonly address: string;
}

const fdbOf = (host: WeftHost): Promise<FdbInfo[]> => host.json<FdbInfo[]>('fdb', 'blue');

async function place(host: WeftHost, sandbox: LabNamespace, address: string): Promise<Placed> {
  await eventually(
    async () => (await host.tryWeft('network', 'inspect', 'blue')).status === 0,
    5000,
  );
  const { mac } = await host.attach('blue', sandbox, address);
  return { host, sandbox, mac, address };
}

/** Waits until each host of `all` has the others' MACs pinned. */
async function acquainted(all: readonly Placed[]): Promise<void> {
  for (const { host, mac: own } of all) {
    await eventually(async () => {
      const pinned = (await fdbOf(host)).filter(({ origin }) => origin === 'static');
      return all.every(({ mac }) => mac === own || pinned.some((each) => each.mac === mac));
    }, 5000);
  }
}

/** Network blue with a container on each of the first `count` hosts. */
async function containers(
  mesh: TestMesh,
  count: number,
  { subnet, address }: { readonly subnet: string; readonly address: (last: number) => string },
): Promise<Placed[]> {
  const [first] = mesh.hosts;
  await first?.weft('network', 'create', 'blue', '--subnet', subnet, ...PLAIN);
  const placed: Placed[] = [];
  for (const [index, host] of mesh.hosts.slice(0, count).entries()) {
    placed.push(await place(host, await mesh.container(`c${index}`), address(index + 2)));
  }
  await acquainted(placed);
  return placed;
}

const V4 = { subnet: '10.7.0.0/24', address: (last: number) => `10.7.0.${last}` };
const V6 = { subnet: 'fd00:7::/64', address: (last: number) => `fd00:7::${last}` };

/** What crosses a host's underlay inside VXLAN, as tshark tells it. */
async function watch(host: WeftHost, filter: string, fields: readonly string[]) {
  const shark = host.namespace.start('tshark', [
    ...['-i', host.host.ifname, '-l', '-n', '-f', 'udp dst port 4789', '-Y', filter],
    ...['-T', 'fields', '-E', 'separator=;', ...fields.flatMap((field) => ['-e', field])],
  ]);
  await shark.waitForLine(/Capture started/);
  return shark;
}

async function arpStaysHome(t: ExecutionContext, kind: DataPlaneName): Promise<void> {
  const mesh = await startMesh(t, `arp${kind[0]}`, ['a', 'b', 'c'], kind);
  const [one, other] = await containers(mesh, 2, V4);
  const [a, , c] = mesh.hosts;
  if (!one || !other || !a || !c) throw new Error('three hosts were asked for');
  const shark = await watch(a, 'arp or icmp', ['icmp.type', 'icmp.seq', 'arp.opcode']);
  const report = await one.sandbox.ping(other.address, { count: 5 });
  t.is(report.received, 5);
  // The answer to the last echo: what was sent before it has been seen.
  await shark.waitForLine(/^0;5/m);
  const frames = shark.output.split('\n').filter((line) => line.includes(';'));
  t.is(frames.filter((line) => /;\d+$/.test(line) && line.startsWith(';')).length, 0, 'no ARP');
  t.is(frames.filter((line) => /^[08];/.test(line)).length, 10);
  for (const { host } of [one, other]) {
    const { dataPlane } = await host.status();
    t.true(dataPlane.answered.arp >= 1, `${host.name} has answered`);
  }
  const entry = (await fdbOf(a)).find(({ mac }) => mac === other.mac);
  t.like(entry, { origin: 'static', host: 'b', address: `${other.address}/24` });

  // Nobody of the network is on c: no flood goes there.
  await one.sandbox.tryRun('ping', ['-b', '-c', '3', '-i', '0.05', '-W', '1', '10.7.0.255']);
  const vteps = await a.json<VtepInfo[]>('vtep', 'ls', 'blue');
  const sentTo = (name: string): number => vteps.find(({ peer }) => peer === name)?.txFrames ?? -1;
  t.is(sentTo('c'), 0);
  t.true(sentTo('b') >= 8, `${sentTo('b')} frames to b`);
  t.is((await c.status()).dataPlane.drops['vxlan_vni_unknown'], 0);
}

async function solicitationsStayHome(t: ExecutionContext, kind: DataPlaneName): Promise<void> {
  const mesh = await startMesh(t, `nd${kind[0]}`, ['a', 'b'], kind);
  const [one, other] = await containers(mesh, 2, V6);
  const [a] = mesh.hosts;
  if (!one || !other || !a) throw new Error('two hosts were asked for');
  // An address that is still being probed for duplicates can't be used.
  await eventually(() => one.sandbox.answers(other.address), 10_000);
  await one.sandbox.ip('-6 neigh flush dev eth0');
  const before = (await a.status()).dataPlane.answered.nd;
  const fields = ['icmpv6.type', 'icmpv6.echo.sequence_number', 'icmpv6.nd.ns.target_address'];
  const shark = await watch(a, 'icmpv6', fields);
  const report = await one.sandbox.ping(other.address, { count: 5 });
  t.is(report.received, 5);
  await shark.waitForLine(/^129;5;/m);
  const asked = shark.output.split('\n').filter((line) => line.startsWith('135;'));
  t.false(asked.includes(`135;;${other.address}`), asked.join());
  t.true((await a.status()).dataPlane.answered.nd > before);
}

async function deathTouchesNobodyElse(t: ExecutionContext, kind: DataPlaneName): Promise<void> {
  const mesh = await startMesh(t, `die${kind[0]}`, ['a', 'b', 'c'], kind);
  const [one, other, third] = await containers(mesh, 3, V4);
  const [a] = mesh.hosts;
  if (!one || !other || !third || !a) throw new Error('three hosts were asked for');
  t.true(await one.sandbox.answers(third.address));
  const ping = one.sandbox.ping(other.address, { count: 400, intervalSeconds: 0.02 });
  await third.host.kill();
  await eventually(async () => !(await fdbOf(a)).some(({ mac }) => mac === third.mac), 30_000);
  t.deepEqual(
    (await fdbOf(a))
      .filter(({ origin }) => origin === 'static')
      .map(({ mac }) => mac)
      .sort(),
    [one.mac, other.mac].sort(),
  );
  t.is((await ping).received, 400);
  await one.sandbox.ip(`neigh del ${third.address} dev eth0`);
  const { answered } = (await a.status()).dataPlane;
  t.false(await one.sandbox.answers(third.address, { waitSeconds: 1 }));
  t.is((await a.status()).dataPlane.answered.arp, answered.arp, 'nobody speaks for the dead');

  await third.host.up();
  await joinMesh(third.host, a);
  await acquainted([one, third]);
  // The kernel may be about to give up the question that nobody answered.
  await eventually(() => one.sandbox.answers(third.address), 5000);
}

for (const kind of DATA_PLANES) {
  test(`${kind}: ARP for an endpoint elsewhere is answered without a frame on the underlay`, (t) =>
    arpStaysHome(t, kind));
  test(`${kind}: neighbour discovery likewise`, (t) => solicitationsStayHome(t, kind));
  test(`${kind}: a host that dies takes its own MACs and disturbs no traffic`, (t) =>
    deathTouchesNobodyElse(t, kind));
}
