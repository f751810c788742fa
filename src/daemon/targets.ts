import { lookup } from 'node:dns/promises';
import { AppError, errnoOf } from '../base/errors.ts';
import { parseHostPort } from '../base/host-port.ts';
import type { SocketAddress } from '../base/types.ts';
import { containsAddress, formatAddress, parseAddress, parseCidr } from '../wire/cidr.ts';

/** Reads `HOST`, `HOST:PORT`, `[V6]:PORT` or a bare IPv6 address. E_USAGE with the text seen. */
export function parseTarget(text: string, defaultPort: number): { host: string; port: number } {
  const { host, port } = parseHostPort(text) ?? { host: '' };
  if (host !== '' && port !== 0) return { host, port: port ?? defaultPort };
  throw new AppError(
    'E_USAGE',
    `"${text}" names no host; write HOST, HOST:PORT or [IPV6]:PORT with a port from 1 to 65535.`,
  );
}

const NO_VTEP = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3', '::/127', 'ff00::/8'].flatMap(
  (subnet) => parseCidr(subnet) ?? [],
);

/**
 * Reads the address of a foreign VTEP in canonical text. E_ADDRESS_INVALID for a name, and for what no
 * single other host can have: unspecified, loopback, multicast, broadcast.
 */
export function parseVtep(text: string, defaultPort: number): SocketAddress {
  const { host, port } = parseTarget(text, defaultPort);
  const address = parseAddress(host);
  const isHost =
    address !== undefined && !NO_VTEP.some((subnet) => containsAddress(subnet, address));
  if (isHost) return { address: formatAddress(address), port };
  throw new AppError(
    'E_ADDRESS_INVALID',
    `"${text}" is no VTEP; give the IP address of one other host, with a port if it is not ${defaultPort}.`,
  );
}

/** Every address of a target, in the resolver's order; E_JOIN_UNRESOLVED if its name has none. */
export async function resolveTarget(text: string, defaultPort: number): Promise<SocketAddress[]> {
  const { host, port } = parseTarget(text, defaultPort);
  try {
    const found = await lookup(host, { all: true });
    return found.map(({ address }) => ({ address, port }));
  } catch (cause) {
    throw new AppError(
      'E_JOIN_UNRESOLVED',
      `The name "${host}" has no address (${errnoOf(cause) ?? 'lookup failed'}); check its spelling or give an IP address.`,
      { cause },
    );
  }
}
