/**
 * Header of a datagram that a host passes on for two others that can't reach each other
 * (docs/wire-format.md, native/core/relay.hpp). Big-endian.
 *
 *   0       8               16             32
 *   | 0x30  |   hop limit   | reserved, 0   |
 *   |                                       |
 *   |                tag (64)               |   the first 8 bytes of the destination's host id
 *   |           datagram ...                |   sealed end to end, of any kind but this one
 */
export const RELAY_HEADER_BYTES = 12;
const KIND = 0x30;
const LAST_KIND = 0x37;
const HOP_LIMIT_AT = 1;
const TAG_AT = 4;
const TAG_LOW_AT = 8;
/** Relays that a datagram may pass: a route has far fewer, so only a loop takes all. */
export const RELAY_HOP_LIMIT = 16;

/** Whether a datagram on the mesh port with this first byte is for another host. */
export function isRelayKind(firstByte: number): boolean {
  return firstByte >= KIND && firstByte <= LAST_KIND;
}

/** The header of datagrams for the host with this tag, 0 to 2^64 - 1. */
export function relayHeader(tag: bigint): Buffer {
  const header = Buffer.alloc(RELAY_HEADER_BYTES);
  header[0] = KIND;
  header[HOP_LIMIT_AT] = RELAY_HOP_LIMIT;
  header.writeBigUInt64BE(tag, TAG_AT);
  return header;
}

/**
 * Whether a header stands here with a datagram behind it that a relay may carry. One within another would
 * let a sender choose how often relays pass a datagram to and fro.
 */
export function isRelayable(datagram: Buffer): boolean {
  return (
    datagram.length > RELAY_HEADER_BYTES &&
    datagram[0] === KIND &&
    !isRelayKind(datagram[RELAY_HEADER_BYTES]!)
  );
}

/** The tag as two halves, so that reading it allocates nothing. */
export const relayTagHigh = (datagram: Buffer): number => datagram.readUInt32BE(TAG_AT);
export const relayTagLow = (datagram: Buffer): number => datagram.readUInt32BE(TAG_LOW_AT);

/** Takes a hop off. False, and nothing is changed, if it was the last. */
export function takeHop(datagram: Buffer): boolean {
  if (datagram[HOP_LIMIT_AT]! <= 1) return false;
  datagram[HOP_LIMIT_AT]!--;
  return true;
}
