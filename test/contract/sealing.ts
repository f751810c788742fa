import type { ExecutionContext } from 'ava';
import type { DataPlane } from '../../src/dataplane/dataplane.ts';
import type { SealingKey } from '../../src/encap/sealed.ts';
import { until } from '../fakes/until.ts';
import {
  BROADCAST,
  type Contract,
  expectDrops,
  expectTexts,
  frame,
  type Host,
  type Lab,
  MTU,
  rawPeer,
  sized,
  station,
  texts,
  VNI,
  vxlan,
} from './hosts.ts';

export function sealingKey(
  index: number,
  cipher: SealingKey['cipher'] = 'aes-256-gcm',
): SealingKey {
  return { cipher, index, key: Buffer.alloc(32, index) };
}

/** Makes two hosts each other's sealed VTEPs; no keys yet. */
export function connectSealed(a: Host, b: Host): void {
  a.plane.addVtep(VNI, b.plane.meshAddress, { encapsulation: 'sealed' });
  b.plane.addVtep(VNI, a.plane.meshAddress, { encapsulation: 'sealed' });
}

/** From now on `from` seals with this key for `to`, which opens it. */
export function giveKey(from: DataPlane, to: DataPlane, key: SealingKey): void {
  to.sealing.addReceiveKey(from.meshAddress.address, key);
  from.sealing.setSendKey(to.meshAddress.address, key);
}

export async function sealedPair(t: ExecutionContext, lab: Lab): Promise<readonly [Host, Host]> {
  const [a, b] = [await lab.host(t, '127.0.0.1'), await lab.host(t, '127.0.0.2')];
  connectSealed(a, b);
  return [a, b];
}

/** A datagram that `plane` sealed, as somebody on the way sees it. */
async function recorded(t: ExecutionContext, a: Host, b: Host): Promise<Buffer> {
  const tap = await rawPeer(t, '127.0.0.9');
  a.plane.addVtep(VNI, tap, { encapsulation: 'sealed' });
  b.plane.addVtep(VNI, tap, { encapsulation: 'sealed' });
  a.plane.sealing.setSendKey(tap.address, sealingKey(1));
  b.plane.sealing.addReceiveKey(tap.address, sealingKey(1));
  a.device.inject(frame(station(1), BROADCAST, 'once'));
  await until(() => tap.arrivals.length > 0, 'a sealed frame leaves');
  return tap.arrivals[0]!.bytes;
}

/** Keys, ciphers, replay: what a data plane does between two sealed VTEPs. */
export function sealingContract(test: Contract, lab: Lab): void {
  for (const cipher of ['aes-256-gcm', 'chacha20-poly1305'] as const) {
    test(`sealed frames cross with ${cipher}, and through a change of keys`, async (t) => {
      const [a, b] = await sealedPair(t, lab);
      for (const index of [1, 2, 3]) {
        giveKey(a.plane, b.plane, sealingKey(index, cipher));
        a.device.inject(frame(station(1), BROADCAST, `with key ${index}`));
        const expected = ['with key 1', 'with key 2', 'with key 3'].slice(0, index);
        await expectTexts(t, b.device, expected);
      }
      t.is(b.plane.counters().vteps[0]!.rxFrames, 3);
      const sent = (): number => a.plane.counters().vteps[0]!.txFrames;
      // The sender counts once the kernel has taken the frame: the receiver may be quicker.
      await until(() => sent() >= 3, 'the sender has counted the last frame');
      t.is(sent(), 3);
    });
  }

  test('a frame that fills the MTU crosses sealed, byte for byte', async (t) => {
    const [a, b] = await sealedPair(t, lab);
    giveKey(a.plane, b.plane, sealingKey(1));
    const longest = sized(MTU + 14);
    a.device.inject(longest);
    await until(() => b.device.received().length === 1, 'the frame comes');
    t.deepEqual(b.device.received()[0], longest);
  });

  test('each frame of a flood is sealed for each peer with its own key', async (t) => {
    const [a, b] = await sealedPair(t, lab);
    const c = await lab.host(t, '127.0.0.3');
    connectSealed(a, c);
    giveKey(a.plane, b.plane, sealingKey(1));
    giveKey(a.plane, c.plane, sealingKey(2, 'chacha20-poly1305'));
    a.device.inject(frame(station(1), BROADCAST, 'to all'));
    await expectTexts(t, b.device, ['to all']);
    await expectTexts(t, c.device, ['to all']);
  });

  test('without a key nothing leaves, and after its removal nothing enters', async (t) => {
    const [a, b] = await sealedPair(t, lab);
    a.device.inject(frame(station(1), BROADCAST, 'too early'));
    await expectDrops(t, a.plane, { sealed_no_key: 1 });
    giveKey(a.plane, b.plane, sealingKey(1));
    a.device.inject(frame(station(1), BROADCAST, 'sealed'));
    await expectTexts(t, b.device, ['sealed']);
    b.plane.sealing.removeReceiveKey(1);
    a.device.inject(frame(station(1), BROADCAST, 'too late'));
    await expectDrops(t, b.plane, { sealed_session_unknown: 1 });
    a.plane.sealing.clearSendKey('127.0.0.2');
    a.device.inject(frame(station(1), BROADCAST, 'no more'));
    await expectDrops(t, a.plane, { sealed_no_key: 2 });
  });

  test('forged, cut and replayed datagrams have a counter each', async (t) => {
    const [a, b] = [await lab.host(t, '127.0.0.1'), await lab.host(t, '127.0.0.2')];
    const sealed = await recorded(t, a, b);
    t.is(sealed[0], 0x20);
    const thief = await rawPeer(t, '127.0.0.8');
    const send = (bytes: Uint8Array): Promise<void> => thief.send(bytes, b.plane.meshAddress);
    for (const at of [0, 1, 14, 15, 16, sealed.length - 1]) {
      const forged = Buffer.from(sealed);
      forged[at]! ^= 1;
      await send(forged);
    }
    await send(sealed.subarray(0, 31));
    // Whoever sends it, it is the peer's: it goes by its key alone.
    await send(sealed);
    await send(sealed);
    await expectDrops(t, b.plane, { sealed_forged: 6, sealed_short: 1, sealed_replayed: 1 });
    t.deepEqual(texts(b.device), ['once']);
  });

  test('a counter beyond the last is refused before the cipher runs', async (t) => {
    const [a, b] = [await lab.host(t, '127.0.0.1'), await lab.host(t, '127.0.0.2')];
    const forged = Buffer.from(await recorded(t, a, b));
    forged.fill(0xff, 8, 16);
    const thief = await rawPeer(t, '127.0.0.8');
    await thief.send(forged, b.plane.meshAddress);
    await expectDrops(t, b.plane, { sealed_replayed: 1 });
  });

  test('plain VXLAN from a VTEP that must seal is refused', async (t) => {
    const b = await lab.host(t, '127.0.0.2');
    const peer = await rawPeer(t, '127.0.0.9');
    b.plane.addVtep(VNI, peer, { encapsulation: 'sealed' });
    await peer.send(vxlan(VNI, frame(station(3), BROADCAST, 'plain')), b.plane.vxlanAddress);
    await expectDrops(t, b.plane, { vxlan_not_sealed: 1 });
    t.deepEqual(texts(b.device), []);
  });

  test('what is refused inside a sealed frame has a name of its own', async (t) => {
    const [a, b] = await sealedPair(t, lab);
    giveKey(a.plane, b.plane, sealingKey(1));
    b.plane.addLocalMac(VNI, station(7), b.port);
    a.device.inject(frame(station(7), BROADCAST, 'in the name of another'));
    await expectDrops(t, b.plane, { sealed_source_local: 1 });
    b.plane.removeVtep(VNI, '127.0.0.1');
    a.device.inject(frame(station(1), BROADCAST, 'from nobody'));
    await expectDrops(t, b.plane, { sealed_source_local: 1, sealed_vtep_unknown: 1 });
    b.plane.removeNetwork(VNI);
    a.device.inject(frame(station(1), BROADCAST, 'to nowhere'));
    await expectDrops(t, b.plane, {
      ...{ sealed_source_local: 1, sealed_vtep_unknown: 1, sealed_vni_unknown: 1 },
    });
  });
}
