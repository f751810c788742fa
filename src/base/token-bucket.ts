import type { Millis } from './types.ts';

/** So many a second, and so many at once. */
export interface Rate {
  readonly rate: number;
  readonly burst: number;
}

/** A token bucket, full at the start. */
export class TokenBucket {
  readonly #rate: number;
  readonly #burst: number;
  #left: number;
  #at = 0;

  constructor({ rate, burst }: Rate) {
    this.#rate = rate;
    this.#burst = burst;
    this.#left = burst;
  }

  /** Whether there is one more; if so, it is taken. */
  take(now: Millis): boolean {
    const refill = ((now - this.#at) * this.#rate) / 1000;
    this.#left = Math.min(this.#burst, this.#left + Math.max(0, refill));
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
