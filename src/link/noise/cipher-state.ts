import assert from 'node:assert/strict';
import { decrypt, encrypt, KEY_BYTES, type CipherName } from './suite.ts';

/** 2^64 - 1: kept for `rekey` and never a message's own (Noise §5.1). */
const MAX_NONCE = 2n ** 64n - 1n;

/** A key and the nonce of its next message (Noise §5.1). */
export class CipherState {
  readonly #cipher: CipherName;
  #k: Buffer | undefined;
  #n = 0n;

  /** InitializeKey(key); without one, text passes through as it is. */
  constructor(cipher: CipherName, key?: Uint8Array, n = 0n) {
    assert(key === undefined || key.length === KEY_BYTES);
    this.#cipher = cipher;
    this.#k = key && Buffer.from(key);
    this.#n = n;
  }

  get hasKey(): boolean {
    return this.#k !== undefined;
  }

  /** The key itself, for who seals frames with it instead of calling `encryptWithAd`. */
  get key(): Buffer | undefined {
    return this.#k;
  }

  /** SetNonce(nonce). */
  setNonce(n: bigint): void {
    this.#n = n;
  }

  /** EncryptWithAd(ad, plaintext). Asserts that the nonces have not run out. */
  encryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Buffer {
    if (this.#k === undefined) return Buffer.from(plaintext);
    assert(this.#n < MAX_NONCE, 'the nonces of a key have run out');
    return encrypt(this.#cipher, this.#k, this.#n++, ad, plaintext);
  }

  /** DecryptWithAd(ad, ciphertext); undefined, and the nonce stays, if it is not authentic. */
  decryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Buffer | undefined {
    if (this.#k === undefined) return Buffer.from(ciphertext);
    if (this.#n >= MAX_NONCE) return undefined;
    const plaintext = decrypt(this.#cipher, this.#k, this.#n, ad, ciphertext);
    if (plaintext !== undefined) this.#n++;
    return plaintext;
  }

  /** Rekey() (§4.2, §11.3): the key becomes the first 32 bytes that it makes of zeros at the last nonce. */
  rekey(): void {
    assert(this.#k !== undefined, 'there is no key to replace');
    const zeros = Buffer.alloc(KEY_BYTES);
    const bytes = encrypt(this.#cipher, this.#k, MAX_NONCE, Buffer.alloc(0), zeros);
    this.#k = bytes.subarray(0, KEY_BYTES);
  }

  /** A state that goes its own way from here. */
  clone(): CipherState {
    return new CipherState(this.#cipher, this.#k, this.#n);
  }
}
