import fc from 'fast-check';
import { asMac, asVni } from '../../src/base/types.ts';
import { DROP_REASONS, type DropReason } from '../../src/dataplane/drop-reason.ts';
import { until } from '../fakes/until.ts';
import {
  BROADCAST,
  type Contract,
  drops,
  expectCounts,
  expectDrops,
  expectTexts,
  fdbLines,
  frame,
  type Lab,
  LONGEST_FRAME,
  MTU,
  MULTICAST,
  rawPeer,
  SEED,
  sized,
  station,
  texts,
  TOO_LONG_FRAME,
  totalDrops,
  VNI,
  vxlan,
} from './hosts.ts';

type Refusal = readonly [reason: DropReason, what: string, bytes: Uint8Array];

const BAD_FRAMES: readonly Refusal[] = [
  ['port_frame_short', '13 bytes', sized(13)],
  ['port_frame_long', 'a frame over MTU, header and tag', sized(TOO_LONG_FRAME)],
  ['port_frame_long', 'a jumbo frame', sized(9000)],
  ['port_source_invalid', 'a zero source', frame(asMac(0), BROADCAST, 'bad')],
  ['port_source_invalid', 'a broadcast source', frame(BROADCAST, BROADCAST, 'bad')],
  ['port_source_invalid', 'a multicast source', frame(MULTICAST, BROADCAST, 'bad')],
];

const BAD_DATAGRAMS: readonly Refusal[] = [
  ['vxlan_short', 'an empty datagram', Buffer.alloc(0)],
  ['vxlan_short', 'a header cut at 7 bytes', vxlan(VNI, Buffer.alloc(0)).subarray(0, 7)],
  ['vxlan_flags', 'a header without flags', vxlan(VNI, sized(60), 0)],
  ['vxlan_flags', 'every flag but I', vxlan(VNI, sized(60), 0xf7_ff_ff_ff)],
  ['vxlan_vni_unknown', 'another VNI', vxlan(asVni(VNI + 1), sized(60))],
  ['vxlan_frame_short', 'a header and nothing else', vxlan(VNI, Buffer.alloc(0))],
  ['vxlan_frame_short', 'a frame of 13 bytes', vxlan(VNI, sized(13))],
  ['vxlan_frame_long', 'an oversize frame', vxlan(VNI, sized(TOO_LONG_FRAME))],
  ['vxlan_frame_long', 'a frame of 60000 bytes', vxlan(VNI, sized(60_000))],
  ['vxlan_source_invalid', 'a zero source', vxlan(VNI, frame(asMac(0), BROADCAST))],
  ['vxlan_source_invalid', 'a multicast source', vxlan(VNI, frame(MULTICAST, BROADCAST))],
  ['vxlan_source_local', "a local endpoint's MAC", vxlan(VNI, frame(station(7), BROADCAST))],
];

/** Rule 5 of `DataPlane`: each refusal has exactly one counter. Random bytes are refused like any. */
export function refusalContract(contract: Contract, lab: Lab): void {
  for (const [reason, what, bytes] of BAD_FRAMES) {
    contract(`from a port, ${what} is ${reason}`, async (t) => {
      const { a, b } = await lab.mesh(t, ['a', 'b']);
      a.device.inject(bytes, frame(station(1), BROADCAST, 'end'));
      await expectTexts(t, b.device, ['end']);
      await expectDrops(t, a.plane, { [reason]: 1 });
      await expectCounts(t, () => a.plane.counters().ports[0]!.rxFrames, 1);
      t.deepEqual(fdbLines(a.plane), [`02:00:00:00:00:01 port ${a.port}`]);
    });
  }

  for (const [reason, what, bytes] of BAD_DATAGRAMS) {
    contract(`from a VTEP, ${what} is ${reason}`, async (t) => {
      const a = await lab.host(t, '127.0.0.1');
      const peer = await rawPeer(t, '127.0.0.9');
      a.plane.addVtep(VNI, peer);
      a.plane.addLocalMac(VNI, station(7), a.port);
      await peer.send(bytes, a.plane.vxlanAddress);
      await peer.send(vxlan(VNI, frame(station(3), BROADCAST, 'end')), a.plane.vxlanAddress);
      await expectTexts(t, a.device, ['end']);
      await expectDrops(t, a.plane, { [reason]: 1 });
      await expectCounts(t, () => a.plane.counters().vteps[0]!.rxFrames, 1);
      t.is(a.plane.fdb(VNI).length, 2);
    });
  }

  contract('the longest frame and the shortest cross', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    a.device.inject(sized(LONGEST_FRAME), sized(14));
    await until(() => b.device.received().length === 2, 'both arrive');
    t.deepEqual(b.device.received(), [sized(LONGEST_FRAME), sized(14)]);
  });

  contract('a frame for a MAC behind its own port is port_hairpin', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    a.device.inject(frame(station(1), BROADCAST, 'one'), frame(station(2), station(1), 'two'));
    await expectDrops(t, a.plane, { port_hairpin: 1 });
    a.device.inject(frame(station(1), BROADCAST, 'end'));
    await expectTexts(t, b.device, ['one', 'end']);
    t.deepEqual(texts(a.device), []);
  });

  contract('a flood with nowhere to go is port_no_destination', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    a.device.inject(frame(station(1), BROADCAST), frame(station(1), station(9)));
    await expectDrops(t, a.plane, { port_no_destination: 2 });
    await expectCounts(t, () => a.plane.counters().ports[0]!.rxFrames, 2);
  });

  contract('a sender that is no VTEP of the network is vxlan_vtep_unknown', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const other = asVni(VNI + 1);
    a.plane.addNetwork(other, { mtu: MTU });
    const [stranger, foreigner] = [await rawPeer(t, '127.0.0.8'), await rawPeer(t, '127.0.0.9')];
    a.plane.addVtep(other, foreigner);
    for (const peer of [stranger, foreigner]) {
      await peer.send(vxlan(VNI, frame(station(3), BROADCAST, 'hi')), a.plane.vxlanAddress);
    }
    await expectDrops(t, a.plane, { vxlan_vtep_unknown: 2 });
    t.deepEqual(texts(a.device), []);
    t.deepEqual(fdbLines(a.plane), []);
  });

  contract('a network without ports refuses what VTEPs send it as vxlan_no_port', async (t) => {
    const plane = await lab.plane(t, '127.0.0.1');
    plane.addNetwork(VNI, { mtu: MTU });
    const peer = await rawPeer(t, '127.0.0.9');
    plane.addVtep(VNI, peer);
    await peer.send(vxlan(VNI, frame(station(3), BROADCAST)), plane.vxlanAddress);
    await expectDrops(t, plane, { vxlan_no_port: 1 });
  });

  for (const [what, address] of [
    // Without SO_BROADCAST, which no data plane needs, the kernel says EACCES.
    ['that the kernel refuses to send', '255.255.255.255'],
    ['to a family of addresses that is not bound', '2001:db8::1'],
  ] as const) {
    contract(`a datagram ${what} is underlay_send_failed`, async (t) => {
      const a = await lab.host(t, '127.0.0.1');
      a.plane.addVtep(VNI, { address, port: 4789 });
      a.device.inject(frame(station(1), BROADCAST));
      await expectDrops(t, a.plane, { underlay_send_failed: 1 });
    });
  }

  contract('a device that takes no frames is port_write_failed', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    b.device.destroy();
    a.device.inject(frame(station(1), BROADCAST));
    await expectDrops(t, b.plane, { port_write_failed: 1 });
    t.is(b.plane.counters().ports[0]!.txFrames, 0);
  });

  contract('a datagram back to a VXLAN source port is refused once', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const peer = await rawPeer(t, '127.0.0.9');
    a.plane.addVtep(VNI, peer);
    a.device.inject(frame(station(1), BROADCAST));
    await until(() => peer.arrivals.length === 1, 'the frame arrives');
    const { port } = peer.arrivals[0]!;
    await peer.send(Buffer.from('?'), { address: '127.0.0.1', port });
    await until(() => totalDrops(a.plane) === 1, 'the reply is counted');
    t.deepEqual(texts(a.device), []);
  });

  contract('the reasons are counted under the names that are documented', async (t) => {
    const plane = await lab.plane(t, '127.0.0.1');
    t.deepEqual(Object.keys(plane.counters().drops).sort(), [...DROP_REASONS].sort());
    t.deepEqual(drops(plane), {});
  });

  contract('random datagrams are each counted once and disturb nothing', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const peer = await rawPeer(t, '127.0.0.9');
    a.plane.addVtep(VNI, peer);
    const random = fc.uint8Array({ maxLength: 120, size: 'max' });
    const almostVxlan = fc
      .tuple(
        fc.constantFrom(0x08_00_00_00, 0xff_00_00_01, 0),
        fc.constantFrom(VNI, asVni(1)),
        random,
      )
      .map(([word, vni, inner]) => vxlan(vni, inner, word));
    const samples = fc.sample(fc.oneof(random, almostVxlan), { seed: SEED, numRuns: 2000 });
    const received = (): number => a.plane.counters().vteps[0]!.rxFrames;
    // A datagram is refused or received; one that was received may still find no port.
    const taken = (): number =>
      totalDrops(a.plane) - a.plane.counters().drops.vxlan_no_port + received();
    for (const [index, bytes] of samples.entries()) {
      await peer.send(bytes, a.plane.vxlanAddress);
      if (index % 100 < 99) continue;
      await until(() => taken() === index + 1, `datagrams to ${index} are counted (SEED=${SEED})`);
    }
    t.true(received() > 100);
    await peer.send(vxlan(VNI, frame(station(3), BROADCAST, 'end')), a.plane.vxlanAddress);
    await until(() => texts(a.device).at(-1) === 'end', 'the plane still forwards');
    t.is(taken(), samples.length + 1);
  });

  contract('random frames are each counted once and disturb nothing', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    const random = fc.uint8Array({ minLength: 1, maxLength: 100, size: 'max' });
    const samples = fc.sample(random, { seed: SEED, numRuns: 2000 });
    const taken = (): number => {
      const { ports, drops } = a.plane.counters();
      return ports[0]!.rxFrames + drops.port_frame_short + drops.port_source_invalid;
    };
    for (let start = 0; start < samples.length; start += 100) {
      a.device.inject(...samples.slice(start, start + 100));
      await until(() => taken() === start + 100, `frames from ${start} are counted (SEED=${SEED})`);
    }
    a.device.inject(frame(station(1), BROADCAST, 'end'));
    await until(() => texts(b.device).includes('end'), 'the plane still forwards');
    t.is(taken(), samples.length + 1);
  });
}
