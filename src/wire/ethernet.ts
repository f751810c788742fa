import type { Mac } from '../base/types.ts';
import { readU16, writeU16 } from './bytes.ts';
import { after, endOf, type Field } from './field.ts';
import { MAC_BYTES, readMac, writeMac } from './mac.ts';

/**
 * Ethernet II header (IEEE 802.3 §3.1.1) with any 802.1Q tags (IEEE 802.1Q §9). Big-endian.
 *
 *   0             6             12     14
 *   | destination |   source    | type | payload ...
 *   0             6             12      14      16     18
 *   | destination |   source    | 8100 | tag    | type | payload ...   one tag; 88a8 may come before
 *
 * The caller checks `end - frameAt >= HEADER_BYTES` once; after it no accessor can fail.
 */
const DESTINATION: Field = { at: 0, bytes: MAC_BYTES };
const SOURCE = after(DESTINATION, MAC_BYTES);
const TYPE = after(SOURCE, 2);

export const HEADER_BYTES = endOf(TYPE);
/** One 802.1Q tag: tag protocol identifier (in the type's place) and tag control information. */
export const TAG_BYTES = 4;
/** Stacked tags that are skipped on the way to the payload (802.1ad outer and 802.1Q inner). */
export const MAX_TAGS = 2;

export const ETHER_TYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  customerTag: 0x8100,
  ipv6: 0x86dd,
  serviceTag: 0x88a8,
} as const;

const VLAN_ID_MASK = 0x0fff;

export function readDestination(buf: Uint8Array, frameAt: number): Mac {
  return readMac(buf, frameAt + DESTINATION.at);
}

export function readSource(buf: Uint8Array, frameAt: number): Mac {
  return readMac(buf, frameAt + SOURCE.at);
}

/** The field at byte 12: the payload's type, or a tag's identifier. */
export function readOuterType(buf: Uint8Array, frameAt: number): number {
  return readU16(buf, frameAt + TYPE.at);
}

function isTag(etherType: number): boolean {
  return etherType === ETHER_TYPE.customerTag || etherType === ETHER_TYPE.serviceTag;
}

/**
 * Offset of the payload behind at most `MAX_TAGS` tags. A tag that is cut off is left in place, so
 * `readPayloadType` then shows its identifier and nobody takes the rest for IP.
 */
export function payloadOffset(buf: Uint8Array, frameAt: number, end: number): number {
  let payloadAt = frameAt + HEADER_BYTES;
  for (let tags = 0; tags < MAX_TAGS; tags++) {
    if (!isTag(readPayloadType(buf, payloadAt)) || payloadAt + TAG_BYTES > end) break;
    payloadAt += TAG_BYTES;
  }
  return payloadAt;
}

/** The payload's EtherType: always the two bytes before what `payloadOffset` returned. */
export function readPayloadType(buf: Uint8Array, payloadAt: number): number {
  return readU16(buf, payloadAt - TYPE.bytes);
}

/** VLAN of the outermost tag, 0 to 4095; -1 if the frame has none. */
export function readVlanId(buf: Uint8Array, frameAt: number, end: number): number {
  const tagAt = frameAt + HEADER_BYTES;
  if (!isTag(readOuterType(buf, frameAt)) || tagAt + TAG_BYTES > end) return -1;
  return readU16(buf, tagAt) & VLAN_ID_MASK;
}

export interface EthernetHeader {
  readonly destination: Mac;
  readonly source: Mac;
  readonly etherType: number;
}

/** Writes an untagged header to `buf[frameAt, frameAt + HEADER_BYTES)`; returns the payload's offset. */
export function writeEthernet(buf: Uint8Array, frameAt: number, header: EthernetHeader): number {
  writeMac(buf, frameAt + DESTINATION.at, header.destination);
  writeMac(buf, frameAt + SOURCE.at, header.source);
  writeU16(buf, frameAt + TYPE.at, header.etherType);
  return frameAt + HEADER_BYTES;
}
