import { readU16 } from './bytes.ts';

/**
 * The Internet checksum (RFC 1071): the complement of the ones' complement sum of 16-bit words, an odd
 * last byte counted as the high half of a word. Sums are kept unfolded so that parts can be added.
 */

/** An IPv6 header's source and destination, side by side. */
const ADDRESSES_BYTES = 32;

/** Adds the words of `buf[start, end)` to `sum`. O(n); exact up to 2^53, far beyond any packet. */
export function addToSum(buf: Uint8Array, start: number, end: number, sum = 0): number {
  let total = sum;
  let at = start;
  for (; at + 1 < end; at += 2) total += readU16(buf, at);
  return at < end ? total + buf[at]! * 0x100 : total;
}

/** Folds the carries and complements: the value for a header's checksum field. */
export function foldSum(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000);
  return ~folded & 0xffff;
}

/** Checksum of `buf[start, end)`; 0 if the range holds a right checksum of itself. */
export function checksum(buf: Uint8Array, start: number, end: number): number {
  return foldSum(addToSum(buf, start, end));
}

/** Sum of UDP's and TCP's pseudo header over IPv4 (RFC 768, RFC 9293 §3.1). Addresses as unsigned integers. */
export function pseudoHeaderSum4(
  source: number,
  destination: number,
  protocol: number,
  bytes: number,
): number {
  return halves(source) + halves(destination) + protocol + bytes;
}

/**
 * Sum of the pseudo header over IPv6 (RFC 8200 §8.1).
 * @param addressesAt  offset of the source address, with the destination right behind it
 */
export function pseudoHeaderSum6(
  buf: Uint8Array,
  addressesAt: number,
  protocol: number,
  bytes: number,
): number {
  return addToSum(buf, addressesAt, addressesAt + ADDRESSES_BYTES) + protocol + halves(bytes);
}

function halves(word: number): number {
  return (word >>> 16) + (word & 0xffff);
}
