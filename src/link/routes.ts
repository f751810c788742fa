import type { PeerId } from '../base/types.ts';

/**
 * Ways over other hosts, where there is no direct one. Every pair of hosts counts as able to reach each
 * other but those that say otherwise, so what is gossiped grows with what is broken, and not with the mesh.
 * All hosts that know the same exceptions find ways that get shorter at every hop: there are no loops.
 */
export interface Topology {
  readonly self: PeerId;
  /** All live hosts, this one among them. */
  readonly hosts: readonly PeerId[];
  /** Whom a host says that it can't reach directly. */
  readonly exceptions: ReadonlyMap<PeerId, ReadonlySet<PeerId>>;
}

/** Whether either of two hosts says that it can't reach the other. */
export function isBroken({ exceptions }: Topology, one: PeerId, other: PeerId): boolean {
  return exceptions.get(one)?.has(other) === true || exceptions.get(other)?.has(one) === true;
}

/**
 * How many hops each host is from `target`, by breadth first over all pairs but the broken ones; hosts that
 * can't get there are absent. O(hosts + exceptions) but where much is broken.
 */
export function distancesTo(topology: Topology, target: PeerId): Map<PeerId, number> {
  const distances = new Map([[target, 0]]);
  let unreached = topology.hosts.filter((host) => host !== target);
  for (const [host, distance] of distances) {
    if (unreached.length === 0) break;
    const still: PeerId[] = [];
    // A map is walked in the order of insertion, and what is added meanwhile is still walked over.
    for (const other of unreached) {
      if (isBroken(topology, host, other)) still.push(other);
      else distances.set(other, distance + 1);
    }
    unreached = still;
  }
  return distances;
}

/**
 * The hosts that bring what is for `target` one hop nearer, the best first; empty if nobody does. Of like
 * ones those go first that are known to be reached (`isProven`), and then an order that both ends agree on
 * and that differs from pair to pair, so that not one host relays for all.
 */
export function relaysTo(
  topology: Topology,
  target: PeerId,
  isProven: (host: PeerId) => boolean,
): PeerId[] {
  const { self } = topology;
  const distances = distancesTo(topology, target);
  const own = distances.get(self);
  if (own === undefined || own < 2) return [];
  const pair = self < target ? self + target : target + self;
  return topology.hosts
    .filter((host) => distances.get(host) === own - 1 && !isBroken(topology, self, host))
    .map((host) => ({ host, isFirst: isProven(host), weight: weigh(pair + host) }))
    .sort((a, b) => Number(b.isFirst) - Number(a.isFirst) || a.weight - b.weight)
    .map(({ host }) => host);
}

/** FNV-1a, 32 bits: spreads, and proves nothing. */
function weigh(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  }
  return hash;
}
