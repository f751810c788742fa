/**
 * A control datagram that goes by a relay, which strips its own header and leaves no trace of the sender:
 *
 *   | 0x52 (8) | sender's tag (64) | control datagram ... |
 *
 * The tag says where an answer goes, and proves nothing: what is inside proves who sent it.
 */
const RELAYED_KIND = 0x52;
const TAG_AT = 1;
export const RELAYED_BYTES = 9;

export function wrapRelayed(sender: bigint, bytes: Uint8Array): Buffer {
  const wrapped = Buffer.alloc(RELAYED_BYTES + bytes.length);
  wrapped[0] = RELAYED_KIND;
  wrapped.writeBigUInt64BE(sender, TAG_AT);
  wrapped.set(bytes, RELAYED_BYTES);
  return wrapped;
}

/** Undefined for what is no such datagram, or holds another of its kind, or nothing. */
export function unwrapRelayed(
  bytes: Buffer,
): { readonly sender: bigint; readonly bytes: Buffer } | undefined {
  const isRelayed = bytes[0] === RELAYED_KIND && bytes.length > RELAYED_BYTES;
  if (!isRelayed || bytes[RELAYED_BYTES] === RELAYED_KIND) return undefined;
  return { sender: bytes.readBigUInt64BE(TAG_AT), bytes: bytes.subarray(RELAYED_BYTES) };
}
