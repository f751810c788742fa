import type { TestFn } from 'ava';
import { atMost } from '../fakes/turns.ts';
import { endpointContract } from './endpoints.ts';
import { floodContract } from './flood.ts';
import { forwardingContract } from './forwarding.ts';
import { gatewayContract } from './gateway.ts';
import { handshakeContract } from './handshakes.ts';
import { type Contract, type DataPlaneHarness, Lab } from './hosts.ts';
import { lifecycleContract } from './lifecycle.ts';
import { mssContract } from './mss.ts';
import { neighbourContract } from './neighbours.ts';
import { pathContract } from './paths.ts';
import { refusalContract } from './refusals.ts';
import { sealingContract } from './sealing.ts';
import { tableContract } from './tables.ts';
import { tooBigContract } from './too-big.ts';
import { underlayContract } from './underlay.ts';

/** All tests of a file begin at once, and each data plane has some twenty descriptors: so many have theirs at a time. */
const AT_ONCE = 40;

/**
 * What every data plane must do, whatever moves its frames: only the `DataPlane` interface and the far
 * sides of devices and sockets are touched. Nothing sleeps; that a thing does not happen is shown by a
 * frame sent after it on the same way, which does arrive.
 */
export function dataPlaneContract(test: TestFn, harness: DataPlaneHarness): void {
  const lab = new Lab(harness);
  const turn = atMost(AT_ONCE);
  const contract: Contract = (title, body) =>
    test(`${harness.name}: ${title}`, (t) => turn(() => body(t)));
  const alone: Contract = (title, body) => test.serial(`${harness.name}: ${title}`, body);
  floodContract(alone, lab);
  forwardingContract(contract, lab);
  refusalContract(contract, lab);
  tableContract(contract, lab);
  endpointContract(contract, lab);
  neighbourContract(contract, lab);
  gatewayContract(contract, lab);
  handshakeContract(contract, lab);
  sealingContract(contract, lab);
  pathContract(contract, lab);
  mssContract(contract, lab);
  tooBigContract(contract, lab);
  underlayContract(contract, lab);
  lifecycleContract(contract, lab);
}
