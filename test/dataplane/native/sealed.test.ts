import test, { type ExecutionContext } from 'ava';
import { DROP_REASONS } from '../../../src/dataplane/drop-reason.ts';
import { loadNativeAddon } from '../../../src/dataplane/native/addon.ts';
import {
  nativeAvailability,
  takesUdpSuperFrames,
} from '../../../src/dataplane/native/availability.ts';
import {
  createNativeDataPlane,
  type NativeDataPlane,
} from '../../../src/dataplane/native/native-data-plane.ts';
import type { SealingKey } from '../../../src/encap/sealed.ts';
import {
  BROADCAST,
  type ContractDevice,
  expectDrops,
  expectTexts,
  frame,
  MTU,
  rawPeer,
  station,
  texts,
  VNI,
  vxlan,
} from '../../contract/hosts.ts';
import { createSocketDevice } from './socket-device.ts';

interface SealedHost {
  readonly plane: NativeDataPlane;
  readonly device: ContractDevice;
}

function host(t: ExecutionContext, address: string): SealedHost {
  const plane = createNativeDataPlane({ addresses: [address], meshPort: 0, vxlanPort: 0 });
  t.teardown(() => plane.close());
  plane.addNetwork(VNI, { mtu: MTU });
  const device = createSocketDevice(10);
  plane.addPort(VNI, device.device);
  return { plane, device };
}

/** Two hosts whose VTEPs are each other's mesh ports. */
function sealedPair(t: ExecutionContext): [SealedHost, SealedHost] {
  const [a, b] = [host(t, '127.0.0.1'), host(t, '127.0.0.2')];
  a.plane.addVtep(VNI, b.plane.meshAddress, { encapsulation: 'sealed' });
  b.plane.addVtep(VNI, a.plane.meshAddress, { encapsulation: 'sealed' });
  return [a, b];
}

function key(index: number, cipher: SealingKey['cipher'] = 'aes-256-gcm'): SealingKey {
  return { cipher, index, key: Buffer.alloc(32, index) };
}

test('every drop reason of the addon is documented', (t) => {
  const documented: readonly string[] = DROP_REASONS;
  t.deepEqual(
    loadNativeAddon().dropReasons.filter((reason) => !documented.includes(reason)),
    [],
  );
});

test('the addon is available, and names what seals', (t) => {
  t.deepEqual(nativeAvailability(), { available: true, reason: '' });
  t.regex(loadNativeAddon().cipherLibrary, /Intel|OpenSSL/);
});

test('UDP super-frames are for Linux 6.2 and later', (t) => {
  t.deepEqual(['5.10.0-8-amd64', '6.1.0', '6.2.0-rc1', '6.18.44', '10.0'].map(takesUdpSuperFrames), [
    ...[false, false, true, true, true],
  ]);
});

for (const cipher of ['aes-256-gcm', 'chacha20-poly1305'] as const) {
  test(`sealed frames cross with ${cipher}, and through a change of keys`, async (t) => {
    const [a, b] = sealedPair(t);
    for (const index of [1, 2, 3]) {
      b.plane.addReceiveKey('127.0.0.1', key(index, cipher));
      a.plane.setSendKey('127.0.0.2', key(index, cipher));
      a.device.inject(frame(station(1), BROADCAST, `with key ${index}`));
    }
    await expectTexts(t, b.device, ['with key 1', 'with key 2', 'with key 3']);
    t.is(b.plane.counters().vteps[0]!.rxFrames, 3);
  });
}

test('without a key nothing leaves, and after its removal nothing enters', async (t) => {
  const [a, b] = sealedPair(t);
  a.device.inject(frame(station(1), BROADCAST, 'too early'));
  await expectDrops(t, a.plane, { sealed_no_key: 1 });
  b.plane.addReceiveKey('127.0.0.1', key(1));
  a.plane.setSendKey('127.0.0.2', key(1));
  a.device.inject(frame(station(1), BROADCAST, 'sealed'));
  await expectTexts(t, b.device, ['sealed']);
  b.plane.removeReceiveKey(1);
  a.device.inject(frame(station(1), BROADCAST, 'too late'));
  await expectDrops(t, b.plane, { sealed_session_unknown: 1 });
  a.plane.clearSendKey('127.0.0.2');
  a.device.inject(frame(station(1), BROADCAST, 'no more'));
  await expectDrops(t, a.plane, { sealed_no_key: 2 });
});

test('forged, cut and replayed datagrams have a counter each', async (t) => {
  const a = host(t, '127.0.0.1');
  const b = host(t, '127.0.0.2');
  const tap = await rawPeer(t, '127.0.0.9');
  a.plane.addVtep(VNI, tap, { encapsulation: 'sealed' });
  b.plane.addVtep(VNI, tap, { encapsulation: 'sealed' });
  a.plane.setSendKey(tap.address, key(1));
  b.plane.addReceiveKey(tap.address, key(1));
  a.device.inject(frame(station(1), BROADCAST, 'once'));
  while (tap.arrivals.length === 0) await new Promise(setImmediate);
  const sealed = tap.arrivals[0]!.bytes;
  t.is(sealed[0], 0x20);
  const forged = Buffer.from(sealed);
  forged[20]! ^= 1;
  const send = (bytes: Uint8Array): Promise<void> => tap.send(bytes, b.plane.meshAddress);
  await send(forged);
  await send(sealed.subarray(0, 31));
  await send(sealed);
  await send(sealed);
  await expectDrops(t, b.plane, { sealed_forged: 1, sealed_short: 1, sealed_replayed: 1 });
  t.deepEqual(texts(b.device), ['once']);
});

test('plain VXLAN from a VTEP that must seal is refused', async (t) => {
  const b = host(t, '127.0.0.2');
  const peer = await rawPeer(t, '127.0.0.9');
  b.plane.addVtep(VNI, peer, { encapsulation: 'sealed' });
  await peer.send(vxlan(VNI, frame(station(3), BROADCAST, 'plain')), b.plane.vxlanAddress);
  await expectDrops(t, b.plane, { vxlan_not_sealed: 1 });
  t.deepEqual(texts(b.device), []);
});
