import assert from 'node:assert/strict';
import { randomInt, type Rng } from '../base/rng.ts';
import { asMac, asMillis, type Mac, type Millis } from '../base/types.ts';
import type { FdbCounters } from './dataplane.ts';

/**
 * The forwarding database of one network: which place a MAC was last seen at.
 *
 *   buckets[hash(mac)] -> entry -> entry -> NONE            (#chain: entries of one hash)
 *   #oldest -> entry <-> entry <-> entry <- #newest         (#older, #newer: learned entries in the
 *                                                            order in which frames confirmed them)
 *
 * An entry is an index into parallel typed arrays, so a table that a flood has filled costs the
 * garbage collector nothing, and no operation on the frame path allocates but to grow (V8 may box the
 * MAC itself on a call that it did not inline). Because the list is in order of confirmation, its head
 * is both the next to age and the next to be evicted.
 *
 * Every operation is O(1) in expectation but `flush`, `entries` and growth (amortised). The hash is
 * multiply-shift over three 16-bit words with random odd multipliers (Dietzfelbinger): a container
 * that floods chosen MACs cannot aim at one bucket without knowing them.
 */

/** A place that entries point at: any whole number but 0 within 32 bits; the caller gives it meaning. */
export type Place = number;

/** `lookup`'s answer for a MAC that the table does not hold. */
export const NO_PLACE: Place = 0;

/** Entries per network unless told otherwise. About 36 bytes each, so 600 kB for a full table. */
export const DEFAULT_FDB_CAPACITY = 16_384;
/** Three hash words of 16 bits in 32-bit arithmetic keep their guarantee up to 2^17 buckets. */
export const MAX_FDB_CAPACITY = 2 ** 17;
/** Static entries per network: beyond it, `setStatic` refuses. */
export const MAX_PINNED = 2 ** 17;
/** Life of an unconfirmed entry unless told otherwise: 300 s, as IEEE 802.1D §7.9.2 and Linux have it. */
export const DEFAULT_FDB_MAX_AGE = asMillis(300_000);

const NONE = -1;
const FIRST_SIZE = 64;
/** Aged entries that one `learn` may remove: two for the one it adds, so the table always catches up. */
const SWEEP_PER_LEARN = 2;

export interface FdbOptions {
  /** Learned entries before the oldest is evicted: 1 to `MAX_FDB_CAPACITY`. Static ones do not count. */
  readonly capacity: number;
  readonly maxAge: Millis;
}

/** One row, as `entries` reports it. `age` is 0 for static entries. */
export interface FdbRow {
  readonly mac: Mac;
  readonly place: Place;
  readonly isStatic: boolean;
  readonly age: Millis;
}

type MutableFdbCounters = { -readonly [K in keyof FdbCounters]: number };

export class Fdb {
  readonly counters: MutableFdbCounters = { learned: 0, moved: 0, aged: 0, evicted: 0, flushed: 0 };

  readonly #capacity: number;
  readonly #maxAge: number;
  readonly #a: number;
  readonly #b: number;
  readonly #c: number;

  #macs = new Float64Array(FIRST_SIZE);
  #confirmed = new Float64Array(FIRST_SIZE);
  #places = new Int32Array(FIRST_SIZE);
  #statics = new Uint8Array(FIRST_SIZE);
  #chain = new Int32Array(FIRST_SIZE);
  #older = new Int32Array(FIRST_SIZE);
  #newer = new Int32Array(FIRST_SIZE);
  #buckets = new Int32Array(FIRST_SIZE).fill(NONE);
  #shift = 32 - Math.log2(FIRST_SIZE);

  #oldest = NONE;
  #newest = NONE;
  /** Head of the entries given back, linked through `#chain`. */
  #free = NONE;
  /** Entries ever handed out; those above are untouched. */
  #used = 0;
  #learned = 0;
  #size = 0;

  constructor({ capacity, maxAge }: FdbOptions, rng: Rng) {
    assert(Number.isInteger(capacity) && capacity >= 1 && capacity <= MAX_FDB_CAPACITY);
    assert(maxAge > 0);
    this.#capacity = capacity;
    this.#maxAge = maxAge;
    this.#a = randomInt(rng, 2 ** 32) | 1;
    this.#b = randomInt(rng, 2 ** 32) | 1;
    this.#c = randomInt(rng, 2 ** 32) | 1;
  }

  /** Entries held, static ones and those that aged but were not yet swept included. */
  get size(): number {
    return this.#size;
  }

  /**
   * A frame from `mac` came in at `place`: adds, confirms or moves its entry. `now` never runs backwards.
   * @returns false if a static entry holds the MAC at another place; it stays as it is
   */
  learn(mac: Mac, place: Place, now: Millis): boolean {
    const entry = this.#find(mac);
    if (entry === NONE) {
      this.#add(mac, place, now);
      return true;
    }
    if (this.#statics[entry] === 1) return this.#places[entry] === place;
    if (this.#isAged(entry, now)) {
      this.#age(entry);
      this.#add(mac, place, now);
      return true;
    }
    if (this.#places[entry] !== place) {
      this.#places[entry] = place;
      this.counters.moved++;
    }
    this.#confirmed[entry] = now;
    if (entry !== this.#newest) {
      this.#unlink(entry);
      this.#linkNewest(entry);
    }
    return true;
  }

  /** Where `mac` is, or `NO_PLACE`. An entry past its age is not found, swept or not. */
  lookup(mac: Mac, now: Millis): Place {
    const entry = this.#find(mac);
    if (entry === NONE) return NO_PLACE;
    if (this.#statics[entry] === 0 && this.#isAged(entry, now)) return NO_PLACE;
    return this.#places[entry]!;
  }

  /** Where `mac` is pinned, or `NO_PLACE`. */
  staticPlace(mac: Mac): Place {
    const entry = this.#find(mac);
    return entry !== NONE && this.#statics[entry] === 1 ? this.#places[entry]! : NO_PLACE;
  }

  /**
   * Pins `mac` to `place`: it neither ages, moves nor is evicted until `removeStatic`, `flush` or another
   * call. Does nothing more than forget what was learned if `MAX_PINNED` others are pinned.
   */
  setStatic(mac: Mac, place: Place): void {
    const found = this.#find(mac);
    if (found !== NONE) this.#remove(found);
    if (this.#size - this.#learned === MAX_PINNED) return;
    const entry = this.#take(mac, place);
    this.#statics[entry] = 1;
  }

  /** Forgets a static entry; a learned one is left alone. */
  removeStatic(mac: Mac): void {
    const entry = this.#find(mac);
    if (entry !== NONE && this.#statics[entry] === 1) this.#remove(entry);
  }

  /** Forgets every entry at `place`, static ones too. O(entries). */
  flush(place: Place): void {
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) {
      let entry = this.#buckets[bucket]!;
      while (entry !== NONE) {
        const next = this.#chain[entry]!;
        if (this.#places[entry] === place) {
          this.#remove(entry);
          this.counters.flushed++;
        }
        entry = next;
      }
    }
  }

  /** Removes at most `limit` entries that are past their age, oldest first. */
  sweep(now: Millis, limit: number): void {
    for (let removed = 0; removed < limit; removed++) {
      const entry = this.#oldest;
      if (entry === NONE || !this.#isAged(entry, now)) return;
      this.#age(entry);
    }
  }

  /** A copy of what `lookup` would find, in no particular order. O(entries). */
  entries(now: Millis): FdbRow[] {
    const rows: FdbRow[] = [];
    for (const head of this.#buckets) {
      for (let entry = head; entry !== NONE; entry = this.#chain[entry]!) {
        const isStatic = this.#statics[entry] === 1;
        const age = isStatic ? 0 : now - this.#confirmed[entry]!;
        if (age >= this.#maxAge) continue;
        const place = this.#places[entry]!;
        rows.push({ mac: asMac(this.#macs[entry]!), place, isStatic, age: asMillis(age) });
      }
    }
    return rows;
  }

  #add(mac: Mac, place: Place, now: Millis): void {
    this.sweep(now, SWEEP_PER_LEARN);
    if (this.#learned === this.#capacity) {
      this.#remove(this.#oldest);
      this.counters.evicted++;
    }
    const entry = this.#take(mac, place);
    this.#confirmed[entry] = now;
    this.#linkNewest(entry);
    this.#learned++;
    this.counters.learned++;
  }

  #isAged(entry: number, now: number): boolean {
    return now - this.#confirmed[entry]! >= this.#maxAge;
  }

  #age(entry: number): void {
    this.#remove(entry);
    this.counters.aged++;
  }

  #hash(mac: number): number {
    // `&` and `|` take a double modulo 2^32, so the low words need no division.
    const high = (mac / 2 ** 32) | 0;
    const mixed =
      Math.imul(this.#a, mac & 0xffff) +
      Math.imul(this.#b, (mac / 2 ** 16) & 0xffff) +
      Math.imul(this.#c, high);
    return mixed >>> this.#shift;
  }

  #find(mac: number): number {
    let entry = this.#buckets[this.#hash(mac)]!;
    while (entry !== NONE && this.#macs[entry] !== mac) entry = this.#chain[entry]!;
    return entry;
  }

  /** A new entry in its bucket, on no list yet, and not static. */
  #take(mac: Mac, place: Place): number {
    let entry = this.#free;
    if (entry !== NONE) {
      this.#free = this.#chain[entry]!;
    } else {
      if (this.#used === this.#macs.length) this.#grow();
      entry = this.#used++;
    }
    const bucket = this.#hash(mac);
    this.#macs[entry] = mac;
    this.#places[entry] = place;
    this.#statics[entry] = 0;
    this.#chain[entry] = this.#buckets[bucket]!;
    this.#buckets[bucket] = entry;
    this.#size++;
    return entry;
  }

  #remove(entry: number): void {
    if (this.#statics[entry] === 0) {
      this.#unlink(entry);
      this.#learned--;
    }
    const bucket = this.#hash(this.#macs[entry]!);
    const next = this.#chain[entry]!;
    let before = this.#buckets[bucket]!;
    if (before === entry) {
      this.#buckets[bucket] = next;
    } else {
      while (this.#chain[before] !== entry) before = this.#chain[before]!;
      this.#chain[before] = next;
    }
    this.#chain[entry] = this.#free;
    this.#free = entry;
    this.#size--;
  }

  #linkNewest(entry: number): void {
    this.#older[entry] = this.#newest;
    this.#newer[entry] = NONE;
    if (this.#newest === NONE) this.#oldest = entry;
    else this.#newer[this.#newest] = entry;
    this.#newest = entry;
  }

  #unlink(entry: number): void {
    const older = this.#older[entry]!;
    const newer = this.#newer[entry]!;
    if (older === NONE) this.#oldest = newer;
    else this.#newer[older] = newer;
    if (newer === NONE) this.#newest = older;
    else this.#older[newer] = older;
  }

  /** Doubles every array. Runs only when each entry is in use, so all of them are chained anew. */
  #grow(): void {
    const size = this.#macs.length * 2;
    this.#macs = widen(this.#macs, new Float64Array(size));
    this.#confirmed = widen(this.#confirmed, new Float64Array(size));
    this.#places = widen(this.#places, new Int32Array(size));
    this.#statics = widen(this.#statics, new Uint8Array(size));
    this.#older = widen(this.#older, new Int32Array(size));
    this.#newer = widen(this.#newer, new Int32Array(size));
    this.#chain = new Int32Array(size);
    this.#buckets = new Int32Array(size).fill(NONE);
    this.#shift = 32 - Math.log2(size);
    for (let entry = 0; entry < this.#used; entry++) {
      const bucket = this.#hash(this.#macs[entry]!);
      this.#chain[entry] = this.#buckets[bucket]!;
      this.#buckets[bucket] = entry;
    }
  }
}

function widen<T extends Float64Array | Int32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
