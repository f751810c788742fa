import type { NetworkInfo, NetworkRequest } from '../../api/control.ts';
import type { ClusterPlumbing, Plumbing } from '../../api/plumbing.ts';
import { AppError } from '../../base/errors.ts';
import { bareAddress } from '../../wire/cidr.ts';
import type { Bindings } from './bindings.ts';
import { readNetworkOptions, type NetworkOptions } from './options.ts';
import { ADDRESS_SPACES, isOwnSpace } from './pool-id.ts';
import { HOLDERS, type Pools } from './pools.ts';
import type { IpamData, RequestOf } from './schema.ts';

export interface DockerNetworksOptions {
  readonly plumbing: Plumbing;
  readonly cluster: ClusterPlumbing;
  /** Whether networks of the engine are those of a cluster. */
  readonly isClustered: boolean;
  readonly bindings: Bindings;
  readonly allocations: Bindings;
  readonly pools: Pools;
}

/** Docker's networks: each is bound to a network of Weft, which other engines and people may use too. */
export class DockerNetworks {
  readonly #options: DockerNetworksOptions;

  constructor(options: DockerNetworksOptions) {
    this.#options = options;
  }

  /** Whether one of Docker's networks, made or in the making, is this network of Weft. */
  has(network: string): boolean {
    return this.#options.bindings.all().some((binding) => binding.network === network);
  }

  /** After a start: takes back what a crash left half made. */
  async recover(): Promise<void> {
    for (const binding of this.#options.bindings.all()) {
      if (binding.isUnfinished) await this.delete({ NetworkID: binding.id });
    }
  }

  async create({
    NetworkID: id,
    Options: options,
    IPv4Data: data,
    IPv6Data: data6,
  }: RequestOf<'NetworkDriver.CreateNetwork'>): Promise<object> {
    const { bindings, plumbing, pools } = this.#options;
    const given = readNetworkOptions(options);
    const [ipam, ipam6] = subnetsOf(data, data6);
    const allocated = this.#isWorker(ipam) ? await this.#allocated(id) : undefined;
    const wanted = allocated === undefined ? given : { ...given, network: allocated };
    const isGlobal = ipam.AddressSpace === ADDRESS_SPACES.global;
    const { id: poolId, pool } = pools.ofNewNetwork(ipam.Pool, wanted.network, isGlobal);
    const second = ipam6 && {
      ...pools.ofNewNetwork(ipam6.Pool, wanted.network, isGlobal),
      ipam: ipam6,
    };
    const request = {
      ...networkRequest(pool, wanted, ipam),
      ...(second && secondRequest(second.pool, ipam, second.ipam)),
    };
    if (bindings.get(id)?.network === pool.network) return {};
    await this.#refuseSecond(pool.network, id);
    const binding = {
      ...{ id, network: pool.network, isUnfinished: true },
      pools: [poolId, ...(second ? [second.id] : [])],
      isForeignIpam: ipam.AddressSpace !== '' && !isOwnSpace(ipam.AddressSpace),
    };
    await bindings.put(binding);
    try {
      if (allocated !== undefined) await this.#options.cluster.setEdge(allocated, wanted.edge);
      checkFit(await plumbing.use(request), wanted, request);
      await bindings.put({ ...binding, isUnfinished: false });
    } catch (error) {
      await this.delete({ NetworkID: id });
      throw error;
    }
    return {};
  }

  /**
   * For a Swarm whose leader this engine is: there is a network from now on, and addresses on it. It is
   * asked again whenever another leader takes over. Whether the network is internal, only those learn who
   * then have containers on it.
   */
  async allocate({
    NetworkID: id,
    Options: options,
    IPv4Data: data,
    IPv6Data: data6,
  }: RequestOf<'NetworkDriver.AllocateNetwork'>): Promise<object> {
    const { allocations, cluster, pools } = this.#options;
    const wanted = readNetworkOptions(options);
    const [ipam, ipam6] = subnetsOf(data, data6);
    if (ipam6 !== undefined) throw noSecond(ipam6);
    const { id: poolId, pool } = pools.ofNewNetwork(ipam.Pool, wanted.network, true);
    const request = networkRequest(pool, wanted, ipam);
    const isNew = allocations.get(id) === undefined;
    const binding = { id, network: pool.network, pools: [poolId], isForeignIpam: false };
    await allocations.put({ ...binding, isUnfinished: false });
    try {
      await cluster.allocate(id, request, (found) =>
        checkFit({ ...found, ...(found.edge && { edge: wanted.edge }) }, wanted, request),
      );
    } catch (error) {
      if (isNew) await allocations.remove(id);
      throw error;
    }
    return { Options: {} };
  }

  async free({ NetworkID: id }: { readonly NetworkID: string }): Promise<object> {
    const { allocations, cluster } = this.#options;
    await cluster.free(id);
    if (allocations.get(id) !== undefined) await allocations.remove(id);
    return {};
  }

  /** Lets go of the Weft network, which goes too if Docker made it and nobody else has a use for it. */
  async delete({ NetworkID: id }: { readonly NetworkID: string }): Promise<object> {
    const { bindings, plumbing } = this.#options;
    const binding = bindings.get(id);
    if (binding === undefined) return {};
    const { network } = binding;
    const holders: readonly string[] = [HOLDERS.container, HOLDERS.gateway];
    for (const held of plumbing.reservations()) {
      if (held.network !== network || held.isUsed || !holders.includes(held.holder)) continue;
      await plumbing.release(network, bareAddress(held.address));
    }
    await plumbing.disuse(network);
    await bindings.remove(id);
    return {};
  }

  /** A cluster's network whose addresses are this engine's: only in a Swarm, whose leader chose them. */
  #isWorker({ AddressSpace: space }: IpamData): boolean {
    return this.#options.isClustered && !/global/i.test(space);
  }

  /** E_NETWORK_MISSING if the leader's host is not heard of. */
  async #allocated(id: string): Promise<string> {
    const network = await this.#options.cluster.network(id);
    if (network !== undefined) return network;
    throw new AppError(
      'E_NETWORK_MISSING',
      `This host has not heard of the Swarm's network ${id.slice(0, 12)}; have its Weft join that of the Swarm's managers ("weft join"), and look at "weft peers".`,
    );
  }

  /**
   * One engine can't have two networks that are the same Ethernet with the same addresses. But one that
   * it has not spoken of since this daemon started, and that nothing is attached to, is none any more: a
   * crash may have come between making it and saying so, and an engine forgets what has failed.
   */
  async #refuseSecond(network: string, id: string): Promise<void> {
    const { bindings, plumbing } = this.#options;
    const other = bindings.all().find((each) => each.network === network);
    if (other === undefined || other.id === id) return;
    if (!bindings.isConfirmed(other.id) && !plumbing.hasPlugged(network)) {
      await bindings.remove(other.id);
      return;
    }
    throw new AppError(
      'E_NETWORK_EXISTS',
      `Weft network ${network} is Docker network ${other.id.slice(0, 12)} on this host already; connect to that one, or give another subnet or -o weft.network.`,
    );
  }
}

/** One of IPv4, and with --ipv6 one of that. */
function subnetsOf(
  data: readonly IpamData[],
  data6: readonly IpamData[],
): readonly [IpamData, IpamData | undefined] {
  const [only, ...others] = data;
  const [only6, ...others6] = data6;
  if (only !== undefined && others.length + others6.length === 0) return [only, only6];
  const seen = [...data, ...data6].map(({ Pool }) => Pool).join(', ') || 'none';
  throw new AppError(
    'E_ENGINE_OPTION',
    `A network of Weft has one IPv4 subnet in Docker, and with --ipv6 one IPv6 subnet beside it, and the engine gave ${seen}; name one of each with --subnet.`,
  );
}

const noSecond = ({ Pool: subnet }: IpamData): AppError =>
  new AppError(
    'E_ENGINE_OPTION',
    `A network of a Swarm has one IPv4 subnet, since its managers give each task one address, and the engine gave ${subnet} too; leave out --ipv6.`,
  );

/** What --ipv6 adds, and what it adds to. */
function secondRequest(
  { subnet: subnet6, ipRange: ipRange6 }: { subnet: string; ipRange?: string },
  first: IpamData,
  { Gateway: gateway6, AuxAddresses: auxiliary }: IpamData,
) {
  const reserved = [first.AuxAddresses, auxiliary].flatMap(Object.values<string>).map(bareAddress);
  return {
    subnet6,
    ...(ipRange6 === undefined ? {} : { ipRange6 }),
    ...(gateway6 === '' ? {} : { gateway6: bareAddress(gateway6) }),
    ...(reserved.length === 0 ? {} : { reserved }),
  };
}

function networkRequest(
  { network, subnet, ipRange }: { network: string; subnet: string; ipRange?: string },
  { vni, mtu, encap, edge, isolate }: NetworkOptions,
  { Gateway: gateway, AuxAddresses: auxiliary }: IpamData,
): NetworkRequest {
  const reserved = Object.values(auxiliary).map(bareAddress);
  return {
    ...{ name: network, subnet, edge },
    ...(vni === undefined ? {} : { vni }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(encap === undefined ? {} : { encap }),
    ...(isolate === undefined ? {} : { isolate }),
    ...(ipRange === undefined ? {} : { ipRange }),
    ...(gateway === '' ? {} : { gateway: bareAddress(gateway) }),
    ...(reserved.length === 0 ? {} : { reserved }),
  };
}

/** The network was there before: it must be what the engine wants. */
function checkFit(found: NetworkInfo, wanted: NetworkOptions, request: NetworkRequest): void {
  const hasGateway = found.gateway !== undefined && request.gateway !== undefined;
  const hasGateway6 = found.gateway6 !== undefined && request.gateway6 !== undefined;
  const comparisons: readonly (readonly [string, unknown, unknown])[] = [
    ['subnet', found.subnet, request.subnet],
    ['IPv6 subnet', found.subnet6 ?? 'none', request.subnet6 ?? found.subnet6 ?? 'none'],
    ['VNI', found.vni, wanted.vni ?? found.vni],
    ['MTU', found.mtu, wanted.mtu ?? found.mtu],
    ['gateway', found.gateway, hasGateway ? request.gateway : found.gateway],
    ['IPv6 gateway', found.gateway6, hasGateway6 ? request.gateway6 : found.gateway6],
  ];
  // A plain wire has no way out either, and no gateway that would be one.
  if (found.edge !== undefined && found.edge !== wanted.edge) {
    const flag = found.edge === 'internal' ? 'give' : 'leave out';
    throw new AppError(
      'E_ENGINE_OPTION',
      `Weft network ${found.name} exists and is ${found.edge}; ${flag} --internal, or give another name with -o weft.network.`,
    );
  }
  const isIsolated = found.isolated ?? false;
  if (isIsolated !== (wanted.isolate ?? isIsolated)) {
    throw new AppError(
      'E_ENGINE_OPTION',
      `Weft network ${found.name} exists and is ${isIsolated ? '' : 'not '}isolated; leave out -o weft.isolate, or give another name with -o weft.network.`,
    );
  }
  for (const [what, there, asked] of comparisons) {
    if (there === asked) continue;
    throw new AppError(
      'E_ENGINE_OPTION',
      `Weft network ${found.name} exists with ${what} ${String(there)} and not ${String(asked)}; give the same, or another name with -o weft.network.`,
    );
  }
}
