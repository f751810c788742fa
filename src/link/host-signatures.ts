import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import type { PeerId } from '../base/types.ts';
import { edwardsKeyOf } from './edwards.ts';
import { hostIdOf } from './identity.ts';
import type { SigningKey } from './signing-key.ts';

/** Hosts whose keys are kept ready; more are worked out anew, for some 50 µs each time. */
const KEYS_MAX = 4096;

interface KnownHost {
  readonly id: PeerId;
  /** Undefined: nothing can be signed with such a key. */
  readonly key: KeyObject | undefined;
}

/**
 * Ed25519 signatures of hosts that are known by their X25519 keys (docs/adr/0046). Verifying takes some
 * 0.1 to 0.2 ms, signing half of that.
 */
export class HostSignatures {
  readonly publicKey: Buffer;
  readonly #own: SigningKey;
  /** By the key's bytes; the first has been known for longest. */
  readonly #known = new Map<string, KnownHost>();

  constructor(own: SigningKey) {
    this.#own = own;
    this.publicKey = own.pair.publicKey;
  }

  idOf(publicKey: Uint8Array): PeerId {
    return this.#host(publicKey).id;
  }

  /** 64 bytes. */
  sign(message: Uint8Array): Buffer {
    return this.#own.sign(message);
  }

  /** RFC 8032 §5.1.7. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    const { key } = this.#host(publicKey);
    return key !== undefined && verify(null, message, key, signature);
  }

  #host(publicKey: Uint8Array): KnownHost {
    const name = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.length).toString(
      'latin1',
    );
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const host = { id: hostIdOf(publicKey), key: verifyingKey(publicKey) };
    const [oldest] = this.#known.keys();
    if (this.#known.size >= KEYS_MAX && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(name, host);
    return host;
  }
}

function verifyingKey(publicKey: Uint8Array): KeyObject | undefined {
  const point = edwardsKeyOf(publicKey);
  if (point === undefined) return undefined;
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: point.toString('base64url') };
  return createPublicKey({ key: jwk, format: 'jwk' });
}
