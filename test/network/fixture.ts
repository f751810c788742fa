import { asMac, asPeerId, asVni } from '../../src/base/types.ts';
import { Auditor } from '../../src/network/audit.ts';
import { Bridges } from '../../src/network/bridge.ts';
import type { Endpoint } from '../../src/network/endpoint.ts';
import { Sandboxes, type Attachment } from '../../src/network/sandbox.ts';
import { Shaping } from '../../src/network/shaping.ts';
import type { Sandbox } from '../../src/os/netns.ts';
import { FakeKernel } from '../fakes/fake-kernel.ts';
import { FakeTc } from '../fakes/fake-tc.ts';

export const HOST = asPeerId('0123456789abcdef0123456789abcdef');
export const SPEC = { network: 'blue', vni: asVni(42), mtu: 1450 } as const;

export function endpointIn(sandbox: Sandbox, last = 1): Endpoint {
  return {
    id: `${last}`.padEnd(32, 'e'),
    network: SPEC.network,
    host: HOST,
    mac: asMac(0x02005e100000 + last),
    address: `10.7.0.${last}/24`,
    ifname: 'eth0',
    sandbox,
  };
}

export function attachmentOf(endpoint: Endpoint): Attachment {
  return { endpoint, bridge: 'weft-42', mtu: SPEC.mtu };
}

/** A host in memory with the network's bridge, and one sandbox. */
export async function host() {
  const kernel = new FakeKernel();
  const tc = new FakeTc((device) => kernel.find(device)?.index);
  const shaping = new Shaping({ ip: kernel, tc, sysctl: kernel, host: HOST });
  const seams = { ip: kernel, sysctl: kernel, netns: kernel, shaping, host: HOST };
  const bridges = new Bridges(seams);
  const sandboxes = new Sandboxes(seams);
  const auditor = new Auditor({ ...seams, bridges, sandboxes });
  await bridges.ensureBridge(SPEC);
  const endpoint = endpointIn(kernel.addNamespace('/run/netns/x'));
  const attachment = attachmentOf(endpoint);
  return { kernel, tc, shaping, bridges, sandboxes, auditor, endpoint, attachment };
}

/**
 * Lets `act` fail at each of its steps in turn, and calls `check` after each failure.
 * Returns how many steps there were.
 */
export async function failAtEachStep(
  kernel: FakeKernel,
  act: () => Promise<unknown>,
  check: (step: number) => void,
): Promise<number> {
  for (let step = 1; ; step++) {
    kernel.steps = 0;
    kernel.failAt = step;
    const isDone = await act().then(
      () => true,
      () => false,
    );
    kernel.failAt = Infinity;
    if (isDone) return step - 1;
    check(step);
  }
}
