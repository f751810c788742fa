import { AppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import { addressesOf, type Endpoint } from '../network/endpoint.ts';
import { byAge, type NetworkDefinition } from '../network/network.ts';
import { subnetsOf } from '../network/subnets.ts';
import { bareAddress, containsAddress, parseCidr, familyOf } from '../wire/cidr.ts';
import { plainName, type Directory } from './directory.ts';

/** Groups of two or more items that share a key. */
export function shared<T>(items: readonly T[], keyOf: (item: T) => string | number): T[][] {
  const groups = new Map<string | number, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}

/** Each network that an older one of the same key stands before, with that one. */
function younger(
  networks: readonly NetworkDefinition[],
  keyOf: (network: NetworkDefinition) => string | number,
): Map<string, NetworkDefinition> {
  const found = new Map<string, NetworkDefinition>();
  for (const group of shared(networks, keyOf)) {
    const [owner, ...others] = group.sort(byAge);
    if (owner) for (const other of others) found.set(other.name, owner);
  }
  return found;
}

const isNotMerged = ({ mergedInto }: NetworkDefinition): boolean => mergedInto === undefined;

/** Networks whose name an older one has: made in meshes that were joined later, or cut apart. */
export const homonyms = (
  networks: readonly NetworkDefinition[],
): ReadonlyMap<string, NetworkDefinition> =>
  younger(networks.filter(isNotMerged), ({ name }) => plainName(name));

/** Networks whose VNI an older one has. No host may carry both, or two Ethernets would become one. */
export const displacedNetworks = (
  networks: readonly NetworkDefinition[],
): ReadonlyMap<string, NetworkDefinition> =>
  younger(networks.filter(isNotMerged), ({ vni }) => vni);

export function isInside(address: string, subnet: string): boolean {
  const [inner, outer] = [parseCidr(address), parseCidr(subnet)];
  return inner !== undefined && outer !== undefined && containsAddress(outer, inner.address);
}

/** An address that two endpoints or more of one network have. */
export interface SharedAddress {
  /** CIDR, as the first of them has it: two meshes may have given it two lengths. */
  readonly address: string;
  readonly holders: readonly Endpoint[];
}

export function sharedAddresses(endpoints: readonly Endpoint[]): SharedAddress[] {
  const held = endpoints.flatMap((endpoint) =>
    addressesOf(endpoint).map((address) => ({ address, endpoint })),
  );
  return shared(held, ({ address }) => bareAddress(address)).map((group) => ({
    address: group[0]?.address ?? '',
    holders: group.map(({ endpoint }) => endpoint),
  }));
}

/** Those of an endpoint's addresses that lie in no subnet of its network, each with that of its family. */
export function addressesOutside(
  endpoint: Endpoint,
  network: NetworkDefinition,
): { readonly address: string; readonly subnet: string }[] {
  return addressesOf(endpoint).flatMap((address) => {
    const ofFamily = subnetsOf(network).find((each) => familyOf(each) === familyOf(address));
    const subnet = ofFamily ?? network.subnet;
    return isInside(address, subnet) ? [] : [{ address, subnet }];
  });
}

const REMEDY = 'see "weft ipam plan"';

/**
 * One sentence for every name, VNI or address that two hold at once, and for every endpoint outside its
 * network; only a partition, or meshes that were seeded apart, can bring them about.
 */
export function describeConflicts(
  directory: Directory,
  hostName: (host: Endpoint['host']) => string,
): string[] {
  const networks = directory.networks();
  const twins = homonyms(networks);
  const names = [...twins].map(([name, owner]) => {
    const { subnet = '', createdBy = owner.createdBy } = directory.network(name) ?? {};
    return `Network ${owner.name} was made twice, by ${hostName(owner.createdBy)} with ${owner.subnet} and later by ${hostName(createdBy)} with ${subnet}: the later one is shown as ${name}, the two are kept apart, and nothing can be attached to it; ${REMEDY}.`;
  });
  const vnis = [...displacedNetworks(networks)]
    .filter(([name, owner]) => plainName(name) !== plainName(owner.name))
    .map(
      ([name, owner]) =>
        `Network ${name} has VNI ${owner.vni} of the older network ${owner.name}: no host carries both, and nothing can be attached to ${name}; ${REMEDY}.`,
    );
  const addresses = networks.flatMap(({ name }) =>
    sharedAddresses(directory.endpoints(name)).map(({ address, holders: group }) => {
      const holders = group.map(({ id, host }) => `${id} on ${hostName(host)}`).join(' and ');
      return `Address ${address} of network ${name} is held twice, by endpoint ${holders}; ${REMEDY}, or detach one of them.`;
    }),
  );
  const outside = networks.flatMap((network) =>
    directory
      .endpoints(network.name)
      .flatMap((endpoint) =>
        addressesOutside(endpoint, network).map(
          ({ address, subnet }) =>
            `Endpoint ${endpoint.id} on ${hostName(endpoint.host)} has address ${address}, which is outside ${subnet}, the subnet of network ${network.name}; detach it and attach it again.`,
        ),
      ),
  );
  return [...names, ...vnis, ...addresses, ...outside];
}

/**
 * Of networks that share a name or a VNI, until a repair: the older one takes new endpoints, and only on
 * hosts that have none of the other. Rejects with E_NETWORK_DISPUTED, E_VNI_TAKEN.
 */
export function refuseDisputed(
  { name, vni }: NetworkDefinition,
  directory: Directory,
  self: PeerId,
): void {
  const networks = directory.networks();
  const isHere = (network: string): boolean => directory.hasEndpoints({ network, host: self });
  const remedy = 'see "weft ipam plan", and then "weft ipam repair"';
  const twins = networks.filter(
    (other) => other.name !== name && plainName(other.name) === plainName(name),
  );
  const isYounger =
    homonyms(networks).has(name) || twins.some(({ name: other }) => other === plainName(name));
  const twin = isYounger ? plainName(name) : twins.find((other) => isHere(other.name))?.name;
  if (twin !== undefined) {
    throw new AppError(
      'E_NETWORK_DISPUTED',
      `Network ${name} can't be attached to on this host: it is one of two networks that were made by that name in meshes joined later, beside ${twin}; ${remedy}.`,
    );
  }
  const owner = displacedNetworks(networks).get(name);
  const rival = owner?.name ?? directory.rivals(name).find(isHere);
  if (rival === undefined) return;
  throw new AppError(
    'E_VNI_TAKEN',
    `Network ${name} can't be attached to on this host: network ${rival} has the same VNI ${vni}; ${remedy}.`,
  );
}
