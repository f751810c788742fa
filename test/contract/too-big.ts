import { writeMac } from '../../src/wire/mac.ts';
import { packet4 } from '../fakes/long-packets.ts';
import { until } from '../fakes/until.ts';
import {
  BROADCAST,
  type Contract,
  expectDrops,
  expectTexts,
  frame,
  type Lab,
  station,
  VNI,
} from './hosts.ts';

const MTU = 1000;

function packet(bytes: number, from: number, to: number): Buffer {
  const macs = Buffer.alloc(12);
  writeMac(macs, 0, station(to));
  writeMac(macs, 6, station(from));
  return packet4({ bytes, macs });
}

/** Stations are told that a packet is longer than the paths between the hosts take. */
export function tooBigContract(contract: Contract, lab: Lab): void {
  contract('what is too long for a VTEP is answered, and what fits goes on', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    // Who is where, is learned.
    b.device.inject(frame(station(2), BROADCAST, 'here'));
    await expectTexts(t, a.device, ['here']);
    a.plane.setSendMtu(VNI, MTU);
    a.device.inject(packet(MTU + 1, 1, 2), packet(MTU, 1, 2));
    await until(() => b.device.received().length === 1, 'the one that fits arrives');
    await until(() => a.device.received().length === 2, 'the other is answered');
    t.deepEqual(b.device.received()[0], packet(MTU, 1, 2));
    const answer = a.device.received()[1] ?? Buffer.alloc(0);
    t.is(answer.subarray(0, 12).toString('hex'), packet(MTU, 2, 1).subarray(0, 12).toString('hex'));
    t.deepEqual([answer[34], answer[35], answer.readUInt16BE(40)], [3, 4, MTU]);
    await expectDrops(t, a.plane, { port_frame_long: 1 });
    t.is(a.plane.counters().answered.tooBig, 1);
  });

  contract('what a VTEP sends is taken up to the MTU of the network', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    b.plane.setSendMtu(VNI, MTU);
    const text = 'x'.repeat(MTU + 1);
    a.device.inject(frame(station(1), BROADCAST, text));
    await expectTexts(t, b.device, [text]);
  });

  contract('nothing is said of what goes nowhere, or to all', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    a.plane.setSendMtu(VNI, MTU);
    const toAll = packet(MTU + 1, 1, 2);
    writeMac(toAll, 0, BROADCAST);
    a.device.inject(packet(MTU + 1, 1, 77), toAll, frame(station(1), BROADCAST, 'end'));
    await expectTexts(t, b.device, ['end']);
    await expectDrops(t, a.plane, { port_frame_long: 2 });
    t.is(a.device.received().length, 0);
  });

  contract('a higher MTU is one again, for a network that is there', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    a.plane.setSendMtu(VNI, MTU);
    a.plane.setSendMtu(VNI, MTU + 10);
    const text = 'x'.repeat(MTU + 10);
    a.device.inject(frame(station(1), BROADCAST, text));
    await expectTexts(t, b.device, [text]);
    await a.plane.close();
    t.notThrows(() => a.plane.setSendMtu(VNI, MTU));
  });
}
