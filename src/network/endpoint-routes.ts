import { AppError } from '../base/errors.ts';
import type { IpCommand } from '../os/ip-command.ts';
import type { Route } from '../os/ip-json.ts';
import {
  bareAddress,
  containsAddress,
  formatAddress,
  formatCidr,
  hasHostBits,
  isHostAddress,
  parseAddress,
  parseCidr,
  subnetOf,
  type Cidr,
  familyOf,
} from '../wire/cidr.ts';
import { addressesOf, MAX_ROUTES, type Endpoint, type EndpointRoute } from './endpoint.ts';
import { defaultGateways, gatewayOf } from './gateway.ts';
import { checkSubnet, type NetworkDefinition } from './network.ts';
import { poolOfFamily } from './subnets.ts';

export type RouteCommand = Extract<IpCommand, { readonly kind: 'setRoute' }>;

const invalid = (sentence: string): AppError => new AppError('E_ROUTE_INVALID', sentence);

/** Reads the routes that an endpoint of the network is to have, in canonical text. Rejects with E_ROUTE_INVALID. */
export function checkEndpointRoutes(
  network: NetworkDefinition,
  wanted: readonly EndpointRoute[],
): readonly EndpointRoute[] {
  if (wanted.length > MAX_ROUTES) {
    throw invalid(
      `${wanted.length} routes are too many for an endpoint; give at most ${MAX_ROUTES}.`,
    );
  }
  const routes = new Map(wanted.map((route) => [route.destination, checkRoute(network, route)]));
  return [...routes.values()];
}

function checkRoute(
  network: NetworkDefinition,
  { destination, via }: EndpointRoute,
): EndpointRoute {
  const cidr = parseCidr(destination);
  if (cidr === undefined) {
    throw invalid(
      `"${destination}" is no destination of a route; write ADDRESS/PREFIX, such as 10.96.0.0/12, or 0.0.0.0/0 for everything.`,
    );
  }
  if (hasHostBits(cidr)) {
    throw invalid(
      `The route to ${destination} has host bits set; you probably mean ${formatCidr(subnetOf(cidr))}.`,
    );
  }
  const to = formatCidr(cidr);
  if (via !== undefined) return { destination: to, via: checkVia(network, cidr, via) };
  const gateways = defaultGateways(gatewayOf(network));
  if (gateways.some((gateway) => familyOf(gateway) === cidr.address.family)) {
    return { destination: to };
  }
  const why =
    network.edge === 'internal'
      ? 'is internal, so its gateway leads nowhere'
      : `has no IPv${cidr.address.family} gateway on the hosts`;
  throw invalid(
    `The route to ${to} names no gateway, and network ${network.name} ${why}; name an address of the network that leads there.`,
  );
}

function checkVia(network: NetworkDefinition, to: Cidr, text: string): string {
  const { name } = network;
  const { subnet } = poolOfFamily(network, to.address.family) ?? network;
  const own = checkSubnet(subnet);
  const via = parseAddress(text);
  if (via !== undefined && via.family === to.address.family && isHostAddress(own, via)) {
    return formatAddress(via);
  }
  throw invalid(
    `The route to ${formatCidr(to)} has the gateway "${text}", which is no address that a host could have in ${subnet} of network ${name}; give one, or none for the network's own gateway.`,
  );
}

/**
 * What gives a sandbox the routes of an endpoint: those that it has been given, else the default routes by
 * `gateways`. One whose gateway is out of its subnets, as after a move to another network, leads nowhere.
 */
export function routeCommands(
  endpoint: Endpoint,
  gateways: readonly string[] = [],
): readonly RouteCommand[] {
  const { ifname: name, routeMetric: metric, routes } = endpoint;
  if (metric === undefined) return [];
  const addresses = addressesOf(endpoint);
  const isOf = (one: string) => (other: string) => familyOf(one) === familyOf(other);
  if (routes === undefined) {
    return gateways
      .filter((gateway) => addresses.some(isOf(gateway)))
      .map((via) => ({ kind: 'setRoute', name, destination: 'default', via, metric }));
  }
  return routes.flatMap(({ destination, via = gateways.find(isOf(destination)) }) => {
    const address = addresses.find(isOf(destination));
    return via !== undefined && address !== undefined && isNear(address, via)
      ? [{ kind: 'setRoute', name, destination, via, metric } as const]
      : [];
  });
}

function isNear(address: string, via: string): boolean {
  const [cidr, gateway] = [parseCidr(address), parseAddress(via)];
  return cidr !== undefined && gateway !== undefined && containsAddress(subnetOf(cidr), gateway);
}

/** Whether the kernel has a route. */
export function hasRoute(
  routes: readonly Route[],
  { destination, via, name }: RouteCommand,
): boolean {
  const shown = shownDestination(destination);
  return routes.some(
    (route) => route.destination === shown && route.gateway === via && route.device === name,
  );
}

/** The addresses whose subnet has no route, which the kernel makes for each. */
export function missingSubnetRoutes(
  routes: readonly Route[],
  endpoint: Endpoint,
): readonly string[] {
  const present = routes
    .filter(({ device }) => device === endpoint.ifname)
    .map(({ destination }) => destination);
  return addressesOf(endpoint).filter((address) => !present.includes(shownDestination(address)));
}

/** As ip(8) writes a destination: `default`, `10.7.0.0/24`, and an address alone where there are no more. */
export function shownDestination(text: string): string {
  const cidr = parseCidr(text);
  if (cidr === undefined) return text;
  const { prefixLength } = cidr;
  if (prefixLength === 0) return 'default';
  const isAlone = prefixLength === (cidr.address.family === 4 ? 32 : 128);
  return isAlone ? bareAddress(formatCidr(cidr)) : formatCidr(subnetOf(cidr));
}

/** In a sentence of what a sandbox lacks. */
export const routeText = ({ destination, via }: RouteCommand): string =>
  `${shownDestination(destination) === 'default' ? 'default route' : `route to ${destination}`} by ${via}`;
