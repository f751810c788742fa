import { createHash } from 'node:crypto';
import { AppError } from '../base/errors.ts';
import { randomHex, type Rng } from '../base/rng.ts';
import type { PeerId } from '../base/types.ts';
import type { NetworkRequest } from '../api/control.ts';
import { DEFAULT_ENCAPSULATION, type EncapsulationRegistry } from '../encap/registry.ts';
import { checkNetworkMtu, type IpFamily } from '../encap/mtu.ts';
import { checkVni } from '../encap/vni.ts';
import {
  checkNetworkFree,
  checkNetworkName,
  checkSubnet,
  chooseVni,
  type Addressing,
  type NetworkDefinition,
  type NetworkOrigin,
} from '../network/network.ts';
import { MAX_VOTERS } from '../ipam/pool.ts';
import { bridgeName } from '../network/names.ts';
import { routeInTheWay } from '../network/routes.ts';
import type { Route } from '../os/ip-json.ts';
import { checkAddressing, checkReservedCount } from '../network/addressing.ts';
import { subnetsOf, uniqueLocalSubnet } from '../network/subnets.ts';
import { formatCidr, overlaps, parseCidr, type Cidr, familyOf } from '../wire/cidr.ts';
import { CLUSTER, type ClusterHolds } from './cluster-holds.ts';
import { refuseDisputed } from './conflicts.ts';
import type { Directory } from './directory.ts';
import { mergeTarget } from './moving.ts';

export interface NetworksOptions {
  readonly self: PeerId;
  readonly directory: Directory;
  readonly encapsulations: EncapsulationRegistry;
  /** What the hosts' own network takes: of the interface that carries our advertised address. */
  readonly underlay: () => Promise<{ readonly mtu: number; readonly family: IpFamily }>;
  /** The host's own. */
  readonly routes: () => Promise<readonly Route[]>;
  readonly rng: Rng;
  /** The other hosts that are alive. */
  readonly alive: () => readonly PeerId[];
  /** Names of those that know of one subnet only. */
  readonly singleStack: () => readonly string[];
  readonly leaseSeconds: number;
  /** Who holds addresses of a network on this host without an endpoint, by the network's id. */
  readonly holders: (pool: string) => readonly string[];
  readonly clusterHolds: Pick<ClusterHolds, 'ofNetwork' | 'remove'>;
  readonly wallNow: () => number;
}

/** Makes and removes network definitions. The reconciler turns them into devices. */
export class Networks {
  readonly #options: NetworksOptions;

  constructor(options: NetworksOptions) {
    this.#options = options;
  }

  /** The definition of that name; E_NETWORK_MISSING names those that there are. */
  require(name: string): NetworkDefinition {
    const { directory } = this.#options;
    const network = directory.network(name);
    if (network) return network;
    const names = directory.networks().map((each) => each.name);
    const known = names.length === 0 ? 'there is none yet' : `there is ${names.join(', ')}`;
    throw new AppError(
      'E_NETWORK_MISSING',
      `There is no network ${name} (${known}); create it with "weft network create".`,
    );
  }

  async create(request: NetworkRequest, origin?: NetworkOrigin): Promise<NetworkDefinition> {
    const { directory, encapsulations, self, rng, wallNow } = this.#options;
    checkNetworkName(request.name);
    const subnet = checkSubnet(request.subnet);
    const isDual = this.#checkDual(request, subnet);
    const isIsolated = isToBeIsolated(request);
    const all = directory.networks();
    const named = all.find(({ name }) => name === request.name);
    const isShared = request.shared === true;
    const existing = isShared ? all.filter((network) => network !== named) : all;
    const encapsulation = encapsulations.get(request.encap ?? DEFAULT_ENCAPSULATION);
    const { mtu: underlayMtu, family } = await this.#options.underlay();
    const mtu = checkNetworkMtu(
      request.mtu,
      { underlayMtu, family, encapsulation },
      isDual ? 6 : subnet.address.family,
    );
    const vni =
      request.vni === undefined
        ? chooseVni(request.name, (taken) => existing.some((network) => network.vni === taken))
        : checkVni(request.vni);
    checkNetworkFree({ name: request.name, vni }, existing);
    const founders = this.#founders(request);
    const subnet6 = isDual
      ? checkSubnet(request.subnet6 ?? uniqueLocalSubnet(founders, vni))
      : undefined;
    const addressing = this.#addressing(request, founders, subnet, subnet6);
    const text6 = subnet6 && { subnet6: formatCidr(subnet6) };
    const network: NetworkDefinition = {
      id: request.shared
        ? sharedId({ ...request, ...text6, vni, mtu }, addressing)
        : randomHex(rng, 32),
      ...{ name: request.name, vni, mtu, ...text6 },
      ...{ subnet: formatCidr(subnet), encap: encapsulation.name, createdBy: self },
      createdAt: new Date(wallNow()).toISOString(),
      ...(origin === undefined ? {} : { origin }),
      ...(request.edge === undefined ? {} : { edge: request.edge }),
      ...(isIsolated && { isolated: true }),
      addressing,
    };
    if (named !== undefined) {
      // The other host that makes it was faster, and this one has heard of it.
      if (named.id === network.id) return named;
      checkNetworkFree(network, [named]);
    }
    this.#checkEdges(network, existing);
    await this.checkRoutes(network);
    directory.putNetwork(network);
    return network;
  }

  /**
   * The network of that name for a container engine, made if it is not there; this host can carry it.
   * Rejects as `create`, `refuseDisputed` and `checkRoutes`.
   */
  async forEngine(
    request: NetworkRequest,
    isCarried: (network: NetworkDefinition) => boolean,
  ): Promise<NetworkDefinition> {
    const { directory, self } = this.#options;
    const network =
      directory.network(request.name) ??
      (await this.create({ ...request, shared: true }, 'docker'));
    refuseDisputed(network, directory, self);
    if (!isCarried(network)) await this.checkRoutes(network);
    return network;
  }

  /**
   * Checks that this host can be the gateway of a network: none of its routes may lead elsewhere for a
   * part of a subnet. Rejects with E_SUBNET_ROUTED. A plain wire puts no route on the host.
   */
  async checkRoutes(network: NetworkDefinition): Promise<void> {
    if (network.edge === undefined) return;
    const routes = await this.#options.routes();
    for (const subnet of subnetsOf(network)) {
      const route = foreignRoute(subnet, routes, [bridgeName(network.vni)]);
      if (route === undefined) continue;
      throw new AppError(
        'E_SUBNET_ROUTED',
        `Subnet ${subnet} of network ${network.name} overlaps the route "${route}" of this host, which can't be its gateway then; choose another subnet, or remove the route.`,
      );
    }
  }

  /** As `checkRoutes`, for this host to join a network by an interface of that name. As its gateway it has a route. */
  async checkHostRoutes(network: NetworkDefinition, ifname: string): Promise<void> {
    const routes = await this.#options.routes();
    const own = [ifname, ...(network.edge === undefined ? [] : [bridgeName(network.vni)])];
    for (const subnet of subnetsOf(network)) {
      const route = foreignRoute(subnet, routes, own);
      if (route === undefined) continue;
      throw new AppError(
        'E_SUBNET_ROUTED',
        `Subnet ${subnet} of network ${network.name} overlaps the route "${route}" of this host, which can't join it then; remove the route, or hide the host from what it leads to.`,
      );
    }
  }

  /**
   * Whether the network is to have an IPv6 subnet beside its IPv4 one. Rejects with E_SUBNET_INVALID, and
   * with E_MESH_VERSION while a host could neither give out the other addresses nor vote on them.
   */
  #checkDual(
    { name, subnet6, ipv6 = false }: NetworkRequest,
    { address: { family } }: Cidr,
  ): boolean {
    if (subnet6 === undefined && !(ipv6 && family === 4)) return false;
    if (family === 6 || (subnet6 !== undefined && familyOf(subnet6) === 4)) {
      throw new AppError(
        'E_SUBNET_INVALID',
        `Network ${name} was to have two IPv${family} subnets; give an IPv4 one with --subnet and an IPv6 one with --subnet6.`,
      );
    }
    const old = this.#options.singleStack();
    if (old.length === 0) return true;
    throw new AppError(
      'E_MESH_VERSION',
      `Network ${name} can't have two subnets: Weft on host ${old.slice(0, 3).join(', ')}${old.length > 3 ? ` and ${old.length - 3} more` : ''} is older and gives out addresses of one; update it first.`,
    );
  }

  /** Of two networks with one subnet a host could not tell which one a packet is for. */
  #checkEdges(network: NetworkDefinition, existing: readonly NetworkDefinition[]): void {
    if (network.edge === undefined) return;
    const taken = existing
      .filter(({ edge }) => edge !== undefined)
      .flatMap((other) => subnetsOf(other).map((subnet) => ({ name: other.name, subnet })));
    const pairs = subnetsOf(network).flatMap((own) => taken.map((other) => ({ own, other })));
    const pair = pairs.find(({ own, other }) => isOverlap(own, other.subnet));
    if (pair === undefined) return;
    const { own, other } = pair;
    throw new AppError(
      'E_SUBNET_ROUTED',
      `Subnet ${own} overlaps ${other.subnet} of network ${other.name}, and both would have a gateway on each host; choose another, or create it without --routed and --internal.`,
    );
  }

  /** This host and up to four others divide the addresses and vote. */
  #founders({ shared }: NetworkRequest): readonly PeerId[] {
    const { self, alive } = this.#options;
    const others = alive()
      .filter((host) => host !== self)
      .sort();
    const hosts = [self, ...others];
    return (shared ? hosts.sort() : hosts).slice(0, MAX_VOTERS);
  }

  #addressing(
    request: NetworkRequest,
    founders: readonly PeerId[],
    subnet: Cidr,
    subnet6: Cidr | undefined,
  ): Addressing {
    const { leaseSeconds } = this.#options;
    const { reserved: wanted = [], ipRange6, gateway6, ...rest } = request;
    const second = {
      ...(ipRange6 && { ipRange: ipRange6 }),
      ...(gateway6 && { gateway: gateway6 }),
    };
    if (subnet6 === undefined && (ipRange6 ?? gateway6) !== undefined) {
      throw new AppError(
        'E_ADDRESS_OUTSIDE',
        `Network ${request.name} has no second subnet for ${ipRange6 ?? gateway6 ?? ''}; give one with --subnet6 or --ipv6.`,
      );
    }
    checkReservedCount(wanted);
    const ofSecond = subnet6 === undefined ? [] : wanted.filter((each) => familyOf(each) === 6);
    const ofFirst = wanted.filter((each) => !ofSecond.includes(each));
    const { range, gateway, reserved } = checkAddressing({ ...rest, reserved: ofFirst }, subnet);
    const { edge } = request;
    const six =
      subnet6 && checkAddressing({ ...second, ...(edge && { edge }), reserved: ofSecond }, subnet6);
    const all = [...reserved, ...(six?.reserved ?? [])];
    return {
      ...{ founders, leaseSeconds },
      ...(range === undefined ? {} : { range }),
      ...(gateway === undefined ? {} : { gateway }),
      ...(six?.range === undefined ? {} : { range6: six.range }),
      ...(six?.gateway === undefined ? {} : { gateway6: six.gateway }),
      ...(all.length === 0 ? {} : { reserved: all }),
    };
  }

  /** Removes a network that nothing needs; with its foreign VTEPs. */
  remove(name: string, hostName: (host: PeerId) => string): void {
    const { directory, holders, clusterHolds } = this.#options;
    const { id } = this.require(name);
    const held = holders(id);
    if (held.length > 0) {
      throw new AppError(
        'E_NETWORK_IN_USE',
        `Network ${name} has ${held.length} address${held.length === 1 ? '' : 'es'} that this host holds without an endpoint, for "${held.slice(0, 3).join('", "')}"; delete those containers first.`,
      );
    }
    const users = directory
      .uses(name)
      .filter(({ host }) => host !== CLUSTER)
      .map(({ host }) => hostName(host))
      .sort();
    if (users.length > 0) {
      throw new AppError(
        'E_NETWORK_IN_USE',
        `Network ${name} is in use by Docker on host ${users.slice(0, 3).join(', ')}${users.length > 3 ? ` and ${users.length - 3} more` : ''}; "docker network rm" there lets go of it.`,
      );
    }
    const endpoints = directory.endpoints(name);
    if (endpoints.length > 0) {
      const some = endpoints
        .slice(0, 3)
        .map(({ id, host, sandbox }) => `${id} (${sandbox.path} on host ${hostName(host)})`);
      const more =
        endpoints.length > some.length ? ` and ${endpoints.length - some.length} more` : '';
      throw new AppError(
        'E_NETWORK_IN_USE',
        `Network ${name} has ${endpoints.length} endpoint${endpoints.length === 1 ? '' : 's'}: ${some.join(', ')}${more}; detach them first.`,
      );
    }
    for (const vtep of directory.vteps(name)) directory.removeVtep(name, vtep.address);
    for (const merged of directory.mergedNetworks()) {
      if (mergeTarget(directory, merged)?.name === name) directory.removeNetwork(merged.id);
    }
    // A Swarm that was thrown away says nothing of what it had; of another, no host has it by now.
    for (const { address } of clusterHolds.ofNetwork(id)) clusterHolds.remove(id, address);
    directory.removeUse({ network: name, host: CLUSTER });
    directory.removeNetwork(name);
  }
}

function isOverlap(one: string, other: string): boolean {
  const [a, b] = [parseCidr(one), parseCidr(other)];
  return a !== undefined && b !== undefined && overlaps(a, b);
}

/** A route that leads elsewhere than by some devices for a part of the subnet, as ip(8) writes it. */
function foreignRoute(
  subnet: string,
  routes: readonly Route[],
  own: readonly string[],
): string | undefined {
  const route = routeInTheWay(checkSubnet(subnet), routes, (device = '') => own.includes(device));
  if (route === undefined) return undefined;
  const by = [route.gateway && `via ${route.gateway}`, route.device && `dev ${route.device}`];
  return [route.destination, ...by].filter(Boolean).join(' ');
}

/** E_GATEWAY_MISSING for a plain wire, on which there would be nobody left to reach. */
function isToBeIsolated({ name, edge, isolate }: NetworkRequest): boolean {
  if (isolate !== true) return false;
  if (edge !== undefined) return true;
  throw new AppError(
    'E_GATEWAY_MISSING',
    `Network ${name} is to be isolated and has no gateway, so its endpoints would reach nobody; add --routed or --internal.`,
  );
}

type SharedRequest = Pick<
  NetworkDefinition,
  'name' | 'subnet' | 'subnet6' | 'vni' | 'mtu' | 'edge'
> & { readonly isolate?: boolean };

/**
 * The same wherever the same is asked for among the same hosts, and another if anything differs: then the
 * hosts' networks are two, of which the later one stays.
 */
function sharedId(
  { name, subnet, subnet6, vni, mtu, edge, isolate }: SharedRequest,
  addressing: Addressing,
): string {
  const second = subnet6 === undefined ? [] : [subnet6];
  const isolated = isolate === true ? ['isolated'] : [];
  const text = JSON.stringify([name, subnet, vni, mtu, addressing, edge, ...second, ...isolated]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
