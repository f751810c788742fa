import assert from 'node:assert/strict';
import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';

/** Bytes of a Diffie-Hellman key and of its output (Noise §12.1: DHLEN of 25519). */
export const DH_BYTES = 32;

/** RFC 8410 §7: what stands before the 32 raw bytes of an X25519 key in DER. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b656e04220420', 'hex');

/** The other end's X25519 key, read once. */
export class PublicKey {
  /** 32 bytes, as on the wire. */
  readonly bytes: Buffer;
  readonly #key: KeyObject;

  private constructor(bytes: Buffer, key: KeyObject) {
    this.bytes = bytes;
    this.#key = key;
  }

  /** Any 32 bytes are one (RFC 7748 §5); the bytes are copied. */
  static from(bytes: Uint8Array): PublicKey {
    assert(bytes.length === DH_BYTES);
    const copy = Buffer.from(bytes);
    // Node reads this form in a tenth of the time that DER takes.
    const jwk = { kty: 'OKP', crv: 'X25519', x: copy.toString('base64url') };
    return new PublicKey(copy, createPublicKey({ key: jwk, format: 'jwk' }));
  }

  /** For `KeyPair.dh`. */
  get key(): KeyObject {
    return this.#key;
  }
}

/** The u-coordinate of the base point (RFC 7748 §4.1). */
const BASE = PublicKey.from(Buffer.alloc(DH_BYTES).fill(9, 0, 1));

/** An X25519 key pair (RFC 7748). */
export class KeyPair {
  /** 32 bytes. */
  readonly publicKey: Buffer;
  readonly #private: KeyObject;

  /**
   * The public key is computed (RFC 7748 §6.1). Node exports one at three times the cost as DER; as JWK
   * it holds the key's lock while it allocates, and the collector waits for that very lock to destroy the
   * job that has generated the key (Node 20.20).
   */
  private constructor(privateKey: KeyObject) {
    this.publicKey = diffieHellman({ privateKey, publicKey: BASE.key });
    this.#private = privateKey;
  }

  /** GENERATE_KEYPAIR() of Noise §4.1. */
  static generate(): KeyPair {
    return new KeyPair(generateKeyPairSync('x25519').privateKey);
  }

  /** The pair of 32 private bytes, which may be any. */
  static from(privateBytes: Uint8Array): KeyPair {
    assert(privateBytes.length === DH_BYTES);
    const key = Buffer.concat([PKCS8_HEAD, privateBytes]);
    return new KeyPair(createPrivateKey({ key, format: 'der', type: 'pkcs8' }));
  }

  /** The 32 private bytes, to be written where only this host reads. */
  exportPrivate(): Buffer {
    const der = this.#private.export({ format: 'der', type: 'pkcs8' });
    return Buffer.from(der.subarray(-DH_BYTES));
  }

  /**
   * DH(key_pair, public_key) of Noise §4.1: 32 bytes. Undefined where the result would be all zeros, which
   * public keys of a small order force (RFC 7748 §6.1): such a handshake is refused.
   */
  dh(remote: PublicKey): Buffer | undefined {
    try {
      return diffieHellman({ privateKey: this.#private, publicKey: remote.key });
    } catch {
      return undefined;
    }
  }
}
