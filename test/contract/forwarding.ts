import { until } from '../fakes/until.ts';
import {
  acquaint,
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
  MULTICAST,
  rawPeer,
  sized,
  station,
  texts,
  VNI,
  vxlan,
} from './hosts.ts';

/** Rules 1 to 4 of `DataPlane`, and the counters of what was forwarded. */
export function forwardingContract(contract: Contract, lab: Lab): void {
  contract('an unknown destination is flooded to each other port and each VTEP once', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
    const second = lab.device();
    a.plane.addPort(VNI, second.device);
    a.device.inject(frame(station(1), station(9), 'anyone'), frame(station(1), station(9), 'end'));
    for (const device of [second, b.device, c.device]) {
      await expectTexts(t, device, ['anyone', 'end']);
    }
    t.deepEqual(texts(a.device), []);
  });

  for (const [name, group] of [
    ['broadcast', BROADCAST],
    ['multicast', MULTICAST],
  ] as const) {
    contract(`a ${name} reaches every host once and comes back to nobody`, async (t) => {
      const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
      a.device.inject(frame(station(1), group, 'all'), frame(station(1), group, 'end'));
      await expectTexts(t, b.device, ['all', 'end']);
      await expectTexts(t, c.device, ['all', 'end']);
      t.deepEqual(texts(a.device), []);
    });
  }

  contract('a learned destination gets its frames alone, both ways', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
    await acquaint(a, b);
    a.device.inject(frame(station(1), station(2), 'private'), frame(station(1), BROADCAST, 'end'));
    await expectTexts(t, b.device, ['who is there', 'private', 'end']);
    await expectTexts(t, c.device, ['who is there', 'end']);
    t.deepEqual(fdbLines(a.plane), [
      `02:00:00:00:00:01 port ${a.port}`,
      '02:00:00:00:00:02 vtep 127.0.0.2',
    ]);
  });

  contract('ports of one network reach each other without the underlay', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const second = lab.device();
    const port = a.plane.addPort(VNI, second.device);
    second.inject(frame(station(2), BROADCAST, 'hello'));
    await expectTexts(t, a.device, ['hello']);
    a.device.inject(frame(station(1), station(2), 'welcome'));
    await expectTexts(t, second, ['welcome']);
    t.true(fdbLines(a.plane).includes(`02:00:00:00:00:02 port ${port}`));
    t.deepEqual(drops(a.plane), {});
  });

  contract('what came from a VTEP goes to every port and never to another VTEP', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
    const second = lab.device();
    b.plane.addPort(VNI, second.device);
    a.device.inject(frame(station(1), station(9), 'once'));
    await expectTexts(t, b.device, ['once']);
    await expectTexts(t, second, ['once']);
    await expectTexts(t, c.device, ['once']);
    b.device.inject(frame(station(2), BROADCAST, 'end'));
    await expectTexts(t, c.device, ['once', 'end']);
    await expectTexts(t, a.device, ['end']);
    const sent = (): number[] => b.plane.counters().vteps.map(({ txFrames }) => txFrames);
    await expectCounts(t, sent, [1, 1]);
  });

  contract('a frame from one VTEP for a MAC behind another is not relayed', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const [x, y] = [await rawPeer(t, '127.0.0.8'), await rawPeer(t, '127.0.0.9')];
    a.plane.addVtep(VNI, x);
    a.plane.addVtep(VNI, y);
    await y.send(vxlan(VNI, frame(station(5), BROADCAST, 'here')), a.plane.vxlanAddress);
    await expectTexts(t, a.device, ['here']);
    await x.send(vxlan(VNI, frame(station(4), station(5), 'relay')), a.plane.vxlanAddress);
    await expectDrops(t, a.plane, { vxlan_no_port: 1 });
    const last = frame(station(1), station(5), 'end');
    a.device.inject(last);
    await until(() => y.arrivals.length > 0, 'the last frame arrives');
    t.deepEqual(y.arrivals[0]!.bytes, vxlan(VNI, last));
    t.deepEqual(texts(a.device), ['here']);
  });

  contract('a MAC that moves to another host is followed by the very next frame', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
    await acquaint(a, b);
    await expectTexts(t, c.device, ['who is there']);
    c.device.inject(frame(station(2), station(1), 'moved'));
    await until(() => texts(a.device).includes('moved'), 'the first frame from the new place');
    a.device.inject(frame(station(1), station(2), 'follow'), frame(station(1), BROADCAST, 'end'));
    await expectTexts(t, c.device, ['who is there', 'follow', 'end']);
    await expectTexts(t, b.device, ['who is there', 'end']);
    t.is(a.plane.counters().fdb.moved, 1);
  });

  contract('a MAC moves from a host to a local port and away again', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    const second = lab.device();
    const port = a.plane.addPort(VNI, second.device);
    await acquaint(a, b);
    second.inject(frame(station(2), station(1), 'migrated'));
    await until(() => texts(a.device).includes('migrated'), 'the first frame from the new port');
    t.true(fdbLines(a.plane).includes(`02:00:00:00:00:02 port ${port}`));
    b.device.inject(frame(station(2), station(1), 'back'));
    await until(() => texts(a.device).includes('back'), 'the first frame after the return');
    t.true(fdbLines(a.plane).includes('02:00:00:00:00:02 vtep 127.0.0.2'));
    t.is(a.plane.counters().fdb.moved, 2);
  });

  contract('the MAC of a local endpoint can be taken by no VTEP and no other port', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    const second = lab.device();
    a.plane.addPort(VNI, second.device);
    a.plane.addLocalMac(VNI, station(1), a.port);
    const pinned = [`02:00:00:00:00:01 port ${a.port} static`];
    t.deepEqual(fdbLines(a.plane), pinned);
    b.device.inject(frame(station(1), BROADCAST, 'spoofed'));
    await expectDrops(t, a.plane, { vxlan_source_local: 1 });
    second.inject(frame(station(1), station(1), 'borrowed'));
    await expectTexts(t, a.device, ['borrowed']);
    t.deepEqual(fdbLines(a.plane), pinned);

    a.plane.removeLocalMac(VNI, station(1));
    t.deepEqual(fdbLines(a.plane), []);
    b.device.inject(frame(station(1), BROADCAST, 'free'));
    await expectTexts(t, a.device, ['borrowed', 'free']);
    t.deepEqual(fdbLines(a.plane), ['02:00:00:00:00:01 vtep 127.0.0.2']);
  });

  contract('removing a VTEP forgets what was behind it, and floods no more to it', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
    await acquaint(a, b);
    a.plane.removeVtep(VNI, '127.0.0.2');
    t.deepEqual(fdbLines(a.plane), [`02:00:00:00:00:01 port ${a.port}`]);
    t.is(a.plane.counters().fdb.flushed, 1);
    a.device.inject(frame(station(1), station(2), 'searching'));
    await expectTexts(t, c.device, ['who is there', 'searching']);
    b.device.inject(frame(station(2), station(1), 'from a stranger'));
    await expectDrops(t, a.plane, { vxlan_vtep_unknown: 1 });
    t.deepEqual(texts(b.device), ['who is there']);
    t.deepEqual(
      a.plane.counters().vteps.map(({ vtep }) => vtep.address),
      ['127.0.0.3'],
    );
  });

  contract('removing a port forgets what was behind it and closes its device', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    const second = lab.device();
    const port = a.plane.addPort(VNI, second.device);
    second.inject(frame(station(3), BROADCAST, 'hello'));
    await expectTexts(t, b.device, ['hello']);
    a.plane.addLocalMac(VNI, station(4), port);
    a.plane.removePort(port);
    await until(() => second.isClosed(), 'the device is closed');
    t.deepEqual(fdbLines(a.plane), []);
    t.is(a.plane.counters().fdb.flushed, 2);
    t.deepEqual(
      a.plane.counters().ports.map((each) => each.port),
      [a.port],
    );
    b.device.inject(frame(station(2), station(3), 'still there?'));
    await expectTexts(t, a.device, ['hello', 'still there?']);
    t.deepEqual(texts(second), []);
    t.not(a.plane.addPort(VNI, lab.device().device), port);
  });

  contract('frames and bytes are counted exactly, by port and by VTEP', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    await acquaint(a, b);
    const sizes = [14, 60, 333, LONGEST_FRAME];
    a.device.inject(...sizes.map(sized));
    await until(() => b.device.received().length === 5, 'all arrive');
    const question = frame(station(1), BROADCAST, 'who is there').length;
    const sent = { frames: 5, bytes: sizes.reduce((sum, size) => sum + size, question) };
    const back = { frames: 1, bytes: frame(station(2), station(1), 'I am').length };
    const rxSent = { rxFrames: sent.frames, rxBytes: sent.bytes };
    const txSent = { txFrames: sent.frames, txBytes: sent.bytes };
    const rxBack = { rxFrames: back.frames, rxBytes: back.bytes };
    const txBack = { txFrames: back.frames, txBytes: back.bytes };
    const device = a.device.device.name;
    const deviceAtB = b.device.device.name;
    await expectCounts(t, () => a.plane.counters().ports, [
      { port: a.port, vni: VNI, device, ...rxSent, ...txBack },
    ]);
    await expectCounts(t, () => a.plane.counters().vteps, [
      { vni: VNI, vtep: b.plane.vxlanAddress, ...rxBack, ...txSent },
    ]);
    await expectCounts(t, () => b.plane.counters().ports, [
      { port: b.port, vni: VNI, device: deviceAtB, ...rxBack, ...txSent },
    ]);
    await expectCounts(t, () => b.plane.counters().vteps, [
      { vni: VNI, vtep: a.plane.vxlanAddress, ...rxSent, ...txBack },
    ]);
    t.deepEqual([drops(a.plane), drops(b.plane)], [{}, {}]);
  });
}
