import { asVni, type Vni } from '../base/types.ts';
import { readU24, readU32, writeU24, writeU32 } from '../wire/bytes.ts';

/**
 * Frames of sealed networks in the clear, between two hosts that have agreed on it for the addresses that
 * they go from and to (docs/adr/0059), on the mesh port. Big-endian; the same in `native/core/unsealed.hpp`.
 *
 *   0       8                              32
 *   | 0 0 1 0 | 0 0 1 P |     VNI (24)      |   kind: 0x22, or 0x23 with P
 *   |          receiver index (32)          |   of the key that would have sealed it
 *   |     Ethernet frame ...                |
 *
 * P as in sealed frames (sealed.ts).
 */
export const UNSEALED_HEADER_BYTES = 8;
const KIND = 0x22;
const FLAG_PARTIAL = 0x01;
const VNI_AT = 1;
const INDEX_AT = 4;

/** Whether a datagram with this first byte is a frame of a sealed network in the clear. */
export function isUnsealedKind(firstByte: number): boolean {
  return (firstByte & ~FLAG_PARTIAL) === KIND;
}

/** Writes the header of a frame with whole checksums to the first 8 bytes. */
export function writeUnsealedHeader(buf: Uint8Array, vni: Vni, index: number): void {
  buf[0] = KIND;
  writeU24(buf, VNI_AT, vni);
  writeU32(buf, INDEX_AT, index);
}

/** The caller has checked that there are `UNSEALED_HEADER_BYTES`; after it these can't fail. */
export const unsealedIsPartial = (buf: Uint8Array): boolean => (buf[0]! & FLAG_PARTIAL) !== 0;
export const unsealedVni = (buf: Uint8Array): Vni => asVni(readU24(buf, VNI_AT));
export const unsealedIndex = (buf: Uint8Array): number => readU32(buf, INDEX_AT);
