import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import { seededRng } from '../../src/base/rng.ts';
import { asMac } from '../../src/base/types.ts';
import { createNativeDataPlane } from '../../src/dataplane/native/native-data-plane.ts';
import { openPortableDataPlane } from '../../src/dataplane/portable/plane.ts';
import { bindUdp } from '../../src/underlay/udp.ts';
import { foldSum, pseudoHeaderSum4 } from '../../src/wire/checksum.ts';
import { BROADCAST, drops, expectTexts, frame, MTU, station, VNI } from '../contract/hosts.ts';
import { connectSealed, giveKey, sealingKey } from '../contract/sealing.ts';
import { udpFrame } from '../fakes/frames.ts';
import { MemoryTap } from '../fakes/memory-tap.ts';
import { until } from '../fakes/until.ts';
import { createSocketDevice } from './native/socket-device.ts';

const VNET_BYTES = 10;
const NEEDS_CHECKSUM = 1;
const L4 = 34;

/** A native host at 127.0.0.1 and a portable one at 127.0.0.2, which seal for each other. */
async function setUp(t: ExecutionContext) {
  const options = { meshPort: 0, vxlanPort: 0, fastPath: 'off' } as const;
  const a = createNativeDataPlane({ ...options, addresses: ['127.0.0.1'] });
  const deps = { clock: systemClock, rng: seededRng(1), bindUdp };
  const b = await openPortableDataPlane({ ...options, addresses: ['127.0.0.2'] }, deps);
  t.teardown(() => Promise.all([a.close(), b.close()]));
  const [deviceA, deviceB] = [createSocketDevice(VNET_BYTES), new MemoryTap('wt-0')];
  for (const plane of [a, b]) plane.addNetwork(VNI, { mtu: MTU });
  const native = { plane: a, device: deviceA, port: a.addPort(VNI, deviceA.device) };
  const port = b.addPort(VNI, deviceB);
  const device = {
    device: deviceB,
    inject: (...frames: readonly Uint8Array[]) => deviceB.inject(...frames),
    received: () => deviceB.written,
    isClosed: () => deviceB.isClosed,
    destroy: () => deviceB.destroy(),
  };
  const portable = { plane: b, device, port };
  connectSealed(native, portable);
  return { native, portable };
}

for (const cipher of ['aes-256-gcm', 'chacha20-poly1305'] as const) {
  test(`native and portable open what the other seals with ${cipher}`, async (t) => {
    const { native, portable } = await setUp(t);
    giveKey(native.plane, portable.plane, sealingKey(1, cipher));
    giveKey(portable.plane, native.plane, sealingKey(2, cipher));
    native.device.inject(frame(station(1), BROADCAST, 'from the native one'));
    await expectTexts(t, portable.device, ['from the native one']);
    portable.device.inject(frame(station(2), station(1), 'from the portable one'));
    await expectTexts(t, native.device, ['from the portable one']);
    t.deepEqual([drops(native.plane), drops(portable.plane)], [{}, {}]);
  });
}

test('a checksum that the native one left partial is whole when the portable one delivers it', async (t) => {
  const { native, portable } = await setUp(t);
  giveKey(native.plane, portable.plane, sealingKey(1));
  const macs = { source: asMac(0x02005e100001), destination: asMac(0x02005e100002) };
  const flow = {
    source: 0x0a070001,
    destination: 0x0a070002,
    sourcePort: 5000,
    destinationPort: 53,
  };
  const whole = udpFrame(macs, flow, Buffer.from('half a sum'));
  const partial = Buffer.from(whole);
  const pseudo = pseudoHeaderSum4(flow.source, flow.destination, 17, whole.length - L4);
  partial.writeUInt16BE(~foldSum(pseudo) & 0xffff, L4 + 6);
  const vnet = Buffer.alloc(VNET_BYTES);
  vnet[0] = NEEDS_CHECKSUM;
  vnet.writeUInt16LE(L4, 6);
  vnet.writeUInt16LE(6, 8);
  native.device.injectWithHeader(Buffer.concat([vnet, partial]));
  await until(() => portable.device.received().length === 1, 'the frame comes');
  t.deepEqual(portable.device.received()[0], whole);
});
