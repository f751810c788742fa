import { asVni, type Vni } from '../base/types.ts';
import { readU24, readU32, writeU24, writeU32 } from '../wire/bytes.ts';
import type { NetworkEncapsulation } from './encapsulation.ts';
import { INNER_ETHERNET_BYTES, OUTER_UDP_BYTES, outerIpBytes, type IpFamily } from './mtu.ts';

/**
 * Sealed frames: Weft's own encapsulation, on the mesh port (docs/wire-format.md). Big-endian. The cipher is
 * the data planes': `src/dataplane/portable/sealing.ts`, `native/core/sealed.hpp`.
 *
 *   0       8                              32
 *   | 0 0 1 0 | 0 0 0 P |     VNI (24)      |   kind: 0x20, or 0x21 with P
 *   |          receiver index (32)          |   names the receiver's key; the receiver chose it
 *   |             counter (64)              |   of this key, each value used once
 *   |                                       |
 *   |     Ethernet frame, encrypted ...     |
 *   |               tag (128)               |
 *
 * P: the inner TCP or UDP checksum field holds the folded pseudo-header sum, and the receiver completes it.
 * The 16 bytes of header are the AEAD's associated data, all of them.
 */
export const SEALED_HEADER_BYTES = 16;
export const SEALED_TAG_BYTES = 16;
/** What a frame grows by, before UDP and IP. */
export const SEALED_OVERHEAD_BYTES = SEALED_HEADER_BYTES + SEALED_TAG_BYTES;
export const SEALING_KEY_BYTES = 32;
/** Counters that may come late (RFC 6479). */
export const SEALED_WINDOW = 16_320;
const KIND = 0x20;
const FLAG_PARTIAL = 0x01;
const VNI_AT = 1;
const INDEX_AT = 4;
const COUNTER_HIGH_AT = 8;
const COUNTER_LOW_AT = 12;
const NONCE_BYTES = 12;
const WORD = 2 ** 32;

/** Whether a datagram with this first byte is a sealed frame. */
export function isSealedKind(firstByte: number): boolean {
  return (firstByte & ~FLAG_PARTIAL) === KIND;
}

/** Writes the header of a frame with whole checksums to the first 16 bytes. `counter` is below 2^53. */
export function writeSealedHeader(
  buf: Uint8Array,
  { vni, index, counter }: { readonly vni: Vni; readonly index: number; readonly counter: number },
): void {
  buf[0] = KIND;
  writeU24(buf, VNI_AT, vni);
  writeU32(buf, INDEX_AT, index);
  writeU32(buf, COUNTER_HIGH_AT, Math.floor(counter / WORD));
  writeU32(buf, COUNTER_LOW_AT, counter % WORD);
}

/** The caller has checked that there are `SEALED_OVERHEAD_BYTES`; after it these can't fail. */
export const sealedIsPartial = (buf: Uint8Array): boolean => (buf[0]! & FLAG_PARTIAL) !== 0;
export const sealedVni = (buf: Uint8Array): Vni => asVni(readU24(buf, VNI_AT));
export const sealedIndex = (buf: Uint8Array): number => readU32(buf, INDEX_AT);
/** Exact below 2^53, and not below it otherwise. */
export const sealedCounter = (buf: Uint8Array): number =>
  readU32(buf, COUNTER_HIGH_AT) * WORD + readU32(buf, COUNTER_LOW_AT);

/** The AEAD's nonce: four zero bytes, then the counter as the header has it. */
export function sealedNonce(header: Uint8Array): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES);
  nonce.set(header.subarray(COUNTER_HIGH_AT, SEALED_HEADER_BYTES), 4);
  return nonce;
}

export type SealingCipher = 'aes-256-gcm' | 'chacha20-poly1305';

/** A key for sealed frames in one direction. */
export interface SealingKey {
  readonly cipher: SealingCipher;
  /** 32 bytes; copied, so the caller may wipe them when the call returns. Never used before. */
  readonly key: Uint8Array;
  /** 0 to 2^32 - 1, chosen by the receiver, unique among its keys: which key a datagram was sealed with. */
  readonly index: number;
}

export const sealed: NetworkEncapsulation = {
  name: 'sealed',
  overheadBytes: (family: IpFamily) =>
    outerIpBytes(family) +
    OUTER_UDP_BYTES +
    SEALED_HEADER_BYTES +
    INNER_ETHERNET_BYTES +
    SEALED_TAG_BYTES,
};
