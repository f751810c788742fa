import { readU16, readU32, writeU16, writeU32 } from './bytes.ts';
import { checksum } from './checksum.ts';
import { after, endOf, type Field } from './field.ts';

/**
 * IPv4 header (RFC 791 §3.1). Big-endian.
 *
 *   0     4     8          16                     32
 *   | ver | IHL |   DSCP   |     total length     |
 *   |    identification    | flg| fragment offset |
 *   |    TTL    | protocol |    header checksum   |
 *   |                   source                    |
 *   |                 destination                 |   options: (IHL - 5) words more
 *
 * `isIpv4` checks the lengths once; after it no accessor can fail.
 */
const VERSION_IHL: Field = { at: 0, bytes: 1 };
const DSCP = after(VERSION_IHL, 1);
const TOTAL_LENGTH = after(DSCP, 2);
const IDENTIFICATION = after(TOTAL_LENGTH, 2);
const FRAGMENT = after(IDENTIFICATION, 2);
const TTL = after(FRAGMENT, 1);
const PROTOCOL = after(TTL, 1);
const CHECKSUM = after(PROTOCOL, 2);
const SOURCE = after(CHECKSUM, 4);
const DESTINATION = after(SOURCE, 4);

/** Without options. */
export const IPV4_HEADER_BYTES = endOf(DESTINATION);
/** The addresses lie side by side from here. */
export const IPV4_SOURCE_AT = SOURCE.at;
export const IPV4_DESTINATION_AT = DESTINATION.at;

/** IP protocol numbers (IANA), of IPv4's protocol field and IPv6's next header alike. */
export const IP_PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132 } as const;

const VERSION = 4;
const WORD_BYTES = 4;
const MORE_FRAGMENTS = 0x2000;
const DONT_FRAGMENT = 0x4000;
const OFFSET_MASK = 0x1fff;

/** Whether `buf[at, end)` holds a whole IPv4 header; the packet behind it may be cut short. */
export function isIpv4(buf: Uint8Array, at: number, end: number): boolean {
  if (end - at < IPV4_HEADER_BYTES || buf[at + VERSION_IHL.at]! >>> 4 !== VERSION) return false;
  const headerBytes = ipv4HeaderBytes(buf, at);
  return headerBytes >= IPV4_HEADER_BYTES && at + headerBytes <= end;
}

/** With options: 20 to 60. */
export function ipv4HeaderBytes(buf: Uint8Array, at: number): number {
  return (buf[at + VERSION_IHL.at]! & 0x0f) * WORD_BYTES;
}

export function ipv4TotalLength(buf: Uint8Array, at: number): number {
  return readU16(buf, at + TOTAL_LENGTH.at);
}

export function ipv4Protocol(buf: Uint8Array, at: number): number {
  return buf[at + PROTOCOL.at]!;
}

/** Any fragment of a datagram, the first one too. */
export function isIpv4Fragment(buf: Uint8Array, at: number): boolean {
  return (readU16(buf, at + FRAGMENT.at) & (MORE_FRAGMENTS | OFFSET_MASK)) !== 0;
}

export function ipv4Source(buf: Uint8Array, at: number): number {
  return readU32(buf, at + SOURCE.at);
}

export function ipv4Destination(buf: Uint8Array, at: number): number {
  return readU32(buf, at + DESTINATION.at);
}

/** Addresses are unsigned 32-bit integers, first byte highest. */
export interface Ipv4Header {
  readonly source: number;
  readonly destination: number;
  readonly protocol: number;
  /** Bytes behind the header. */
  readonly payloadBytes: number;
}

const DEFAULT_TTL = 64;

/** Writes a header without options, with its checksum, unfragmented; returns the payload's offset. */
export function writeIpv4(buf: Uint8Array, at: number, header: Ipv4Header): number {
  const end = at + IPV4_HEADER_BYTES;
  buf.fill(0, at, end);
  buf[at + VERSION_IHL.at] = (VERSION << 4) | (IPV4_HEADER_BYTES / WORD_BYTES);
  writeU16(buf, at + TOTAL_LENGTH.at, IPV4_HEADER_BYTES + header.payloadBytes);
  writeU16(buf, at + FRAGMENT.at, DONT_FRAGMENT);
  buf[at + TTL.at] = DEFAULT_TTL;
  buf[at + PROTOCOL.at] = header.protocol;
  writeU32(buf, at + SOURCE.at, header.source);
  writeU32(buf, at + DESTINATION.at, header.destination);
  writeU16(buf, at + CHECKSUM.at, checksum(buf, at, end));
  return end;
}
