import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { asVni } from '../../src/base/types.ts';
import type { DataPlane } from '../../src/dataplane/dataplane.ts';
import { writeMac } from '../../src/wire/mac.ts';
import { until } from '../fakes/until.ts';
import {
  acquaint,
  BROADCAST,
  type Contract,
  expectDrops,
  fdbLines,
  frame,
  type Lab,
  MTU,
  station,
  VNI,
} from './hosts.ts';

const FLOOD_MACS = 1_000_000;
const FLOOD_ROUND = 2000;
const DEFAULT_CAPACITY = 16_384;
/** A table that kept every MAC would take several times this. */
const LIMIT_BYTES = 16 * 2 ** 20;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes that JavaScript still holds, buffers included. */
function heldBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Frames that the plane has taken from a port. */
function framesFrom(plane: DataPlane, port: number): number {
  return plane.counters().ports.find((each) => each.port === port)?.rxFrames ?? 0;
}

/** Where an Ethernet header has its source. */
const SOURCE_AT = 6;

/** Broadcasts of the stations `first`, `first + 1` ...: the same buffers each time, which devices copy. */
const burst = Array.from({ length: FLOOD_ROUND }, () => frame(station(1), BROADCAST));
function speakers(first: number): readonly Buffer[] {
  burst.forEach((bytes, index) => writeMac(bytes, SOURCE_AT, station(first + index)));
  return burst;
}

/** One test that wants the process for itself: it measures memory. */
export function floodContract(contract: Contract, lab: Lab): void {
  contract('a flood of 1,000,000 MACs is bounded and spares other networks', async (t) => {
    const { a, b } = await lab.mesh(t, ['a', 'b']);
    const [quietVni, floodedVni] = [asVni(1), asVni(2)];
    const [quiet, flooder] = [lab.device(), lab.device()];
    a.plane.addNetwork(quietVni, { mtu: MTU });
    const quietPort = a.plane.addPort(quietVni, quiet.device);
    quiet.inject(frame(station(7), BROADCAST));
    await expectDrops(t, a.plane, { port_no_destination: 1 });
    a.plane.addNetwork(floodedVni, { mtu: MTU });
    const port = a.plane.addPort(floodedVni, flooder.device);
    const before = heldBytes();
    for (let sent = 0; sent < FLOOD_MACS; sent += FLOOD_ROUND) {
      flooder.inject(...speakers(sent + 1));
      await until(() => framesFrom(a.plane, port) === sent + FLOOD_ROUND, 'the round was read');
    }
    const grown = heldBytes() - before;
    t.true(grown < LIMIT_BYTES, `${grown} bytes more are held`);
    t.is(a.plane.fdb(floodedVni).length, DEFAULT_CAPACITY);
    t.is(a.plane.counters().fdb.evicted, FLOOD_MACS - DEFAULT_CAPACITY);
    t.deepEqual(fdbLines(a.plane, quietVni), [`02:00:00:00:00:07 port ${quietPort}`]);
    await acquaint(a, b);
    t.is(a.plane.fdb(VNI).length, 2);
  });
}
