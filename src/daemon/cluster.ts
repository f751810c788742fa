import type { NetworkEdge, NetworkInfo, NetworkRequest } from '../api/control.ts';
import type { ClusterHoldRequest, ClusterPlumbing } from '../api/plumbing.ts';
import { pause, type Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { asMillis, type Millis, type PeerId } from '../base/types.ts';
import { addressesOf } from '../network/endpoint.ts';
import { bareAddress } from '../wire/cidr.ts';
import type { Addresses } from './addresses.ts';
import { CLUSTER, type ClusterHolds } from './cluster-holds.ts';
import type { Directory } from './directory.ts';
import type { Engines } from './engines.ts';
import type { Networks } from './networks.ts';
import type { Reconciler } from './reconciler.ts';
import type { ClusterHoldRecord, UseRecord } from './records.ts';
import type { Reservations } from './reservations.ts';
import { Serial } from './serial.ts';
import type { State } from './state.ts';
import { networkInfo } from './views.ts';

/** Who holds what a cluster has given out, in the notes of reservations. */
const HOLDER = 'swarm';
/** How long a call waits for what another host has just told the mesh. */
const NEWS_WITHIN = asMillis(3_000);
const LOOK_EVERY = asMillis(20);
/** A manager that takes over tells of all addresses within seconds. */
const CENSUS_MS = 600_000;

export interface ClusterOptions {
  readonly self: PeerId;
  readonly directory: Directory;
  readonly holds: ClusterHolds;
  readonly networks: Networks;
  readonly engines: Pick<Engines, 'reserve' | 'release' | 'collect'>;
  readonly addresses: Pick<Addresses, 'release'>;
  readonly reservations: Reservations;
  readonly reconciler: Reconciler;
  readonly state: Pick<State, 'settled'>;
  readonly serial: Serial;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What a manager has named since it took over. */
interface Census {
  readonly since: Millis;
  readonly named: Set<string>;
}

/**
 * Networks and addresses of a cluster of engines: a manager gives them out on one host, and workers use
 * them on others (docs/adr/0054).
 */
export class Cluster implements ClusterPlumbing {
  readonly #options: ClusterOptions;
  /** What is held and what was let go, one after the other. */
  readonly #holding = new Serial();
  /** By ids of networks. */
  readonly #census = new Map<string, Census>();

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  /** Before addresses are given out: lets go of what was released while this host was away. */
  async recover(): Promise<void> {
    const { reservations } = this.#options;
    for (const { pool: network, address, holder } of reservations.all()) {
      if (holder === HOLDER) await this.#drop({ network, address });
    }
  }

  /** The row of a hold has gone: if this host holds the address, it lets go of it. */
  dropped(hold: Pick<ClusterHoldRecord, 'network' | 'address'>): void {
    const { log } = this.#options;
    this.#holding
      .run(() => this.#drop(hold))
      .catch((error: unknown) =>
        log.error({ err: error, ...hold }, 'an address of the cluster could not be let go'),
      );
  }

  allocate(
    clusterId: string,
    request: NetworkRequest,
    check: (found: NetworkInfo) => void,
  ): Promise<void> {
    const { directory, networks, reconciler } = this.#options;
    const { name } = request;
    const use: UseRecord = { network: name, host: CLUSTER, clusterId };
    return this.#change(async () => {
      const present = directory.uses(name).find(({ host }) => host === CLUSTER);
      if (present !== undefined && present.clusterId !== clusterId) {
        throw new AppError(
          'E_NETWORK_EXISTS',
          `Weft network ${name} is network ${present.clusterId ?? 'unknown'} of the Swarm already; use that one, or give another subnet or -o weft.network, or if that Swarm is gone, "weft network rm ${name}" first.`,
        );
      }
      const isThere = directory.network(name) !== undefined;
      directory.putUse(use);
      try {
        const network = await networks.forEngine(request, (each) => reconciler.isCarried(each));
        check(networkInfo(network, directory.endpoints(name).length));
      } catch (error) {
        if (present === undefined) directory.removeUse(use);
        if (!isThere) directory.removeNetwork(name);
        throw error;
      }
    });
  }

  free(clusterId: string): Promise<void> {
    const { directory, engines, holds, reconciler } = this.#options;
    return this.#change(async () => {
      const use = this.#use(clusterId);
      if (use === undefined) return;
      const network = directory.network(use.network);
      for (const hold of network === undefined ? [] : holds.ofNetwork(network.id)) {
        holds.remove(hold.network, hold.address);
        await this.#holding.run(() => this.#drop(hold));
      }
      directory.removeUse(use);
      engines.collect(use.network);
      reconciler.request();
    });
  }

  network(clusterId: string): Promise<string | undefined> {
    return this.#soon(() => this.#use(clusterId)?.network);
  }

  async setEdge(name: string, edge: NetworkEdge): Promise<void> {
    const { directory, reconciler } = this.#options;
    const isOther = (): boolean => {
      const network = directory.network(name);
      return network?.origin === 'docker' && network.edge !== edge;
    };
    if (!isOther()) return;
    await this.#change(() => {
      const network = directory.network(name);
      if (network !== undefined && isOther()) directory.putNetwork({ ...network, edge });
      reconciler.request();
      return Promise.resolve();
    });
  }

  hold({ network: name, address: wanted, family }: ClusterHoldRequest): Promise<string> {
    const { engines, holds, networks, self, state } = this.#options;
    return this.#holding.run(async () => {
      const { id: network } = networks.require(name);
      if (wanted !== undefined && holds.has(network, wanted)) {
        this.#census.get(network)?.named.add(bareAddress(wanted));
        return wanted;
      }
      const address = await engines.reserve({
        ...{ network: name, holder: HOLDER, again: true },
        ...(wanted === undefined ? { family } : { address: wanted }),
      });
      this.#census.get(network)?.named.add(bareAddress(address));
      try {
        holds.put({ network, address, host: self });
        await state.settled();
      } catch (error) {
        await engines.release(name, bareAddress(address));
        throw error;
      }
      return address;
    });
  }

  async isHeld(name: string, address: string): Promise<boolean> {
    const { directory, holds } = this.#options;
    const isThere = await this.#soon(() => {
      const network = directory.network(name);
      return (network !== undefined && holds.has(network.id, address)) || undefined;
    });
    return isThere === true;
  }

  release(name: string, address: string): Promise<void> {
    const { directory, holds, state } = this.#options;
    return this.#holding.run(async () => {
      const network = directory.network(name)?.id;
      if (network === undefined || !holds.has(network, address)) return;
      holds.remove(network, address);
      await state.settled();
      await this.#drop({ network, address });
    });
  }

  takeOver(name: string): void {
    const { clock, directory } = this.#options;
    const network = directory.network(name);
    if (network === undefined) return;
    this.#census.set(network.id, { since: clock.now(), named: new Set() });
  }

  async sweep(): Promise<void> {
    const { clock, directory, holds, log } = this.#options;
    for (const [id, { since, named }] of [...this.#census]) {
      if (clock.now() < since + CENSUS_MS) continue;
      this.#census.delete(id);
      const network = directory.networkById(id);
      if (network === undefined) continue;
      const used = new Set(directory.endpoints(network.name).flatMap(addressesOf).map(bareAddress));
      for (const { address } of holds.ofNetwork(id)) {
        if (named.has(address) || used.has(address)) continue;
        log.info({ network: network.name, address }, 'no manager knows of it any more; let go');
        await this.release(network.name, address);
      }
    }
  }

  async #drop({
    network: id,
    address: bare,
  }: Pick<ClusterHoldRecord, 'network' | 'address'>): Promise<void> {
    const { addresses, directory, holds, reservations, self } = this.#options;
    const held = reservations.get(id, bare);
    // Asked for again meanwhile, it is held again.
    if (held?.holder !== HOLDER || holds.has(id, bare)) return;
    await reservations.remove(held);
    const network = directory.networkById(id);
    if (network === undefined) return;
    const isUsed = directory
      .endpointsAt({ network: network.name, host: self })
      .some((endpoint) => addressesOf(endpoint).includes(held.address));
    if (!isUsed) addresses.release(network, held.address);
  }

  #use(clusterId: string): UseRecord | undefined {
    return this.#options.directory.uses().find((use) => use.clusterId === clusterId);
  }

  /** What `look` finds as soon as it finds something; undefined if that takes too long. */
  async #soon<T>(look: () => T | undefined): Promise<T | undefined> {
    const { clock } = this.#options;
    const end = clock.now() + NEWS_WITHIN;
    for (;;) {
      const found = look();
      if (found !== undefined || clock.now() >= end) return found;
      await pause(clock, LOOK_EVERY);
    }
  }

  /** As `Engines` change things: one at a time, answered when it is on disk. */
  #change<T>(make: () => Promise<T>): Promise<T> {
    const { serial, state } = this.#options;
    return serial.run(async () => {
      const result = await make();
      await state.settled();
      return result;
    });
  }
}
