import { until } from '../fakes/until.ts';
import {
  acquaint,
  BROADCAST,
  type Contract,
  drops,
  expectDrops,
  expectTexts,
  fdbLines,
  frame,
  type Lab,
  MTU,
  rawPeer,
  station,
  texts,
  totalDrops,
  VNI,
  vxlan,
} from './hosts.ts';

/** VXLAN as others see it, addresses of both families, and the mesh port's control channel. */
export function underlayContract(contract: Contract, lab: Lab): void {
  contract('datagrams are VXLAN with zero reserved bits and the frame untouched', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const peer = await rawPeer(t, '127.0.0.9');
    a.plane.addVtep(VNI, peer);
    const sent = frame(station(1), BROADCAST, 'as it is');
    a.device.inject(sent);
    await until(() => peer.arrivals.length === 1, 'the frame arrives');
    t.deepEqual(peer.arrivals[0]!.bytes, vxlan(VNI, sent));
  });

  contract('reserved bits are ignored on receipt', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const peer = await rawPeer(t, '127.0.0.9');
    a.plane.addVtep(VNI, peer);
    const datagram = vxlan(VNI, frame(station(3), BROADCAST, 'odd'), 0xff_ff_ff_ff);
    datagram[7] = 0xff;
    await peer.send(datagram, a.plane.vxlanAddress);
    await expectTexts(t, a.device, ['odd']);
    t.deepEqual(drops(a.plane), {});
  });

  contract('a flow keeps one source port, and many flows use several', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const peer = await rawPeer(t, '127.0.0.9');
    a.plane.addVtep(VNI, peer);
    const flows = Array.from({ length: 64 }, (_, index) => frame(station(index + 1), BROADCAST));
    a.device.inject(...flows, ...flows);
    await until(() => peer.arrivals.length === 2 * flows.length, 'all frames arrive');
    const pairs = new Set(
      peer.arrivals.map(({ bytes, port }) => `${bytes.toString('hex')} ${port}`),
    );
    t.is(pairs.size, flows.length);
    t.true(new Set(peer.arrivals.map(({ port }) => port)).size >= 8);
  });

  contract('any source port of a VTEP is accepted', async (t) => {
    const a = await lab.host(t, '127.0.0.1');
    const [x, y] = [await rawPeer(t, '127.0.0.9'), await rawPeer(t, '127.0.0.9')];
    a.plane.addVtep(VNI, x);
    await y.send(vxlan(VNI, frame(station(3), BROADCAST, 'other port')), a.plane.vxlanAddress);
    await expectTexts(t, a.device, ['other port']);
  });

  for (const [family, address] of [
    ['IPv6', '::1'],
    ['IPv4', '127.0.0.1'],
  ] as const) {
    contract(`two planes on one ${family} address tell each other apart by port`, async (t) => {
      const [a, b] = [await lab.host(t, address), await lab.host(t, address)];
      a.plane.addVtep(VNI, b.plane.vxlanAddress);
      b.plane.addVtep(VNI, a.plane.vxlanAddress);
      await acquaint(a, b);
      t.is(fdbLines(a.plane)[1], `02:00:00:00:00:02 vtep ${address}`);
      t.deepEqual(texts(a.device), ['I am']);
    });
  }

  contract('IPv4-mapped, long and zoned spellings name the same VTEP', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    const { port } = b.plane.vxlanAddress;
    a.plane.addVtep(VNI, { address: '::ffff:127.0.0.2', port });
    a.plane.addVtep(VNI, { address: '2001:DB8:0:0:0:0:0:7', port });
    a.plane.addVtep(VNI, { address: '2001:db8::7', port });
    a.plane.addVtep(VNI, { address: 'fe80::7%lo', port });
    t.deepEqual(
      a.plane.counters().vteps.map(({ vtep }) => vtep.address),
      ['127.0.0.2', '2001:db8::7', 'fe80::7'],
    );
    a.plane.removeVtep(VNI, '2001:db8:0::0:7');
    a.plane.removeVtep(VNI, 'fe80:0::7');
    await acquaint(a, b);
    a.plane.removeVtep(VNI, '::ffff:127.0.0.2');
    t.deepEqual(a.plane.counters().vteps, []);
  });

  contract('wildcards of both families listen on one VXLAN port and answer each', async (t) => {
    const plane = await lab.plane(t, ['0.0.0.0', '::']);
    plane.addNetwork(VNI, { mtu: MTU });
    const device = lab.device();
    plane.addPort(VNI, device.device);
    const { port } = plane.vxlanAddress;
    for (const [from, to] of [
      ['127.0.0.9', '127.0.0.1'],
      ['::1', '::1'],
    ] as const) {
      const peer = await rawPeer(t, from);
      plane.addVtep(VNI, peer);
      const hello = frame(station(2), BROADCAST, from);
      await peer.send(vxlan(VNI, hello), { address: to, port });
      await until(() => texts(device).includes(from), `the frame from ${from} arrives`);
      const answer = frame(station(3), station(2), 'back');
      device.inject(answer);
      await until(() => peer.arrivals.length === 1, `the answer to ${from} arrives`);
      t.deepEqual(peer.arrivals[0]!.bytes, vxlan(VNI, answer));
    }
    t.deepEqual(drops(plane), {});
  });

  contract('control datagrams cross with their first byte intact', async (t) => {
    const [a, b] = [await lab.plane(t, '127.0.0.1'), await lab.plane(t, '127.0.0.2')];
    const received: unknown[] = [];
    b.control.onReceive((bytes, from) => {
      received.push([bytes.toString('hex'), from]);
      b.control.send(Buffer.from([0x0f, 0x99]), from);
    });
    const answers: unknown[] = [];
    a.control.onReceive((bytes, from) => answers.push([bytes.toString('hex'), from]));
    const message = Buffer.from([0x01, 0xab, 0xcd]);
    a.control.send(message, b.meshAddress);
    message.fill(0);
    await until(() => answers.length === 1, 'the answer is back');
    t.deepEqual(received, [['01abcd', a.meshAddress]]);
    t.deepEqual(answers, [['0f99', b.meshAddress]]);
    t.deepEqual(a.control.local, a.meshAddress);
    t.deepEqual([drops(a), drops(b)], [{}, {}]);
  });

  contract('on the mesh port what is no known kind is mesh_unknown', async (t) => {
    const plane = await lab.plane(t, '127.0.0.1');
    const peer = await rawPeer(t, '127.0.0.9');
    const kinds: number[] = [];
    plane.control.onReceive((bytes) => kinds.push(bytes[0]!));
    const unknown = [0x00, 0x24, 0x2f, 0x38, 0x3f, 0x70, 0xff];
    await peer.send(Buffer.alloc(0), plane.meshAddress);
    for (const kind of unknown) await peer.send(Buffer.from([kind, 1]), plane.meshAddress);
    const control = [...Array.from({ length: 31 }, (_, index) => index + 1), 0x40, 0x58, 0x6f];
    for (const kind of control) await peer.send(Buffer.from([kind, 1]), plane.meshAddress);
    await until(() => kinds.length + totalDrops(plane) === 42, 'all are counted');
    t.deepEqual(kinds, control);
    t.deepEqual(drops(plane), { mesh_unknown: 1 + unknown.length });
  });

  contract('a control datagram that cannot be sent is counted, not thrown', async (t) => {
    const plane = await lab.plane(t, '127.0.0.1');
    plane.control.send(Buffer.from([1]), { address: '127.0.0.1', port: 0 });
    plane.control.send(Buffer.from([1]), { address: 'no address', port: 1 });
    plane.control.send(Buffer.from([1]), { address: '2001:db8::1', port: 1 });
    plane.control.send(Buffer.alloc(70_000, 1), { address: '127.0.0.1', port: 9 });
    await expectDrops(t, plane, { underlay_send_failed: 4 });
  });
}
