import { randomBytes } from 'node:crypto';

/** All the chance a module may know. Not for keys: those come from node:crypto in the modules that say so. */
export interface Rng {
  /** Uniform in [0, 1). */
  next(): number;
}

export const systemRng: Rng = { next: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48 };

/**
 * A repeatable stream for tests and simulations (mulberry32, period 2^32).
 * The same seed gives the same stream on every machine.
 */
export function seededRng(seed: number): Rng {
  let state = seed >>> 0;
  return {
    next() {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = state;
      mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}

/** Uniform integer in [0, bound); `bound` at least 1. */
export function randomInt(rng: Rng, bound: number): number {
  return Math.floor(rng.next() * bound);
}

/** One of `items`, of which there must be one. */
export function pick<T>(rng: Rng, items: readonly T[]): T {
  return items[randomInt(rng, items.length)] as T;
}

/** `count` lower-case hex digits. */
export function randomHex(rng: Rng, count: number): string {
  let text = '';
  while (text.length < count) text += randomInt(rng, 16).toString(16);
  return text;
}

/** Fisher–Yates, in place. */
export function shuffle<T>(rng: Rng, items: T[]): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const pick = randomInt(rng, last + 1);
    [items[last], items[pick]] = [items[pick] as T, items[last] as T];
  }
  return items;
}
