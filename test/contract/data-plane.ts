import type { TestFn } from 'ava';
import { endpointContract } from './endpoints.ts';
import { floodContract } from './flood.ts';
import { forwardingContract } from './forwarding.ts';
import { gatewayContract } from './gateway.ts';
import { type Contract, type DataPlaneHarness, Lab } from './hosts.ts';
import { lifecycleContract } from './lifecycle.ts';
import { neighbourContract } from './neighbours.ts';
import { refusalContract } from './refusals.ts';
import { tableContract } from './tables.ts';
import { underlayContract } from './underlay.ts';

/**
 * What every data plane must do, whatever moves its frames: only the `DataPlane` interface and the far
 * sides of devices and sockets are touched. Nothing sleeps; that a thing does not happen is shown by a
 * frame sent after it on the same way, which does arrive.
 */
export function dataPlaneContract(test: TestFn, harness: DataPlaneHarness): void {
  const lab = new Lab(harness);
  const contract: Contract = (title, body) => test(`${harness.name}: ${title}`, body);
  const alone: Contract = (title, body) => test.serial(`${harness.name}: ${title}`, body);
  floodContract(alone, lab);
  forwardingContract(contract, lab);
  refusalContract(contract, lab);
  tableContract(contract, lab);
  endpointContract(contract, lab);
  neighbourContract(contract, lab);
  gatewayContract(contract, lab);
  underlayContract(contract, lab);
  lifecycleContract(contract, lab);
}
