import type { SocketAddress } from '../base/types.ts';
import { addressBytes, formatAddress, parseAddress, readAddress } from '../wire/cidr.ts';

/**
 * Addresses at which a host may be reached, as its meta data carries them: each
 *
 *   | family (8): 4 or 6 | address (32 or 128) | port (16) |
 */

/** More are not announced, and not read: 8 of IPv6 take 152 of the 512 bytes that a host's meta data may have. */
export const MAX_CANDIDATES = 8;

const PORT_BYTES = 2;
const ADDRESS_LENGTHS: Readonly<Record<number, number>> = { 4: 4, 6: 16 };

export function encodeSocketAddress({ address, port }: SocketAddress): Buffer {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new RangeError(`${address} is no address`);
  const bytes = addressBytes(parsed);
  const encoded = Buffer.alloc(1 + bytes.length + PORT_BYTES);
  encoded[0] = parsed.family;
  encoded.set(bytes, 1);
  encoded.writeUInt16BE(port, 1 + bytes.length);
  return encoded;
}

/** The address that begins at `at` and how many bytes it takes; undefined if there is none that can be sent to. */
export function decodeSocketAddress(
  bytes: Uint8Array,
  at: number,
): { readonly found: SocketAddress; readonly length: number } | undefined {
  const family = bytes[at] ?? 0;
  const addressLength = ADDRESS_LENGTHS[family];
  if (addressLength === undefined) return undefined;
  const length = 1 + addressLength + PORT_BYTES;
  if (at + length > bytes.length) return undefined;
  const address = formatAddress(readAddress(bytes, at + 1, family as 4 | 6));
  const port = Buffer.from(bytes.buffer, bytes.byteOffset + at + 1 + addressLength).readUInt16BE();
  return port === 0 ? undefined : { found: { address, port }, length };
}

/** The first `MAX_CANDIDATES` of them. */
export function encodeCandidates(addresses: readonly SocketAddress[]): Buffer {
  return Buffer.concat(addresses.slice(0, MAX_CANDIDATES).map(encodeSocketAddress));
}

/** Undefined if the bytes are not exactly such a list, or are too many. */
export function decodeCandidates(bytes: Uint8Array): SocketAddress[] | undefined {
  const candidates: SocketAddress[] = [];
  for (let at = 0; at < bytes.length;) {
    const next = decodeSocketAddress(bytes, at);
    if (next === undefined || candidates.length === MAX_CANDIDATES) return undefined;
    candidates.push(next.found);
    at += next.length;
  }
  return candidates;
}
