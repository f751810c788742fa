import { isIP } from 'node:net';
import type { SocketAddress } from '../base/types.ts';

export const DNS_PORT = 53;
/** As many as the C library asks: resolv.conf(5), MAXNS. */
const MAX_NAMESERVERS = 3;

/** The name servers of a resolv.conf(5): addresses only, the first three. */
export function parseNameservers(text: string): readonly SocketAddress[] {
  return text
    .split('\n')
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? '')
    .filter((address) => isIP(address) !== 0)
    .slice(0, MAX_NAMESERVERS)
    .map((address) => ({ address, port: DNS_PORT }));
}
