import { createHash } from 'node:crypto';
import type { EndpointFate, IpamPlan, NetworkMerge, VniChange } from '../api/control.ts';
import type { PeerId } from '../base/types.ts';
import { ownerOf, type PoolValue } from '../ipam/pool.ts';
import { contains } from '../ipam/range.ts';
import type { Endpoint } from '../network/endpoint.ts';
import { byAge, chooseVni, type NetworkDefinition } from '../network/network.ts';
import { bareAddress } from '../wire/cidr.ts';
import { displacedNetworks, homonyms, sharedAddresses } from './conflicts.ts';
import type { Directory } from './directory.ts';
import { offsetOf, poolSpec } from './pool-spec.ts';

const PLAN_DIGITS = 12;

export interface PlanWords {
  readonly directory: Directory;
  readonly nameOf: (host: PeerId) => string;
  /** The newest value of a network's pool that is known here. */
  readonly poolOf: (network: NetworkDefinition) => PoolValue | undefined;
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
  { id, name, subnet, createdBy, createdAt }: NetworkDefinition,
  survivor: NetworkDefinition,
  { nameOf }: PlanWords,
): NetworkMerge {
  return {
    ...{ network: name, id, subnet, createdBy: nameOf(createdBy), createdAt },
    ...{ into: survivor.name, intoId: survivor.id, intoSubnet: survivor.subnet },
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
  const taken = new Set(
    directory.endpoints(survivor.name).map(({ address }) => bareAddress(address)),
  );
  const losers = directory
    .networks()
    .filter(({ name }) => twins.get(name)?.id === survivor.id)
    .sort(byAge);
  return losers
    .flatMap(({ name }) => directory.endpoints(name).sort(byId))
    .map((endpoint) => {
      const address = bareAddress(endpoint.address);
      const why = hindrance(survivor, address, taken);
      if (why === undefined) taken.add(address);
      return fateOf(endpoint, survivor, why, words);
    });
}

/** Why an address can't be kept in a network; undefined if it can. */
function hindrance(
  network: NetworkDefinition,
  address: string,
  taken: ReadonlySet<string>,
): string | undefined {
  const offset = offsetOf(network, address);
  const spec = poolSpec(network);
  if (offset === undefined || spec === undefined) return `it is outside ${network.subnet}`;
  if (contains(spec.excluded, offset)) return 'it is the gateway or reserved there';
  return taken.has(address) ? 'an endpoint there has it' : undefined;
}

/** Of endpoints with one address the one whose host owns it keeps it, or else that of the lowest id. */
function twiceHeld(network: NetworkDefinition, words: PlanWords): EndpointFate[] {
  const { directory } = words;
  return sharedAddresses(directory.endpoints(network.name).sort(byId)).flatMap((group) => {
    const offset = offsetOf(network, group[0]?.address ?? '');
    const pool = words.poolOf(network);
    const owner = pool && offset !== undefined ? ownerOf(pool, offset) : undefined;
    const rank = ({ host }: Endpoint): number => Number(host !== owner);
    const [, ...others] = group.sort((a, b) => rank(a) - rank(b) || byId(a, b));
    return others.map((endpoint) => fateOf(endpoint, network, 'it is held twice', words));
  });
}

function fateOf(
  { id, host, address, network }: Endpoint,
  to: NetworkDefinition,
  why: string | undefined,
  { nameOf, poolOf }: PlanWords,
): EndpointFate {
  const offset = offsetOf(to, address);
  const pool = poolOf(to);
  const owner = pool === undefined || offset === undefined ? undefined : ownerOf(pool, offset);
  return {
    ...{ endpoint: id, host: nameOf(host), network, to: to.name },
    ...{ address: bareAddress(address), keeps: why === undefined },
    ...(why === undefined ? {} : { why }),
    ...(why === undefined && owner !== undefined && owner !== host ? { from: nameOf(owner) } : {}),
  };
}

const byId = (a: Endpoint, b: Endpoint): number => (a.id < b.id ? -1 : Number(a.id > b.id));
