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

const rawTail = (der: Buffer): Buffer => Buffer.from(der.subarray(-DH_BYTES));

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

/** An X25519 key pair (RFC 7748). */
export class KeyPair {
  /** 32 bytes. */
  readonly publicKey: Buffer;
  readonly #private: KeyObject;

  private constructor(publicKey: Buffer, privateKey: KeyObject) {
    this.publicKey = publicKey;
    this.#private = privateKey;
  }

  /** GENERATE_KEYPAIR() of Noise §4.1. */
  static generate(): KeyPair {
    const { publicKey, privateKey } = generateKeyPairSync('x25519');
    return new KeyPair(rawTail(publicKey.export({ format: 'der', type: 'spki' })), privateKey);
  }

  /** The pair of 32 private bytes, which may be any. */
  static from(privateBytes: Uint8Array): KeyPair {
    assert(privateBytes.length === DH_BYTES);
    const privateKey = createPrivateKey({
      ...{ key: Buffer.concat([PKCS8_HEAD, privateBytes]), format: 'der', type: 'pkcs8' },
    });
    const publicKey = createPublicKey(privateKey);
    return new KeyPair(rawTail(publicKey.export({ format: 'der', type: 'spki' })), privateKey);
  }

  /** The 32 private bytes, to be written where only this host reads. */
  exportPrivate(): Buffer {
    return rawTail(this.#private.export({ format: 'der', type: 'pkcs8' }));
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
