import { AppError } from '../base/errors.ts';
import { HEADER_BYTES } from '../wire/ethernet.ts';
import { IPV4_HEADER_BYTES } from '../wire/ipv4.ts';
import { IPV6_HEADER_BYTES } from '../wire/ipv6.ts';
import { UDP_HEADER_BYTES } from '../wire/udp.ts';
import type { NetworkEncapsulation } from './encapsulation.ts';

/**
 * How much of the underlay's MTU is left for a network. Both MTUs count IP packets, so the inner
 * Ethernet header is overhead too, and the outer one isn't:
 *
 *   | outer IP | UDP | encapsulation | inner Ethernet | inner IP packet .......... |
 *   |<----------------------- underlay's MTU ------------------------------------->|
 *   |<------------------ overhead ------------------->|<---- network's MTU ------->|
 */
export const OUTER_IPV4_BYTES = IPV4_HEADER_BYTES;
export const OUTER_IPV6_BYTES = IPV6_HEADER_BYTES;
export const OUTER_UDP_BYTES = UDP_HEADER_BYTES;
export const INNER_ETHERNET_BYTES = HEADER_BYTES;

/** IP version of the underlay between two hosts, or of a network's subnet. */
export type IpFamily = 4 | 6;

/** The outer IP header, without options or extension headers: Weft sends none. */
export function outerIpBytes(family: IpFamily): number {
  return family === 4 ? OUTER_IPV4_BYTES : OUTER_IPV6_BYTES;
}

/** Longest IP packet: the 16-bit length fields of RFC 791 §3.1 and RFC 8200 §3. */
export const MAX_IP_PACKET_BYTES = 65535;

/**
 * Least MTU of a network, by its subnet's family. IPv4: Linux takes no path MTU below 552 for real
 * (`net.ipv4.route.min_pmtu`). IPv6: each link must carry 1280 (RFC 8200 §5).
 */
export const MIN_NETWORK_MTU: Readonly<Record<IpFamily, number>> = { 4: 552, 6: 1280 };

/**
 * Least MTU that a path between two hosts is believed to have: what is narrower is broken, and a network
 * on it is no use. IPv4: as above; IPv6: as above.
 */
export const MIN_PATH_MTU: Readonly<Record<IpFamily, number>> = MIN_NETWORK_MTU;

/** What a network's frames travel over. */
export interface MtuPath {
  /** Of the hosts' own network: the least along the way. */
  readonly underlayMtu: number;
  readonly family: IpFamily;
  readonly encapsulation: NetworkEncapsulation;
}

/**
 * The greatest MTU that a network may have on such a path, which is also the one it gets by default.
 * Negative or tiny if the underlay is too narrow: `checkNetworkMtu` says so in words.
 */
export function networkMtu({ underlayMtu, family, encapsulation }: MtuPath): number {
  return Math.min(underlayMtu, MAX_IP_PACKET_BYTES) - encapsulation.overheadBytes(family);
}

/**
 * Checks the MTU that a person asked for, or the default if none was asked for.
 * @returns the MTU
 * @throws AppError E_MTU_RANGE
 */
export function checkNetworkMtu(
  asked: number | undefined,
  path: MtuPath,
  subnetFamily: IpFamily,
): number {
  const least = MIN_NETWORK_MTU[subnetFamily];
  const greatest = networkMtu(path);
  if (greatest < least) throw underlayTooNarrow(path, subnetFamily);
  const mtu = asked ?? greatest;
  if (Number.isInteger(mtu) && mtu >= least && mtu <= greatest) return mtu;
  throw new AppError(
    'E_MTU_RANGE',
    `The MTU ${mtu} is out of range: an ${describePath(path)} leaves ${least} to ${greatest}; ` +
      `choose one of these, or leave the MTU out to get ${greatest}.`,
  );
}

function underlayTooNarrow(path: MtuPath, subnetFamily: IpFamily): AppError {
  const least = MIN_NETWORK_MTU[subnetFamily];
  const needed = least + path.encapsulation.overheadBytes(path.family);
  return new AppError(
    'E_MTU_RANGE',
    `An ${describePath(path)} leaves ${networkMtu(path)} bytes, but an IPv${subnetFamily} network needs ` +
      `${least}; raise the underlay's MTU to ${needed} or more.`,
  );
}

function describePath({ underlayMtu, family, encapsulation }: MtuPath): string {
  const overhead = encapsulation.overheadBytes(family);
  return `underlay MTU of ${underlayMtu} less ${overhead} bytes of ${encapsulation.name} over IPv${family}`;
}
