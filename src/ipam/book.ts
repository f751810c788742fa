import type { Millis } from '../base/types.ts';
import type { PoolValue } from './pool.ts';
import { contains, intersect, single, sizeOf, subtract, unite, type Range } from './range.ts';

/** How long an address rests after its endpoint has gone, for neighbours' caches and late frames. */
export const HOLD_DOWN_MS = 30_000;

/** Space that this host has offered to give up in the version named: not to be used until that is decided. */
export interface Outgoing {
  readonly range: Range;
  readonly version: number;
}

/**
 * Which addresses of one pool this host has given out, and which it may. Next-fit: the search goes on
 * from the last address given, so that one just freed comes again as late as possible.
 */
export class Book {
  readonly #held = new Set<bigint>();
  readonly #cooling = new Map<bigint, Millis>();
  #outgoing: readonly Outgoing[] = [];
  #cursor = -1n;

  get held(): ReadonlySet<bigint> {
    return this.#held;
  }

  get outgoing(): readonly Outgoing[] {
    return this.#outgoing;
  }

  set outgoing(outgoing: readonly Outgoing[]) {
    this.#outgoing = outgoing;
  }

  /** Forgets offers of versions that are decided; true if there were any. */
  settle({ version }: PoolValue): boolean {
    const open = this.#outgoing.filter((offer) => offer.version > version);
    const isNews = open.length < this.#outgoing.length;
    this.#outgoing = open;
    return isNews;
  }

  isHeld(offset: bigint): boolean {
    return this.#held.has(offset);
  }

  hold(offset: bigint): void {
    this.#held.add(offset);
    this.#cooling.delete(offset);
  }

  release(offset: bigint, now: Millis): void {
    if (this.#held.delete(offset)) this.#cooling.set(offset, now);
  }

  /** Addresses at rest. */
  cooling(now: Millis): number {
    for (const [offset, since] of this.#cooling) {
      if (since + HOLD_DOWN_MS > now) break;
      this.#cooling.delete(offset);
    }
    return this.#cooling.size;
  }

  /** Addresses that have an endpoint or are at rest. */
  used(now: Millis): bigint[] {
    this.cooling(now);
    return [...this.#held, ...this.#cooling.keys()];
  }

  /** `set` without what is on offer to others. */
  allowed(set: readonly Range[]): Range[] {
    if (this.#outgoing.length === 0) return [...set];
    return subtract(set, unite(this.#outgoing.map(({ range }) => range)));
  }

  /** `set` without what has an endpoint, rests or is on offer. */
  free(set: readonly Range[], now: Millis): Range[] {
    return subtract(this.allowed(set), unite(this.used(now).map(single)));
  }

  /** How many addresses of `set` are free, about: what lies outside of it is not looked for. */
  freeCount(set: readonly Range[], now: Millis): bigint {
    return sizeOf(this.allowed(set)) - BigInt(this.#held.size + this.cooling(now));
  }

  /** The next free address of `set` that is `usable`; O(1) unless much of the set is taken. */
  pick(
    set: readonly Range[],
    usable: (offset: bigint) => boolean,
    now: Millis,
  ): bigint | undefined {
    this.cooling(now);
    const allowed = this.allowed(set);
    const ahead = intersect(allowed, [{ start: this.#cursor + 1n, end: 1n << 128n }]);
    const picked = this.#first(ahead, usable) ?? this.#first(allowed, usable);
    if (picked !== undefined) this.#cursor = picked;
    return picked;
  }

  #first(set: readonly Range[], usable: (offset: bigint) => boolean): bigint | undefined {
    for (const { start, end } of set) {
      for (let offset = start; offset < end; offset++) {
        if (!this.#held.has(offset) && !this.#cooling.has(offset) && usable(offset)) return offset;
      }
    }
    return undefined;
  }

  /** Whether an endpoint may be given this very address of `set`; it need not have rested. */
  isFree(set: readonly Range[], offset: bigint): boolean {
    return contains(this.allowed(set), offset) && !this.#held.has(offset);
  }
}
