import { coalesce } from '../base/alarm.ts';
import type { Logger } from '../base/log.ts';
import type { PeerId } from '../base/types.ts';
import { MIN_NETWORK_MTU, MIN_PATH_MTU, networkMtu, type IpFamily } from '../encap/mtu.ts';
import type { EncapsulationRegistry } from '../encap/registry.ts';
import { sealed } from '../encap/sealed.ts';
import type { PathMtuReason } from '../link/pmtu.ts';
import type { PathMtuChange } from '../link/pmtu-prober.ts';
import type { NetworkDefinition } from '../network/network.ts';
import { subnetsOf } from '../network/subnets.ts';
import { familyOf } from '../wire/cidr.ts';
import type { Directory, Rows } from './directory.ts';
import type { MtuRecord } from './records.ts';

const REASONS: Readonly<Record<PathMtuReason, string>> = {
  first: 'the first answers',
  raised: 'larger packets get through',
  'black-hole': 'larger packets are lost while small ones get through',
  interface: "that of this host's interface",
};

/** Name of the host and what has become of the path to it, for its events. */
export function describePathMtu(
  { mtu, previous, reason }: Pick<PathMtuChange, 'mtu' | 'previous' | 'reason'>,
  name: string,
): readonly [string, string] {
  const before = previous === undefined ? '' : `${previous} -> `;
  return [name, `MTU of the path to ${name}: ${before}${mtu}: ${REASONS[reason]}`];
}

/** What is known of the paths to the other hosts. */
export interface PathMtuSource {
  /** Of the underlay's packets; undefined where it is not known. */
  pathMtu(peer: PeerId): number | undefined;
  isSearching(peer: PeerId): boolean;
}

export interface NetworkMtusOptions {
  readonly self: PeerId;
  /** The table `mtus`. */
  readonly rows: Rows<MtuRecord>;
  readonly directory: Directory;
  readonly encapsulations: EncapsulationRegistry;
  readonly paths: PathMtuSource;
  /**
   * Other hosts that are alive, with the IP version of the path to each, and of where it announces that it
   * is reached: plain VXLAN goes there.
   */
  readonly alive: () => readonly {
    readonly id: PeerId;
    readonly family: IpFamily;
    readonly announced: IpFamily;
  }[];
  /** Whether the mesh knows the host and that it is dead or has left. */
  readonly isGone: (id: PeerId) => boolean;
  readonly hostName: (id: PeerId) => string;
  /** The networks of this host are to get other MTUs. */
  readonly changed: () => void;
  readonly log: Logger;
}

/** Why a network has less than it was made with. */
export interface MtuLimit {
  readonly mtu: number;
  /** The path whose MTU it is. */
  readonly from: PeerId;
  readonly to: PeerId;
  readonly pathMtu: number;
}

/**
 * The MTU that a network has at this moment: the least that the paths leave between hosts which have
 * endpoints on it, never more than it was made with. Each host says in a row of the table `mtus` what its
 * own paths leave, if that is less; so every host comes to the same number, and what is not narrow costs
 * nothing. A lower MTU is told at once, a higher one when no path to another host is being searched.
 */
export class NetworkMtus {
  readonly #options: NetworkMtusOptions;
  /** As last told, by id of the network. */
  readonly #told = new Map<string, number>();
  #isStopped = false;

  constructor(options: NetworkMtusOptions) {
    this.#options = options;
    options.rows.onChange(() => this.#tell());
  }

  /** Bytes of the inner IP packet. */
  effective(network: NetworkDefinition): number {
    return this.limit(network)?.mtu ?? network.mtu;
  }

  /** The row that makes the network narrower than it was made; undefined if none does. */
  limit(network: NetworkDefinition): MtuLimit | undefined {
    const rows = this.#rowsOf(network).filter(({ mtu }) => mtu < network.mtu);
    const [least] = rows.sort((a, b) => a.mtu - b.mtu || (a.host < b.host ? -1 : 1));
    if (least === undefined) return undefined;
    const mtu = Math.max(least.mtu, this.#floor(network));
    if (mtu >= network.mtu) return undefined;
    return { mtu, from: least.host, to: least.peer, pathMtu: least.path };
  }

  /** Whether the narrowest path can't even carry the least MTU that the network may have. */
  isTooNarrow(network: NetworkDefinition): boolean {
    const floor = this.#floor(network);
    return this.#rowsOf(network).some(({ mtu }) => mtu < floor);
  }

  #rowsOf({ id }: NetworkDefinition): MtuRecord[] {
    return [...this.#options.rows.entries()]
      .filter(({ value }) => value.network === id)
      .map(({ value }) => value)
      .filter((row) => this.#counts(row));
  }

  /** For a person: each network that has less than it was made with, and why. */
  warnings(): string[] {
    const { directory, hostName } = this.#options;
    return directory.networks().flatMap((network) => {
      const limit = this.limit(network);
      if (limit === undefined) return [];
      const path = `the path from host ${hostName(limit.from)} to host ${hostName(limit.to)} takes packets of ${limit.pathMtu} bytes`;
      return this.isTooNarrow(network)
        ? [
            `Network ${network.name} can't work on all its hosts: ${path}, too few for its MTU of ${limit.mtu}; raise the MTU of that path.`,
          ]
        : [
            `Network ${network.name} has an MTU of ${limit.mtu} instead of ${network.mtu}: ${path}; "ping -M do" between the hosts finds where.`,
          ];
    });
  }

  /** Paths, hosts or endpoints are others by now: this host's own rows are looked at soon. */
  readonly refresh = coalesce(() => {
    if (!this.#isStopped) this.#refresh();
  });

  stop(): void {
    this.#isStopped = true;
  }

  /** Other hosts that share a network with this one. */
  sharing(): PeerId[] {
    const { directory, self, alive } = this.#options;
    const own = new Set(directory.endpointsOf(self).map(({ network }) => network));
    return alive()
      .map(({ id }) => id)
      .filter((host) => [...own].some((network) => directory.hasEndpoints({ network, host })));
  }

  /** Of a host that is forgotten. */
  removeHost(host: PeerId): void {
    const { rows } = this.#options;
    for (const { key, value } of [...rows.entries()]) if (value.host === host) rows.remove(key);
  }

  #refresh(): void {
    const { directory, rows, self } = this.#options;
    const alive = this.#options.alive();
    const own = new Set(directory.endpointsOf(self).map(({ network }) => network));
    for (const network of directory.networks()) {
      if (own.has(network.name)) this.#refreshRow(network, alive);
    }
    for (const { key, value } of [...rows.entries()]) {
      if (value.host !== self) continue;
      const network = directory.networkById(value.network);
      if (network === undefined || !own.has(network.name)) rows.remove(key);
    }
    this.#tell();
  }

  #refreshRow(network: NetworkDefinition, alive: ReturnType<NetworkMtusOptions['alive']>): void {
    const { directory, encapsulations, paths, rows, self } = this.#options;
    const encapsulation = encapsulations.get(network.encap);
    const sharing = alive.filter(({ id }) =>
      directory.hasEndpoints({ network: network.name, host: id }),
    );
    const known = sharing.flatMap(({ id, ...families }) => {
      const path = paths.pathMtu(id);
      if (path === undefined) return [];
      const family = encapsulation === sealed ? families.family : families.announced;
      return [{ peer: id, path, mtu: networkMtu({ underlayMtu: path, family, encapsulation }) }];
    });
    const [least] = known.sort((a, b) => a.mtu - b.mtu || (a.peer < b.peer ? -1 : 1));
    const key = `${network.id} ${self}`;
    const row = rows.get(key);
    const isHigher = row !== undefined && (least?.mtu ?? network.mtu) > row.mtu;
    // After a restart the hosts are heard of one by one: until then it stays as it was.
    const isUnknown = sharing.length === 0 || sharing.some(({ id }) => paths.isSearching(id));
    if (isHigher && isUnknown) return;
    if (least === undefined || least.mtu >= network.mtu) {
      if (row !== undefined) rows.remove(key);
    } else if (row?.mtu !== least.mtu || row.peer !== least.peer) {
      rows.put(key, { network: network.id, host: self, ...least });
    }
  }

  /** A row of a host that is dead, or has no endpoint there any more, limits nobody. */
  #counts({ host, network: id, peer }: MtuRecord): boolean {
    const { directory, self, isGone } = this.#options;
    const network = directory.networkById(id)?.name ?? '';
    return [host, peer].every(
      (each) => (each === self || !isGone(each)) && directory.hasEndpoints({ network, host: each }),
    );
  }

  /** IPv6 ends below 1280 (RFC 8200 §5); of IPv4 what is left of the least path. */
  #floor(network: NetworkDefinition): number {
    const isIpv6 = subnetsOf(network).some((subnet) => familyOf(subnet) === 6);
    if (isIpv6) return Math.min(network.mtu, MIN_NETWORK_MTU[6]);
    const encapsulation = this.#options.encapsulations.get(network.encap);
    return networkMtu({ underlayMtu: MIN_PATH_MTU[4], family: 4, encapsulation });
  }

  #tell(): void {
    const { changed, directory, hostName, log } = this.#options;
    let hasChanged = false;
    for (const network of directory.networks()) {
      const limit = this.limit(network);
      const mtu = limit?.mtu ?? network.mtu;
      const before = this.#told.get(network.id) ?? network.mtu;
      this.#told.set(network.id, mtu);
      if (mtu === before) continue;
      hasChanged = true;
      const path = limit && {
        ...{ from: hostName(limit.from), to: hostName(limit.to), pathMtu: limit.pathMtu },
      };
      const fields = { network: network.name, mtu, before, ...path };
      if (mtu < before) log.warn(fields, 'a network has a lower MTU: a path is narrower');
      else log.info(fields, 'a network has a higher MTU again');
    }
    if (hasChanged) changed();
  }
}
