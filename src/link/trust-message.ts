import { timingSafeEqual } from 'node:crypto';
import type { SocketAddress } from '../base/types.ts';
import { decodeSocketAddress, encodeSocketAddress } from './candidates.ts';
import { PublicKey, type KeyPair } from './noise/key-pair.ts';
import { hmac } from './noise/suite.ts';

/**
 * What two hosts say to each other before frames go in the clear between them (docs/adr/0059), in the
 * envelope. Tags are the first 8 bytes of host ids. Big-endian.
 *
 *  0               1               2               3
 *  +---------------+---------------+---------------+---------------+
 *  | 0x54 or 0x55  |    verdict    | prefix length |  reserved, 0  |   the two: of an answer, else 0
 *  +---------------+---------------+---------------+---------------+
 *  |                    token (64): chance; the answer repeats it  |
 *  +---------------------------------------------------------------+
 *  |                    sender's tag (64)                          |
 *  +---------------------------------------------------------------+
 *  |                    receiver's tag (64)                        |
 *  +---------------------------------------------------------------+
 *  |                    challenge (64)                             |
 *  +---------------------------------------------------------------+   36 bytes
 *  |                    address (candidates.ts)                    |
 *  +---------------------------------------------------------------+
 *  |                    mac (128)                                  |
 *  +---------------------------------------------------------------+
 *
 * An offer (0x54) has the address that it is sent to, and the challenge of the last answer, or 0. An answer
 * (0x55) has the address that the offer came from, the challenge for the next offer, and how long the prefix
 * is of the subnet that has that address. The mac is made with a key that only the two hosts can have.
 */
const OFFER_KIND = 0x54;
const ANSWER_KIND = 0x55;
const VERDICT_AT = 1;
const PREFIX_AT = 2;
const TOKEN_AT = 4;
const SENDER_AT = 12;
const RECEIVER_AT = 20;
const CHALLENGE_AT = 28;
const HEADER_BYTES = 36;
const MAC_BYTES = 16;

/**
 * `taken`: frames in the clear are taken from there. `stale`: the challenge was not the last one.
 * `untrusted`: the sender is at no address that the receiver trusts. `translated`: the receiver does not have
 * the address that the offer was sent to.
 */
export const TRUST_VERDICTS = ['taken', 'stale', 'untrusted', 'translated'] as const;
export type TrustVerdict = (typeof TRUST_VERDICTS)[number];

interface Common {
  readonly token: bigint;
  readonly sender: bigint;
  readonly receiver: bigint;
  readonly challenge: bigint;
  readonly address: SocketAddress;
}

export type TrustMessage =
  | (Common & { readonly kind: 'offer' })
  | (Common & {
      readonly kind: 'answer';
      readonly verdict: TrustVerdict;
      /** 0 where no subnet has it. */
      readonly prefixLength: number;
    });

/**
 * The key of a pair of hosts for these messages: HMAC-BLAKE2s of their static keys' Diffie-Hellman. No third
 * host can make it. Undefined for a public key of a small order.
 */
export function trustKey(own: KeyPair, remote: Uint8Array): Buffer | undefined {
  const secret = own.dh(PublicKey.from(remote));
  return secret && hmac('BLAKE2s', secret, Buffer.from('weft trust 1'));
}

const macOf = (bytes: Buffer, key: Buffer): Buffer =>
  hmac('BLAKE2s', key, bytes).subarray(0, MAC_BYTES);

export function encodeTrust(message: TrustMessage, key: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = message.kind === 'offer' ? OFFER_KIND : ANSWER_KIND;
  if (message.kind === 'answer') {
    header[VERDICT_AT] = TRUST_VERDICTS.indexOf(message.verdict);
    header[PREFIX_AT] = message.prefixLength;
  }
  header.writeBigUInt64BE(message.token, TOKEN_AT);
  header.writeBigUInt64BE(message.sender, SENDER_AT);
  header.writeBigUInt64BE(message.receiver, RECEIVER_AT);
  header.writeBigUInt64BE(message.challenge, CHALLENGE_AT);
  const body = Buffer.concat([header, encodeSocketAddress(message.address)]);
  return Buffer.concat([body, macOf(body, key)]);
}

/** Undefined for what is none, or is longer or shorter than such a message is. The mac is another matter. */
export function decodeTrust(bytes: Buffer): TrustMessage | undefined {
  const [kind, verdict = 0, prefixLength = 0] = bytes;
  if (kind !== OFFER_KIND && kind !== ANSWER_KIND) return undefined;
  const address = decodeSocketAddress(bytes, HEADER_BYTES);
  if (address === undefined || bytes.length !== HEADER_BYTES + address.length + MAC_BYTES) {
    return undefined;
  }
  const common: Common = {
    token: bytes.readBigUInt64BE(TOKEN_AT),
    sender: bytes.readBigUInt64BE(SENDER_AT),
    receiver: bytes.readBigUInt64BE(RECEIVER_AT),
    challenge: bytes.readBigUInt64BE(CHALLENGE_AT),
    address: address.found,
  };
  if (kind === OFFER_KIND) return { ...common, kind: 'offer' };
  const known = TRUST_VERDICTS[verdict];
  return known && { ...common, kind: 'answer', verdict: known, prefixLength };
}

/** Whether a message, which `decodeTrust` has read, is of who has the key. */
export function isTrustAuthentic(bytes: Buffer, key: Buffer): boolean {
  const body = bytes.subarray(0, bytes.length - MAC_BYTES);
  return timingSafeEqual(bytes.subarray(body.length), macOf(body, key));
}
