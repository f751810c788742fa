import type { Clock, Timer } from '../base/clock.ts';
import { AppError, isAppError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import { asMillis, type PeerId } from '../base/types.ts';
import { isEngineManaged, type Endpoint } from '../network/endpoint.ts';
import type { NetworkDefinition } from '../network/network.ts';
import type { Sandboxes } from '../network/sandbox.ts';
import { randomLocalMac } from '../wire/mac.ts';
import { bareAddress } from '../wire/cidr.ts';
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
  readonly addresses: Pick<Addresses, 'acquire' | 'release'>;
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
  /** The address that it should have there; without, another than it has. */
  readonly wanted: string | undefined;
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
      if (endpoint?.address === value.from) continue;
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
      return isMoving ? [own.map((from) => ({ from, to, wanted: bareAddress(from.address) }))] : [];
    });
    const ordered = [...moves.entries()].flatMap(({ key, value }): Move[][] => {
      const from = directory.endpoint(key);
      if (from?.address !== value.from || from.host !== self) return [];
      const to = directory.network(from.network);
      return to === undefined || to.mergedInto !== undefined
        ? []
        : [[{ from, to, wanted: undefined }]];
    });
    return [...merged, ...ordered];
  }

  async #moveGroup(group: readonly Move[]): Promise<void> {
    const { addresses, directory, moves, reconciler } = this.#options;
    const got: { readonly move: Move; readonly endpoint: Endpoint }[] = [];
    try {
      for (const move of group) got.push({ move, endpoint: await this.#find(move) });
      for (const { move, endpoint } of got) await this.#perform(move.from, endpoint);
    } finally {
      for (const { move, endpoint } of got) {
        const present = directory.endpoint(endpoint.id);
        const isThere = present?.network === move.to.name && present.address === endpoint.address;
        if (!isThere) addresses.release(move.to, endpoint.address);
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

  /** The endpoint as it will be, its new address held for it. */
  async #find({ from, to, wanted }: Move): Promise<Endpoint> {
    const mac = this.#mac(from, to);
    if (isEngineManaged(from)) this.#refuseChange({ from, to, wanted }, mac);
    const acquired = await this.#acquire(to, wanted, from);
    const moved = { ...from, ...acquired, network: to.name, mac };
    // That of the pool it leaves means nothing in the other.
    if (acquired.epoch === undefined) Reflect.deleteProperty(moved, 'epoch');
    return moved;
  }

  /** What a container engine has configured can go to another bridge, and not get another address. */
  #refuseChange({ from, to, wanted }: Move, mac: Endpoint['mac']): void {
    const isOneLength = from.address.split('/')[1] === to.subnet.split('/')[1];
    if (wanted !== undefined && mac === from.mac && isOneLength) return;
    throw unmovable(from);
  }

  async #acquire(to: NetworkDefinition, wanted: string | undefined, from: Endpoint) {
    const { addresses } = this.#options;
    if (wanted === undefined) return addresses.acquire(to);
    try {
      return await addresses.acquire(to, wanted, from.id);
    } catch (error) {
      // Somebody has it; whoever else can't be asked may still give it.
      if (!isAppError(error, 'E_ADDRESS_TAKEN', 'E_NETWORK_DISPUTED')) throw error;
      if (isEngineManaged(from)) throw unmovable(from);
      return addresses.acquire(to);
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
      const isSame = from.address === endpoint.address && from.mac === endpoint.mac;
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

const unmovable = ({ id, address }: Endpoint): AppError =>
  new AppError(
    'E_NETWORK_DISPUTED',
    `Endpoint ${id} is a container's of Docker, which can't be told of another address than ${bareAddress(address)}; "docker network disconnect" it and connect it again.`,
  );
