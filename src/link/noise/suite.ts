import { createCipheriv, createDecipheriv, createHash, createHmac } from 'node:crypto';
import type { CipherGCMTypes, CipherChaCha20Poly1305Types } from 'node:crypto';

/** Noise §12.3 and §12.4. */
export const CIPHERS = ['AESGCM', 'ChaChaPoly'] as const;
export type CipherName = (typeof CIPHERS)[number];
/** Noise §12.5 and §12.7, those of 32 bytes. */
export const HASHES = ['SHA256', 'BLAKE2s'] as const;
export type HashName = (typeof HASHES)[number];

export const KEY_BYTES = 32;
export const TAG_BYTES = 16;
/** HASHLEN of both hashes. */
export const HASH_BYTES = 32;
const NONCE_BYTES = 12;

/** The functions that a protocol name chooses, by the names of Noise §4.2 and §4.3. */
export interface Suite {
  readonly cipher: CipherName;
  readonly hash: HashName;
}

type OpenSslCipher = CipherGCMTypes | CipherChaCha20Poly1305Types;

const OPENSSL_CIPHERS = {
  AESGCM: 'aes-256-gcm',
  ChaChaPoly: 'chacha20-poly1305',
} as const satisfies Readonly<Record<CipherName, OpenSslCipher>>;
const OPENSSL_HASHES = { SHA256: 'sha256', BLAKE2s: 'blake2s256' } as const;

/** Nonces are 64-bit numbers behind four zero bytes: big-endian for AESGCM, little-endian for ChaChaPoly. */
function nonceBytes(cipher: CipherName, n: bigint): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  if (cipher === 'AESGCM') nonce.writeBigUInt64BE(n, 4);
  else nonce.writeBigUInt64LE(n, 4);
  return nonce;
}

/** node:crypto's types of the two AEADs differ, their calls do not. */
const openSsl = (cipher: CipherName): 'chacha20-poly1305' =>
  OPENSSL_CIPHERS[cipher] as 'chacha20-poly1305';

/** ENCRYPT(k, n, ad, plaintext): the ciphertext with its tag behind it. */
export function encrypt(
  cipher: CipherName,
  k: Uint8Array,
  n: bigint,
  ad: Uint8Array,
  plaintext: Uint8Array,
): Buffer {
  const options = { authTagLength: TAG_BYTES };
  const aead = createCipheriv(openSsl(cipher), k, nonceBytes(cipher, n), options);
  aead.setAAD(ad, { plaintextLength: plaintext.length });
  return Buffer.concat([aead.update(plaintext), aead.final(), aead.getAuthTag()]);
}

/** DECRYPT(k, n, ad, ciphertext); undefined if it is not authentic. */
export function decrypt(
  cipher: CipherName,
  k: Uint8Array,
  n: bigint,
  ad: Uint8Array,
  ciphertext: Uint8Array,
): Buffer | undefined {
  const length = ciphertext.length - TAG_BYTES;
  if (length < 0) return undefined;
  const options = { authTagLength: TAG_BYTES };
  const aead = createDecipheriv(openSsl(cipher), k, nonceBytes(cipher, n), options);
  aead.setAAD(ad, { plaintextLength: length });
  aead.setAuthTag(ciphertext.subarray(length));
  const plaintext = aead.update(ciphertext.subarray(0, length));
  try {
    return Buffer.concat([plaintext, aead.final()]);
  } catch {
    return undefined;
  }
}

/** HASH(data), of the parts one behind the other. */
export function hash(name: HashName, ...parts: readonly Uint8Array[]): Buffer {
  const digest = createHash(OPENSSL_HASHES[name]);
  for (const part of parts) digest.update(part);
  return digest.digest();
}

/** HMAC-HASH(key, data) (RFC 2104), of the parts one behind the other. */
export function hmac(name: HashName, key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac(OPENSSL_HASHES[name], key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** HKDF(chaining_key, input_key_material, 3) of Noise §4.3; who wants two outputs leaves out the third. */
export function hkdf(
  name: HashName,
  chainingKey: Uint8Array,
  inputKeyMaterial: Uint8Array,
): readonly [Buffer, Buffer, () => Buffer] {
  const temporary = hmac(name, chainingKey, inputKeyMaterial);
  const first = hmac(name, temporary, Buffer.of(1));
  const second = hmac(name, temporary, first, Buffer.of(2));
  return [first, second, () => hmac(name, temporary, second, Buffer.of(3))];
}
