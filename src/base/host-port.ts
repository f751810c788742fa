import { isIPv6 } from 'node:net';

/** What a person wrote: neither part is resolved. An empty host means "any". */
export interface HostPort {
  readonly host: string;
  readonly port?: number;
}

const DECIMAL = /^[0-9]{1,5}$/;

/** A UDP or TCP port written in decimal, 0 to 65535; `undefined` if `text` is no such number. */
export function parsePort(text: string): number | undefined {
  if (!DECIMAL.test(text)) return undefined;
  const port = Number(text);
  return port <= 65535 ? port : undefined;
}

/** `[host, port text]`; the port text is `undefined` where none was written. */
function split(text: string): readonly [string, string | undefined] | undefined {
  if (text.startsWith('[')) {
    const match = /^\[([^\]]+)\](?::(.*))?$/.exec(text);
    const host = match?.[1];
    return host !== undefined && isIPv6(host) ? [host, match?.[2]] : undefined;
  }
  if (isIPv6(text)) return [text, undefined];
  const [host = '', port, ...more] = text.split(':');
  return more.length > 0 || /[\s/\]]/.test(host) ? undefined : [host, port];
}

/**
 * Reads `HOST`, `HOST:PORT`, `[V6]:PORT`, bare `V6` and `:PORT`; `undefined` if it is none of them.
 * The host is a name or an address and is not looked up.
 */
export function parseHostPort(text: string): HostPort | undefined {
  const parts = split(text);
  if (parts === undefined) return undefined;
  const [host, portText] = parts;
  if (portText === undefined) return host === '' ? undefined : { host };
  const port = parsePort(portText);
  return port === undefined ? undefined : { host, port };
}
