import { randomBytes } from 'node:crypto';
import type { Millis, SocketAddress } from '../base/types.ts';
import { COOKIE_BYTES, COOKIE_NONCE_BYTES, hasCookie } from './handshake-message.ts';
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

/** A token bucket: `rate` a second, up to `burst` at once. */
export class Allowance {
  readonly #rate: number;
  readonly #burst: number;
  #left: number;
  #at = 0;

  constructor({ rate, burst }: { readonly rate: number; readonly burst: number }) {
    this.#rate = rate;
    this.#burst = burst;
    this.#left = burst;
  }

  take(now: Millis): boolean {
    const refill = ((now - this.#at) / 1000) * this.#rate;
    this.#left = Math.min(this.#burst, this.#left + Math.max(0, refill));
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
