import ipaddr from 'ipaddr.js';
import type { SocketAddress } from '../base/types.ts';
import type { weft } from './generated/wire.js';
import { isUnspecified } from './member.ts';

/** 4 or 16 bytes; none of an address that is not known yet. */
export const ipBytes = (address: string): Uint8Array =>
  Uint8Array.from(isUnspecified(address) ? [] : ipaddr.parse(address).toByteArray());

export const addressBytes = ({
  address,
  port,
}: SocketAddress): weft.gossip.Address.$Properties => ({ ip: ipBytes(address), port });

/** IPv4 mapped into IPv6 comes out as IPv4, so that one host has one textual address. */
export function normalizeIp(text: string): string {
  const ip = ipaddr.process(text);
  return ip instanceof ipaddr.IPv6 ? ip.toRFC5952String() : ip.toString();
}

export function addressFrom(
  message: weft.gossip.Address.$Properties | null | undefined,
): SocketAddress | undefined {
  const { ip, port } = message ?? {};
  if (port === undefined || port === null || port < 1 || port > 65535) return undefined;
  if (!ip || ip.length === 0) return { address: '0.0.0.0', port };
  if (ip.length === 4) return { address: ip.join('.'), port };
  if (ip.length !== 16) return undefined;
  return { address: normalizeIp(ipaddr.fromByteArray([...ip]).toString()), port };
}
