import type { RouteRequest } from '../../api/control.ts';
import type { RouteConfig } from './config.ts';
import { CniError, CODE } from './error.ts';
import type { NetworkFacts } from './host.ts';
import type { ResultRoute } from './result.ts';

/** What a route may say from CNI 1.1 on, besides where it leads. */
const REFINEMENTS = ['mtu', 'advmss', 'priority', 'table', 'scope'] as const;

/** The routes of a config's `ipam`. Rejects with code 2 one that says more than where it leads. */
export function readRoutes(routes: readonly RouteConfig[]): readonly ResultRoute[] {
  return routes.map((route) => {
    const key = REFINEMENTS.find((each) => route[each] !== undefined);
    if (key === undefined) {
      return { dst: route.dst, ...(route.gw !== undefined && { gw: route.gw }) };
    }
    throw new CniError(
      CODE.unsupportedField,
      `The config's ipam.routes.${key} is ${JSON.stringify(route[key])}; Weft gives a route a destination and a gateway only.`,
    );
  });
}

export const routeRequest = ({ dst, gw }: ResultRoute): RouteRequest => ({
  destination: dst,
  ...(gw !== undefined && { via: gw }),
});

/** What a container on one of Weft's networks gets: the config's routes, else a default one where hosts lead out. */
export function routesOf(
  wanted: readonly ResultRoute[],
  { gateways, edge }: Pick<NetworkFacts, 'gateways' | 'edge'>,
): readonly ResultRoute[] {
  const gatewayFor = (dst: string): string | undefined =>
    gateways.find((gateway) => gateway.includes(':') === dst.includes(':'));
  if (wanted.length > 0) {
    return wanted.map(({ dst, gw = gatewayFor(dst) }) => ({
      dst,
      ...(gw !== undefined && { gw }),
    }));
  }
  if (edge !== 'routed') return [];
  return gateways.map((gw) => ({ dst: gw.includes(':') ? '::/0' : '0.0.0.0/0', gw }));
}
