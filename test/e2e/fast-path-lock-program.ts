/**
 * Takes a device into the fast path and out again, over and over:
 *
 *   node fast-path-lock-program.js DEVICE TIMES
 *
 * Says in JSON how long its calls held the event loop, and how long it took until the kernel had done what
 * they asked for; milliseconds.
 */
import { asMac, asVni } from '../../src/base/types.ts';
import { loadNativeAddon } from '../../src/dataplane/native/addon.ts';
import { FastPath } from '../../src/dataplane/native/fast-path.ts';
import { FAST_PATH_OBJECT } from '../../src/dataplane/native/open-fast-path.ts';

export interface LockReport {
  readonly held: number;
  readonly waited: number;
  readonly description: string;
}

const VNI = asVni(42);
const MTU = 1450;
const [device = '', times = ''] = process.argv.slice(2);
const wanted = [{ mac: asMac(0x02_00_00_00_00_01), device }];
const kernel = new (loadNativeAddon().FastPath)();
const failure = kernel.load(FAST_PATH_OBJECT, 4789, 60_000);
if (failure !== undefined) throw new Error(`${failure.step}: ${failure.log}`);
const path = new FastPath(kernel, '');
let [held, waited] = [0, 0];
let description = '';
for (let time = 0; time < Number(times); time++) {
  for (const endpoints of [wanted, []]) {
    const begin = performance.now();
    path.setEndpoints(VNI, MTU, endpoints);
    held += performance.now() - begin;
    await path.settled();
    waited += performance.now() - begin;
    if (endpoints.length > 0) description = path.describe();
  }
}
await path.close();
const report: LockReport = { held, waited, description };
console.log(JSON.stringify(report));
