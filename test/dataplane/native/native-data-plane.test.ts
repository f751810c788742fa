import test from 'ava';
import { createNativeDataPlane } from '../../../src/dataplane/native/native-data-plane.ts';
import { dataPlaneContract } from '../../contract/data-plane.ts';
import { createSocketDevice } from './socket-device.ts';

for (const vnetHeaderBytes of [0, 10, 12]) {
  dataPlaneContract(test, {
    name: `native, devices with ${vnetHeaderBytes} bytes of header`,
    open: (options) => Promise.resolve().then(() => createNativeDataPlane(options)),
    createDevice: () => createSocketDevice(vnetHeaderBytes),
  });
}
