import test from 'ava';
import { createNativeDataPlane } from '../../../src/dataplane/native/native-data-plane.ts';
import { MTU, VNI } from '../../contract/hosts.ts';
import { nativeContract } from './native-contract.ts';

nativeContract(test, { vnetHeaderBytes: 0, threads: 1 });
nativeContract(test, { vnetHeaderBytes: 10, threads: 1 });

test('a sealed VTEP is never left to the fast path, which does not seal', async (t) => {
  const plane = createNativeDataPlane({ addresses: ['127.0.0.1'], meshPort: 0, vxlanPort: 0 });
  t.teardown(() => plane.close());
  plane.addNetwork(VNI, { mtu: MTU });
  for (const port of [7783, 7784]) {
    plane.addVtep(VNI, { address: '127.0.0.2', port }, { encapsulation: 'sealed' });
  }
  await new Promise(setImmediate);
  t.regex(plane.description.features['fastPath'] ?? '', /^off|, 0 VTEPs;/);
});
