import type { NetworkInfo, NetworkRequest } from '../api/control.ts';
import type {
  Plugged,
  Plumbing,
  PlugRequest,
  PortRangeRequest,
  PoolPlan,
  PoolRequest,
  Reservation,
  ReserveRequest,
} from '../api/plumbing.ts';
import { pause, type Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import { asMac, asMillis, type Mac, type PeerId } from '../base/types.ts';
import { checkEndpointNames } from '../network/endpoint-names.ts';
import {
  addressesOf,
  checkEndpointFree,
  ENGINE_MANAGED_INODE,
  isEngineManaged,
  type Endpoint,
  type EndpointAddresses,
  type GivenAddress,
  givenTo,
} from '../network/endpoint.ts';
import { defaultGateways, gatewayOf } from '../network/gateway.ts';
import { engineEndName } from '../network/names.ts';
import { poolOfFamily, poolsOf, type AddressPool } from '../network/subnets.ts';
import type { NetworkDefinition } from '../network/network.ts';
import type { Sandboxes } from '../network/sandbox.ts';
import type { Ip } from '../os/ip.ts';
import type { Netns, Sandbox } from '../os/netns.ts';
import type { ProbePort } from '../os/port-probe.ts';
import { bareAddress, parseAddress, familyOf } from '../wire/cidr.ts';
import { formatMac, randomLocalMac } from '../wire/mac.ts';
import { bothOrNone, type Addresses } from './addresses.ts';
import type { ClusterHolds } from './cluster-holds.ts';
import { refuseDisputed } from './conflicts.ts';
import { plainName, type Directory } from './directory.ts';
import type { Journal } from './journal.ts';
import { mergeTarget } from './moving.ts';
import type { NameRows } from './name-rows.ts';
import type { Networks } from './networks.ts';
import { planPool } from './pool-plan.ts';
import { choosePorts } from './ports.ts';
import type { Reconciler } from './reconciler.ts';
import type { Reservations } from './reservations.ts';
import type { Serial } from './serial.ts';
import type { State } from './state.ts';
import { networkInfo } from './views.ts';
import { checkWanted, checkWantedMac, withNames } from './workloads.ts';

/** The engine names the interface when it has moved it: `eth` and a number. */
const ENGINE_IFNAME = 'eth';
/** Docker's own prefix for MACs that are made of an IPv4 address. */
const DOCKER_PREFIX = 0x02_42;

export interface EnginesOptions {
  readonly self: PeerId;
  readonly directory: Directory;
  readonly networks: Networks;
  readonly names: Pick<NameRows, 'removeNetwork'>;
  readonly addresses: Pick<Addresses, 'acquireFrom' | 'lent' | 'release'>;
  readonly holds: Pick<ClusterHolds, 'has'>;
  readonly reservations: Reservations;
  readonly journal: Journal;
  readonly reconciler: Reconciler;
  readonly sandboxes: Sandboxes;
  readonly ip: Ip;
  readonly netns: Netns;
  readonly probePort: ProbePort;
  readonly state: State;
  readonly serial: Serial;
  readonly rng: Rng;
  readonly hostName: (host: PeerId) => string;
  readonly clock: Clock;
}

/**
 * Container engines' part of the daemon. What changes tables or the kernel runs one call at a time, with
 * all other changes; reservations do not wait for those.
 */
export class Engines implements Plumbing {
  readonly #options: EnginesOptions;
  readonly #seen = new Map<string, Sandbox>();
  /** Endpoints that have no row as yet. */
  readonly #plugging = new Set<string>();

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
        const network = await networks.forEngine(request, (each) => reconciler.isCarried(each));
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
    const { directory, reconciler, self } = this.#options;
    return this.#change(async () => {
      const use = { network: name, host: self };
      if (!directory.isUsed(use)) return false;
      directory.removeUse(use);
      const isLeft = this.#isLeft(name);
      if (isLeft) this.#remove(name);
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
    if (this.#isLeft(name)) this.#remove(name);
  }

  async reserve({
    network: name,
    address: wanted,
    family,
    holder,
    again,
  }: ReserveRequest): Promise<string> {
    const { networks, addresses, reservations, clock } = this.#options;
    const network = networks.require(name);
    const pool = poolFor(network, wanted === undefined ? family : familyOf(wanted));
    const address = wanted === undefined ? undefined : checkWanted(pool, wanted);
    const present = address === undefined ? undefined : reservations.get(network.id, address);
    if (present?.holder === holder && again === true) return present.address;
    const taken = await addresses.acquireFrom(pool, address);
    try {
      await reservations.put({ pool: network.id, ...taken, holder, since: clock.wallNow() });
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
    const address = checkWanted(poolFor(network, familyOf(wanted)), wanted);
    const pools = [network, ...this.#formerly(network)];
    const pool = pools.find(({ id }) => reservations.get(id, address) !== undefined);
    if (pool === undefined) return false;
    await reservations.remove({ pool: pool.id, address });
    const hasEndpoint = directory
      .endpointsAt({ network: pool.name, host: self })
      .some((endpoint) => addressesOf(endpoint).includes(address));
    if (!hasEndpoint) addresses.release(pool, address);
    return true;
  }

  /** Before a repair moves an endpoint of this host: what is reserved for it goes along. */
  async follow(from: Endpoint, to: Endpoint): Promise<void> {
    const { directory, reservations } = this.#options;
    const [old, fresh] = [directory.network(from.network), directory.network(to.network)];
    if (old === undefined || fresh === undefined || fresh.id === old.id) return;
    for (const address of addressesOf(from)) {
      const held = reservations.get(old.id, address);
      const given = givenTo(to).find((each) => familyOf(each.address) === familyOf(address));
      if (held === undefined || given === undefined) continue;
      const { holder, since } = held;
      await reservations.put({ pool: fresh.id, ...given, holder, since });
      await reservations.remove(held);
    }
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
      directory
        .endpointsOf(self)
        .flatMap((endpoint) =>
          addressesOf(endpoint).map((address) => `${endpoint.network} ${address}`),
        ),
    );
    return reservations.all().flatMap(({ pool, address, holder, since }) => {
      const network = names.get(pool);
      if (network === undefined) return [];
      return [{ network, address, holder, since, isUsed: used.has(`${network} ${address}`) }];
    });
  }

  async plug(request: PlugRequest): Promise<Plugged> {
    this.#plugging.add(request.endpoint);
    try {
      return await this.#plug(request);
    } finally {
      this.#plugging.delete(request.endpoint);
    }
  }

  #plug(request: PlugRequest): Promise<Plugged> {
    return this.#change(async () => {
      const { directory, networks, addresses, self } = this.#options;
      const network = networks.require(request.network);
      refuseDisputed(network, directory, self);
      const present = directory.endpoint(request.endpoint);
      if (present !== undefined) return this.#again(present, network);
      const { address, address6, mac: wantedMac, ...planned } = this.#plan(network, request);
      const row = await this.#addresses(network, address, address6);
      const mac = wantedMac ?? this.#chooseMac(network, row.address);
      const endpoint: Endpoint = { ...planned, ...row, mac };
      try {
        await this.#make(network, endpoint);
      } catch (error) {
        // Once the row is there, the address goes with it.
        if (directory.endpoint(endpoint.id) === undefined) {
          addresses.release(network, ...addressesOf(endpoint));
        }
        throw error;
      }
      return this.#plugged(endpoint, network);
    });
  }

  chooseMac(network: string, address: string): string {
    return formatMac(this.#chooseMac(this.#options.networks.require(network), address));
  }

  unplug(id: string): Promise<boolean> {
    const { directory, journal, reconciler, self } = this.#options;
    // The engine asks twice; the second time it need not wait for others' changes.
    if (directory.endpoint(id) === undefined && !this.#plugging.has(id)) {
      return Promise.resolve(false);
    }
    return this.#change(async () => {
      const endpoint = directory.endpoint(id);
      // Without a row there may still be an interface: of a plug that was cut off.
      if (endpoint === undefined || endpoint.host !== self) return false;
      await journal.during('detach', endpoint, async () => {
        directory.removeEndpoint(endpoint);
        // Nothing of it may lead to whoever has the address next.
        if (endpoint.ports !== undefined) await reconciler.refreshEdges();
        // An engine that has the network keeps its bridge: nothing is to be reconciled.
        if (!directory.isUsed({ network: endpoint.network, host: self })) reconciler.request();
      });
      this.#removeInterface(endpoint);
      return true;
    });
  }

  /**
   * The kernel takes tens of milliseconds to remove an interface (docs/adr/0037). If it fails, or a crash
   * comes first, the auditor finds it without a row.
   */
  #removeInterface(endpoint: Endpoint): void {
    const { directory, reconciler, sandboxes } = this.#options;
    this.#afterwards(async () => {
      await sandboxes.detach(endpoint);
      const network = directory.network(endpoint.network);
      if (network) reconciler.refreshMacs(network);
    });
  }

  /** When the engine has its answer, and before any other change: what takes its time. */
  #afterwards(job: () => Promise<void>): void {
    const { clock, reconciler, serial } = this.#options;
    const done = serial.run(async () => {
      await pause(clock, asMillis(0));
      await job();
    });
    done.catch(() => reconciler.request());
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

  isUnreachable({ network, sandbox }: Pick<PlugRequest, 'network' | 'sandbox'>): boolean {
    const { directory, networks, self } = this.#options;
    const there = directory
      .endpointsOf(self)
      .filter((endpoint) => isEngineManaged(endpoint) && endpoint.sandbox.path === sandbox)
      .map((endpoint) => directory.network(endpoint.network));
    return [networks.require(network), ...there].every((each) => each?.edge === undefined);
  }

  publish(id: string, wanted: readonly PortRangeRequest[]): Promise<void> {
    const { directory, networks, probePort: probe, reconciler, self } = this.#options;
    return this.#change(async () => {
      const found = directory.endpoint(id);
      if (found?.host !== self) {
        if (wanted.length === 0) return;
        throw new AppError(
          'E_ENDPOINT_MISSING',
          `There is no endpoint ${id} on this host; start the container again.`,
        );
      }
      const { ports: before = [], ...endpoint } = found;
      const network = networks.require(endpoint.network);
      const own = directory.endpointsOf(self);
      const ports = await choosePorts({ network, endpoint, wanted, own, probe });
      if (before.length === 0 && ports.length === 0) return;
      const changed: Endpoint = ports.length === 0 ? endpoint : { ...endpoint, ports };
      await reconciler.refreshEdges(changed);
      directory.putEndpoint(changed);
    });
  }

  async name(id: string, names: readonly string[]): Promise<void> {
    const { directory, self } = this.#options;
    const wanted = checkEndpointNames(names);
    const renamed = (): Endpoint | undefined => {
      const endpoint = directory.endpoint(id);
      if (endpoint?.host !== self || !isEngineManaged(endpoint)) return undefined;
      const { names: before = [], ...rest } = endpoint;
      const isSame = JSON.stringify(before) === JSON.stringify(wanted);
      return isSame ? undefined : { ...rest, ...withNames(wanted) };
    };
    // Most of what an engine tells is known: that waits for nothing.
    if (renamed() === undefined) return;
    await this.#change(() => {
      const endpoint = renamed();
      if (endpoint !== undefined) directory.putEndpoint(endpoint);
      return Promise.resolve();
    });
  }

  async refuseTransit(id: string, pid: number): Promise<void> {
    const { directory, netns, sandboxes, self } = this.#options;
    const endpoint = directory.endpoint(id);
    if (endpoint?.host !== self || !isEngineManaged(endpoint)) return;
    const sandbox = await netns.resolve({ pid });
    for (const known of this.#seen.keys()) {
      if (directory.endpoint(known) === undefined) this.#seen.delete(known);
    }
    this.#seen.set(id, sandbox);
    await sandboxes.refuseTransit(sandbox, endpoint.mac);
  }

  /** Where a container with that endpoint was seen last: its engine's own path need not be visible here. */
  sandboxOf(id: string): Sandbox | undefined {
    return this.#seen.get(id);
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

  /** The one or two addresses of an endpoint, reserved before or acquired now. */
  #addresses(
    network: NetworkDefinition,
    address: string | undefined,
    address6: string | undefined,
  ): Promise<EndpointAddresses> {
    const [pool] = poolsOf(network);
    return bothOrNone(
      () => this.#given(network, pool, address),
      address6 === undefined
        ? undefined
        : () => this.#given(network, poolFor(network, 6), address6),
      (given) => this.#options.addresses.release(network, given),
    );
  }

  async #given(
    network: NetworkDefinition,
    pool: AddressPool,
    wanted: string | undefined,
  ): Promise<GivenAddress> {
    const { addresses, holds, reservations } = this.#options;
    if (wanted === undefined) return addresses.acquireFrom(pool);
    const held = reservations.get(network.id, wanted);
    if (held === undefined) {
      // A cluster's manager has it held, on its own host most likely, for whoever is to have it.
      return holds.has(network.id, wanted)
        ? addresses.lent(pool, wanted)
        : addresses.acquireFrom(pool, wanted);
    }
    const { address, epoch } = held;
    return { address, ...(epoch === undefined ? {} : { epoch }) };
  }

  /** Noted in the journal, then the kernel, then the row: as `Workloads.attach`. */
  async #make(network: NetworkDefinition, endpoint: Endpoint): Promise<void> {
    const { directory, journal, reconciler, sandboxes } = this.#options;
    await journal.during('attach', endpoint, async () => {
      const { bridge, mtu, gateway } = await reconciler.carry(network);
      try {
        await sandboxes.prepare({ endpoint, bridge, mtu, gateway });
      } catch (error) {
        // The bridge goes again with the next reconciling if nothing else needs it.
        reconciler.request();
        throw error;
      }
      reconciler.awaitStart(endpoint);
      directory.putEndpoint(endpoint);
      reconciler.refreshLocalMacs(network);
    });
  }

  #plan(
    network: NetworkDefinition,
    { endpoint: id, address, address6, mac, sandbox: path }: PlugRequest,
  ): Omit<Endpoint, keyof EndpointAddresses | 'mac'> & {
    readonly address: string | undefined;
    readonly address6: string | undefined;
    readonly mac: Mac | undefined;
  } {
    const { clock, directory, self, hostName } = this.#options;
    const [first] = poolsOf(network);
    const planned = {
      ...{ id, network: network.name, host: self, ifname: ENGINE_IFNAME },
      ...{ sandbox: { path, inode: ENGINE_MANAGED_INODE }, since: clock.wallNow() },
      address: address === undefined ? undefined : checkWanted(first, address),
      address6: address6 === undefined ? undefined : checkWanted(poolFor(network, 6), address6),
      mac: mac === undefined ? undefined : checkWantedMac(network, mac),
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

  #plugged(endpoint: Endpoint, network: NetworkDefinition): Plugged {
    const { id, address, address6, mac } = endpoint;
    return {
      ...{
        endpoint: id,
        network: this.#info(network),
        address,
        mtu: this.#options.reconciler.mtuOf(network),
      },
      ...(address6 !== undefined && { address6 }),
      ...{ mac: formatMac(mac), device: engineEndName(id) },
      gateways: defaultGateways(gatewayOf(network)).filter((gateway) =>
        addressesOf(endpoint).some((each) => familyOf(each) === familyOf(gateway)),
      ),
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

  /** A network, with the names that people have added to it. */
  #remove(name: string): void {
    const { networks, names, hostName } = this.#options;
    networks.remove(name, hostName);
    names.removeNetwork(name);
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

/** E_ADDRESS_OUTSIDE if the network has no subnet of the family. */
function poolFor(network: NetworkDefinition, family: 4 | 6 | undefined): AddressPool {
  const [first] = poolsOf(network);
  const pool = family === undefined ? first : poolOfFamily(network, family);
  if (pool !== undefined) return pool;
  throw new AppError(
    'E_ADDRESS_OUTSIDE',
    `Network ${network.name} has no IPv${String(family)} subnet, only ${first.subnet}; give an address of that.`,
  );
}
