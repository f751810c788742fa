import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import { AppError } from '../base/errors.ts';
import type { Vtep } from '../base/types.ts';

const MAPPED = '::ffff:';

/**
 * The one spelling under which an underlay address is known, the same that a socket reports for a
 * sender: RFC 5952, without zone, IPv4-mapped IPv6 (RFC 4291 §2.5.5.2) as IPv4.
 * @throws AppError E_ADDRESS_INVALID
 */
export function canonicalAddress(text: string): string {
  if (isIPv4(text)) return text;
  const bare = text.replace(/%.*$/, '');
  if (!isIPv6(bare)) {
    throw new AppError(
      'E_ADDRESS_INVALID',
      `"${text}" is no underlay address; give an IPv4 or IPv6 address such as 192.0.2.7 or 2001:db8::7.`,
    );
  }
  const { address } = new SocketAddress({ address: bare, family: 'ipv6' });
  const mapped = address.slice(MAPPED.length);
  return address.startsWith(MAPPED) && isIPv4(mapped) ? mapped : address;
}

/** The VTEP with its address in canonical spelling. @throws AppError E_ADDRESS_INVALID, for a bad port too */
export function canonicalVtep({ address, port }: Vtep): Vtep {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new AppError(
      'E_ADDRESS_INVALID',
      `The VTEP ${address} can't have UDP port ${port}; give one from 1 to 65535, most often 4789.`,
    );
  }
  return { address: canonicalAddress(address), port };
}
