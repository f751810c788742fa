import type { TestFn } from 'ava';
import { createNativeDataPlane } from '../../../src/dataplane/native/native-data-plane.ts';
import { dataPlaneContract } from '../../contract/data-plane.ts';
import { createSocketDevice } from './socket-device.ts';

// What the fast path carries it has from the FDB, and nothing on loopback: here it would only cost
// descriptors, of which hundreds of data planes at the same time have few to spare.
const fastPath = 'off';

/** The whole contract on devices and with threads of one kind. More than two kinds in one file need too many descriptors. */
export function nativeContract(
  test: TestFn,
  { vnetHeaderBytes, threads }: { readonly vnetHeaderBytes: number; readonly threads: number },
): void {
  dataPlaneContract(test, {
    name: `native, devices with ${vnetHeaderBytes} bytes of header, threads ${threads}`,
    open: (options) =>
      Promise.resolve().then(() => createNativeDataPlane({ threads, fastPath, ...options })),
    createDevice: () => createSocketDevice(vnetHeaderBytes, threads > 1),
  });
}
