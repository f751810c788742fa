import type { Control, NetworkInfo } from '../../api/control.ts';
import type { ClusterPlumbing, Plumbing, Reservation } from '../../api/plumbing.ts';
import { AppError } from '../../base/errors.ts';
import {
  bareAddress,
  firstAddress,
  formatAddress,
  formatCidr,
  isHostAddress,
  parseAddress,
  parseCidr,
  familyOf,
} from '../../wire/cidr.ts';
import type { Bindings } from './bindings.ts';
import { readIpamOptions } from './options.ts';
import {
  ADDRESS_SPACES,
  defaultNetworkName,
  formatPoolId,
  isOwnSpace,
  parsePoolId,
  type Pool,
} from './pool-id.ts';
import type { RequestOf } from './schema.ts';

/** Docker's word for the address that is to be the gateway. */
const ADDRESS_TYPE = 'RequestAddressType';
const GATEWAY = 'com.docker.network.gateway';
/** Swarm's managers ask so, for containers on other hosts. */
const SERIAL = 'com.docker.network.ipam.serial';

/** Who holds a reservation: a container, or a gateway that Weft itself has no use for. */
export const HOLDERS = { container: 'docker', gateway: 'docker gateway' } as const;

/** Any other holds it for somebody else. */
const OWN_HOLDERS: readonly string[] = Object.values(HOLDERS);

/** What was asked of a pool by this engine, since it or the daemon started. */
interface Asked {
  readonly pool: Pool;
  /** Whether a person named the network. */
  readonly isNamed: boolean;
  /** Without a network as yet: addresses that nobody is to get. */
  readonly auxiliary: Set<string>;
  /**
   * Addresses that the engine may ask for though they are taken, once each: it repeats all that it
   * knows, right after it has asked for the pool.
   */
  readonly replayable: Set<string>;
}

export interface PoolsOptions {
  readonly control: Pick<Control, 'listNetworks'>;
  readonly plumbing: Plumbing;
  readonly cluster: ClusterPlumbing;
  /** Whether the engine is one of a Swarm, whose managers choose the addresses of its containers. */
  readonly isClustered: boolean;
  readonly bindings: Bindings;
  /** Of networks that this engine has allocated for a Swarm, being its leader. */
  readonly allocations: Bindings;
}

/** The IPAM driver: pools are networks of Weft, whether there are already or only will be. */
export class Pools {
  readonly #options: PoolsOptions;
  readonly #asked = new Map<string, Asked>();

  constructor(options: PoolsOptions) {
    this.#options = options;
  }

  async requestPool({
    AddressSpace: space,
    Pool: wanted,
    SubPool: range,
    Options: options,
    V6: isV6,
  }: RequestOf<'IpamDriver.RequestPool'>): Promise<{ PoolID: string; Pool: string; Data: object }> {
    if (space !== '' && !isOwnSpace(space)) {
      throw new AppError(
        'E_ENGINE_OPTION',
        `Address space "${space}" is none of Weft's; there are ${Object.values(ADDRESS_SPACES).join(' and ')}.`,
      );
    }
    if (range !== '' && wanted === '') {
      throw new AppError('E_SUBNET_INVALID', `An --ip-range (${range}) needs a --subnet with it.`);
    }
    const name = readIpamOptions(options);
    const canonical = wanted === '' ? undefined : canonicalCidr(wanted);
    const present = name ?? (canonical === undefined ? undefined : defaultNetworkName(canonical));
    const { subnet, ipRange } = await this.#options.plumbing.planPool({
      family: isV6 ? 6 : 4,
      ...(canonical === undefined ? {} : { subnet: canonical }),
      ...(range === '' ? {} : { ipRange: canonicalCidr(range) }),
      ...(present === undefined ? {} : { network: present }),
    });
    const network = name ?? defaultNetworkName(subnet);
    const isGlobal = space === ADDRESS_SPACES.global;
    const pool = { isGlobal, network, subnet, ...(ipRange === undefined ? {} : { ipRange }) };
    const id = formatPoolId(pool);
    const info = await this.#network(id, pool);
    if (info !== undefined) checkSubnet(info, pool);
    if (info !== undefined && isGlobal) this.#options.cluster.takeOver(info.name);
    this.#asked.set(id, {
      ...{ pool, isNamed: name !== undefined, auxiliary: new Set() },
      replayable: new Set(info === undefined ? [] : this.#known(info)),
    });
    return { PoolID: id, Pool: subnet, Data: {} };
  }

  releasePool({ PoolID: id }: RequestOf<'IpamDriver.ReleasePool'>): object {
    poolOf(id);
    this.#asked.delete(id);
    return {};
  }

  async requestAddress({
    PoolID: id,
    Address: wanted,
    Options: options,
  }: RequestOf<'IpamDriver.RequestAddress'>): Promise<{ Address: string; Data: object }> {
    const pool = poolOf(id);
    const network = await this.#network(id, pool);
    const isGateway = options[ADDRESS_TYPE] === GATEWAY;
    const address = isGateway
      ? await this.#gateway(pool, network, wanted)
      : await this.#address(id, pool, network, { wanted, isForTask: options[SERIAL] === 'true' });
    return { Address: address, Data: {} };
  }

  async releaseAddress({
    PoolID: id,
    Address: address,
  }: RequestOf<'IpamDriver.ReleaseAddress'>): Promise<object> {
    const pool = poolOf(id);
    const network = await this.#network(id, pool);
    const asked = this.#asked.get(id);
    asked?.auxiliary.delete(bareAddress(address));
    asked?.replayable.delete(bareAddress(address));
    const bare = bareAddress(address);
    if (network === undefined || isKept(network, bare)) return {};
    const { cluster, plumbing } = this.#options;
    if (pool.isGlobal) await cluster.release(network.name, bare);
    // What its manager holds for a container that has gone, the manager releases.
    if (!this.#isHeldForTask(network.name, bare)) await plumbing.release(network.name, bare);
    return {};
  }

  /**
   * The pool that a network to be made has its addresses from: the one of that subnet that this engine
   * asked for last and that no other of its networks has; else the one that every host would think of.
   */
  ofNewNetwork(
    subnet: string,
    name: string | undefined,
    isGlobal = false,
  ): { readonly id: string; readonly pool: Pool } {
    const candidates = [...this.#asked.entries()]
      .filter(([, { pool }]) => pool.subnet === subnet && pool.isGlobal === isGlobal)
      .filter(([id]) => this.#boundTo(id) === undefined)
      .reverse();
    const [found] = [...candidates.filter(([, { pool }]) => pool.network === name), ...candidates];
    if (found === undefined) {
      const pool = { isGlobal, network: name ?? defaultNetworkName(subnet), subnet };
      return { id: formatPoolId(pool), pool };
    }
    const [id, { pool, isNamed }] = found;
    if (name !== undefined && isNamed && pool.network !== name) {
      throw new AppError(
        'E_ENGINE_OPTION',
        `The addresses are those of network ${pool.network} (--ipam-opt weft.network) and the network is to be ${name} (-o weft.network); name one of them in both.`,
      );
    }
    return { id, pool: { ...pool, network: name ?? pool.network } };
  }

  /** Whether this very host holds it for the Swarm. */
  #isHeldForTask(name: string, bare: string): boolean {
    const { isClustered, plumbing } = this.#options;
    const isIt = ({ network, address, holder }: Reservation): boolean =>
      network === name && bareAddress(address) === bare && !OWN_HOLDERS.includes(holder);
    return isClustered && plumbing.reservations().some(isIt);
  }

  /**
   * The Weft network of a pool, if it is there. An IPv6 subnet is one of two, and the name that every host
   * would think of is the other's: it is found by the subnet if just one network has it.
   */
  async #network(id: string, { network, subnet }: Pool): Promise<NetworkInfo | undefined> {
    const name = this.#boundTo(id) ?? network;
    const networks = await this.#options.control.listNetworks();
    const named = networks.find((each) => each.name === name);
    const [found, ...others] = networks.filter(({ subnet6 }) => subnet6 === subnet);
    return named ?? (others.length === 0 ? found : undefined);
  }

  #boundTo(id: string): string | undefined {
    const { allocations, bindings } = this.#options;
    return (bindings.ofPool(id) ?? allocations.ofPool(id))?.network;
  }

  /** The network's own; else what was asked for, or the first of the subnet, the same on every host. */
  async #gateway(pool: Pool, network: NetworkInfo | undefined, wanted: string): Promise<string> {
    const bare = bareAddress(wanted);
    if (network === undefined) {
      return withLength(pool, bare === '' ? firstHost(pool) : checkedHost(pool, bare));
    }
    const { name } = network;
    const { gateway } = partOf(network, pool);
    if (gateway !== undefined && (bare === '' || bare === gateway))
      return withLength(pool, gateway);
    if (gateway !== undefined) {
      throw new AppError(
        'E_ENGINE_OPTION',
        `Network ${name} has the gateway ${gateway} and not ${bare}; give --gateway ${gateway}, or none.`,
      );
    }
    // Nobody answers there: Docker wants an address all the same, and no container may have it.
    return this.#options.plumbing.reserve({
      ...{ network: name, holder: HOLDERS.gateway, again: true },
      ...(bare === '' ? { family: familyOf(pool.subnet) } : { address: bare }),
    });
  }

  async #address(
    id: string,
    pool: Pool,
    network: NetworkInfo | undefined,
    { wanted, isForTask }: { readonly wanted: string; readonly isForTask: boolean },
  ): Promise<string> {
    const bare = bareAddress(wanted);
    const asked = this.#asked.get(id);
    if (network === undefined) {
      if (bare === '') {
        throw new AppError(
          'E_NETWORK_MISSING',
          `The network ${pool.network} of pool ${id} is not made yet, or was removed; make it first.`,
        );
      }
      asked?.auxiliary.add(checkedHost(pool, bare));
      return withLength(pool, bare);
    }
    const { cluster, isClustered, plumbing } = this.#options;
    const { name } = network;
    if (isForTask) {
      const request = { network: name, family: familyOf(pool.subnet) };
      const given = await cluster.hold(bare === '' ? request : { ...request, address: bare });
      return withLength(pool, bareAddress(given));
    }
    if (bare !== '' && asked?.replayable.delete(bare)) return withLength(pool, bare);
    const isChosen = isClustered && !pool.isGlobal && bare !== '';
    if (isChosen && (await cluster.isHeld(name, bare))) return withLength(pool, bare);
    return plumbing.reserve({
      ...{ network: name, holder: HOLDERS.container },
      ...(bare === '' ? { family: familyOf(pool.subnet) } : { address: bare }),
    });
  }

  /** Everything of a network that this engine may have asked for before. */
  #known({ name, reserved = [] }: NetworkInfo): string[] {
    const held = this.#options.plumbing
      .reservations()
      .filter(({ network, holder }) => network === name && holder === HOLDERS.container);
    return [...reserved, ...held.map(({ address }) => bareAddress(address))];
  }
}

function poolOf(id: string): Pool {
  const pool = parsePoolId(id);
  if (pool !== undefined) return pool;
  throw new AppError(
    'E_USAGE',
    `"${id.slice(0, 80)}" is no pool of Weft's; its ids read weft,NETWORK,SUBNET.`,
  );
}

function canonicalCidr(text: string): string {
  const cidr = parseCidr(text);
  return cidr === undefined ? text : formatCidr(cidr);
}

/** What of a network with one subnet or two concerns a pool: that of its family, or else the first. */
function partOf(info: NetworkInfo, pool: Pick<Pool, 'subnet'>) {
  const isSecond = info.subnet6 !== undefined && familyOf(pool.subnet) === 6;
  return isSecond
    ? { subnet: info.subnet6, ipRange: info.ipRange6, gateway: info.gateway6 }
    : { subnet: info.subnet, ipRange: info.ipRange, gateway: info.gateway };
}

function checkSubnet(info: NetworkInfo, pool: Pool): void {
  const { name } = info;
  const { subnet, ipRange } = partOf(info, pool);
  if (pool.subnet !== subnet) {
    throw new AppError(
      'E_ENGINE_OPTION',
      `Network ${name} has the subnet ${subnet} and not ${pool.subnet}; give --subnet ${subnet}, or another weft.network.`,
    );
  }
  if (pool.ipRange !== undefined && pool.ipRange !== ipRange) {
    throw new AppError(
      'E_ENGINE_OPTION',
      `Network ${name} has ${ipRange === undefined ? 'no --ip-range' : `the --ip-range ${ipRange}`} and not ${pool.ipRange}; give the same on every host, or none.`,
    );
  }
}

/** An address that the network itself keeps from everybody: it is not the engine's to let go. */
function isKept({ gateway, gateway6, reserved = [] }: NetworkInfo, bare: string): boolean {
  return [gateway, gateway6, ...reserved].includes(bare);
}

function withLength({ subnet }: Pool, bare: string): string {
  return `${bare}/${subnet.split('/')[1] ?? ''}`;
}

function firstHost({ subnet }: Pool): string {
  const cidr = parseCidr(subnet);
  if (cidr === undefined) return '';
  const { family, value } = firstAddress(cidr);
  return formatAddress({ family, value: value + 1n });
}

function checkedHost({ subnet }: Pool, text: string): string {
  const cidr = parseCidr(subnet);
  const address = parseAddress(text);
  if (cidr && address && isHostAddress(cidr, address)) return formatAddress(address);
  throw new AppError(
    'E_ADDRESS_OUTSIDE',
    `"${text}" is no address of the subnet ${subnet} that somebody could have; give one inside.`,
  );
}
