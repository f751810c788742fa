import type { ExecutionContext } from 'ava';
import { hostEndName } from '../../src/network/names.ts';
import type { EndpointInfo } from '../../src/api/control.ts';
import type { MortalHost } from './mortal-host.ts';

/** An address without its prefix length. */
export const without = (cidr: string): string => cidr.split('/')[0] ?? cidr;

/** The one or two addresses of an endpoint, without prefix lengths. */
export const allOf = ({ address, address6 }: EndpointInfo): string[] =>
  [address, ...(address6 === undefined ? [] : [address6])].map(without);

/** The addresses that a container of the host really has, on an interface that leads to a bridge. */
export async function plugged(host: MortalHost): Promise<string[]> {
  const outer = (await host.kernel.links()).filter(({ master }) => master !== undefined);
  const inner = await Promise.all(host.sandboxes.map((path) => host.kernel.links(path)));
  return inner
    .flat()
    .filter(({ index }) => outer.some(({ peerIndex }) => peerIndex === index))
    .flatMap(({ addresses }) => addresses.map(({ address }) => address));
}

/** The kernel has what the tables say, all of it and nothing else. */
export async function checkKernel(
  t: ExecutionContext,
  host: MortalHost,
  what: string,
): Promise<void> {
  const own = (await host.endpoints()).filter((endpoint) => endpoint.host === host.name);
  const carried = (await host.control.listNetworks()).filter(({ name }) =>
    own.some(({ network }) => network === name),
  );
  const wanted = [
    ...own.map(({ endpoint }) => hostEndName(endpoint)),
    ...carried.flatMap(({ vni }) => [`weft-${vni}`, `wtap-${vni}`]),
  ].sort();
  t.deepEqual(await host.links(), wanted, `${what}: links of ${host.name}`);
  t.deepEqual(
    (await plugged(host)).sort(),
    own.flatMap(allOf).sort(),
    `${what}: addresses of ${host.name}`,
  );
}
