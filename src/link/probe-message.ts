import type { SocketAddress } from '../base/types.ts';
import { decodeSocketAddress, encodeSocketAddress } from './candidates.ts';

/**
 * What measures a path between two hosts: a probe, and the answer that says at which address the probe was
 * seen to come from. Tags are the first 8 bytes of host ids.
 *
 *  0               1               2               3
 *  +---------------+---------------+---------------+---------------+
 *  | 0x50 or 0x51  |0 0 0 0 0 0 0 R|         reserved, 0           |   R: sent by a relay
 *  +---------------+---------------+---------------+---------------+
 *  |                    token (64): chance; the answer repeats it  |
 *  +---------------------------------------------------------------+
 *  |                    sender's tag (64)                          |
 *  +---------------------------------------------------------------+
 *  |                    receiver's tag (64)                        |
 *  +---------------------------------------------------------------+   28 bytes
 *  | answer to a probe without R: the address seen (candidates.ts) |
 *  +---------------------------------------------------------------+
 */
export const PROBE_KIND = 0x50;
export const PROBE_ANSWER_KIND = 0x51;

const FLAGS_AT = 1;
const FLAG_RELAYED = 0x01;
const TOKEN_AT = 4;
const SENDER_AT = 12;
const RECEIVER_AT = 20;
export const PROBE_BYTES = 28;

export interface PathProbe {
  readonly kind: 'probe' | 'answer';
  readonly token: bigint;
  readonly sender: bigint;
  readonly receiver: bigint;
  /** Sent to a relay: the source address of the datagram is not its sender's. */
  readonly isRelayed: boolean;
  /** In an answer: where the probe was seen to come from. */
  readonly seen?: SocketAddress;
}

export function encodeProbe(probe: PathProbe): Buffer {
  const header = Buffer.alloc(PROBE_BYTES);
  header[0] = probe.kind === 'probe' ? PROBE_KIND : PROBE_ANSWER_KIND;
  header[FLAGS_AT] = probe.isRelayed ? FLAG_RELAYED : 0;
  header.writeBigUInt64BE(probe.token, TOKEN_AT);
  header.writeBigUInt64BE(probe.sender, SENDER_AT);
  header.writeBigUInt64BE(probe.receiver, RECEIVER_AT);
  return probe.seen === undefined
    ? header
    : Buffer.concat([header, encodeSocketAddress(probe.seen)]);
}

/** Undefined for what is none, or is longer or shorter than such a message is. */
export function decodeProbe(bytes: Buffer): PathProbe | undefined {
  const [kind] = bytes;
  if (bytes.length < PROBE_BYTES || (kind !== PROBE_KIND && kind !== PROBE_ANSWER_KIND)) {
    return undefined;
  }
  const rest = bytes.length - PROBE_BYTES;
  const seen = rest === 0 ? undefined : decodeSocketAddress(bytes, PROBE_BYTES);
  if (rest !== (seen?.length ?? 0) || (seen !== undefined && kind === PROBE_KIND)) return undefined;
  return {
    kind: kind === PROBE_KIND ? 'probe' : 'answer',
    token: bytes.readBigUInt64BE(TOKEN_AT),
    sender: bytes.readBigUInt64BE(SENDER_AT),
    receiver: bytes.readBigUInt64BE(RECEIVER_AT),
    isRelayed: ((bytes[FLAGS_AT] ?? 0) & FLAG_RELAYED) !== 0,
    ...(seen && { seen: seen.found }),
  };
}
