import test from 'ava';
import { createNativeDataPlane } from '../../../src/dataplane/native/native-data-plane.ts';
import { dataPlaneContract } from '../../contract/data-plane.ts';
import { createSocketDevice } from './socket-device.ts';

const VARIANTS = [
  { vnetHeaderBytes: 0, threads: 1 },
  { vnetHeaderBytes: 10, threads: 1 },
  { vnetHeaderBytes: 12, threads: 1 },
  { vnetHeaderBytes: 10, threads: 2 },
];

// What the fast path carries it has from the FDB, and nothing on loopback: here it would only cost
// descriptors, of which hundreds of data planes at the same time have few to spare.
const fastPath = 'off';

for (const { vnetHeaderBytes, threads } of VARIANTS) {
  dataPlaneContract(test, {
    name: `native, devices with ${vnetHeaderBytes} bytes of header, threads ${threads}`,
    open: (options) =>
      Promise.resolve().then(() => createNativeDataPlane({ threads, fastPath, ...options })),
    createDevice: () => createSocketDevice(vnetHeaderBytes, threads > 1),
  });
}
