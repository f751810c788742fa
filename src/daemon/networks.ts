import { createHash } from 'node:crypto';
import { AppError } from '../base/errors.ts';
import { randomHex, type Rng } from '../base/rng.ts';
import type { PeerId } from '../base/types.ts';
import type { NetworkRequest } from '../api/control.ts';
import type { EncapsulationRegistry } from '../encap/registry.ts';
import { checkNetworkMtu, type IpFamily } from '../encap/mtu.ts';
import { sealed } from '../encap/sealed.ts';
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
import { checkAddressing } from '../network/addressing.ts';
import { formatCidr, overlaps, parseCidr, type Cidr } from '../wire/cidr.ts';
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
  readonly leaseSeconds: number;
  /** Why this host can't carry sealed networks; undefined if it can. */
  readonly unsealed: string | undefined;
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
    const existing = directory.networks();
    const encapsulation = encapsulations.get(request.encap ?? 'vxlan');
    this.#checkSealing(encapsulation.name);
    const { mtu: underlayMtu, family } = await this.#options.underlay();
    const mtu = checkNetworkMtu(
      request.mtu,
      { underlayMtu, family, encapsulation },
      subnet.address.family,
    );
    const vni =
      request.vni === undefined
        ? chooseVni(request.name, (taken) => existing.some((network) => network.vni === taken))
        : checkVni(request.vni);
    checkNetworkFree({ name: request.name, vni }, existing);
    const addressing = this.#addressing(request, subnet);
    const network: NetworkDefinition = {
      id: request.shared ? sharedId({ ...request, vni, mtu }, addressing) : randomHex(rng, 32),
      ...{ name: request.name, vni, mtu },
      ...{ subnet: formatCidr(subnet), encap: encapsulation.name, createdBy: self },
      createdAt: new Date(wallNow()).toISOString(),
      ...(origin === undefined ? {} : { origin }),
      ...(request.edge === undefined ? {} : { edge: request.edge }),
      addressing,
    };
    this.#checkEdges(network, existing);
    await this.checkRoutes(network);
    directory.putNetwork(network);
    return network;
  }

  /**
   * Checks that this host can be the gateway of a network: none of its routes may lead elsewhere for a
   * part of the subnet. Rejects with E_SUBNET_ROUTED. A plain wire puts no route on the host.
   */
  async checkRoutes({ name, vni, edge, subnet }: NetworkDefinition): Promise<void> {
    if (edge === undefined) return;
    const routes = await this.#options.routes();
    const isOurs = (device: string | undefined): boolean => device === bridgeName(vni);
    const route = routeInTheWay(checkSubnet(subnet), routes, isOurs);
    if (route === undefined) return;
    const by = [route.gateway && `via ${route.gateway}`, route.device && `dev ${route.device}`];
    throw new AppError(
      'E_SUBNET_ROUTED',
      `Subnet ${subnet} of network ${name} overlaps the route "${[route.destination, ...by].filter(Boolean).join(' ')}" of this host, which can't be its gateway then; choose another subnet, or remove the route.`,
    );
  }

  /** A host that could not carry the network must not make others carry it. */
  #checkSealing(encap: string): void {
    const { unsealed } = this.#options;
    if (encap !== sealed.name || unsealed === undefined) return;
    throw new AppError('E_DATA_PLANE_UNAVAILABLE', unsealed);
  }

  /** Of two networks with one subnet a host could not tell which one a packet is for. */
  #checkEdges({ edge, subnet }: NetworkDefinition, existing: readonly NetworkDefinition[]): void {
    const own = checkSubnet(subnet);
    const other = existing.find(
      (network) => network.edge !== undefined && overlaps(own, parseCidr(network.subnet) ?? own),
    );
    if (edge === undefined || other === undefined) return;
    throw new AppError(
      'E_SUBNET_ROUTED',
      `Subnet ${subnet} overlaps ${other.subnet} of network ${other.name}, and both would have a gateway on each host; choose another, or create it without --routed and --internal.`,
    );
  }

  /** This host and up to four others divide the addresses and vote. */
  #addressing(request: NetworkRequest, subnet: Cidr): Addressing {
    const { self, alive, leaseSeconds } = this.#options;
    const others = alive()
      .filter((host) => host !== self)
      .sort();
    const { range, gateway, reserved } = checkAddressing(request, subnet);
    const hosts = [self, ...others];
    return {
      ...{ founders: (request.shared ? hosts.sort() : hosts).slice(0, MAX_VOTERS), leaseSeconds },
      ...(range === undefined ? {} : { range }),
      ...(gateway === undefined ? {} : { gateway }),
      ...(reserved.length === 0 ? {} : { reserved }),
    };
  }

  /** Removes a network that nothing needs; with its foreign VTEPs. */
  remove(name: string, hostName: (host: PeerId) => string): void {
    const { directory } = this.#options;
    this.require(name);
    const users = directory
      .uses(name)
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
    directory.removeNetwork(name);
  }
}

type SharedRequest = Pick<NetworkDefinition, 'name' | 'subnet' | 'vni' | 'mtu' | 'edge'>;

/**
 * The same wherever the same is asked for among the same hosts, and another if anything differs: then the
 * hosts' networks are two, of which the later one stays.
 */
function sharedId({ name, subnet, vni, mtu, edge }: SharedRequest, addressing: Addressing): string {
  const text = JSON.stringify([name, subnet, vni, mtu, addressing, edge]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
