import type { PoolPlan, PoolRequest } from '../api/plumbing.ts';
import { AppError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import { checkAddressing } from '../network/addressing.ts';
import { checkSubnet, type NetworkDefinition } from '../network/network.ts';
import { routeInTheWay } from '../network/routes.ts';
import { poolOfFamily, subnetsOf } from '../network/subnets.ts';
import type { Route } from '../os/ip-json.ts';
import { formatCidr, overlaps, parseCidr } from '../wire/cidr.ts';

/** Where subnets that nobody asked for are taken from: neither Docker's own nor what most sites use. */
const AUTOMATIC = { first: 128, count: 128 } as const;
const ATTEMPTS = 1000;
/** Bridges of Weft's own networks: a route by one of them is a network's, and those may overlap. */
const OWN_DEVICE = /^weft-\d+$/;
const isOwn = (device = ''): boolean => OWN_DEVICE.test(device);

/** What is known when a pool is planned. */
export interface Surroundings {
  /** The network that is meant, if it exists. */
  readonly network: NetworkDefinition | undefined;
  /** All networks of the mesh. */
  readonly networks: readonly NetworkDefinition[];
  /** The host's routes; empty if it does not matter any more, since the pool is in use here. */
  readonly routes: readonly Route[];
  readonly rng: Rng;
}

/** See `Plumbing.planPool`. Rejects with E_SUBNET_INVALID, E_SUBNET_ROUTED, E_ADDRESS_OUTSIDE. */
export function planPool(request: PoolRequest, surroundings: Surroundings): PoolPlan {
  const { network, routes } = surroundings;
  const given = request.subnet ?? subnetOfFamily(network, request.family);
  if (given === undefined) {
    return { subnet: chooseSubnet(request.family, surroundings) };
  }
  const subnet = checkSubnet(given);
  const { ipRange } = request;
  const { range } = checkAddressing(ipRange === undefined ? {} : { ipRange }, subnet);
  const text = formatCidr(subnet);
  if (subnet.address.family !== request.family) {
    throw new AppError(
      'E_SUBNET_INVALID',
      `Subnet ${text} is IPv${subnet.address.family}, and an IPv${request.family} pool was asked for.`,
    );
  }
  const route = routeInTheWay(subnet, routes, isOwn);
  if (route !== undefined) {
    throw new AppError(
      'E_SUBNET_ROUTED',
      `Subnet ${text} overlaps the host's route to ${route.destination}${route.device === undefined ? '' : ` by ${route.device}`}; choose another subnet, or remove that route.`,
    );
  }
  return { subnet: text, ...(range === undefined ? {} : { ipRange: range }) };
}

function subnetOfFamily(network: NetworkDefinition | undefined, family: 4 | 6): string | undefined {
  return network && poolOfFamily(network, family)?.subnet;
}

/**
 * By chance, so that two hosts which each ask for any subnet at one moment do not get the same, and with
 * it each other's network.
 */
function chooseSubnet(family: 4 | 6, { networks, routes, rng }: Surroundings): string {
  const taken = networks.flatMap(subnetsOf).flatMap((subnet) => parseCidr(subnet) ?? []);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const text = family === 4 ? randomSubnet4(rng) : randomSubnet6(rng);
    const subnet = parseCidr(text);
    if (subnet === undefined || taken.some((other) => overlaps(subnet, other))) continue;
    if (routeInTheWay(subnet, routes, isOwn) === undefined) return text;
  }
  throw new AppError(
    'E_SUBNET_INVALID',
    `No free subnet was found among 10.${AUTOMATIC.first}.0.0/9; give one with --subnet.`,
  );
}

function below(count: number, rng: Rng): number {
  return Math.floor(rng.next() * count);
}

function randomSubnet4(rng: Rng): string {
  return `10.${AUTOMATIC.first + below(AUTOMATIC.count, rng)}.${below(256, rng)}.0/24`;
}

/** A unique local prefix with 40 bits by chance (RFC 4193 §3.2). */
function randomSubnet6(rng: Rng): string {
  const word = (): string => below(0x10000, rng).toString(16);
  const first = (0xfd00 + below(0x100, rng)).toString(16);
  return formatCidr(parseCidr(`${first}:${word()}:${word()}::/64`) ?? fail());
}

function fail(): never {
  throw new Error('a prefix of hex words is a CIDR');
}
