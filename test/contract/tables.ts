import { asMillis, asVni } from '../../src/base/types.ts';
import { until } from '../fakes/until.ts';
import {
  acquaint,
  BROADCAST,
  type Contract,
  expectCounts,
  expectDrops,
  expectTexts,
  fdbLines,
  frame,
  type Lab,
  MTU,
  rawPeer,
  sized,
  station,
  texts,
  totalDrops,
  VNI,
  vxlan,
} from './hosts.ts';

/** Networks, VTEPs and the FDB: what is kept, for how long, and apart from what. */
export function tableContract(contract: Contract, lab: Lab): void {
  contract('a network floods no further than its own ports and VTEPs', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    const other = asVni(0xff_ff_ff);
    const [otherA, otherB] = [lab.device(), lab.device()];
    for (const [{ plane }, device, peer] of [
      [a, otherA, b],
      [b, otherB, a],
    ] as const) {
      plane.addNetwork(other, { mtu: MTU });
      plane.addPort(other, device.device);
      plane.addVtep(other, peer.plane.vxlanAddress);
    }
    a.device.inject(frame(station(1), BROADCAST, 'red'));
    otherA.inject(frame(station(1), BROADCAST, 'blue'));
    await expectTexts(t, b.device, ['red']);
    await expectTexts(t, otherB, ['blue']);
    // One MAC in two networks is two stations.
    t.deepEqual([a.plane.fdb(VNI).length, a.plane.fdb(other).length], [1, 1]);
    t.is(a.plane.counters().fdb.moved, 0);
    b.plane.removeNetwork(VNI);
    otherB.inject(frame(station(2), station(1), 'still blue'));
    await expectTexts(t, otherA, ['still blue']);
    t.deepEqual(texts(a.device), []);
  });

  contract('removing a network closes its devices and forgets its VTEPs and MACs', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    await acquaint(a, b);
    a.plane.removeNetwork(VNI);
    await until(() => a.device.isClosed(), 'the device is closed');
    const { ports, vteps, fdb } = a.plane.counters();
    t.deepEqual([ports, vteps, a.plane.fdb(VNI)], [[], [], []]);
    t.is(fdb.flushed, 2);
    b.device.inject(frame(station(2), station(1), 'gone?'));
    await expectDrops(t, a.plane, { vxlan_vni_unknown: 1 });

    a.plane.addNetwork(VNI, { mtu: MTU });
    const again = lab.device();
    a.plane.addPort(VNI, again.device);
    a.plane.addVtep(VNI, b.plane.vxlanAddress);
    b.device.inject(frame(station(2), BROADCAST, 'back'));
    await expectTexts(t, again, ['back']);
    t.is(a.plane.counters().fdb.learned, 3);
  });

  contract('an entry that no frame confirms ages, and its MAC is flooded again', async (t) => {
    const a = await lab.host(t, '127.0.0.1', { fdbMaxAge: asMillis(60) });
    const second = lab.device();
    a.plane.addPort(VNI, second.device);
    second.inject(frame(station(2), BROADCAST, 'hello'));
    await expectTexts(t, a.device, ['hello']);
    a.plane.addLocalMac(VNI, station(9), a.port);
    await until(() => a.plane.fdb(VNI).length === 1, 'the learned entry ages');
    t.deepEqual(fdbLines(a.plane), [`02:00:00:00:00:09 port ${a.port} static`]);
    await until(() => a.plane.counters().fdb.aged === 1, 'it is counted as aged');
    const third = lab.device();
    a.plane.addPort(VNI, third.device);
    a.device.inject(frame(station(1), station(2), 'flooded'));
    await expectTexts(t, third, ['flooded']);
  });

  contract('an entry tells its age, and a frame makes it young again', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const age = (): number => a.plane.fdb(VNI)[0]?.age ?? -1;
    a.device.inject(frame(station(1), BROADCAST));
    await until(() => age() >= 20, 'the entry is 20 ms old');
    const before = age();
    // On a busy machine the answer may come late, so this asks with a new frame each time.
    await until(() => {
      a.device.inject(frame(station(1), BROADCAST));
      return age() < before;
    }, 'the entry is younger than before');
    t.is(a.plane.fdb(VNI).length, 1);
  });

  contract('a full table evicts the MAC that went unheard longest', async (t) => {
    const { plane, device, port } = await lab.host(t, '127.0.0.1', { fdbCapacity: 4 });
    plane.addLocalMac(VNI, station(9), port);
    const speakers = [1, 2, 3, 4, 1, 5, 6];
    device.inject(...speakers.map((number) => frame(station(number), BROADCAST)));
    await until(() => totalDrops(plane) === speakers.length, 'all were taken');
    t.deepEqual(fdbLines(plane), [
      ...[1, 4, 5, 6].map((number) => `02:00:00:00:00:0${number} port ${port}`),
      `02:00:00:00:00:09 port ${port} static`,
    ]);
    const { learned, evicted } = plane.counters().fdb;
    t.deepEqual([learned, evicted], [6, 2]);
  });

  contract('what is there is not added twice; what is not there is removed in peace', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    a.plane.addNetwork(VNI, { mtu: 9000 });
    t.is(a.plane.addPort(VNI, a.device.device), a.port);
    a.plane.addVtep(VNI, b.plane.vxlanAddress);
    a.plane.addLocalMac(VNI, station(1), a.port);
    a.plane.addLocalMac(VNI, station(1), a.port);
    a.plane.removeVtep(asVni(1), '127.0.0.2');
    a.plane.removeVtep(VNI, '192.0.2.200');
    a.plane.removeLocalMac(asVni(1), station(1));
    a.plane.removeLocalMac(VNI, station(200));
    a.plane.removeNetwork(asVni(1));
    const second = lab.device();
    const port = a.plane.addPort(VNI, second.device);
    a.plane.removePort(port);
    a.plane.removePort(port);
    const [one, two] = ['one', 'two'].map((text) => frame(station(1), BROADCAST, text));
    a.device.inject(one!, sized(9000), two!);
    await expectTexts(t, b.device, ['one', 'two']);
    // The second `addNetwork` did not change the MTU either.
    await expectDrops(t, a.plane, { port_frame_long: 1 });
    const { ports, vteps } = a.plane.counters();
    t.deepEqual([ports.length, vteps.length, a.plane.fdb(VNI).length], [1, 1, 1]);
  });

  contract('a VTEP added again with another port is sent to there', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const [old, young] = [await rawPeer(t, '127.0.0.9'), await rawPeer(t, '127.0.0.9')];
    a.plane.addVtep(VNI, old);
    await old.send(vxlan(VNI, frame(station(3), BROADCAST, 'hi')), a.plane.vxlanAddress);
    await expectTexts(t, a.device, ['hi']);
    a.plane.addVtep(VNI, young);
    a.device.inject(frame(station(1), station(3), 'for the new port'));
    await until(() => young.arrivals.length === 1, 'it arrives at the new port');
    t.is(old.arrivals.length, 0);
    const counts = (): unknown =>
      a.plane
        .counters()
        .vteps.map(({ vtep, rxFrames, txFrames }) => [vtep.address, vtep.port, rxFrames, txFrames]);
    await expectCounts(t, counts, [['127.0.0.9', young.port, 1, 1]]);
  });

  contract('a network that was not added takes no ports, VTEPs or MACs', async (t) => {
    const { plane, port } = await lab.host(t, '127.0.0.1');
    const missing = asVni(404);
    const error = { code: 'E_NETWORK_MISSING', message: /VNI 404/ };
    t.throws(() => plane.addPort(missing, lab.device().device), error);
    t.throws(() => plane.addVtep(missing, { address: '192.0.2.1', port: 4789 }), error);
    t.throws(() => plane.addLocalMac(missing, station(1), port), error);
    t.deepEqual(plane.fdb(missing), []);
  });

  contract('a VTEP without a valid address or port is refused', async (t) => {
    const { plane } = await lab.host(t, '127.0.0.1');
    for (const vtep of [
      { address: 'host.example', port: 4789 },
      { address: '192.0.2.1', port: 0 },
      { address: '192.0.2.1', port: 65_536 },
    ]) {
      t.throws(() => plane.addVtep(VNI, vtep), { code: 'E_ADDRESS_INVALID' });
    }
    t.deepEqual(plane.counters().vteps, []);
  });
}
