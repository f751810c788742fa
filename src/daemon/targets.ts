import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { AppError, errnoOf } from '../base/errors.ts';
import type { SocketAddress } from '../base/types.ts';

const PORT = /^\d{1,5}$/;

/**
 * Splits `HOST`, `HOST:PORT`, `[V6]`, `[V6]:PORT` or a bare IPv6 address. E_USAGE with the text seen.
 */
export function parseTarget(text: string, defaultPort: number): { host: string; port: number } {
  const bracketed = /^\[([^\]]+)\](?::(.*))?$/.exec(text);
  const [host, port] = bracketed
    ? [bracketed[1] ?? '', bracketed[2]]
    : isIP(text) === 6
      ? [text, undefined]
      : splitAtColon(text);
  const number = port === undefined ? defaultPort : PORT.test(port) ? Number(port) : 0;
  const hostIsPlausible = bracketed ? isIP(host) === 6 : /^[^\s:/@]+$/.test(host) || isIP(host);
  if (!hostIsPlausible || number < 1 || number > 65535) {
    throw new AppError(
      'E_USAGE',
      `"${text}" names no host; write HOST, HOST:PORT or [IPV6]:PORT with a port from 1 to 65535.`,
    );
  }
  return { host, port: number };
}

function splitAtColon(text: string): [string, string | undefined] {
  const colon = text.lastIndexOf(':');
  return colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
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
