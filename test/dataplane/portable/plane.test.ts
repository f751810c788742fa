import test, { type ExecutionContext } from 'ava';
import { seededRng } from '../../../src/base/rng.ts';
import { asMillis } from '../../../src/base/types.ts';
import type { DataPlaneOptions } from '../../../src/dataplane/dataplane.ts';
import { openPortableDataPlane } from '../../../src/dataplane/portable/plane.ts';
import { SOURCE_PORTS } from '../../../src/dataplane/portable/sockets.ts';
import {
  BROADCAST,
  drops,
  frame,
  LONGEST_FRAME,
  MTU,
  sized,
  station,
  VNI,
  vxlan,
} from '../../contract/hosts.ts';
import { ManualClock } from '../../fakes/manual-clock.ts';
import { MemoryTap } from '../../fakes/memory-tap.ts';
import { MemoryUdpHost, type MemoryUdpSocket } from '../../fakes/memory-udp.ts';

const OPTIONS: DataPlaneOptions = { addresses: ['192.0.2.1'], meshPort: 7783, vxlanPort: 4789 };
const PEER = { address: '192.0.2.2', port: 4789 };

async function setUp(t: ExecutionContext, options: Partial<DataPlaneOptions> = {}) {
  const clock = new ManualClock();
  const udp = new MemoryUdpHost();
  const deps = { clock, rng: seededRng(1), bindUdp: udp.bindUdp };
  const plane = await openPortableDataPlane({ ...OPTIONS, ...options }, deps);
  t.teardown(() => plane.close());
  plane.addNetwork(VNI, { mtu: MTU });
  plane.addVtep(VNI, PEER);
  const device = new MemoryTap('wt-0');
  const port = plane.addPort(VNI, device);
  const [mesh, vxlanSocket, ...senders] = udp.sockets;
  return { clock, udp, plane, device, port, mesh: mesh!, vxlanSocket: vxlanSocket!, senders };
}

/** Frames that left through any of the sockets. */
function departed(senders: readonly MemoryUdpSocket[]): string[] {
  return senders.flatMap(({ sent }) => sent.map(({ bytes }) => bytes.subarray(8 + 14).toString()));
}

/** Runs what is due on the microtask and nextTick queues. */
const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test('it binds the two ports and a pool of source ports for each family', async (t) => {
  const { udp } = await setUp(t, { addresses: ['192.0.2.1', '198.51.100.1', '2001:db8::1'] });
  const bound = udp.sockets.map(({ local }) => `${local.address} ${local.port}`);
  t.deepEqual(bound.slice(0, 6), [
    '192.0.2.1 7783',
    '198.51.100.1 7783',
    '2001:db8::1 7783',
    '192.0.2.1 4789',
    '198.51.100.1 4789',
    '2001:db8::1 4789',
  ]);
  const senders = bound.slice(6);
  t.is(new Set(senders).size, 2 * SOURCE_PORTS);
  t.is(senders.filter((socket) => socket.startsWith('192.0.2.1 ')).length, SOURCE_PORTS);
  t.is(senders.filter((socket) => socket.startsWith('2001:db8::1 ')).length, SOURCE_PORTS);
});

test('a bind that fails closes every socket bound before it', async (t) => {
  const udp = new MemoryUdpHost();
  udp.bindsLeft = 5;
  const deps = { clock: new ManualClock(), rng: seededRng(1), bindUdp: udp.bindUdp };
  await t.throwsAsync(openPortableDataPlane(OPTIONS, deps), { message: 'no bind is left' });
  t.is(udp.sockets.length, 5);
  t.true(udp.sockets.every(({ isClosed }) => isClosed));
});

test('close closes every socket', async (t) => {
  const { plane, udp, device } = await setUp(t);
  await plane.close();
  t.true(udp.sockets.every(({ isClosed }) => isClosed));
  t.true(device.isClosed);
});

test('a socket in which too much waits takes nothing: underlay_queue_full', async (t) => {
  const { plane, device, senders, mesh } = await setUp(t);
  for (const sender of [...senders, mesh]) sender.queued = 2 ** 20;
  device.inject(frame(station(1), BROADCAST, 'lost'));
  plane.control.send(Buffer.from([1]), PEER);
  await settle();
  t.deepEqual(drops(plane), { underlay_queue_full: 2 });
  t.is(plane.counters().vteps[0]!.txFrames, 0);
  for (const sender of senders) sender.queued = 0;
  device.inject(frame(station(1), BROADCAST, 'kept'));
  await settle();
  t.deepEqual(departed(senders), ['kept']);
});

test('while sends are under way their bytes stay, and the device keeps what is not read', async (t) => {
  const { plane, device, senders } = await setUp(t);
  for (const sender of senders) sender.isHolding = true;
  const names = Array.from({ length: 300 }, (_, index) => `frame ${index}`);
  device.inject(...names.map((name) => frame(station(1), BROADCAST, name)));
  await settle();
  const held = plane.counters().ports[0]!.rxFrames;
  t.true(held > 0 && held < names.length);
  t.is(device.waiting, names.length - held);
  for (const sender of senders) {
    sender.isHolding = false;
    sender.flush();
  }
  await settle();
  t.deepEqual(departed(senders), names);
  t.deepEqual(drops(plane), {});
});

test('a send that fails is counted and gives its buffer back', async (t) => {
  const { plane, device, senders } = await setUp(t);
  for (const sender of senders) sender.isHolding = true;
  for (let round = 1; round <= 10; round++) {
    device.inject(...Array.from({ length: 128 }, () => frame(station(1), BROADCAST)));
    await settle();
    for (const sender of senders) sender.flush(new Error('ENETUNREACH'));
    await settle();
  }
  t.deepEqual(drops(plane), { underlay_send_failed: 1280 });
});

test('frames read before their port was removed are port_stopped', async (t) => {
  const { plane, device, port, senders } = await setUp(t);
  const remover = new MemoryTap('wt-1');
  remover.writeFrame = () => {
    plane.removePort(port);
    return true;
  };
  plane.addPort(VNI, remover);
  device.inject(...['a', 'b', 'c'].map((text) => frame(station(1), BROADCAST, text)));
  await settle();
  t.deepEqual(drops(plane), { port_stopped: 2 });
  t.deepEqual(departed(senders), ['a']);
  t.true(device.isClosed);
});

test('a flood under way skips a port that was removed during it', async (t) => {
  const { plane, device, vxlanSocket } = await setUp(t);
  const second = new MemoryTap('wt-1');
  const port = plane.addPort(VNI, second);
  device.writeFrame = () => {
    plane.removePort(port);
    return true;
  };
  vxlanSocket.deliver(vxlan(VNI, frame(station(2), BROADCAST)), PEER);
  t.deepEqual(drops(plane), { port_stopped: 1 });
  t.deepEqual(second.written, []);
});

test('a full frame may carry a tag on top of the MTU, and nothing else may', async (t) => {
  const { plane, device, senders } = await setUp(t);
  const tagged = sized(LONGEST_FRAME + 4);
  tagged.writeUInt16BE(0x8100, 12);
  device.inject(tagged, sized(LONGEST_FRAME + 4), sized(LONGEST_FRAME + 1));
  await settle();
  t.deepEqual(drops(plane), { port_frame_long: 2 });
  t.deepEqual(
    senders.flatMap(({ sent }) => sent.map(({ bytes }) => bytes)),
    [vxlan(VNI, tagged)],
  );
});

test('entries age by the clock that was passed in', async (t) => {
  const { plane, device, clock } = await setUp(t);
  device.inject(frame(station(1), BROADCAST));
  await settle();
  clock.advance(299_999);
  t.is(plane.fdb(VNI)[0]!.age, asMillis(299_999));
  clock.advance(1);
  t.deepEqual(plane.fdb(VNI), []);
  t.is(plane.counters().fdb.aged, 1);
});

test('a device with vnet headers is refused before anything is attached', async (t) => {
  const { plane } = await setUp(t);
  const device = Object.assign(new MemoryTap('wt-1'), { vnetHeaderBytes: 10 });
  t.throws(() => plane.addPort(VNI, device), { message: /not vnet headers/ });
  t.is(plane.counters().ports.length, 1);
  t.false(device.isClosed);
});

test('one flow leaves in order by one socket', async (t) => {
  const { device, senders } = await setUp(t);
  const names = Array.from({ length: 100 }, (_, index) => `${index}`);
  device.inject(...names.map((name) => frame(station(1), BROADCAST, name)));
  await settle();
  t.is(senders.filter(({ sent }) => sent.length > 0).length, 1);
  t.deepEqual(departed(senders), names);
});
