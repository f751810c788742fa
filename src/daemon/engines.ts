import type { NetworkInfo, NetworkRequest } from '../api/control.ts';
import type {
  Plugged,
  Plumbing,
  PlugRequest,
  PoolPlan,
  PoolRequest,
  Reservation,
  ReserveRequest,
} from '../api/plumbing.ts';
import { AppError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import { asMac, type Mac, type PeerId } from '../base/types.ts';
import {
  checkEndpointFree,
  checkEndpointMac,
  ENGINE_MANAGED_INODE,
  isEngineManaged,
  type Endpoint,
} from '../network/endpoint.ts';
import { engineEndName } from '../network/names.ts';
import type { NetworkDefinition } from '../network/network.ts';
import type { Sandboxes } from '../network/sandbox.ts';
import type { Ip } from '../os/ip.ts';
import { bareAddress, parseAddress } from '../wire/cidr.ts';
import { formatMac, randomLocalMac } from '../wire/mac.ts';
import type { Addresses } from './addresses.ts';
import { refuseDisputed } from './conflicts.ts';
import { plainName, type Directory } from './directory.ts';
import type { Journal } from './journal.ts';
import { mergeTarget } from './moving.ts';
import type { Networks } from './networks.ts';
import { planPool } from './pool-plan.ts';
import type { Reconciler } from './reconciler.ts';
import type { Reservations } from './reservations.ts';
import type { Serial } from './serial.ts';
import type { State } from './state.ts';
import { networkInfo } from './views.ts';
import { checkWanted } from './workloads.ts';

/** The engine names the interface when it has moved it: `eth` and a number. */
const ENGINE_IFNAME = 'eth';
/** Docker's own prefix for MACs that are made of an IPv4 address. */
const DOCKER_PREFIX = 0x02_42;

export interface EnginesOptions {
  readonly self: PeerId;
  readonly directory: Directory;
  readonly networks: Networks;
  readonly addresses: Pick<Addresses, 'acquire' | 'release'>;
  readonly reservations: Reservations;
  readonly journal: Journal;
  readonly reconciler: Reconciler;
  readonly sandboxes: Sandboxes;
  readonly ip: Ip;
  readonly state: State;
  readonly serial: Serial;
  readonly rng: Rng;
  readonly hostName: (host: PeerId) => string;
  readonly wallNow: () => number;
}

/**
 * Container engines' part of the daemon. What changes tables or the kernel runs one call at a time, with
 * all other changes; reservations do not wait for those.
 */
export class Engines implements Plumbing {
  readonly #options: EnginesOptions;

  constructor(options: EnginesOptions) {
    this.#options = options;
  }

  async planPool(request: PoolRequest): Promise<PoolPlan> {
    const { directory, ip, rng, self } = this.#options;
    const network = request.network === undefined ? undefined : directory.network(request.network);
    const isInUse =
      network !== undefined && directory.isUsed({ network: network.name, host: self });
    const routes = isInUse ? [] : await ip.routes();
    return planPool(request, { network, networks: directory.networks(), routes, rng });
  }

  use(request: NetworkRequest): Promise<NetworkInfo> {
    const { directory, networks, reconciler, self } = this.#options;
    return this.#change(async () => {
      const { name } = request;
      const isThere = directory.network(name) !== undefined;
      const use = { network: name, host: self };
      const isNew = !directory.isUsed(use);
      // First, so that no network is ever on the disk without whoever will let go of it.
      directory.putUse(use);
      try {
        const network =
          directory.network(name) ??
          (await networks.create({ ...request, shared: true }, 'docker'));
        refuseDisputed(network, directory, self);
        await reconciler.carry(network);
        return this.#info(network);
      } catch (error) {
        if (isNew) directory.removeUse(use);
        if (!isThere) directory.removeNetwork(name);
        reconciler.request();
        throw error;
      }
    });
  }

  disuse(name: string): Promise<boolean> {
    const { directory, networks, reconciler, self, hostName } = this.#options;
    return this.#change(async () => {
      const use = { network: name, host: self };
      if (!directory.isUsed(use)) return false;
      directory.removeUse(use);
      const isLeft = this.#isLeft(name);
      if (isLeft) networks.remove(name, hostName);
      await reconciler.reconcile();
      return isLeft;
    });
  }

  uses(): readonly string[] {
    const { directory, self } = this.#options;
    return directory.uses().flatMap(({ network, host }) => (host === self ? [network] : []));
  }

  /**
   * The engines of two hosts may have let go of a network at one moment, each leaving it to the other:
   * whoever hears of the last mark that goes removes it.
   */
  collect(name: string): void {
    const { networks, hostName } = this.#options;
    if (this.#isLeft(name)) networks.remove(name, hostName);
  }

  async reserve({
    network: name,
    address: wanted,
    holder,
    again,
  }: ReserveRequest): Promise<string> {
    const { networks, addresses, reservations, wallNow } = this.#options;
    const network = networks.require(name);
    const address = wanted === undefined ? undefined : checkWanted(network, wanted);
    const present = address === undefined ? undefined : reservations.get(network.id, address);
    if (present?.holder === holder && again === true) return present.address;
    const taken = await addresses.acquire(network, address);
    try {
      await reservations.put({ pool: network.id, ...taken, holder, since: wallNow() });
    } catch (error) {
      addresses.release(network, taken.address);
      throw error;
    }
    return taken.address;
  }

  async release(name: string, wanted: string): Promise<boolean> {
    const { directory, addresses, reservations, self } = this.#options;
    const network = directory.network(name);
    if (network === undefined) return false;
    const address = checkWanted(network, wanted);
    const pools = [network, ...this.#formerly(network)];
    const pool = pools.find(({ id }) => reservations.get(id, address) !== undefined);
    if (pool === undefined) return false;
    await reservations.remove({ pool: pool.id, address });
    const hasEndpoint = directory
      .endpointsAt({ network: pool.name, host: self })
      .some((endpoint) => endpoint.address === address);
    if (!hasEndpoint) addresses.release(pool, address);
    return true;
  }

  /** Before a repair moves an endpoint of this host: what is reserved for it goes along. */
  async follow(from: Endpoint, { network, address, epoch }: Endpoint): Promise<void> {
    const { directory, reservations } = this.#options;
    const [old, fresh] = [directory.network(from.network), directory.network(network)];
    const held = old && reservations.get(old.id, from.address);
    if (held === undefined || fresh === undefined || fresh.id === old?.id) return;
    const { holder, since } = held;
    const row = { pool: fresh.id, address, holder, since };
    await reservations.put(epoch === undefined ? row : { ...row, epoch });
    await reservations.remove(held);
  }

  reservations(): readonly Reservation[] {
    const { directory, reservations, self } = this.#options;
    const networks = directory.networks();
    const names = new Map([
      ...networks.flatMap((network) =>
        this.#formerly(network).map(({ id }) => [id, network.name] as const),
      ),
      ...networks.map(({ id, name }) => [id, name] as const),
    ]);
    const used = new Set(
      directory.endpointsOf(self).map(({ network, address }) => `${network} ${address}`),
    );
    return reservations.all().flatMap(({ pool, address, holder, since }) => {
      const network = names.get(pool);
      if (network === undefined) return [];
      return [{ network, address, holder, since, isUsed: used.has(`${network} ${address}`) }];
    });
  }

  plug(request: PlugRequest): Promise<Plugged> {
    return this.#change(async () => {
      const { directory, networks, addresses, reservations, self } = this.#options;
      const network = networks.require(request.network);
      refuseDisputed(network, directory, self);
      const present = directory.endpoint(request.endpoint);
      if (present !== undefined) return this.#again(present, network);
      const planned = this.#plan(network, request);
      const reserved =
        planned.address === undefined ? undefined : reservations.get(network.id, planned.address);
      const { address, epoch } = reserved ?? (await addresses.acquire(network, planned.address));
      const mac = planned.mac ?? this.#chooseMac(network, address);
      const endpoint: Endpoint = {
        ...{ ...planned, address, mac },
        ...(epoch === undefined ? {} : { epoch }),
      };
      try {
        await this.#make(network, endpoint);
      } catch (error) {
        // Once the row is there, the address goes with it.
        if (directory.endpoint(endpoint.id) === undefined) addresses.release(network, address);
        throw error;
      }
      return this.#plugged(endpoint, network);
    });
  }

  chooseMac(network: string, address: string): string {
    return formatMac(this.#chooseMac(this.#options.networks.require(network), address));
  }

  unplug(id: string): Promise<boolean> {
    const { directory, journal, reconciler, sandboxes, self } = this.#options;
    return this.#change(async () => {
      const endpoint = directory.endpoint(id);
      // Without a row there may still be an interface: of a plug that was cut off.
      if (endpoint === undefined || endpoint.host !== self) return false;
      await journal.during('detach', endpoint, async () => {
        directory.removeEndpoint(id);
        const network = directory.network(endpoint.network);
        if (network) reconciler.refreshMacs(network);
        reconciler.request();
        await sandboxes.detach(endpoint);
      });
      return true;
    });
  }

  plugged(id: string): Plugged | undefined {
    const { directory, self } = this.#options;
    const endpoint = directory.endpoint(id);
    const network = endpoint && directory.network(endpoint.network);
    const isOurs = endpoint?.host === self && isEngineManaged(endpoint);
    return network && isOurs ? this.#plugged(endpoint, network) : undefined;
  }

  hasPlugged(network: string): boolean {
    const { directory, self } = this.#options;
    return directory.endpointsAt({ network, host: self }).some(isEngineManaged);
  }

  notes(kind: string): ReadonlyMap<string, unknown> {
    return this.#options.state.notes(kind);
  }

  note(kind: string, key: string, value: unknown): Promise<void> {
    return this.#options.state.note(kind, key, value);
  }

  forgetNote(kind: string, key: string): Promise<void> {
    return this.#options.state.forgetNote(kind, key);
  }

  /** Noted in the journal, then the kernel, then the row: as `Workloads.attach`. */
  async #make(network: NetworkDefinition, endpoint: Endpoint): Promise<void> {
    const { directory, journal, reconciler, sandboxes } = this.#options;
    await journal.during('attach', endpoint, async () => {
      const { bridge, mtu } = await reconciler.carry(network);
      try {
        await sandboxes.prepare({ endpoint, bridge, mtu });
      } catch (error) {
        // The bridge goes again with the next reconciling if nothing else needs it.
        reconciler.request();
        throw error;
      }
      directory.putEndpoint(endpoint);
      reconciler.refreshMacs(network);
    });
  }

  #plan(
    network: NetworkDefinition,
    { endpoint: id, address, mac, sandbox: path }: PlugRequest,
  ): Omit<Endpoint, 'address' | 'mac' | 'epoch'> & {
    readonly address: string | undefined;
    readonly mac: Mac | undefined;
  } {
    const { directory, self, hostName } = this.#options;
    const planned = {
      ...{ id, network: network.name, host: self, ifname: ENGINE_IFNAME },
      ...{ sandbox: { path, inode: ENGINE_MANAGED_INODE }, since: this.#options.wallNow() },
      address: address === undefined ? undefined : checkWanted(network, address),
      mac: mac === undefined ? undefined : checkEndpointMac(mac),
    };
    checkEndpointFree(planned, directory.endpoints(network.name), hostName);
    return planned;
  }

  /** The same again is fine as long as the engine has not fetched the interface. */
  async #again(present: Endpoint, network: NetworkDefinition): Promise<Plugged> {
    const plugged = this.#plugged(present, network);
    const links = await this.#options.ip.links();
    if (links.some(({ name }) => name === plugged.device)) return plugged;
    throw new AppError(
      'E_IFNAME_TAKEN',
      `Endpoint ${present.id} of network ${network.name} is in ${present.sandbox.path} already; let it leave first.`,
    );
  }

  #plugged({ id, address, mac }: Endpoint, network: NetworkDefinition): Plugged {
    return {
      ...{ endpoint: id, network: this.#info(network), address, mtu: network.mtu },
      ...{ mac: formatMac(mac), device: engineEndName(id) },
    };
  }

  /**
   * Made of the address, as Docker does: whoever gets an address after another has the MAC that the
   * neighbours know already. By chance for IPv6, and where somebody else has it.
   */
  #chooseMac({ name }: NetworkDefinition, address: string): Mac {
    const { directory, rng } = this.#options;
    const taken = new Set(directory.endpoints(name).map(({ mac }) => mac));
    const parsed = parseAddress(bareAddress(address));
    if (parsed?.family === 4) {
      const made = asMac(DOCKER_PREFIX * 2 ** 32 + Number(parsed.value));
      if (!taken.has(made)) return made;
    }
    for (;;) {
      const mac = randomLocalMac(rng);
      if (!taken.has(mac)) return mac;
    }
  }

  #info(network: NetworkDefinition): NetworkInfo {
    return networkInfo(network, this.#options.directory.endpoints(network.name).length);
  }

  /** Younger networks that bore its name when an engine reserved in them, merged into it or not yet. */
  #formerly({ id, name }: NetworkDefinition): NetworkDefinition[] {
    const { directory } = this.#options;
    const twins = directory
      .networks()
      .filter((each) => each.id !== id && plainName(each.name) === name);
    const merged = directory
      .mergedNetworks()
      .filter((each) => mergeTarget(directory, each)?.id === id);
    return [...twins, ...merged];
  }

  /** An engine made it, and nothing in the mesh needs it any more. */
  #isLeft(name: string): boolean {
    const { directory } = this.#options;
    return (
      directory.network(name)?.origin === 'docker' &&
      directory.uses(name).length === 0 &&
      directory.endpoints(name).length === 0 &&
      directory.vteps(name).length === 0
    );
  }

  /** One change at a time, answered when it is on disk. */
  #change<T>(make: () => Promise<T>): Promise<T> {
    return this.#options.serial.run(async () => {
      const result = await make();
      await this.#options.state.settled();
      return result;
    });
  }
}
