import type { AttachRequest, DetachRequest, PortRequest } from '../api/control.ts';
import { AppError, isAppError } from '../base/errors.ts';
import { randomHex, type Rng } from '../base/rng.ts';
import type { Mac, PeerId } from '../base/types.ts';
import {
  addressesOf,
  checkEndpointAddress,
  checkEndpointFree,
  checkEndpointMac,
  DEFAULT_IFNAME,
  HOST_ORIGIN,
  type Endpoint,
} from '../network/endpoint.ts';
import { checkEndpointNames } from '../network/endpoint-names.ts';
import { checkEndpointRoutes } from '../network/endpoint-routes.ts';
import { gatewayOf } from '../network/gateway.ts';
import { bridgeName, checkIfname, gatewayMac } from '../network/names.ts';
import { checkSubnet, type NetworkDefinition } from '../network/network.ts';
import { poolOfFamily, poolsOf, type AddressPool } from '../network/subnets.ts';
import type { Sandboxes } from '../network/sandbox.ts';
import { checkBandwidth } from '../network/shaping.ts';
import type { ProbePort } from '../os/port-probe.ts';
import type { Netns, Sandbox, SandboxReference } from '../os/netns.ts';
import { formatMac, randomLocalMac } from '../wire/mac.ts';
import { bareAddress } from '../wire/cidr.ts';
import { refuseDisputed } from './conflicts.ts';
import type { Addresses, WantedAddresses } from './addresses.ts';
import type { Directory } from './directory.ts';
import type { Journal } from './journal.ts';
import type { Networks } from './networks.ts';
import { choosePorts, remainingPorts } from './ports.ts';
import type { Reconciler } from './reconciler.ts';

const MIN_ID_PREFIX = 4;
const IFNAME_PREFIX = 'eth';
/** Of routes in sandboxes: behind those that a sandbox has from elsewhere. */
const FIRST_METRIC = 1024;

export interface WorkloadsOptions {
  readonly self: PeerId;
  readonly directory: Directory;
  readonly journal: Journal;
  readonly networks: Networks;
  readonly reconciler: Reconciler;
  readonly addresses: Pick<Addresses, 'acquire' | 'release'>;
  readonly sandboxes: Sandboxes;
  readonly netns: Netns;
  readonly probePort: ProbePort;
  readonly rng: Rng;
  readonly wallNow: () => number;
  /** For sentences. */
  readonly hostName: (host: PeerId) => string;
  /** Whether a host takes part in the mesh now. */
  readonly isAlive: (host: PeerId) => boolean;
}

/** An endpoint whose addresses may be still to be chosen. */
type Planned = Omit<Endpoint, 'address' | 'address6' | 'epoch' | 'epoch6'> & {
  readonly address: string | undefined;
  readonly address6: string | undefined;
};

/** Attaches sandboxes to networks and detaches them. Callers make one call at a time. */
export class Workloads {
  readonly #options: WorkloadsOptions;

  constructor(options: WorkloadsOptions) {
    this.#options = options;
  }

  /**
   * Makes the sandbox an endpoint of the network; asked again for the same, it returns the endpoint
   * that there is. Noted in the journal, then the kernel, then the record: what a crash leaves
   * between them the next start removes. `own` is the host's namespace, where this host is to join.
   */
  async attach(request: AttachRequest, own?: Sandbox): Promise<Endpoint> {
    const { addresses, directory, journal, networks, netns, reconciler, self } = this.#options;
    const network = networks.require(request.network);
    refuseDisputed(network, directory, self);
    if (request.ifname !== undefined) checkIfname(request.ifname);
    const sandbox = own ?? (await netns.resolve(sandboxReference(request)));
    const ifname = await this.#ifname(network, sandbox, request);
    checkEndpointNames(request.names ?? []);
    const present = this.#find(sandbox, ifname);
    if (request.id !== undefined) this.#refuseKnown(request.id, present);
    if (present !== undefined) return this.#again(present, network, request);
    await reconciler.forgetVanished();
    if (request.id !== undefined) this.#refuseKnown(request.id, directory.endpoint(request.id));
    const planned = await this.#withPorts(
      network,
      this.#plan(network, request, sandbox, ifname),
      request.ports,
    );
    const { address, address6, ...rest } = planned;
    const acquired = await addresses.acquire(network, { address, address6 });
    const endpoint: Endpoint = { ...rest, ...acquired };
    try {
      await journal.during('attach', endpoint, async () => {
        await this.#plug(network, endpoint);
        await this.#publish(endpoint);
        directory.putEndpoint(endpoint);
        reconciler.refreshMacs(network);
      });
    } catch (error) {
      if (directory.endpoint(endpoint.id) === undefined)
        addresses.release(network, ...addressesOf(endpoint));
      throw error;
    }
    return endpoint;
  }

  /** Where any will do: that of the endpoint that there is, else the first that is free. */
  async #ifname(
    { name }: NetworkDefinition,
    sandbox: Sandbox,
    { ifname, anyIfname: isAny = false }: AttachRequest,
  ): Promise<string> {
    if (ifname !== undefined || !isAny) return ifname ?? DEFAULT_IFNAME;
    const present = this.#own().find(
      (endpoint) => endpoint.sandbox.inode === sandbox.inode && endpoint.network === name,
    );
    if (present !== undefined) return present.ifname;
    const taken = await this.#options.sandboxes.interfaces(sandbox);
    let index = 0;
    while (taken.has(`${IFNAME_PREFIX}${index}`)) index++;
    return `${IFNAME_PREFIX}${index}`;
  }

  /** Who chooses an id means one attachment by it, and not the one that there is. */
  #refuseKnown(id: string, known: Endpoint | undefined): void {
    if (known?.id !== id) return;
    throw new AppError(
      'E_ENDPOINT_EXISTS',
      `Endpoint ${id} exists already: ${known.ifname} in ${known.sandbox.path}, with address ${addressesOf(known).join(' and ')} of network ${known.network}; detach it first.`,
    );
  }

  /** Gives an endpoint of this host the names, and no others. */
  rename(id: string, names: readonly string[]): Endpoint {
    const { hostName, self } = this.#options;
    const endpoint = this.#byId(id);
    const checked = checkEndpointNames(names);
    if (endpoint.host === self) return this.#name(endpoint, checked);
    throw new AppError(
      'E_ENDPOINT_REMOTE',
      `Endpoint ${endpoint.id} lives on host ${hostName(endpoint.host)}; give it names there.`,
    );
  }

  /** Removes an endpoint of this host, or of one that is gone. Noted first; then the record goes. */
  async detach(request: DetachRequest): Promise<Endpoint> {
    const { directory, journal, sandboxes, self, hostName, isAlive, reconciler } = this.#options;
    const endpoint = await this.#named(request);
    if (endpoint.host !== self && isAlive(endpoint.host)) {
      throw new AppError(
        'E_ENDPOINT_REMOTE',
        `Endpoint ${endpoint.id} lives on host ${hostName(endpoint.host)}; run "weft detach" there.`,
      );
    }
    if (endpoint.host !== self) {
      directory.removeEndpoint(endpoint);
      return endpoint;
    }
    await journal.during('detach', endpoint, async () => {
      directory.removeEndpoint(endpoint);
      reconciler.request();
      // Nothing of it may lead to whoever has the address next.
      if (hasRules(endpoint)) await reconciler.refreshEdges();
      if (isHost(endpoint)) await reconciler.refreshHostRoutes();
      await sandboxes.detach(endpoint);
      const network = directory.network(endpoint.network);
      if (network) reconciler.refreshMacs(network);
    });
    return endpoint;
  }

  /** Has more ports lead to an endpoint of this host; the table of nftables first, then the record. */
  async publish(id: string, ports: readonly PortRequest[]): Promise<Endpoint> {
    const { directory } = this.#options;
    const endpoint = this.#here(id);
    const network = this.#options.networks.require(endpoint.network);
    const published = await this.#withPorts(network, endpoint, ports);
    await this.#options.reconciler.refreshEdges(published);
    directory.putEndpoint(published);
    return published;
  }

  /** Takes ports back, all without `ports`. */
  async unpublish(id: string, gone?: readonly PortRequest[]): Promise<Endpoint> {
    const { ports, ...endpoint } = this.#here(id);
    const remaining = remainingPorts(ports, gone);
    const changed = { ...endpoint, ...(remaining.length > 0 && { ports: remaining }) };
    await this.#options.reconciler.refreshEdges(changed);
    this.#options.directory.putEndpoint(changed);
    return changed;
  }

  async #withPorts<T extends Pick<Endpoint, 'id' | 'ports'>>(
    network: NetworkDefinition,
    endpoint: T,
    wanted: readonly PortRequest[] = [],
  ): Promise<T> {
    const { probePort: probe } = this.#options;
    const ports = await choosePorts({ network, endpoint, wanted, own: this.#own(), probe });
    return ports.length === 0 ? endpoint : { ...endpoint, ports };
  }

  /** If the table refuses, the interface goes again. */
  async #publish(endpoint: Endpoint): Promise<void> {
    if (!hasRules(endpoint)) return;
    const { reconciler, sandboxes } = this.#options;
    try {
      await reconciler.refreshEdges(endpoint);
      if (isHost(endpoint)) await reconciler.refreshHostRoutes(endpoint);
    } catch (error) {
      await sandboxes.detach(endpoint);
      reconciler.request();
      throw error;
    }
  }

  /** An endpoint of this host by its id; E_ENDPOINT_MISSING, E_ENDPOINT_REMOTE. */
  #here(id: string): Endpoint {
    const endpoint = this.#byId(id);
    if (endpoint.host === this.#options.self) return endpoint;
    throw new AppError(
      'E_ENDPOINT_REMOTE',
      `Endpoint ${endpoint.id} lives on host ${this.#options.hostName(endpoint.host)}; publish its ports there.`,
    );
  }

  /**
   * How an endpoint of this host differs from what `attach` makes; nothing is changed, but an MTU that the
   * network has and its interfaces were not given yet.
   */
  async examine(id: string): Promise<readonly string[]> {
    const { networks, reconciler, sandboxes } = this.#options;
    const endpoint = this.#byId(id);
    const network = networks.require(endpoint.network);
    await reconciler.settleMtu(network);
    const differences = await sandboxes.examine({
      ...{ endpoint, bridge: bridgeName(network.vni), gateway: gatewayOf(network) },
      mtu: reconciler.mtuOf(network),
    });
    if (network.edge === undefined) return differences;
    return [...differences, ...(await reconciler.examineEdges())];
  }

  /**
   * Attached already: the same again is fine (and repaired if need be), and may bring other names;
   * anything else is not.
   */
  async #again(
    present: Endpoint,
    network: NetworkDefinition,
    { mac, names, ...request }: AttachRequest,
  ): Promise<Endpoint> {
    const { address, address6 } = wantedAddresses(network, request);
    const isSame =
      present.network === network.name &&
      [address ?? present.address, address6 ?? present.address6].join() ===
        [present.address, present.address6].join() &&
      (mac === undefined || checkEndpointMac(mac) === present.mac);
    if (isSame) {
      await this.#plug(network, present);
      if (isHost(present)) await this.#options.reconciler.refreshHostRoutes();
      return names === undefined ? present : this.#name(present, checkEndpointNames(names));
    }
    throw new AppError(
      'E_IFNAME_TAKEN',
      `${present.ifname} in ${present.sandbox.path} is endpoint ${present.id} of network ${present.network} with address ${addressesOf(present).join(' and ')} and MAC ${formatMac(present.mac)}; detach it first, or choose another name with --ifname.`,
    );
  }

  #name(endpoint: Endpoint, names: readonly string[]): Endpoint {
    const { names: before = [], ...rest } = endpoint;
    if (JSON.stringify(before) === JSON.stringify(names)) return endpoint;
    const renamed = { ...rest, ...withNames(names) };
    this.#options.directory.putEndpoint(renamed);
    return renamed;
  }

  #plan(
    network: NetworkDefinition,
    request: AttachRequest,
    sandbox: Sandbox,
    ifname: string,
  ): Planned {
    const { directory, rng, self, hostName, wallNow } = this.#options;
    const { bandwidth: limits = {} } = request;
    const bandwidth = checkBandwidth(limits, network.mtu);
    const endpoint: Planned = {
      ...withNames(checkEndpointNames(request.names ?? [])),
      id: request.id ?? randomHex(rng, 16),
      ...{ network: network.name, host: self, ifname, sandbox },
      ...(bandwidth && { bandwidth }),
      ...(request.origin !== undefined && { origin: request.origin }),
      since: wallNow(),
      ...{ address: undefined, address6: undefined, ...wantedAddresses(network, request) },
      mac: request.mac === undefined ? this.#freeMac() : checkWantedMac(network, request.mac),
      ...this.#routes(network, sandbox, request),
    };
    checkEndpointFree(endpoint, directory.endpoints(network.name), hostName);
    return endpoint;
  }

  /** By the interface that was attached first, its routes go first. */
  #routes(
    network: NetworkDefinition,
    sandbox: Sandbox,
    { defaultRoute: isWanted = true, routes: wanted = [] }: AttachRequest,
  ): Pick<Endpoint, 'routeMetric' | 'routes'> {
    const routes = checkEndpointRoutes(network, wanted);
    const isDefault = network.edge === 'routed' && isWanted;
    if (routes.length === 0 && !isDefault) return {};
    const used = this.#own()
      .filter((endpoint) => endpoint.sandbox.inode === sandbox.inode)
      .map(({ routeMetric = 0 }) => routeMetric);
    const routeMetric = Math.max(FIRST_METRIC - 1, ...used) + 1;
    return { routeMetric, ...(routes.length > 0 && { routes }) };
  }

  #freeMac(): Mac {
    const taken = new Set(this.#options.directory.endpoints().map(({ mac }) => mac));
    for (;;) {
      const mac = randomLocalMac(this.#options.rng);
      if (!taken.has(mac)) return mac;
    }
  }

  async #plug(network: NetworkDefinition, endpoint: Endpoint): Promise<void> {
    const { networks, reconciler, sandboxes } = this.#options;
    try {
      if (!reconciler.isCarried(network)) await networks.checkRoutes(network);
      const { bridge, mtu, gateway } = await reconciler.carry(network);
      await sandboxes.attach({ endpoint, bridge, mtu, gateway });
    } catch (error) {
      // The bridge goes again with the next reconciling if no endpoint of this host needs it.
      reconciler.request();
      throw error;
    }
  }

  #find(sandbox: Sandbox, ifname: string): Endpoint | undefined {
    return this.#own().find(
      (endpoint) => endpoint.sandbox.inode === sandbox.inode && endpoint.ifname === ifname,
    );
  }

  #own(): Endpoint[] {
    return this.#options.directory.endpointsOf(this.#options.self);
  }

  async #named(request: DetachRequest): Promise<Endpoint> {
    return request.endpoint === undefined ? this.#bySandbox(request) : this.#byId(request.endpoint);
  }

  #byId(text: string): Endpoint {
    const matches = this.#options.directory
      .endpoints()
      .filter(({ id }) => id === text || (text.length >= MIN_ID_PREFIX && id.startsWith(text)));
    const [only, ...others] = matches;
    if (only !== undefined && others.length === 0) return only;
    throw new AppError(
      'E_ENDPOINT_MISSING',
      only === undefined
        ? `There is no endpoint ${text}; "weft network inspect NETWORK" lists them.`
        : `"${text}" begins the ids of ${matches.length} endpoints; give more of it.`,
    );
  }

  async #bySandbox(request: DetachRequest): Promise<Endpoint> {
    const network = this.#options.networks.require(request.network ?? '');
    const reference = sandboxReference(request);
    const isMeant = await this.#matcher(reference);
    const matches = this.#own().filter(
      (endpoint) => endpoint.network === network.name && isMeant(endpoint.sandbox),
    );
    const [only, ...others] = matches;
    if (only !== undefined && others.length === 0) return only;
    const where = 'pid' in reference ? `process ${reference.pid}` : reference.netns;
    throw new AppError(
      'E_ENDPOINT_MISSING',
      only === undefined
        ? `Network ${network.name} has no endpoint in ${where} on this host; "weft network inspect ${network.name}" lists them.`
        : `Network ${network.name} has ${matches.length} endpoints in ${where}; name one with --endpoint.`,
    );
  }

  /** By identity while the sandbox exists; by the path it had once it is gone. */
  async #matcher(reference: SandboxReference): Promise<(sandbox: Sandbox) => boolean> {
    try {
      const { inode } = await this.#options.netns.resolve(reference);
      return (sandbox) => sandbox.inode === inode;
    } catch (error) {
      if (!isAppError(error, 'E_SANDBOX_MISSING')) throw error;
      const path = formerPath(reference);
      return (sandbox) => sandbox.path === path;
    }
  }
}

const isHost = ({ origin }: Endpoint): boolean => origin === HOST_ORIGIN;

/** Whether the table of nftables speaks of an endpoint: it has ports, or is the host itself. */
const hasRules = (endpoint: Endpoint): boolean => endpoint.ports !== undefined || isHost(endpoint);

export const withNames = (names: readonly string[]): { readonly names?: readonly string[] } =>
  names.length === 0 ? {} : { names };

/** An address that a person asked for; E_ADDRESS_RESERVED if no endpoint of the pool may have it. */
export function checkWanted(pool: AddressPool, ip: string): string {
  const address = checkEndpointAddress(ip, checkSubnet(pool.subnet));
  const bare = bareAddress(address);
  const { gateway, reserved = [] } = pool.addressing ?? {};
  if (gateway !== bare && !reserved.includes(bare)) return address;
  throw new AppError(
    'E_ADDRESS_RESERVED',
    `Address ${bare} is ${gateway === bare ? 'the gateway' : 'reserved'} in network ${pool.name}; give another.`,
  );
}

/** The addresses that a person asked for, as `checkWanted`; E_ADDRESS_OUTSIDE. */
export function wantedAddresses(
  network: NetworkDefinition,
  { ip, ip6 }: Pick<AttachRequest, 'ip' | 'ip6'>,
): WantedAddresses {
  const [first] = poolsOf(network);
  const address = ip === undefined ? undefined : checkWanted(first, ip);
  if (ip6 === undefined) return { address };
  const second = poolOfFamily(network, 6);
  if (second === undefined) {
    throw new AppError(
      'E_ADDRESS_OUTSIDE',
      `Network ${network.name} has no IPv6 subnet, and so no address ${ip6}; create it with --subnet6 or --ipv6.`,
    );
  }
  const address6 = checkWanted(second, ip6);
  if (second.id !== first.id) return { address, address6 };
  if (address === undefined || address === address6) return { address: address6 };
  throw new AppError(
    'E_ADDRESS_INVALID',
    `Network ${network.name} has one subnet, and so one address of ${ip ?? ''} and ${ip6}; give one of them.`,
  );
}

/** A MAC that a person asked for; E_MAC_INVALID, E_MAC_TAKEN if it is the gateway's. */
export function checkWantedMac({ name, vni, edge }: NetworkDefinition, text: string): Mac {
  const mac = checkEndpointMac(text);
  if (edge === undefined || mac !== gatewayMac(vni)) return mac;
  throw new AppError(
    'E_MAC_TAKEN',
    `MAC ${formatMac(mac)} is the gateway's in network ${name}; give another, or none to have one chosen.`,
  );
}

function formerPath(reference: SandboxReference): string {
  if ('pid' in reference) return `/proc/${reference.pid}/ns/net`;
  return reference.netns.startsWith('/') ? reference.netns : `/run/netns/${reference.netns}`;
}

function sandboxReference({
  netns,
  pid,
}: {
  readonly netns?: string;
  readonly pid?: number;
}): SandboxReference {
  if (netns !== undefined && pid === undefined) return { netns };
  if (pid !== undefined && netns === undefined) return { pid };
  throw new AppError(
    'E_USAGE',
    'Name the sandbox with either --netns or --pid, and not with both.',
  );
}
