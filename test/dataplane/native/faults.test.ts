import test, { type ExecutionContext } from 'ava';
import { randomInt, seededRng } from '../../../src/base/rng.ts';
import type { DataPlane } from '../../../src/dataplane/dataplane.ts';
import { createNativeDataPlane } from '../../../src/dataplane/native/native-data-plane.ts';
import {
  BROADCAST,
  drops,
  frame,
  MTU,
  rawPeer,
  SEED,
  station,
  VNI,
  vxlan,
} from '../../contract/hosts.ts';
import { until } from '../../fakes/until.ts';
import {
  checksumAt,
  finishIpHeader,
  parseSlowly,
  pseudoHeaderSum,
} from '../../model/packet-oracle.ts';
import { segmentSlowly } from '../../model/segment-oracle.ts';
import { GSO, NEEDS_CHECKSUM, VNET_BYTES, writeVnet } from '../../model/vnet-oracle.ts';
import { createSocketDevice, type SocketDevice } from './socket-device.ts';

const PAYLOAD = Buffer.from(Array.from({ length: 1200 }, (_, at) => at & 255));

/** A TCP super-frame from station 1 to station 2 whose segments hold `gsoSize` bytes each. */
function superFrame(gsoSize: number): Buffer {
  const bytes = Buffer.concat([
    Buffer.from('0200000000020200000000010800', 'hex'),
    Buffer.from('4500000000014000400600000a0000010a000002', 'hex'),
    Buffer.from('03e807d00000000100000007501001f400000000', 'hex'),
    PAYLOAD,
  ]);
  finishIpHeader(bytes, { ...parseSlowly(bytes), version: 4, ip: 14 }, bytes.length - 14);
  const packet = parseSlowly(bytes);
  bytes.writeUInt16BE(
    pseudoHeaderSum(bytes, packet, bytes.length - packet.transport),
    checksumAt(packet),
  );
  const vnet = {
    flags: NEEDS_CHECKSUM,
    gsoType: GSO.tcp4,
    headerBytes: packet.payload,
    gsoSize,
    checksumStart: packet.transport,
    checksumOffset: 16,
  };
  return Buffer.concat([writeVnet(vnet), bytes]);
}

interface OneHost {
  readonly plane: DataPlane;
  readonly device: SocketDevice;
}

function openHost(t: ExecutionContext): OneHost {
  const plane = createNativeDataPlane({ addresses: ['127.0.0.1'], meshPort: 0, vxlanPort: 0 });
  t.teardown(() => plane.close());
  plane.addNetwork(VNI, { mtu: MTU });
  const device = createSocketDevice(VNET_BYTES);
  plane.addPort(VNI, device.device);
  return { plane, device };
}

const isEnd = (bytes: Buffer): boolean => bytes.subarray(14).toString() === 'end';

test('forged virtio-net headers are refused by name, and the port goes on', async (t) => {
  const host = openHost(t);
  const peer = await rawPeer(t, '127.0.0.9');
  host.plane.addVtep(VNI, peer);
  const forgeries: readonly ((header: Buffer) => void)[] = [
    (header) => header.writeUInt8(GSO.tcp6, 1),
    (header) => header.writeUInt8(0x7f, 1),
    (header) => header.writeUInt16LE(0, 4),
    (header) => header.writeUInt16LE(0xffff, 6),
    (header) => header.writeUInt16LE(0xffff, 8),
    (header) => header.writeUInt16LE(13, 6),
    (header) => header.writeUInt8(0, 0),
  ];
  for (const forge of forgeries) {
    const forged = superFrame(400);
    forge(forged);
    host.device.injectWithHeader(forged);
  }
  host.device.injectWithHeader(superFrame(400));
  await until(() => peer.arrivals.length === 3, 'the honest super-frame arrives');
  t.deepEqual(drops(host.plane), { port_offload_invalid: forgeries.length });
});

test('random virtio-net headers crash nothing', async (t) => {
  const host = openHost(t);
  const peer = await rawPeer(t, '127.0.0.9');
  host.plane.addVtep(VNI, peer);
  t.log(`SEED=${SEED}`);
  const rng = seededRng(SEED);
  for (let count = 0; count < 3000; count++) {
    const bytes = superFrame(400);
    for (let at = 0; at < VNET_BYTES; at++) if (rng.next() < 0.3) bytes[at] = randomInt(rng, 256);
    host.device.injectWithHeader(bytes);
  }
  // Thousands of small segments came first, more than the peer's socket holds: so it is said again.
  const arrives = (): boolean => {
    host.device.inject(frame(station(1), BROADCAST, 'end'));
    return peer.arrivals.some(({ bytes }) => isEnd(bytes.subarray(8)));
  };
  await until(arrives, 'the plane still forwards');
  t.true((drops(host.plane).port_offload_invalid ?? 0) > 1000);
});

test('a peer that sends segments of one byte stalls nobody, and each byte arrives', async (t) => {
  const host = openHost(t);
  const [tiny, other] = [await rawPeer(t, '127.0.0.8'), await rawPeer(t, '127.0.0.9')];
  host.plane.addVtep(VNI, tiny);
  host.plane.addVtep(VNI, other);
  const segments = segmentSlowly(superFrame(1), MTU, false)?.frames ?? [];
  t.is(segments.length, PAYLOAD.length);
  for (const segment of segments) await tiny.send(vxlan(VNI, segment), host.plane.vxlanAddress);
  await other.send(vxlan(VNI, frame(station(3), BROADCAST, 'end')), host.plane.vxlanAddress);
  const received = (): Buffer[] => host.device.received().filter((bytes) => !isEnd(bytes));
  const payload = (): Buffer => Buffer.concat(received().map((bytes) => bytes.subarray(54)));
  await until(() => host.device.received().some(isEnd), "the other peer's frame arrives");
  await until(() => payload().length === PAYLOAD.length, 'each byte arrives');
  t.deepEqual(payload(), PAYLOAD);
  t.is(host.plane.counters().vteps[0]!.rxFrames, PAYLOAD.length);
});
