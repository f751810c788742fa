import { createHash } from 'node:crypto';
import type { EndpointFate, IpamPlan, NetworkMerge, VniChange } from '../api/control.ts';
import type { PeerId } from '../base/types.ts';
import { ownerOf, type PoolValue } from '../ipam/pool.ts';
import { contains } from '../ipam/range.ts';
import { addressesOf, type Endpoint } from '../network/endpoint.ts';
import { byAge, chooseVni, type NetworkDefinition } from '../network/network.ts';
import { poolOfFamily, subnetsOf, type AddressPool } from '../network/subnets.ts';
import { bareAddress, familyOf } from '../wire/cidr.ts';
import { displacedNetworks, homonyms, sharedAddresses } from './conflicts.ts';
import type { Directory } from './directory.ts';
import { offsetOf, poolSpec } from './pool-spec.ts';

const PLAN_DIGITS = 12;

export interface PlanWords {
  readonly directory: Directory;
  readonly nameOf: (host: PeerId) => string;
  /** The newest value of a pool that is known here. */
  readonly valueOf: (pool: AddressPool) => PoolValue | undefined;
}

/**
 * What a repair would do about meshes that were seeded apart. The same on every host that has the same
 * rows: the older network survives, what it gave out stays, the rest moves by the order of its age and
 * then of endpoints' ids. The plan's id covers what would be decided, and not what is only told.
 */
export function planRepair(words: PlanWords): IpamPlan {
  const { directory } = words;
  const networks = directory.networks();
  const twins = homonyms(networks);
  const merges = [...twins].flatMap(([name, survivor]): NetworkMerge[] => {
    const network = directory.network(name);
    return network === undefined ? [] : [mergeOf(network, survivor, words)];
  });
  const vnis = vniChanges(networks, twins);
  const survivors = new Map([...twins.values()].map((network) => [network.id, network]));
  const endpoints = [
    ...[...survivors.values()].flatMap((survivor) => fatesOf(survivor, twins, words)),
    ...networks.filter(({ name }) => !twins.has(name)).flatMap((each) => twiceHeld(each, words)),
  ];
  const decided = [
    merges.map(({ id, intoId }) => [id, intoId]),
    vnis.map(({ id, vni }) => [id, vni]),
    endpoints.map(({ endpoint, address, keeps }) => [endpoint, address, keeps]),
  ];
  const isEmpty = decided.every((list) => list.length === 0);
  const digest = createHash('sha256').update(JSON.stringify(decided)).digest('hex');
  return { plan: isEmpty ? '' : digest.slice(0, PLAN_DIGITS), merges, vnis, endpoints };
}

function mergeOf(
  network: NetworkDefinition,
  survivor: NetworkDefinition,
  { nameOf }: PlanWords,
): NetworkMerge {
  const { id, name, createdBy, createdAt } = network;
  const [subnet, intoSubnet] = [network, survivor].map((each) => subnetsOf(each).join(','));
  return {
    ...{ network: name, id, subnet: subnet ?? '', createdBy: nameOf(createdBy), createdAt },
    ...{ into: survivor.name, intoId: survivor.id, intoSubnet: intoSubnet ?? '' },
    ...{ intoCreatedBy: nameOf(survivor.createdBy), intoCreatedAt: survivor.createdAt },
  };
}

/** The younger of two networks on one VNI gets another, chosen alike by every host. */
function vniChanges(
  networks: readonly NetworkDefinition[],
  twins: ReadonlyMap<string, NetworkDefinition>,
): VniChange[] {
  const staying = networks.filter(({ name }) => !twins.has(name));
  const taken = new Set(networks.map(({ vni }) => vni));
  return [...displacedNetworks(staying)]
    .flatMap(([name, owner]) => {
      const network = staying.find((each) => each.name === name);
      return network === undefined ? [] : [{ network, owner }];
    })
    .sort((a, b) => byAge(a.network, b.network))
    .map(({ network: { id, name, vni: from }, owner }) => {
      const vni = chooseVni(`${name} ${id}`, (each) => taken.has(each));
      taken.add(vni);
      return { network: name, id, from, vni, owner: owner.name };
    });
}

/** What becomes of the endpoints of networks that lose their name to `survivor`. */
function fatesOf(
  survivor: NetworkDefinition,
  twins: ReadonlyMap<string, NetworkDefinition>,
  words: PlanWords,
): EndpointFate[] {
  const { directory } = words;
  const taken = new Set(directory.endpoints(survivor.name).flatMap(addressesOf).map(bareAddress));
  const losers = directory
    .networks()
    .filter(({ name }) => twins.get(name)?.id === survivor.id)
    .sort(byAge);
  return losers
    .flatMap(({ name }) => directory.endpoints(name).sort(byId))
    .flatMap((endpoint) =>
      addressesOf(endpoint).map((text) => {
        const address = bareAddress(text);
        const why = hindrance(survivor, address, taken);
        if (why === undefined) taken.add(address);
        return fateOf({ endpoint, address }, survivor, why, words);
      }),
    );
}

/** Why an address can't be kept in a network; undefined if it can. */
function hindrance(
  network: NetworkDefinition,
  address: string,
  taken: ReadonlySet<string>,
): string | undefined {
  const family = familyOf(address);
  const pool = poolOfFamily(network, family);
  if (pool === undefined) return `there is no IPv${family} subnet`;
  const offset = offsetOf(pool, address);
  const spec = poolSpec(pool);
  if (offset === undefined || spec === undefined) return `it is outside ${pool.subnet}`;
  if (contains(spec.excluded, offset)) return 'it is the gateway or reserved there';
  return taken.has(address) ? 'an endpoint there has it' : undefined;
}

/** Of endpoints with one address the one whose host owns it keeps it, or else that of the lowest id. */
function twiceHeld(network: NetworkDefinition, words: PlanWords): EndpointFate[] {
  const { directory } = words;
  const endpoints = directory.endpoints(network.name).sort(byId);
  return sharedAddresses(endpoints).flatMap(({ address: text, holders }) => {
    const address = bareAddress(text);
    const owner = ownerIn(network, address, words);
    const rank = ({ host }: Endpoint): number => Number(host !== owner);
    const [, ...others] = [...holders].sort((a, b) => rank(a) - rank(b) || byId(a, b));
    return others.map((endpoint) =>
      fateOf({ endpoint, address }, network, 'it is held twice', words),
    );
  });
}

/** The host that owns an address of a network, as far as it is known here. */
function ownerIn(
  network: NetworkDefinition,
  address: string,
  { valueOf }: PlanWords,
): PeerId | undefined {
  const pool = poolOfFamily(network, familyOf(address));
  const offset = pool && offsetOf(pool, address);
  const value = pool && valueOf(pool);
  return value === undefined || offset === undefined ? undefined : ownerOf(value, offset);
}

function fateOf(
  { endpoint, address }: { readonly endpoint: Endpoint; readonly address: string },
  to: NetworkDefinition,
  why: string | undefined,
  words: PlanWords,
): EndpointFate {
  const { id, host, network } = endpoint;
  const { nameOf } = words;
  const owner = ownerIn(to, address, words);
  const isLost = poolOfFamily(to, familyOf(address)) === undefined;
  return {
    ...{ endpoint: id, host: nameOf(host), network, to: to.name },
    ...{ address, keeps: why === undefined },
    ...(isLost && { drops: true }),
    ...(why === undefined ? {} : { why }),
    ...(why === undefined && owner !== undefined && owner !== host ? { from: nameOf(owner) } : {}),
  };
}

const byId = (a: Endpoint, b: Endpoint): number => (a.id < b.id ? -1 : Number(a.id > b.id));
