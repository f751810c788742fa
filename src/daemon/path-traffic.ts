import type { PeerId } from '../base/types.ts';
import type { VtepCounters } from '../dataplane/dataplane.ts';
import type { Member } from '../gossip/member.ts';
import { locatorOf } from '../link/locator.ts';

/** Bytes of frames that were sent to each member's VTEPs; who shares an address has the sum of it. */
export function sentBytes(
  vteps: readonly Pick<VtepCounters, 'vtep' | 'txBytes'>[],
  members: readonly Pick<Member, 'id' | 'address'>[],
): ReadonlyMap<PeerId, number> {
  const byAddress = new Map<string, number>();
  for (const { vtep, txBytes } of vteps) {
    byAddress.set(vtep.address, (byAddress.get(vtep.address) ?? 0) + txBytes);
  }
  const at = (address: string): number => byAddress.get(address) ?? 0;
  // Sealed VTEPs are known by the locator of their host, plain ones by their address.
  return new Map(members.map(({ id, address }) => [id, at(address.address) + at(locatorOf(id))]));
}
