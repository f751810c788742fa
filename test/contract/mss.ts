import { writeMac } from '../../src/wire/mac.ts';
import { until } from '../fakes/until.ts';
import { isSynWhole, mssOf, synFrame } from '../fakes/syn.ts';
import { BROADCAST, type Contract, expectTexts, frame, type Lab, station, VNI } from './hosts.ts';
import { giveKey, sealedPair, sealingKey } from './sealing.ts';

const MTU = 1000;

function syn(family: 4 | 6, from: number, to: number): Buffer {
  const macs = Buffer.alloc(12);
  writeMac(macs, 0, station(to));
  writeMac(macs, 6, station(from));
  return synFrame({ family, macs });
}

/** Stations whose MTU is larger than the network's agree on segments that it takes. */
export function mssContract(contract: Contract, lab: Lab): void {
  contract('a SYN to another host announces what the paths between the hosts take', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    b.device.inject(frame(station(2), BROADCAST, 'here'));
    await expectTexts(t, a.device, ['here']);
    a.plane.setSendMtu(VNI, MTU);
    for (const [index, family] of ([4, 6] as const).entries()) {
      const most = MTU - (family === 4 ? 40 : 60);
      // To where a station is, and to all, as nobody knows where it is.
      for (const [more, to] of [2, 3].entries()) {
        a.device.inject(syn(family, 1, to));
        const count = 2 * index + more + 1;
        await until(() => b.device.received().length === count, 'the SYN arrives');
        const got = b.device.received()[count - 1] ?? Buffer.alloc(0);
        t.deepEqual([mssOf(got), isSynWhole(got)], [most, true], `IPv${family}`);
      }
    }
  });

  contract('a sealed SYN is clamped likewise', async (t) => {
    const [a, b] = await sealedPair(t, lab);
    giveKey(a.plane, b.plane, sealingKey(1));
    a.plane.setSendMtu(VNI, MTU);
    a.device.inject(syn(4, 1, 2));
    await until(() => b.device.received().length === 1, 'the SYN arrives');
    const got = b.device.received()[0] ?? Buffer.alloc(0);
    t.deepEqual([mssOf(got), isSynWhole(got)], [MTU - 40, true]);
  });

  contract('what stays on a host is its own affair', async (t) => {
    const host = await lab.host(t, '127.0.0.1');
    const other = lab.device();
    host.plane.addPort(VNI, other.device);
    host.plane.setSendMtu(VNI, MTU);
    host.device.inject(syn(4, 1, 2));
    await until(() => other.received().length === 1, 'the SYN arrives');
    t.deepEqual(other.received()[0], syn(4, 1, 2));
  });
}
