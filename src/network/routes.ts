import type { Route } from '../os/ip-json.ts';
import { overlaps, parseCidr, type Cidr } from '../wire/cidr.ts';

/** ip(8) writes a route to one address without a prefix length; "default" is in nobody's way. */
function parseDestination(text: string): Cidr | undefined {
  return parseCidr(text) ?? parseCidr(`${text}/${text.includes(':') ? 128 : 32}`);
}

/** The first route of the host that leads elsewhere for a part of the subnet. `isOurs` says which don't count. */
export function routeInTheWay(
  subnet: Cidr,
  routes: readonly Route[],
  isOurs: (device: string | undefined) => boolean,
): Route | undefined {
  return routes.find(({ destination, device }) => {
    const other = parseDestination(destination);
    return other !== undefined && !isOurs(device) && overlaps(subnet, other);
  });
}
