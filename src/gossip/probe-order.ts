import type { PeerId } from '../base/types.ts';

/**
 * Whom to probe when. All hosts of a mesh share one order and one cycle of wall time: time is cut into
 * slots of one probe interval, and in each slot every host probes the one that stands so many places
 * behind it in the order of ids. How many places is the same for all, and another in each slot:
 *
 *   slot   0 1 2 3 4 …        a turn of N - 1 slots has each distance from 1 to N - 1 once,
 *   places 3 1 4 2 | 1 …      in a sequence of its own
 *
 * So with equal views and clocks each member is probed by exactly one other in each slot, and by
 * everybody once a turn. A `phase` that hangs on the target's id alone makes its probes come at equal
 * distances. Where views or clocks differ the choice is as good as random, which is plain SWIM.
 */
export class ProbeOrder {
  readonly #self: PeerId;
  /** The active members, without this host, in the order of ids. */
  readonly #ids: PeerId[] = [];

  constructor(self: PeerId) {
    this.#self = self;
  }

  get size(): number {
    return this.#ids.length;
  }

  /** Adds a member; nothing happens if it is there. O(log N), and the move of half the list. */
  insert(id: PeerId): void {
    const place = this.#placeOf(id);
    if (this.#ids[place] !== id) this.#ids.splice(place, 0, id);
  }

  delete(id: PeerId): void {
    const place = this.#placeOf(id);
    if (this.#ids[place] === id) this.#ids.splice(place, 1);
  }

  clear(): void {
    this.#ids.length = 0;
  }

  /** The member to probe in `slot`, or `undefined` if there is none. O(log N). */
  target(slot: number): PeerId | undefined {
    const others = this.#ids.length;
    if (others === 0) return undefined;
    const own = this.#placeOf(this.#self);
    const place = (own + distance(slot, others)) % (others + 1);
    return this.#ids[place < own ? place : place - 1];
  }

  /** Where `id` stands, or would stand. */
  #placeOf(id: PeerId): number {
    let [low, high] = [0, this.#ids.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ids[middle] as PeerId) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Which part of a slot passes before `id` is probed, 0 to 1. Ids are random, so phases are even. */
export function phaseOf(id: PeerId): number {
  return Number.parseInt(id.slice(0, 8), 16) / 2 ** 32;
}

/** Places between prober and target in `slot`, with `others` hosts besides the prober: 1 to `others`. */
function distance(slot: number, others: number): number {
  const turn = Math.floor(slot / others);
  const [start, stride] = [scatter(turn) % others, coprime(scatter(~turn), others)];
  return 1 + ((start + (slot % others) * stride) % others);
}

/** The first number from `seed` on (modulo `others`) that steps through all of 0 to `others` - 1. */
function coprime(seed: number, others: number): number {
  let stride = 1 + (seed % others);
  while (greatestDivisor(stride, others) !== 1) stride++;
  return stride;
}

function greatestDivisor(one: number, other: number): number {
  return other === 0 ? one : greatestDivisor(other, one % other);
}

/** A 32-bit integer that looks unlike its neighbours' (the finalizer of MurmurHash3). */
function scatter(value: number): number {
  let mixed = value >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
