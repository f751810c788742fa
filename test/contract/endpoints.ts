import { asMillis, asVni, type Mac } from '../../src/base/types.ts';
import type { DataPlane, EndpointUpdate } from '../../src/dataplane/dataplane.ts';
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
  type Host,
  type Lab,
  station,
  texts,
  totalDrops,
  VNI,
} from './hosts.ts';

const NONE: readonly Uint8Array[] = [];

/** An endpoint with `mac` at `host`. */
function set(mac: Mac, host: Host, addresses = NONE): EndpointUpdate {
  return { kind: 'set', mac, vtep: host.plane.vxlanAddress.address, addresses };
}

function remove(mac: Mac, addresses = NONE): EndpointUpdate {
  return { kind: 'remove', mac, vtep: '', addresses };
}

const PINNED_AT_B = '02:00:00:00:00:02 vtep 127.0.0.2 static';

/** Frames that were flooded to a VTEP or sent to it alone. */
const sentTo = (plane: DataPlane, address: string): number =>
  plane.counters().vteps.find(({ vtep }) => vtep.address === address)?.txFrames ?? -1;

/** The endpoint table in the data plane: pins, who may claim them, and where floods go. */
export function endpointContract(contract: Contract, lab: Lab): void {
  contract('an endpoint is known before its first frame and does not age', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c'], { fdbMaxAge: asMillis(30) });
    a.plane.updateEndpoints(VNI, [set(station(2), b)]);
    t.deepEqual(fdbLines(a.plane), [PINNED_AT_B]);
    a.device.inject(frame(station(1), station(2), 'first'), frame(station(1), BROADCAST, 'end'));
    await expectTexts(t, b.device, ['first', 'end']);
    await expectTexts(t, c.device, ['end']);
    await until(() => a.plane.counters().fdb.aged === 1, 'what was learned ages');
    t.deepEqual(fdbLines(a.plane), [PINNED_AT_B]);
  });

  contract('a VTEP that claims the MAC of an endpoint elsewhere is refused', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
    a.plane.updateEndpoints(VNI, [set(station(2), b)]);
    c.device.inject(frame(station(2), BROADCAST, 'I am 2'));
    await expectDrops(t, a.plane, { vxlan_source_spoofed: 1 });
    await expectTexts(t, b.device, ['I am 2']);
    b.device.inject(frame(station(2), BROADCAST, 'really'));
    await expectTexts(t, a.device, ['really']);
    t.deepEqual(fdbLines(a.plane), [PINNED_AT_B]);
    t.deepEqual(drops(a.plane), { vxlan_source_spoofed: 1 });
    t.is(a.plane.counters().vteps[1]?.rxFrames, 0);
  });

  contract('a local port that claims the MAC of an endpoint elsewhere is refused', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    a.plane.updateEndpoints(VNI, [set(station(2), b)]);
    a.device.inject(frame(station(2), BROADCAST, 'I am 2'), frame(station(1), BROADCAST, 'end'));
    await expectTexts(t, b.device, ['end']);
    await expectDrops(t, a.plane, { port_source_spoofed: 1 });
    t.true(fdbLines(a.plane).includes(PINNED_AT_B));
    t.is(a.plane.counters().ports[0]?.rxFrames, 1);
  });

  contract('an endpoint that moves is followed with its row, in one batch', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
    a.plane.updateEndpoints(VNI, [set(station(2), b)]);
    c.device.inject(frame(station(2), BROADCAST, 'before the row'));
    await expectDrops(t, a.plane, { vxlan_source_spoofed: 1 });
    a.plane.updateEndpoints(VNI, [remove(station(2)), set(station(2), c)]);
    t.deepEqual(fdbLines(a.plane), ['02:00:00:00:00:02 vtep 127.0.0.3 static']);
    c.device.inject(frame(station(2), BROADCAST, 'after it'));
    await expectTexts(t, a.device, ['after it']);
    a.plane.updateEndpoints(VNI, [set(station(2), b)]);
    t.deepEqual(fdbLines(a.plane), [PINNED_AT_B]);
  });

  contract('without its row an endpoint is an ordinary station again', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
    a.plane.updateEndpoints(VNI, [set(station(2), b)]);
    a.plane.updateEndpoints(VNI, [remove(station(2))]);
    t.deepEqual(fdbLines(a.plane), []);
    c.device.inject(frame(station(2), BROADCAST, 'from c'));
    await expectTexts(t, a.device, ['from c']);
    a.plane.updateEndpoints(VNI, [remove(station(2))]);
    t.deepEqual(fdbLines(a.plane), ['02:00:00:00:00:02 vtep 127.0.0.3']);
  });

  contract('a pin replaces what was learned, wherever that was', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
    c.device.inject(frame(station(2), BROADCAST, 'from c'));
    a.device.inject(frame(station(3), BROADCAST, 'from a'));
    await expectTexts(t, a.device, ['from c']);
    await until(() => a.plane.fdb(VNI).length === 2, 'both are learned');
    a.plane.updateEndpoints(VNI, [set(station(2), b), set(station(3), b)]);
    t.deepEqual(fdbLines(a.plane), [PINNED_AT_B, '02:00:00:00:00:03 vtep 127.0.0.2 static']);
  });

  contract("this host's own MACs stay its own, whatever the table says", async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    const own = [`02:00:00:00:00:01 port ${a.port} static`];
    a.plane.addLocalMac(VNI, station(1), a.port);
    a.plane.updateEndpoints(VNI, [set(station(1), b)]);
    t.deepEqual(fdbLines(a.plane), own);
    a.plane.updateEndpoints(VNI, [remove(station(1))]);
    t.deepEqual(fdbLines(a.plane), own);
    b.device.inject(frame(station(1), BROADCAST, 'spoofed'));
    await expectDrops(t, a.plane, { vxlan_source_local: 1 });

    a.plane.updateEndpoints(VNI, [set(station(2), b)]);
    a.plane.removeLocalMac(VNI, station(2));
    t.deepEqual(fdbLines(a.plane), [...own, PINNED_AT_B]);
    a.plane.addLocalMac(VNI, station(2), a.port);
    t.deepEqual(fdbLines(a.plane)[1], `02:00:00:00:00:02 port ${a.port} static`);
  });

  contract('a VTEP that goes takes its endpoints with it and nothing else', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
    await acquaint(a, b);
    a.plane.updateEndpoints(VNI, [set(station(3), c), set(station(4), c), set(station(5), b)]);
    a.plane.removeVtep(VNI, '127.0.0.3');
    const kept = [
      `02:00:00:00:00:01 port ${a.port}`,
      '02:00:00:00:00:02 vtep 127.0.0.2',
      '02:00:00:00:00:05 vtep 127.0.0.2 static',
    ];
    t.deepEqual(fdbLines(a.plane), kept);
    t.is(a.plane.counters().fdb.flushed, 2);
    a.plane.updateEndpoints(VNI, [set(station(3), c)]);
    t.deepEqual(fdbLines(a.plane), kept, 'nothing is set behind a VTEP that is not there');
    a.plane.addVtep(VNI, c.plane.vxlanAddress);
    a.plane.updateEndpoints(VNI, [set(station(3), c)]);
    a.device.inject(frame(station(1), station(3), 'back'), frame(station(1), station(2), 'still'));
    await until(() => texts(c.device).includes('back'), 'what is for c arrives there');
    await until(() => texts(b.device).includes('still'), 'what is for b arrives there');
    t.false(texts(b.device).includes('back'));
    const sent = (): number[] => ['127.0.0.2', '127.0.0.3'].map((each) => sentTo(a.plane, each));
    await expectCounts(t, sent, [2, 1]);
  });

  contract('10,000 endpoints are pinned with one call and forgotten with one', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
    const macs = Array.from({ length: 10_000 }, (_, index) => station(index + 100));
    a.plane.updateEndpoints(
      VNI,
      macs.map((mac, index) => set(mac, index % 2 === 0 ? b : c)),
    );
    const entries = a.plane.fdb(VNI);
    t.is(entries.length, macs.length);
    t.true(entries.every(({ origin }) => origin === 'static'));
    a.device.inject(frame(station(1), station(100 + 9999), 'the last'));
    await expectTexts(t, c.device, ['the last']);
    a.plane.updateEndpoints(
      VNI,
      macs.map((mac) => remove(mac)),
    );
    t.deepEqual(fdbLines(a.plane), [`02:00:00:00:00:01 port ${a.port}`]);
  });

  contract('endpoints of a network that was not added, or of a closed plane', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    const update = [set(station(2), b)];
    t.throws(() => a.plane.updateEndpoints(asVni(404), update), { code: 'E_NETWORK_MISSING' });
    a.plane.updateEndpoints(VNI, []);
    await a.plane.close();
    t.notThrows(() => a.plane.updateEndpoints(VNI, update));
  });

  contract('floods spare a VTEP that has no endpoint, and its frames are taken', async (t) => {
    const { a, b, c } = await lab.mesh(t, ['a', 'b', 'c']);
    a.plane.addVtep(VNI, c.plane.vxlanAddress, { floods: false });
    a.device.inject(frame(station(1), BROADCAST, 'all'), frame(station(1), station(9), 'unknown'));
    await expectTexts(t, b.device, ['all', 'unknown']);
    c.device.inject(frame(station(3), station(1), 'just attached'));
    await expectTexts(t, a.device, ['just attached']);
    a.device.inject(frame(station(1), station(3), 'welcome'));
    await expectTexts(t, c.device, ['welcome']);
    a.plane.addVtep(VNI, c.plane.vxlanAddress);
    a.device.inject(frame(station(1), BROADCAST, 'all again'));
    await expectTexts(t, c.device, ['welcome', 'all again']);
    const sent = (): number[] => ['127.0.0.2', '127.0.0.3'].map((each) => sentTo(a.plane, each));
    await expectCounts(t, sent, [3, 2]);
    t.deepEqual(drops(a.plane), {});
  });

  contract('a network whose VTEPs have no endpoints floods nowhere', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    a.plane.addVtep(VNI, b.plane.vxlanAddress, { floods: false });
    a.device.inject(frame(station(1), BROADCAST, 'anyone'));
    await expectDrops(t, a.plane, { port_no_destination: 1 });
    a.plane.removeVtep(VNI, '127.0.0.2');
    a.plane.addVtep(VNI, b.plane.vxlanAddress);
    a.device.inject(frame(station(1), BROADCAST, 'now'));
    await expectTexts(t, b.device, ['now']);
  });

  contract('frames to unknown MACs are limited, all others are not', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b'], { unknownUnicastRate: 2 });
    a.plane.updateEndpoints(VNI, [set(station(2), b)]);
    const other = asVni(7);
    const [otherA, otherB] = [lab.device(), lab.device()];
    for (const [{ plane }, device, peer] of [
      [a, otherA, b],
      [b, otherB, a],
    ] as const) {
      plane.addNetwork(other, { mtu: 1450 });
      plane.addPort(other, device.device);
      plane.addVtep(other, peer.plane.vxlanAddress);
    }
    const unknown = ['1', '2', '3', '4'].map((text) => frame(station(1), station(9), text));
    const known = ['k', 'l', 'm'].map((text) => frame(station(1), station(2), text));
    const all = ['x', 'y', 'z'].map((text) => frame(station(1), BROADCAST, text));
    a.device.inject(...unknown, ...known, ...all);
    await expectTexts(t, b.device, ['1', '2', 'k', 'l', 'm', 'x', 'y', 'z']);
    t.deepEqual(drops(a.plane), { port_unknown_limited: 2 });
    otherA.inject(...unknown.slice(0, 2));
    await expectTexts(t, otherB, ['1', '2']);
    // The bucket fills again: sooner or later one passes.
    await until(() => {
      if (texts(b.device).includes('later')) return true;
      a.device.inject(frame(station(1), station(9), 'later'));
      return false;
    }, 'an unknown MAC is flooded again');
    t.true(totalDrops(a.plane) >= 2);
  });
}
