import type { ExecutionContext } from 'ava';
import type { PeerPath } from '../../src/base/types.ts';
import type { DataPlane } from '../../src/dataplane/dataplane.ts';
import { until } from '../fakes/until.ts';
import {
  BROADCAST,
  type Contract,
  drops,
  expectCounts,
  expectDrops,
  expectTexts,
  frame,
  type Host,
  type Lab,
  MTU,
  rawPeer,
  type RawPeer,
  sized,
  station,
  texts,
  VNI,
} from './hosts.ts';
import { sealingKey } from './sealing.ts';

/** What hosts are known by in sealed networks: no address that a socket could reach. */
const LOCATOR = { a: 'fd00::a', b: 'fd00::b' } as const;
const TAG = { a: 0x0a00_0000_0000_00aan, b: 0xfedc_ba98_7654_3210n } as const;

/** Two hosts that know each other by locator, with keys both ways and no paths yet. */
async function locatedPair(t: ExecutionContext, lab: Lab): Promise<readonly [Host, Host]> {
  const [a, b] = [await lab.host(t, '127.0.0.1'), await lab.host(t, '127.0.0.2')];
  locate(a, LOCATOR.b, 1, 2);
  locate(b, LOCATOR.a, 2, 1);
  return [a, b];
}

function locate({ plane }: Host, peer: string, sendIndex: number, receiveIndex: number): void {
  plane.addVtep(VNI, { address: peer, port: 7783 }, { encapsulation: 'sealed' });
  plane.sealing.addReceiveKey(peer, sealingKey(receiveIndex));
  plane.sealing.setSendKey(peer, sealingKey(sendIndex));
}

function relayed(tag: bigint, inner: Uint8Array, hopLimit = 16, kind = 0x30): Buffer {
  const header = Buffer.alloc(12);
  header[0] = kind;
  header[1] = hopLimit;
  header.writeBigUInt64BE(tag, 4);
  return Buffer.concat([header, inner]);
}

async function arrival(peer: RawPeer, index = 0): Promise<Buffer> {
  await until(() => peer.arrivals.length > index, 'a datagram arrives');
  return peer.arrivals[index]!.bytes;
}

const direct = ({ plane }: Host): PeerPath => ({ to: plane.meshAddress });

/** What stands on the wire where two hosts trust the way: the index of the receiver's key, and the frame. */
function unsealed(index: number, inner: Uint8Array, vni: number = VNI): Buffer {
  const header = Buffer.alloc(8);
  header[0] = 0x22;
  header.writeUIntBE(vni, 1, 3);
  header.writeUInt32BE(index, 4);
  return Buffer.concat([header, inner]);
}

/** Both ends have agreed that frames go in the clear between their own addresses. */
function agree(a: Host, b: Host): void {
  for (const [one, other, locator] of [
    [a, b, LOCATOR.b],
    [b, a, LOCATOR.a],
  ] as const) {
    one.plane.setUnsealedSources(locator, [other.plane.meshAddress]);
    one.plane.setPath(locator, { ...direct(other), isUnsealed: true });
  }
}

/** A relay between raw sockets: what it takes from `source` for TAG.b goes to `destination`. */
async function relay(t: ExecutionContext, lab: Lab, isLast: boolean) {
  const plane = await lab.plane(t, '127.0.0.3');
  const [source, destination] = [await rawPeer(t, '127.0.0.8'), await rawPeer(t, '127.0.0.9')];
  plane.setRelayPeers(new Set([source.address]));
  plane.setRoute(TAG.b, { to: destination, isLast });
  const send = (bytes: Uint8Array): Promise<void> => source.send(bytes, plane.meshAddress);
  return { plane, source, destination, send };
}

/** `c` passes on what `a` and `b` send each other. */
function relayBetween(c: DataPlane, a: Host, b: Host): void {
  c.setRelayPeers(new Set([a.plane.meshAddress.address, b.plane.meshAddress.address]));
  c.setRoute(TAG.a, { to: a.plane.meshAddress, isLast: true });
  c.setRoute(TAG.b, { to: b.plane.meshAddress, isLast: true });
}

/** Paths of sealed frames, relays, and relayed control datagrams (docs/adr/0047). */
export function pathContract(test: Contract, lab: Lab): void {
  pathTests(test, lab);
  relayTests(test, lab);
  refusalTests(test, lab);
  unsealedTests(test, lab);
}

function unsealedTests(test: Contract, lab: Lab): void {
  test('where both ends trust the way frames go in the clear, and cross like any other', async (t) => {
    const [a, b] = await locatedPair(t, lab);
    agree(a, b);
    a.device.inject(frame(station(1), BROADCAST, 'who is there'));
    await expectTexts(t, b.device, ['who is there']);
    b.device.inject(frame(station(2), station(1), 'I am'));
    await expectTexts(t, a.device, ['I am']);
    t.deepEqual([drops(a.plane), drops(b.plane)], [{}, {}]);
    t.is(a.plane.counters().vteps[0]!.txFrames, 1);
    t.is(b.plane.pathCounters(LOCATOR.a).rxFrames, 1);
  });

  test('in the clear there is the index and the frame, and the next path is sealed at once', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const [trusted, other] = [await rawPeer(t, '127.0.0.8'), await rawPeer(t, '127.0.0.9')];
    locate(a, LOCATOR.b, 7, 2);
    const sent = Array.from({ length: 40 }, (_, number) =>
      frame(station(1), BROADCAST, `number ${number}`),
    );
    for (const [number, each] of sent.entries()) {
      const isTrusted = number % 20 < 10;
      if (number % 10 === 0) {
        a.plane.setPath(
          LOCATOR.b,
          isTrusted ? { to: trusted, isUnsealed: true } : { to: other, isUnsealed: false },
        );
      }
      a.device.inject(each);
      const [way, index] = [
        isTrusted ? trusted : other,
        number - 10 * Math.ceil((number - 9) / 20),
      ];
      const bytes = await arrival(way, Math.min(index, way.arrivals.length));
      if (isTrusted) t.deepEqual(bytes, unsealed(7, each));
      else t.is(bytes[0], 0x20);
    }
    t.deepEqual([trusted.arrivals.length, other.arrivals.length], [20, 20]);
  });

  test('a flood is sealed for one and in the clear for another', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const [trusted, other] = [await rawPeer(t, '127.0.0.8'), await rawPeer(t, '127.0.0.9')];
    locate(a, LOCATOR.b, 7, 2);
    locate(a, 'fd00::c', 8, 3);
    a.plane.setPath(LOCATOR.b, { to: trusted, isUnsealed: true });
    a.plane.setPath('fd00::c', { to: other });
    const long = sized(MTU + 14);
    long.writeUIntBE(BROADCAST, 0, 6);
    a.device.inject(long);
    t.deepEqual(await arrival(trusted), unsealed(7, long));
    const bytes = await arrival(other);
    t.is(bytes[0], 0x20);
    t.is(bytes.length, long.length + 32);
  });

  test('a plain frame for a sealed network from who is not trusted', async (t) => {
    const b = await lab.host(t, '127.0.0.2');
    locate(b, LOCATOR.a, 2, 1);
    const [friend, thief] = [await rawPeer(t, '127.0.0.8'), await rawPeer(t, '127.0.0.9')];
    const neighbour = await rawPeer(t, '127.0.0.8');
    const plain = unsealed(1, frame(station(3), BROADCAST, 'plain'));
    const send = (from: RawPeer, bytes: Uint8Array) => from.send(bytes, b.plane.meshAddress);
    // Nothing is agreed on at first: not with the host, and so for no address.
    await send(friend, plain);
    await expectDrops(t, b.plane, { unsealed_not_agreed: 1 });
    b.plane.setUnsealedSources(LOCATOR.a, [friend]);
    // From another address, and from the same one by another port.
    await send(thief, plain);
    await send(neighbour, plain);
    // Whoever takes the right address needs an index of that host's as well.
    await send(friend, unsealed(9, frame(station(3), BROADCAST, 'guessed')));
    await send(friend, plain.subarray(0, 7));
    const refused = { unsealed_not_agreed: 3, unsealed_unknown: 1, unsealed_short: 1 };
    await expectDrops(t, b.plane, refused);
    t.deepEqual(texts(b.device), []);
    await send(friend, plain);
    await expectTexts(t, b.device, ['plain']);
    // What one host may, another may not.
    locate(b, 'fd00::c', 4, 3);
    await send(friend, unsealed(3, frame(station(4), BROADCAST, 'as another')));
    await expectDrops(t, b.plane, { ...refused, unsealed_not_agreed: 4 });
    b.plane.setUnsealedSources(LOCATOR.a, []);
    await send(friend, plain);
    await expectDrops(t, b.plane, { ...refused, unsealed_not_agreed: 5 });
    t.deepEqual(texts(b.device), ['plain']);
  });

  test('in the clear no VTEP and no network is another one, and local MACs are safe', async (t) => {
    const b = await lab.host(t, '127.0.0.2');
    locate(b, LOCATOR.a, 2, 1);
    const friend = await rawPeer(t, '127.0.0.8');
    b.plane.setUnsealedSources(LOCATOR.a, [friend]);
    b.plane.addLocalMac(VNI, station(7), b.port);
    const send = (bytes: Uint8Array) => friend.send(bytes, b.plane.meshAddress);
    await send(unsealed(1, frame(station(3), BROADCAST, 'elsewhere'), VNI + 1));
    await send(unsealed(1, frame(station(7), BROADCAST, 'as another')));
    await send(unsealed(1, Buffer.alloc(13)));
    await expectDrops(t, b.plane, {
      ...{ sealed_vni_unknown: 1, sealed_source_local: 1, sealed_frame_short: 1 },
    });
    b.plane.removeVtep(VNI, LOCATOR.a);
    await send(unsealed(1, frame(station(3), BROADCAST, 'of nobody')));
    await expectDrops(t, b.plane, {
      ...{ sealed_vni_unknown: 1, sealed_source_local: 1, sealed_frame_short: 1 },
      sealed_vtep_unknown: 1,
    });
    t.deepEqual(texts(b.device), []);
  });

  test('without a key nothing goes in the clear either', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const friend = await rawPeer(t, '127.0.0.8');
    a.plane.addVtep(VNI, { address: LOCATOR.b, port: 7783 }, { encapsulation: 'sealed' });
    a.plane.setPath(LOCATOR.b, { to: friend, isUnsealed: true });
    a.device.inject(frame(station(1), BROADCAST, 'too early'));
    await expectDrops(t, a.plane, { sealed_no_key: 1 });
    t.deepEqual(friend.arrivals, []);
  });
}

function pathTests(test: Contract, lab: Lab): void {
  test('sealed frames go by the path of a peer that has no address of its own', async (t) => {
    const [a, b] = await locatedPair(t, lab);
    a.plane.setPath(LOCATOR.b, direct(b));
    b.plane.setPath(LOCATOR.a, direct(a));
    a.device.inject(frame(station(1), BROADCAST, 'who is there'));
    await expectTexts(t, b.device, ['who is there']);
    b.device.inject(frame(station(2), station(1), 'I am'));
    await expectTexts(t, a.device, ['I am']);
  });

  test('without a path what is for a locator can not leave, and that is counted', async (t) => {
    const [a] = await locatedPair(t, lab);
    a.device.inject(frame(station(1), BROADCAST, 'where to'));
    await expectDrops(t, a.plane, { underlay_send_failed: 1 });
  });

  test('a path may be of another address family than the peer', async (t) => {
    const [a, b] = await locatedPair(t, lab);
    a.plane.setPath(LOCATOR.b, { to: { ...b.plane.meshAddress, address: '::ffff:127.0.0.2' } });
    a.device.inject(frame(station(1), BROADCAST, 'mapped'));
    await expectTexts(t, b.device, ['mapped']);
  });

  test('a path that is cleared leads straight to the VTEP again', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const [home, away] = [await rawPeer(t, '127.0.0.8'), await rawPeer(t, '127.0.0.9')];
    a.plane.addVtep(VNI, home, { encapsulation: 'sealed' });
    a.plane.sealing.setSendKey(home.address, sealingKey(1));
    a.plane.setPath(home.address, { to: away });
    a.device.inject(frame(station(1), BROADCAST, 'away'));
    await arrival(away);
    a.plane.setPath(home.address, undefined);
    a.device.inject(frame(station(1), BROADCAST, 'home'));
    await arrival(home);
    t.is(away.arrivals.length, 1);
  });

  test('no frame is lost or refused while paths change under a stream', async (t) => {
    const [a, b] = await locatedPair(t, lab);
    const c = await lab.plane(t, '127.0.0.3');
    relayBetween(c, a, b);
    const paths = [direct(b), { to: c.meshAddress, relayTag: TAG.b }];
    const count = 300;
    for (let number = 0; number < count; number++) {
      if (number % 10 === 0) a.plane.setPath(LOCATOR.b, paths[(number / 10) % 2]);
      a.device.inject(frame(station(1), BROADCAST, `number ${number}`));
      if (number % 50 === 0) await new Promise(setImmediate);
    }
    await until(() => b.device.received().length === count, 'every frame comes');
    const numbers = new Set(b.device.received().map((bytes) => bytes.subarray(14).toString()));
    t.is(numbers.size, count);
    t.deepEqual([drops(a.plane), drops(b.plane), drops(c)], [{}, {}, {}]);
  });

  test('a path is counted since it was set, both ways', async (t) => {
    const [a, b] = await locatedPair(t, lab);
    t.deepEqual(a.plane.pathCounters(LOCATOR.b), {
      ...{ rxFrames: 0, rxBytes: 0, txFrames: 0, txBytes: 0 },
      silence: undefined,
    });
    a.plane.setPath(LOCATOR.b, direct(b));
    const sent = frame(station(1), BROADCAST, 'counted');
    a.device.inject(sent, sent);
    await expectTexts(t, b.device, ['counted', 'counted']);
    const tx = { txFrames: 2, txBytes: 2 * sent.length };
    await expectCounts(t, () => pick(a.plane.pathCounters(LOCATOR.b)), {
      ...{ rxFrames: 0, rxBytes: 0, ...tx },
    });
    const { silence, ...rx } = b.plane.pathCounters(LOCATOR.a);
    t.deepEqual(rx, { rxFrames: 2, rxBytes: 2 * sent.length, txFrames: 0, txBytes: 0 });
    t.true(silence !== undefined && silence >= 0 && silence < 60_000);
    a.plane.setPath(LOCATOR.b, direct(b));
    t.is(a.plane.pathCounters(LOCATOR.b).txFrames, 0);
  });
}

function pick({ rxFrames, rxBytes, txFrames, txBytes }: ReturnType<DataPlane['pathCounters']>) {
  return { rxFrames, rxBytes, txFrames, txBytes };
}

function relayTests(test: Contract, lab: Lab): void {
  test('two hosts reach each other by a relay that can read nothing', async (t) => {
    const [a, b] = await locatedPair(t, lab);
    const c = await lab.plane(t, '127.0.0.3');
    relayBetween(c, a, b);
    a.plane.setPath(LOCATOR.b, { to: c.meshAddress, relayTag: TAG.b });
    b.plane.setPath(LOCATOR.a, { to: c.meshAddress, relayTag: TAG.a });
    a.device.inject(frame(station(1), BROADCAST, 'by a friend'));
    await expectTexts(t, b.device, ['by a friend']);
    b.device.inject(frame(station(2), station(1), 'and back'));
    await expectTexts(t, a.device, ['and back']);
    await expectCounts(t, () => c.counters().relayed.datagrams, 2);
  });

  test('a chain of four relays passes frames on, each with one hop off', async (t) => {
    const [a, b] = await locatedPair(t, lab);
    const chain = await Promise.all(
      ['127.0.0.3', '127.0.0.4', '127.0.0.5', '127.0.0.6'].map((at) => lab.plane(t, at)),
    );
    chain.forEach((each, index) => {
      const [before, next] = [chain[index - 1] ?? a.plane, chain[index + 1]];
      each.setRelayPeers(new Set([before.meshAddress.address]));
      each.setRoute(TAG.b, {
        to: (next ?? b.plane).meshAddress,
        isLast: next === undefined,
      });
    });
    a.plane.setPath(LOCATOR.b, { to: chain[0]!.meshAddress, relayTag: TAG.b });
    a.device.inject(frame(station(1), BROADCAST, 'a long way'));
    await expectTexts(t, b.device, ['a long way']);
  });

  test('the last relay takes the header off, another takes a hop off', async (t) => {
    const inner = Buffer.from([0x40, 1, 2, 3]);
    for (const isLast of [true, false]) {
      const { send, destination, plane } = await relay(t, lab, isLast);
      await send(relayed(TAG.b, inner));
      t.deepEqual(await arrival(destination), isLast ? inner : relayed(TAG.b, inner, 15));
      t.is(destination.arrivals[0]!.port, plane.meshAddress.port);
    }
  });

  test('datagrams of many sizes and tags keep their bytes and, to one host, their order', async (t) => {
    const { send, destination, plane } = await relay(t, lab, true);
    const other = await rawPeer(t, '127.0.0.10');
    plane.setRoute(TAG.a, { to: other, isLast: false });
    const inner = Array.from({ length: 60 }, (_, index) =>
      Buffer.alloc(1 + ((index * 97) % 1300), 0x20 + (index % 2)),
    );
    for (const [index, bytes] of inner.entries()) {
      await send(relayed(index % 3 === 0 ? TAG.a : TAG.b, bytes));
    }
    await arrival(destination, 39);
    await arrival(other, 19);
    t.deepEqual(
      destination.arrivals.map(({ bytes }) => bytes),
      inner.filter((_, index) => index % 3 !== 0),
    );
    t.deepEqual(
      other.arrivals.map(({ bytes }) => bytes),
      inner.filter((_, index) => index % 3 === 0).map((bytes) => relayed(TAG.a, bytes, 15)),
    );
  });

  test('control datagrams go by a relay, and come from it', async (t) => {
    const [a, b] = [await lab.plane(t, '127.0.0.1'), await lab.plane(t, '127.0.0.2')];
    const c = await lab.plane(t, '127.0.0.3');
    c.setRelayPeers(new Set(['127.0.0.1']));
    c.setRoute(TAG.b, { to: b.meshAddress, isLast: true });
    const received: { bytes: string; port: number; address: string }[] = [];
    b.control.onReceive((bytes, from) => received.push({ bytes: bytes.toString('hex'), ...from }));
    a.sendRelayed(Buffer.from('40aa', 'hex'), { to: c.meshAddress, relayTag: TAG.b });
    await until(() => received.length === 1, 'the relayed one comes');
    a.sendRelayed(Buffer.from('50bb', 'hex'), { to: b.meshAddress });
    await until(() => received.length === 2, 'the direct one comes');
    t.deepEqual(received, [
      { bytes: '40aa', ...c.meshAddress },
      { bytes: '50bb', ...a.meshAddress },
    ]);
  });
}

function refusalTests(test: Contract, lab: Lab): void {
  test('forged relay headers have a counter each, and nothing comes of them', async (t) => {
    const { plane, send, source, destination } = await relay(t, lab, false);
    const stranger = await rawPeer(t, '127.0.0.11');
    const inner = Buffer.from([0x20]);
    await stranger.send(relayed(TAG.b, inner), plane.meshAddress);
    await send(relayed(TAG.b, Buffer.alloc(0)));
    await send(relayed(TAG.b, inner, 16, 0x31));
    await send(relayed(TAG.b, relayed(TAG.b, inner)));
    await send(relayed(TAG.a, inner));
    await send(relayed(TAG.b, inner, 1));
    await send(relayed(TAG.b, inner, 0));
    const forged = { relay_stranger: 1, relay_malformed: 3, relay_unknown: 1, relay_hop_limit: 2 };
    await expectDrops(t, plane, forged);
    plane.setRoute(TAG.a, { to: source, isLast: true });
    await send(relayed(TAG.a, inner));
    await expectDrops(t, plane, { ...forged, relay_loop: 1 });
    await send(relayed(TAG.b, inner, 2));
    t.deepEqual(await arrival(destination), relayed(TAG.b, inner, 1));
    t.is(source.arrivals.length, 0);
  });

  test('hosts behind one address are relayed to each other', async (t) => {
    const { plane, send, source } = await relay(t, lab, true);
    const neighbour = await rawPeer(t, source.address);
    plane.setRoute(TAG.a, { to: neighbour, isLast: true });
    await send(relayed(TAG.a, Buffer.from('20', 'hex')));
    t.deepEqual(await arrival(neighbour), Buffer.from('20', 'hex'));
  });

  test('routes and relay peers are taken back', async (t) => {
    const { plane, send, destination } = await relay(t, lab, true);
    const datagram = relayed(TAG.b, Buffer.from('20', 'hex'));
    await send(datagram);
    await arrival(destination);
    plane.setRoute(TAG.b, undefined);
    plane.setRoute(TAG.b, undefined);
    await send(datagram);
    await expectDrops(t, plane, { relay_unknown: 1 });
    plane.setRelayPeers(new Set());
    await send(datagram);
    await expectDrops(t, plane, { relay_unknown: 1, relay_stranger: 1 });
    t.is(destination.arrivals.length, 1);
  });

  test('what was sealed for others is never taken for our own network', async (t) => {
    const c = await lab.host(t, '127.0.0.3');
    const source = await rawPeer(t, '127.0.0.8');
    c.plane.setRelayPeers(new Set([source.address]));
    await source.send(relayed(TAG.b, Buffer.alloc(64, 0x20)), c.plane.meshAddress);
    await expectDrops(t, c.plane, { relay_unknown: 1 });
    t.is(c.device.received().length, 0);
  });
}
