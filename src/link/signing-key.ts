import assert from 'node:assert/strict';
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  randomBytes,
  sign,
  type KeyObject,
} from 'node:crypto';
import { DH_BYTES, KeyPair } from './noise/key-pair.ts';

/** Bytes of a seed (RFC 8032 §5.1.5: the private key of Ed25519). */
export const SEED_BYTES = 32;

/** RFC 8410 §7: what stands before the 32 raw bytes of an Ed25519 key in DER. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
/** In the last byte of an encoded point: the sign of x (RFC 8032 §5.1.2). */
const SIGN_BIT = 0x80;

/**
 * A host's identity: one secret scalar, by which it agrees on keys (X25519, RFC 7748) and signs (Ed25519, RFC
 * 8032). The scalar is the first half of SHA-512 of the seed in both. Seeds are drawn until the Ed25519
 * key's sign is 0, so that it follows from the X25519 key alone (`edwardsKeyOf`) and need not be told.
 */
export class SigningKey {
  /** The same key for Diffie-Hellman; its public half is what a host is known by. */
  readonly pair: KeyPair;
  readonly #seed: Buffer;
  readonly #private: KeyObject;

  private constructor(seed: Buffer, privateKey: KeyObject) {
    const scalar = createHash('sha512').update(seed).digest().subarray(0, DH_BYTES);
    this.pair = KeyPair.from(scalar);
    this.#seed = seed;
    this.#private = privateKey;
  }

  /** A new one; two draws on average. */
  static generate(): SigningKey {
    for (;;) {
      const key = SigningKey.from(randomBytes(SEED_BYTES));
      if (key !== undefined) return key;
    }
  }

  /** The key of a seed of 32 bytes; undefined if its sign is 1, as that of one seed in two is. */
  static from(seed: Uint8Array): SigningKey | undefined {
    assert(seed.length === SEED_BYTES);
    const copy = Buffer.from(seed);
    const der = Buffer.concat([PKCS8_HEAD, copy]);
    const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const point = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
    const isNegative = ((point.at(-1) ?? 0) & SIGN_BIT) !== 0;
    return isNegative ? undefined : new SigningKey(copy, privateKey);
  }

  /** The 32 secret bytes, to be written where only this host reads. */
  exportSeed(): Buffer {
    return Buffer.from(this.#seed);
  }

  /** 64 bytes: Ed25519 (RFC 8032 §5.1.6), the same for the same message. */
  sign(message: Uint8Array): Buffer {
    return sign(null, message, this.#private);
  }
}
