import { AppError } from '../base/errors.ts';
import type { Endpoint } from '../network/endpoint.ts';
import type { NetworkDefinition } from '../network/network.ts';
import { containsAddress, parseCidr } from '../wire/cidr.ts';
import type { Directory } from './directory.ts';

/** Groups of two or more items that share a key. */
function shared<T>(items: readonly T[], keyOf: (item: T) => string | number): T[][] {
  const groups = new Map<string | number, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}

/** The older network keeps a VNI that two claim; of equal age, the lower id. */
function byAge(a: NetworkDefinition, b: NetworkDefinition): number {
  return a.createdAt.localeCompare(b.createdAt) || a.id.localeCompare(b.id);
}

/**
 * Networks whose VNI an older network has: made at the same time on two hosts, or in two meshes that
 * were joined later. They must not be realised, or two Ethernets would become one.
 */
export function displacedNetworks(
  networks: readonly NetworkDefinition[],
): Map<string, NetworkDefinition> {
  const displaced = new Map<string, NetworkDefinition>();
  for (const group of shared(networks, (network) => network.vni)) {
    const [owner, ...others] = group.sort(byAge);
    if (owner) for (const other of others) displaced.set(other.name, owner);
  }
  return displaced;
}

/** Without the prefix length: two meshes may have given one network two of them. */
const bare = (address: string): string => address.split('/')[0] ?? address;

function isInside(address: string, subnet: string): boolean {
  const [inner, outer] = [parseCidr(address), parseCidr(subnet)];
  return inner !== undefined && outer !== undefined && containsAddress(outer, inner.address);
}

/**
 * One sentence for every VNI or address that two hold at once, and for every endpoint whose network
 * turned out to be another of the same name; only a partition can bring them about.
 */
export function describeConflicts(
  directory: Directory,
  hostName: (host: Endpoint['host']) => string,
): string[] {
  const networks = directory.networks();
  const vnis = [...displacedNetworks(networks)].map(
    ([name, owner]) =>
      `Network ${name} is not carried: its VNI ${owner.vni} belongs to the older network ${owner.name}; remove ${name} and create it again.`,
  );
  const addresses = networks.flatMap(({ name }) =>
    shared(directory.endpoints(name), (endpoint) => bare(endpoint.address)).map((group) => {
      const holders = group.map(({ id, host }) => `${id} on ${hostName(host)}`).join(' and ');
      return `Address ${group[0]?.address ?? ''} of network ${name} is held twice, by endpoint ${holders}; detach one of them.`;
    }),
  );
  const outside = networks.flatMap(({ name, subnet }) =>
    directory
      .endpoints(name)
      .filter(({ address }) => !isInside(address, subnet))
      .map(
        ({ id, host, address }) =>
          `Endpoint ${id} on ${hostName(host)} has address ${address}, which is outside ${subnet}, the subnet of network ${name} as it was made elsewhere; detach it and attach it again.`,
      ),
  );
  return [...vnis, ...addresses, ...outside];
}

/** E_VNI_TAKEN if an older network has the VNI, so that this one is carried nowhere. */
export function refuseDisplaced(
  { name, vni }: Pick<NetworkDefinition, 'name' | 'vni'>,
  networks: readonly NetworkDefinition[],
): void {
  const owner = displacedNetworks(networks).get(name);
  if (owner === undefined) return;
  throw new AppError(
    'E_VNI_TAKEN',
    `Network ${name} can't be used: its VNI ${vni} belongs to the older network ${owner.name}; remove ${name} and create it again.`,
  );
}
