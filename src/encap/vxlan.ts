import { asVni, type Vni } from '../base/types.ts';
import { readU24, writeU24, writeU32 } from '../wire/bytes.ts';
import * as ethernet from '../wire/ethernet.ts';
import { after, endOf, type Field } from '../wire/field.ts';
import type { Encapsulation, Unwrapped } from './encapsulation.ts';
import { INNER_ETHERNET_BYTES, OUTER_UDP_BYTES, outerIpBytes, type IpFamily } from './mtu.ts';

/**
 * VXLAN header (RFC 7348 §5). Big-endian. No allocation, no sockets.
 *
 *   0               8                                              32
 *   |R|R|R|R|I|R|R|R|                   reserved                    |   I: the VNI is valid; always set
 *   |                 VNI (24 bits)                 |   reserved    |   64 bits in all
 *
 * Sending: reserved bits are 0. Receiving: they are ignored, as the RFC asks, so that formats that gave
 * some of them a meaning (GBP, GPE with Ethernet inside) still get through; without I it is refused.
 */
const FLAGS: Field = { at: 0, bytes: 1 };
const RESERVED = after(FLAGS, 3);
const VNI = after(RESERVED, 3);
const RESERVED_END = after(VNI, 1);

export const VXLAN_HEADER_BYTES = endOf(RESERVED_END);
/** Assigned by IANA. */
export const VXLAN_UDP_PORT = 4789;

const FLAG_I = 0x08;
/** The first word of every header that we send. */
const FIRST_WORD = FLAG_I << 24;

/** Drop counters in the order of the codes -1, -2, -3. */
export const VXLAN_REFUSALS = ['vxlan_short', 'vxlan_flags', 'vxlan_frame_short'] as const;
export type VxlanRefusal = (typeof VXLAN_REFUSALS)[number];
const SHORT = -1;
const NO_VNI_FLAG = -2;
const FRAME_SHORT = -3;

/** Dynamic ports, as RFC 7348 §5 recommends: 49152 to 65535, which is 2^14 of them. */
export const FIRST_SOURCE_PORT = 49152;
const SOURCE_PORT_MASK = 0x3fff;

/**
 * The UDP source port for a flow: with it, routers that hash outer headers (ECMP) and receivers that
 * hash to queues (RSS) spread flows, and keep each one in order.
 * @param hash  from `flowHash`
 */
export function sourcePort(hash: number): number {
  return FIRST_SOURCE_PORT | (hash & SOURCE_PORT_MASK);
}

/** See `Encapsulation.wrap`. */
export function wrapVxlan(buf: Uint8Array, frameAt: number, vni: Vni): number {
  const at = frameAt - VXLAN_HEADER_BYTES;
  writeU32(buf, at + FLAGS.at, FIRST_WORD);
  writeU24(buf, at + VNI.at, vni);
  buf[at + RESERVED_END.at] = 0;
  return at;
}

/** See `Encapsulation.unwrap`. */
export function unwrapVxlan(buf: Uint8Array, start: number, end: number, out: Unwrapped): number {
  const frameAt = start + VXLAN_HEADER_BYTES;
  if (frameAt > end) return SHORT;
  if ((buf[start + FLAGS.at]! & FLAG_I) === 0) return NO_VNI_FLAG;
  if (end - frameAt < ethernet.HEADER_BYTES) return FRAME_SHORT;
  out.vni = asVni(readU24(buf, start + VNI.at));
  return frameAt;
}

function overheadBytes(family: IpFamily): number {
  return outerIpBytes(family) + OUTER_UDP_BYTES + VXLAN_HEADER_BYTES + INNER_ETHERNET_BYTES;
}

/** VXLAN as a registered format. */
export const vxlan: Encapsulation<VxlanRefusal> = {
  name: 'vxlan',
  udpPort: VXLAN_UDP_PORT,
  headroomBytes: VXLAN_HEADER_BYTES,
  overheadBytes,
  wrap: wrapVxlan,
  unwrap: unwrapVxlan,
  refusals: VXLAN_REFUSALS,
  looksLike: (buf, start, end) =>
    end - start >= VXLAN_HEADER_BYTES && (buf[start + FLAGS.at]! & FLAG_I) !== 0,
};
