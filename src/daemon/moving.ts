import type { Clock, Timer } from '../base/clock.ts';
import { AppError, isAppError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import { asMillis, type PeerId } from '../base/types.ts';
import {
  addressesOf,
  givenTo,
  isEngineManaged,
  rowOfGiven,
  type Endpoint,
  type GivenAddress,
} from '../network/endpoint.ts';
import type { NetworkDefinition } from '../network/network.ts';
import type { Sandboxes } from '../network/sandbox.ts';
import { poolOfFamily, poolsOf, uniqueLocalSubnet, type AddressPool } from '../network/subnets.ts';
import { randomLocalMac } from '../wire/mac.ts';
import { bareAddress, familyOf } from '../wire/cidr.ts';
import type { Addresses } from './addresses.ts';
import { homonyms } from './conflicts.ts';
import type { Directory, Rows } from './directory.ts';
import type { Journal } from './journal.ts';
import type { Reconciler } from './reconciler.ts';
import type { MoveRecord } from './records.ts';
import type { Serial } from './serial.ts';

/** What could not be moved is tried again after this. */
const RETRY_AFTER = asMillis(2_000);
/** Merges that were merged again: more in a row are a circle that somebody has forged. */
const MAX_MERGES = 16;

export interface MovingOptions {
  readonly self: PeerId;
  readonly directory: Directory;
  /** Endpoints that must get another address, by their ids. */
  readonly moves: Rows<MoveRecord>;
  readonly addresses: Pick<Addresses, 'acquireFrom' | 'release'>;
  readonly journal: Journal;
  readonly reconciler: Pick<Reconciler, 'reconcile'>;
  readonly sandboxes: Pick<Sandboxes, 'detach' | 'renewNeighbours'>;
  /** Called before an endpoint's row changes. */
  readonly follow: (from: Endpoint, to: Endpoint) => Promise<void>;
  readonly serial: Serial;
  /** Whether this is the host that tidies up what belongs to nobody. */
  readonly isFirst: () => boolean;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
}

/** An endpoint of this host and where it goes. */
interface Move {
  readonly from: Endpoint;
  readonly to: NetworkDefinition;
  /** Addresses that it must not keep, as CIDRs. */
  readonly unwanted: readonly string[];
}

/** What was got for a move, and which of it was not the endpoint's before. */
interface Found {
  readonly endpoint: Endpoint;
  readonly fresh: readonly string[];
}

/** Those addresses of an endpoint that an ordered move takes from it; none if it was done. */
export function toRenew(endpoint: Endpoint, { from, from6 }: MoveRecord): readonly string[] {
  return addressesOf(endpoint).filter((address) => address === from || address === from6);
}

/** Two hosts that make one network at once may make up two prefixes for it. */
function isMadeUp({ subnet6, vni, addressing }: NetworkDefinition): boolean {
  return subnet6 !== undefined && subnet6 === uniqueLocalSubnet(addressing?.founders ?? [], vni);
}

/** The network that a merged one's endpoints go to at last. */
export function mergeTarget(
  directory: Directory,
  network: NetworkDefinition,
): NetworkDefinition | undefined {
  let target: NetworkDefinition | undefined = network;
  for (let step = 0; step < MAX_MERGES; step++) {
    if (target?.mergedInto === undefined) return target;
    target = directory.networkById(target.mergedInto);
  }
  return undefined;
}

/**
 * Moves this host's endpoints as a repair wants it: those of a network that was merged into another go
 * there, with their address if they can have it; those whose address another has get a new one. All that
 * leave a network move together, once each has its new address: none is cut off while another waits.
 *
 * An endpoint keeps its id, so its move is one change of one row. It is noted first: after a crash it is
 * done again from the note, with the address that was got for it.
 */
export class Moving {
  readonly #options: MovingOptions;
  #isQueued = false;
  #isStopped = false;
  #retry: Timer | undefined;
  #hindrance: string | undefined;

  constructor(options: MovingOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#isStopped = true;
    this.#retry?.cancel();
  }

  /** Why endpoints of this host that should move have not; one sentence. */
  get hindrance(): string | undefined {
    return this.#hindrance;
  }

  /** Moves what there is to move soon, after the jobs that already wait. */
  request(): void {
    if (this.#isQueued || this.#isStopped || !this.#hasWork()) return;
    this.#isQueued = true;
    void this.#options.serial.run(async () => {
      this.#isQueued = false;
      await this.#moveAll();
    });
  }

  async #moveAll(): Promise<void> {
    this.#hindrance = undefined;
    this.#mergeEmpty();
    this.#tidyMoves();
    for (const group of this.#groups()) {
      try {
        await this.#moveGroup(group);
      } catch (error) {
        if (!isAppError(error)) throw error;
        this.#hindrance = `Endpoints of this host on network ${group[0]?.from.network ?? ''} could not be moved yet: ${error.message}`;
        this.#options.log.warn({ reason: error.message }, 'endpoints could not be moved yet');
        this.#retryLater();
      }
    }
  }

  #hasWork(): boolean {
    const hasMoves = [...this.#options.moves.entries()].length > 0;
    return hasMoves || this.#emptyTwins().length > 0 || this.#groups().length > 0;
  }

  /** Networks of this host's making that have lost their name, and in which nothing was ever attached. */
  #emptyTwins(): { readonly network: NetworkDefinition; readonly into: NetworkDefinition }[] {
    const { directory, self } = this.#options;
    return [...homonyms(directory.networks())].flatMap(([name, into]) => {
      const network = directory.network(name);
      const isMeant =
        network?.createdBy === self &&
        network.subnet === into.subnet &&
        (network.subnet6 === into.subnet6 || (isMadeUp(network) && isMadeUp(into))) &&
        directory.endpoints(name).length === 0;
      return isMeant ? [{ network, into }] : [];
    });
  }

  /** Two hosts made one network at once: nothing is lost if the younger is the older from now on. */
  #mergeEmpty(): void {
    const { directory, log } = this.#options;
    for (const { network, into } of this.#emptyTwins()) {
      directory.putNetwork({ ...network, mergedInto: into.id });
      log.info({ network: network.name, into: into.id }, 'empty network merged');
    }
  }

  /** Detached, or moved by the host that then died: nothing is left to do. */
  #tidyMoves(): void {
    const { directory, moves, self, isFirst } = this.#options;
    for (const { key, value } of [...moves.entries()]) {
      const endpoint = directory.endpoint(key);
      if (endpoint !== undefined && toRenew(endpoint, value).length > 0) continue;
      if (isFirst() || endpoint?.host === self) moves.remove(key);
    }
  }

  /** Moves that belong together. */
  #groups(): Move[][] {
    const { directory, moves, self } = this.#options;
    const merged = directory.networks().flatMap((network) => {
      const to = network.mergedInto === undefined ? undefined : mergeTarget(directory, network);
      const own = directory.endpointsAt({ network: network.name, host: self });
      const isMoving = to !== undefined && own.length > 0;
      return isMoving ? [own.map((from) => ({ from, to, unwanted: [] }))] : [];
    });
    const ordered = [...moves.entries()].flatMap(({ key, value }): Move[][] => {
      const from = directory.endpoint(key);
      if (from?.host !== self) return [];
      const unwanted = toRenew(from, value);
      const to = directory.network(from.network);
      return to === undefined || to.mergedInto !== undefined || unwanted.length === 0
        ? []
        : [[{ from, to, unwanted }]];
    });
    return [...merged, ...ordered];
  }

  async #moveGroup(group: readonly Move[]): Promise<void> {
    const { addresses, directory, moves, reconciler } = this.#options;
    const got: ({ readonly move: Move } & Found)[] = [];
    try {
      for (const move of group) got.push({ move, ...(await this.#find(move)) });
      for (const { move, endpoint } of got) await this.#perform(move.from, endpoint);
    } finally {
      for (const { move, endpoint, fresh } of got) {
        const present = directory.endpoint(endpoint.id);
        const isThere =
          present?.network === move.to.name &&
          addressesOf(present).join() === addressesOf(endpoint).join();
        if (!isThere) addresses.release(move.to, ...fresh);
        else if (moves.get(endpoint.id) !== undefined) moves.remove(endpoint.id);
      }
    }
    await reconciler.reconcile();
    for (const { endpoint } of got) {
      if (!isEngineManaged(endpoint)) await this.#renewNeighbours(endpoint);
    }
  }

  /** One that kept its address knows those of the network it left, whose addresses others may have here. */
  async #renewNeighbours(endpoint: Endpoint): Promise<void> {
    try {
      await this.#options.sandboxes.renewNeighbours(endpoint);
    } catch (error) {
      if (!isAppError(error)) throw error;
      const { message: reason } = error;
      this.#options.log.warn({ endpoint: endpoint.id, reason }, 'neighbours could not be renewed');
    }
  }

  /** The endpoint as it will be, its new addresses held for it; if one can't be had, none is. */
  async #find(move: Move): Promise<Found> {
    const { from, to } = move;
    const mac = this.#mac(from, to);
    if (isEngineManaged(from)) refuseChange(move, mac);
    const given: GivenAddress[] = [];
    const fresh: string[] = [];
    try {
      for (const pool of poolsOf(to)) {
        const present = givenTo(from).find((each) => isOf(pool, each.address));
        if (isEngineManaged(from) && present === undefined) continue;
        const isKept = from.network === to.name && !move.unwanted.includes(present?.address ?? '');
        const got = isKept && present ? present : await this.#acquire(pool, present, move);
        given.push(got);
        if (got !== present) fresh.push(got.address);
      }
    } catch (error) {
      this.#options.addresses.release(to, ...fresh);
      throw error;
    }
    const [first = { address: from.address }, second] = given;
    const row = rowOfGiven(first, second);
    const moved = { ...from, ...row, network: to.name, mac };
    // Epochs of the pools it leaves mean nothing in the others.
    for (const key of ['epoch', 'address6', 'epoch6'] as const) {
      if (row[key] === undefined) Reflect.deleteProperty(moved, key);
    }
    return { endpoint: moved, fresh };
  }

  async #acquire(
    pool: AddressPool,
    present: GivenAddress | undefined,
    { from, unwanted }: Move,
  ): Promise<GivenAddress> {
    const { addresses } = this.#options;
    if (present === undefined || unwanted.includes(present.address)) {
      return addresses.acquireFrom(pool);
    }
    try {
      return await addresses.acquireFrom(pool, bareAddress(present.address), from.id);
    } catch (error) {
      // Somebody has it; whoever else can't be asked may still give it.
      if (!isAppError(error, 'E_ADDRESS_TAKEN', 'E_NETWORK_DISPUTED')) throw error;
      if (isEngineManaged(from)) throw unmovable(from);
      return addresses.acquireFrom(pool);
    }
  }

  /** Its own, unless an endpoint of the other network has that. */
  #mac({ id, mac, network }: Endpoint, to: NetworkDefinition): Endpoint['mac'] {
    const { directory, rng } = this.#options;
    if (network === to.name) return mac;
    const taken = new Set(
      directory.endpoints(to.name).map((each) => (each.id === id ? undefined : each.mac)),
    );
    let free = mac;
    while (taken.has(free)) free = randomLocalMac(rng);
    return free;
  }

  async #perform(from: Endpoint, endpoint: Endpoint): Promise<void> {
    const { directory, follow, journal, sandboxes, log } = this.#options;
    await journal.during('move', endpoint, async () => {
      await follow(from, endpoint);
      directory.putEndpoint(endpoint);
      // With another address or MAC the interface is made anew, or the old address would stay on it.
      const isSame =
        addressesOf(from).join() === addressesOf(endpoint).join() && from.mac === endpoint.mac;
      if (!isSame) await sandboxes.detach(endpoint);
    });
    const { id, network, address } = endpoint;
    const was = { network: from.network, address: from.address };
    log.info({ endpoint: id, was, network, address }, 'endpoint moved');
  }

  #retryLater(): void {
    if (this.#isStopped) return;
    this.#retry?.cancel();
    this.#retry = this.#options.clock.after(RETRY_AFTER, () => this.request());
  }
}

const isOf = ({ subnet }: AddressPool, address: string): boolean =>
  familyOf(subnet) === familyOf(address);

/** What a container engine has configured can go to another bridge, and not get other addresses. */
function refuseChange({ from, to, unwanted }: Move, mac: Endpoint['mac']): void {
  const isOneLength = addressesOf(from).every((address) => {
    const pool = poolOfFamily(to, familyOf(address));
    return pool !== undefined && address.split('/')[1] === pool.subnet.split('/')[1];
  });
  if (unwanted.length === 0 && mac === from.mac && isOneLength) return;
  throw unmovable(from);
}

const unmovable = ({ id, address }: Endpoint): AppError =>
  new AppError(
    'E_NETWORK_DISPUTED',
    `Endpoint ${id} is a container's of Docker, which can't be told of another address than ${bareAddress(address)}; "docker network disconnect" it and connect it again.`,
  );
