import { randomBytes } from 'node:crypto';
import type { Millis, SocketAddress } from '../base/types.ts';
import {
  COOKIE_BYTES,
  COOKIE_NONCE_BYTES,
  hasCookie,
  isWithoutCookie,
  macOne,
} from './handshake-message.ts';
import { hmac } from './noise/suite.ts';

/** How long a cookie is good for at least; at most twice as long. */
export const COOKIE_LIFE = 120_000;

/**
 * Cookies tell that somebody receives what is sent to the address that he sends from. They cost no memory:
 * each is a hash of the address under a secret that changes every two minutes.
 */
export class Cookies {
  #secrets: readonly Buffer[] = [];
  #since = -Infinity;

  cookieFor(address: SocketAddress, now: Millis): Buffer {
    this.#turn(now);
    return this.#cookie(this.#secrets[0] ?? Buffer.alloc(0), address);
  }

  /** Whether a message carries the cookie of the address that it came from. */
  isKnown(message: Buffer, from: SocketAddress, now: Millis): boolean {
    // What a flood consists of is not worth a hash for each secret.
    if (isWithoutCookie(message)) return false;
    this.#turn(now);
    return this.#secrets.some((secret) => hasCookie(message, this.#cookie(secret, from)));
  }

  nonce(): Buffer {
    return randomBytes(COOKIE_NONCE_BYTES);
  }

  #turn(now: Millis): void {
    if (now - this.#since < COOKIE_LIFE) return;
    const isStale = now - this.#since >= 2 * COOKIE_LIFE;
    this.#secrets = [randomBytes(32), ...(isStale ? [] : this.#secrets.slice(0, 1))];
    this.#since = now;
  }

  #cookie(secret: Buffer, { address, port }: SocketAddress): Buffer {
    return hmac('BLAKE2s', secret, Buffer.from(`${port} ${address}`)).subarray(0, COOKIE_BYTES);
  }
}

/** More than that are forgotten, the first first. */
const MAX_READ = 1024;

/** Initiations whose keys were worked on already, by mac1. */
export class ReadInitiations {
  readonly #macs = new Set<string>();

  has(initiation: Buffer): boolean {
    return this.#macs.has(keyOf(initiation));
  }

  add(initiation: Buffer): void {
    this.#macs.add(keyOf(initiation));
    if (this.#macs.size <= MAX_READ) return;
    for (const first of this.#macs) {
      this.#macs.delete(first);
      return;
    }
  }
}

const keyOf = (initiation: Buffer): string => macOne(initiation).toString('latin1');
