import { CipherState } from './cipher-state.ts';
import { hash, HASH_BYTES, hkdf, type Suite } from './suite.ts';

/** Chaining key, transcript hash and the cipher of a handshake under way (Noise §5.2). */
export class SymmetricState {
  readonly #suite: Suite;
  #ck: Buffer;
  #h: Buffer;
  #cipher: CipherState;

  /** InitializeSymmetric(protocol_name). */
  constructor(suite: Suite, protocolName: string) {
    const name = Buffer.from(protocolName);
    const isShort = name.length <= HASH_BYTES;
    this.#suite = suite;
    this.#h = isShort
      ? Buffer.concat([name, Buffer.alloc(HASH_BYTES - name.length)])
      : hash(suite.hash, name);
    this.#ck = this.#h;
    this.#cipher = new CipherState(suite.cipher);
  }

  /** MixKey(input_key_material). */
  mixKey(inputKeyMaterial: Uint8Array): void {
    const [ck, key] = hkdf(this.#suite.hash, this.#ck, inputKeyMaterial);
    this.#ck = ck;
    this.#cipher = new CipherState(this.#suite.cipher, key);
  }

  /** MixHash(data). */
  mixHash(data: Uint8Array): void {
    this.#h = hash(this.#suite.hash, this.#h, data);
  }

  /** MixKeyAndHash(input_key_material), for pre-shared keys. */
  mixKeyAndHash(inputKeyMaterial: Uint8Array): void {
    const [ck, transcript, key] = hkdf(this.#suite.hash, this.#ck, inputKeyMaterial);
    this.#ck = ck;
    this.mixHash(transcript);
    this.#cipher = new CipherState(this.#suite.cipher, key());
  }

  /** GetHandshakeHash(): once the handshake is over, what binds something else to it (§11.2). */
  get handshakeHash(): Buffer {
    return this.#h;
  }

  get hasKey(): boolean {
    return this.#cipher.hasKey;
  }

  /** EncryptAndHash(plaintext). */
  encryptAndHash(plaintext: Uint8Array): Buffer {
    const ciphertext = this.#cipher.encryptWithAd(this.#h, plaintext);
    this.mixHash(ciphertext);
    return ciphertext;
  }

  /** DecryptAndHash(ciphertext); undefined, and nothing is mixed, if it is not authentic. */
  decryptAndHash(ciphertext: Uint8Array): Buffer | undefined {
    const plaintext = this.#cipher.decryptWithAd(this.#h, ciphertext);
    if (plaintext !== undefined) this.mixHash(ciphertext);
    return plaintext;
  }

  /** Split(): the initiator sends with the first and receives with the second. */
  split(): readonly [CipherState, CipherState] {
    const [first, second] = hkdf(this.#suite.hash, this.#ck, Buffer.alloc(0));
    const { cipher } = this.#suite;
    return [new CipherState(cipher, first), new CipherState(cipher, second)];
  }

  /** A state that goes its own way from here. */
  clone(): SymmetricState {
    const copy = new SymmetricState(this.#suite, '');
    copy.#ck = this.#ck;
    copy.#h = this.#h;
    copy.#cipher = this.#cipher.clone();
    return copy;
  }
}
