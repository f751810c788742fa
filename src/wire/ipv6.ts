import { readU16, writeU16, writeU32 } from './bytes.ts';
import { after, endOf, type Field } from './field.ts';

/**
 * IPv6 header (RFC 8200 §3) and the way past its extension headers (§4). Big-endian.
 *
 *   0     4         12        16                    32
 *   | ver | traffic class |        flow label       |
 *   |    payload length       | next hdr | hop limit|
 *   |               source (128 bits)               |
 *   |             destination (128 bits)            |
 *
 * `isIpv6` checks the length once; after it no accessor can fail.
 */
const VERSION_CLASS_LABEL: Field = { at: 0, bytes: 4 };
const PAYLOAD_LENGTH = after(VERSION_CLASS_LABEL, 2);
const NEXT_HEADER = after(PAYLOAD_LENGTH, 1);
const HOP_LIMIT = after(NEXT_HEADER, 1);
const SOURCE = after(HOP_LIMIT, 16);
const DESTINATION = after(SOURCE, 16);

export const IPV6_HEADER_BYTES = endOf(DESTINATION);
export const IPV6_ADDRESS_BYTES = SOURCE.bytes;
export const IPV6_SOURCE_AT = SOURCE.at;
export const IPV6_DESTINATION_AT = DESTINATION.at;

const VERSION = 6;

/**
 * An extension header: its first byte names the next header, its second gives its length in units of
 * eight bytes beyond the first eight (the authentication header: units of four beyond the first two).
 */
const EXTENSION = {
  hopByHop: 0,
  routing: 43,
  fragment: 44,
  authentication: 51,
  options: 60,
} as const;
const EXTENSION_UNIT_BYTES = 8;
const AUTHENTICATION_UNIT_BYTES = 4;

/** Real packets have one or two; the bound keeps a hostile frame from costing a long walk. */
export const MAX_EXTENSIONS = 8;

/** Whether `buf[at, end)` holds a whole IPv6 header; the packet behind it may be cut short. */
export function isIpv6(buf: Uint8Array, at: number, end: number): boolean {
  return end - at >= IPV6_HEADER_BYTES && buf[at]! >>> 4 === VERSION;
}

export function ipv6PayloadLength(buf: Uint8Array, at: number): number {
  return readU16(buf, at + PAYLOAD_LENGTH.at);
}

export function ipv6HopLimit(buf: Uint8Array, at: number): number {
  return buf[at + HOP_LIMIT.at]!;
}

/** Type of the header right behind the fixed one. */
export function ipv6NextHeader(buf: Uint8Array, at: number): number {
  return buf[at + NEXT_HEADER.at]!;
}

/**
 * What the walk found, packed into one small integer so that walking allocates nothing:
 *
 *   | extension bytes passed (up to 8 * 2048) | cut | fragment | protocol (8) |
 */
type Ipv6Walk = number;
const FRAGMENT_BIT = 1 << 8;
const CUT_BIT = 1 << 9;
const PASSED_SHIFT = 10;

/** The payload's protocol; for a fragment the one it belongs to; for a cut walk the header where it stopped. */
export function walkedProtocol(walk: Ipv6Walk): number {
  return walk & 0xff;
}

/** Any fragment of a datagram, the first one too. */
export function isIpv6Fragment(walk: Ipv6Walk): boolean {
  return (walk & FRAGMENT_BIT) !== 0;
}

/** A header was cut off, or there were more than `MAX_EXTENSIONS`: nothing is known of the payload. */
export function isIpv6Cut(walk: Ipv6Walk): boolean {
  return (walk & CUT_BIT) !== 0;
}

/** Offset of the payload of the header at `at`. */
export function walkedPayloadOffset(at: number, walk: Ipv6Walk): number {
  return at + IPV6_HEADER_BYTES + (walk >>> PASSED_SHIFT);
}

function isExtension(type: number): boolean {
  return (
    type === EXTENSION.hopByHop ||
    type === EXTENSION.routing ||
    type === EXTENSION.fragment ||
    type === EXTENSION.authentication ||
    type === EXTENSION.options
  );
}

function extensionBytes(type: number, lengthField: number): number {
  if (type === EXTENSION.fragment) return EXTENSION_UNIT_BYTES;
  return type === EXTENSION.authentication
    ? (lengthField + 2) * AUTHENTICATION_UNIT_BYTES
    : (lengthField + 1) * EXTENSION_UNIT_BYTES;
}

/**
 * Walks from the fixed header to the payload. It stops behind a fragment header: only the first
 * fragment holds what follows, and all fragments must look the same to a flow hash.
 * @param at  a header for which `isIpv6` holds
 */
export function walkIpv6(buf: Uint8Array, at: number, end: number): Ipv6Walk {
  const first = at + IPV6_HEADER_BYTES;
  let protocol = ipv6NextHeader(buf, at);
  let next = first;
  for (let walked = 0; isExtension(protocol); walked++) {
    const type = protocol;
    const bytes = next + EXTENSION_UNIT_BYTES <= end ? extensionBytes(type, buf[next + 1]!) : 0;
    if (bytes === 0 || next + bytes > end || walked === MAX_EXTENSIONS) {
      return ((next - first) << PASSED_SHIFT) | CUT_BIT | type;
    }
    protocol = buf[next]!;
    next += bytes;
    if (type === EXTENSION.fragment) {
      return ((next - first) << PASSED_SHIFT) | FRAGMENT_BIT | protocol;
    }
  }
  return ((next - first) << PASSED_SHIFT) | protocol;
}

export interface Ipv6Header {
  /** 16 bytes each. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly nextHeader: number;
  /** Bytes behind the fixed header. */
  readonly payloadBytes: number;
  /** 64 unless told otherwise. */
  readonly hopLimit?: number;
}

const DEFAULT_HOP_LIMIT = 64;

/** Writes a header with class and label 0; returns the offset behind it. */
export function writeIpv6(buf: Uint8Array, at: number, header: Ipv6Header): number {
  writeU32(buf, at, VERSION << 28);
  writeU16(buf, at + PAYLOAD_LENGTH.at, header.payloadBytes);
  buf[at + NEXT_HEADER.at] = header.nextHeader;
  buf[at + HOP_LIMIT.at] = header.hopLimit ?? DEFAULT_HOP_LIMIT;
  buf.set(header.source, at + SOURCE.at);
  buf.set(header.destination, at + DESTINATION.at);
  return at + IPV6_HEADER_BYTES;
}
