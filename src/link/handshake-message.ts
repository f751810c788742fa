import { timingSafeEqual } from 'node:crypto';
import { after, endOf, type Field } from '../wire/field.ts';
import { decrypt, encrypt, hmac, TAG_BYTES } from './noise/suite.ts';
import { DH_BYTES } from './noise/key-pair.ts';

/**
 * Handshakes on the mesh port (docs/wire-format.md). Big-endian. All begin alike:
 *
 *   0               8               16                             32
 *   |     kind      |    version    |         reserved, 0           |
 *   |                    index (32): see below                      |   64 bits
 *
 *   0x10 initiation    the sender's index · Noise message 1 (109 bytes) · mac1 (16) · mac2 (16)
 *   0x11 response      the receiver's · the sender's (4) · Noise message 2 (53) · mac1 (16) · mac2 (16)
 *   0x12 cookie        the receiver's · nonce (16) · cookie, sealed (32)
 *   0x13 confirmation  the receiver's · mac (16)
 *
 * mac1 is made with a key that all members have and nobody else: what has no right mac1 costs one hash.
 */
export const KIND = { initiation: 0x10, response: 0x11, cookie: 0x12, confirmation: 0x13 } as const;
export const HANDSHAKE_VERSION = 1;
export const MAC_BYTES = 16;
export const COOKIE_BYTES = 16;
export const COOKIE_NONCE_BYTES = 16;

const INDEX: Field = { at: 4, bytes: 4 };

/**
 * What the messages tell under encryption. `used` is the index, of the receiver's, whose key the sender seals
 * with at the moment, or 0: what the receiver needs most when confirmations got lost.
 *
 *   message 1   | stamp (64) | ciphers offered (8) | used (32) |
 *   message 2   | cipher chosen (8) | used (32) |
 */
export interface OfferPayload {
  readonly stamp: number;
  readonly ciphers: number;
  readonly used: number;
}
export interface ChoicePayload {
  readonly cipher: number;
  readonly used: number;
}
const OFFER_BYTES = 13;
const CHOICE_BYTES = 5;

export function encodeOffer({ stamp, ciphers, used }: OfferPayload): Buffer {
  const bytes = Buffer.alloc(OFFER_BYTES);
  bytes.writeBigUInt64BE(BigInt(stamp));
  bytes.writeUInt8(ciphers, 8);
  bytes.writeUInt32BE(used, 9);
  return bytes;
}

/** Its length follows from that of the message, which was checked. */
export const decodeOffer = (bytes: Buffer): OfferPayload => ({
  stamp: Number(bytes.readBigUInt64BE()),
  ciphers: bytes.readUInt8(8),
  used: bytes.readUInt32BE(9),
});

export function encodeChoice({ cipher, used }: ChoicePayload): Buffer {
  const bytes = Buffer.alloc(CHOICE_BYTES);
  bytes.writeUInt8(cipher);
  bytes.writeUInt32BE(used, 1);
  return bytes;
}

/** As `decodeOffer`. */
export const decodeChoice = (bytes: Buffer): ChoicePayload => ({
  cipher: bytes.readUInt8(),
  used: bytes.readUInt32BE(1),
});

const NOISE_1 = after(INDEX, DH_BYTES + DH_BYTES + TAG_BYTES + OFFER_BYTES + TAG_BYTES);
const INITIATION_MAC_1 = after(NOISE_1, MAC_BYTES);
const INITIATION_MAC_2 = after(INITIATION_MAC_1, MAC_BYTES);
export const INITIATION_BYTES = endOf(INITIATION_MAC_2);

const SENDER = after(INDEX, 4);
const NOISE_2 = after(SENDER, DH_BYTES + CHOICE_BYTES + TAG_BYTES);
const RESPONSE_MAC_1 = after(NOISE_2, MAC_BYTES);
const RESPONSE_MAC_2 = after(RESPONSE_MAC_1, MAC_BYTES);
export const RESPONSE_BYTES = endOf(RESPONSE_MAC_2);

const NONCE = after(INDEX, COOKIE_NONCE_BYTES);
const SEALED_COOKIE = after(NONCE, COOKIE_BYTES + TAG_BYTES);
export const COOKIE_REPLY_BYTES = endOf(SEALED_COOKIE);

const CONFIRMATION_MAC = after(INDEX, MAC_BYTES);
export const CONFIRMATION_BYTES = endOf(CONFIRMATION_MAC);

const LENGTHS: Readonly<Record<number, number>> = {
  [KIND.initiation]: INITIATION_BYTES,
  [KIND.response]: RESPONSE_BYTES,
  [KIND.cookie]: COOKIE_REPLY_BYTES,
  [KIND.confirmation]: CONFIRMATION_BYTES,
};

/** Whether these are as many bytes as their kind has, of our version. After it nothing reads past the end. */
export function isWellFormed(bytes: Buffer): boolean {
  return LENGTHS[bytes[0] ?? 0] === bytes.length && bytes[1] === HANDSHAKE_VERSION;
}

const cut = (bytes: Buffer, { at, bytes: count }: Field): Buffer => bytes.subarray(at, at + count);

function head(kind: number, index: number): Buffer {
  const bytes = Buffer.alloc(endOf(INDEX));
  bytes[0] = kind;
  bytes[1] = HANDSHAKE_VERSION;
  bytes.writeUInt32BE(index, INDEX.at);
  return bytes;
}

export function makeInitiation(senderIndex: number, noise: Uint8Array, macs: Macs): Buffer {
  return macs.add(Buffer.concat([head(KIND.initiation, senderIndex), noise]));
}

export function makeResponse(
  { receiver, sender }: { readonly receiver: number; readonly sender: number },
  noise: Uint8Array,
  macs: Macs,
): Buffer {
  const senderIndex = Buffer.alloc(4);
  senderIndex.writeUInt32BE(sender);
  return macs.add(Buffer.concat([head(KIND.response, receiver), senderIndex, noise]));
}

/** The index in front: the sender's of an initiation, the receiver's of all else. */
export const indexOf = (bytes: Buffer): number => bytes.readUInt32BE(INDEX.at);
export const responseSender = (bytes: Buffer): number => bytes.readUInt32BE(SENDER.at);
export const initiationNoise = (bytes: Buffer): Buffer => cut(bytes, NOISE_1);
export const responseNoise = (bytes: Buffer): Buffer => cut(bytes, NOISE_2);

const mac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer =>
  hmac('BLAKE2s', key, ...parts).subarray(0, MAC_BYTES);

/** mac1 and mac2 of what is sent to one host; mac2 is zeros unless that host has given us a cookie. */
export interface Macs {
  add(message: Buffer): Buffer;
}

/** The keys that go with one receiver: its public key, and the secret of the mesh. */
export class ReceiverKeys {
  /** Of mac1, 32 bytes: whoever has it can tell what was made for this receiver, and make such. */
  readonly macOneKey: Buffer;
  readonly #cookie: Buffer;

  constructor(secret: Uint8Array, publicKey: Uint8Array) {
    this.macOneKey = hmac('BLAKE2s', secret, Buffer.from('weft mac1 1'), publicKey);
    this.#cookie = hmac('BLAKE2s', secret, Buffer.from('weft cookie 1'), publicKey);
  }

  macs(cookie?: Uint8Array): Macs {
    return {
      add: (message) => {
        const first = Buffer.concat([message, mac(this.macOneKey, message)]);
        return Buffer.concat([first, cookie ? mac(cookie, first) : Buffer.alloc(MAC_BYTES)]);
      },
    };
  }

  /** Whether an initiation or response was made for this receiver by somebody with the secret. */
  isForUs(bytes: Buffer): boolean {
    const end = bytes.length - 2 * MAC_BYTES;
    return timingSafeEqual(mac(this.macOneKey, bytes.subarray(0, end)), macOne(bytes));
  }

  /** The answer of this receiver to an initiation that it has no time for. */
  makeCookieReply(initiation: Buffer, cookie: Uint8Array, nonce: Uint8Array): Buffer {
    const key = hmac('BLAKE2s', this.#cookie, nonce);
    const sealed = encrypt('ChaChaPoly', key, 0n, macOne(initiation), cookie);
    return Buffer.concat([head(KIND.cookie, indexOf(initiation)), nonce, sealed]);
  }

  /** The cookie in such an answer of this receiver to what had `firstMac`. */
  openCookie(reply: Buffer, firstMac: Uint8Array): Buffer | undefined {
    const key = hmac('BLAKE2s', this.#cookie, cut(reply, NONCE));
    return decrypt('ChaChaPoly', key, 0n, firstMac, cut(reply, SEALED_COOKIE));
  }
}

/** mac1 of an initiation or response. */
export function macOne(bytes: Buffer): Buffer {
  return bytes.subarray(bytes.length - 2 * MAC_BYTES, bytes.length - MAC_BYTES);
}

const NO_MAC = Buffer.alloc(MAC_BYTES);

/** Whether mac2 is zeros: its sender has no cookie. */
export function isWithoutCookie(bytes: Buffer): boolean {
  return bytes.subarray(bytes.length - MAC_BYTES).equals(NO_MAC);
}

/** Whether mac2 was made with the cookie. */
export function hasCookie(bytes: Buffer, cookie: Uint8Array): boolean {
  const end = bytes.length - MAC_BYTES;
  return timingSafeEqual(mac(cookie, bytes.subarray(0, end)), bytes.subarray(end));
}

export function makeConfirmation(receiverIndex: number, key: Uint8Array): Buffer {
  const message = head(KIND.confirmation, receiverIndex);
  return Buffer.concat([message, mac(key, message)]);
}

export function isConfirmation(bytes: Buffer, key: Uint8Array): boolean {
  return timingSafeEqual(mac(key, bytes.subarray(0, endOf(INDEX))), cut(bytes, CONFIRMATION_MAC));
}
