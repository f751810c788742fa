import test from 'ava';
import { systemClock } from '../../../src/base/clock.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { openPortableDataPlane } from '../../../src/dataplane/portable/plane.ts';
import { bindUdp } from '../../../src/underlay/udp.ts';
import { dataPlaneContract } from '../../contract/data-plane.ts';
import { MemoryTap } from '../../fakes/memory-tap.ts';

const deps = { clock: systemClock, rng: seededRng(1), bindUdp };

dataPlaneContract(test, {
  name: 'portable',
  open: (options) => openPortableDataPlane(options, deps),
  createDevice() {
    const device = new MemoryTap();
    return {
      device,
      inject: (...frames) => device.inject(...frames),
      received: () => device.written,
      isClosed: () => device.isClosed,
      destroy: () => device.destroy(),
    };
  },
});
