import type { PoolHost, PoolInfo, ShareInfo } from '../api/control.ts';
import type { Millis, PeerId } from '../base/types.ts';
import type { Holding } from '../ipam/holding.ts';
import { ownedBy, ownersOf, windowsOf } from '../ipam/pool.ts';
import { intersect, sizeOf, subtract, type Range } from '../ipam/range.ts';
import type { AddressPool } from '../network/subnets.ts';
import { bareAddress } from '../wire/cidr.ts';
import { addressAt } from './pool-spec.ts';

/** More ranges than this of one host are not listed one by one. */
const MAX_RANGES = 16;

export interface PoolWords {
  readonly self: PeerId;
  readonly now: Millis;
  readonly nameOf: (host: PeerId) => string;
  readonly stateOf: (host: PeerId) => PoolHost['state'];
}

function rangeText(pool: AddressPool, { start, end }: Range): string {
  const first = bareAddress(addressAt(pool, start));
  return end - start === 1n ? first : `${first}-${bareAddress(addressAt(pool, end - 1n))}`;
}

const isThere = (state: PoolHost['state']): boolean => state === 'alive' || state === 'suspect';

/** What `weft ipam status` tells of one pool. */
export function poolInfo(
  pool: AddressPool,
  holding: Holding,
  { self, now, nameOf, stateOf }: PoolWords,
): PoolInfo {
  const { chosen, spec, leaseUntil, book } = holding;
  const hostOf = (id: PeerId): PoolHost => ({ host: nameOf(id), id, state: stateOf(id) });
  const usable = subtract([spec.auto], spec.excluded);
  const count = (set: readonly Range[]): number => Number(sizeOf(intersect(set, usable)));
  const shares = ownersOf(chosen).map((id): ShareInfo => {
    const owned = ownedBy(chosen, id);
    return {
      ...hostOf(id),
      addresses: count(owned),
      open: count(windowsOf(chosen, id)),
      ranges: owned.slice(0, MAX_RANGES).map((range) => rangeText(pool, range)),
    };
  });
  return {
    ...{ network: pool.name, subnet: pool.subnet, version: chosen.version },
    voters: chosen.voters.map(({ id }) => hostOf(id)),
    lease: {
      isHeld: holding.isLeased(now),
      seconds:
        leaseUntil === Infinity ? 'always' : Math.max(0, Math.floor((leaseUntil - now) / 1000)),
    },
    shares: shares.sort((a, b) => b.addresses - a.addresses || a.host.localeCompare(b.host)),
    here: {
      used: book.held.size,
      free: Number(sizeOf(holding.free(now))),
      resting: book.cooling(now),
    },
    unreachable: shares
      .filter(({ id, state }) => id !== self && !isThere(state))
      .reduce((sum, { addresses }) => sum + addresses, 0),
  };
}
