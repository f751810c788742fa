import type { FdbCounters } from '../../src/dataplane/dataplane.ts';

interface Entry {
  place: number;
  isStatic: boolean;
  confirmed: number;
}

/**
 * What `Fdb` must do, said in the slowest and plainest way: one Map in order of confirmation, and every
 * rule a loop over it. Aged entries leave at each call, so its sizes and `aged` may run ahead of `Fdb`'s.
 */
export class FdbOracle {
  readonly entries = new Map<number, Entry>();
  readonly counters = { learned: 0, moved: 0, evicted: 0 } satisfies Partial<FdbCounters>;
  readonly #capacity: number;
  readonly #maxAge: number;

  constructor(capacity: number, maxAge: number) {
    this.#capacity = capacity;
    this.#maxAge = maxAge;
  }

  learn(mac: number, place: number, now: number): boolean {
    this.age(now);
    const entry = this.entries.get(mac);
    if (entry?.isStatic) return entry.place === place;
    if (entry === undefined) this.#makeRoom();
    else if (entry.place !== place) this.counters.moved++;
    if (entry === undefined) this.counters.learned++;
    this.entries.delete(mac);
    this.entries.set(mac, { place, isStatic: false, confirmed: now });
    return true;
  }

  lookup(mac: number, now: number): number {
    this.age(now);
    return this.entries.get(mac)?.place ?? 0;
  }

  setStatic(mac: number, place: number): void {
    this.entries.set(mac, { place, isStatic: true, confirmed: 0 });
  }

  removeStatic(mac: number): void {
    if (this.entries.get(mac)?.isStatic) this.entries.delete(mac);
  }

  flush(place: number): void {
    for (const [mac, entry] of this.entries) if (entry.place === place) this.entries.delete(mac);
  }

  age(now: number): void {
    for (const [mac, entry] of this.entries) {
      if (!entry.isStatic && now - entry.confirmed >= this.#maxAge) this.entries.delete(mac);
    }
  }

  #makeRoom(): void {
    const learned = [...this.entries].filter(([, entry]) => !entry.isStatic);
    const oldest = learned[0];
    if (oldest === undefined || learned.length < this.#capacity) return;
    this.entries.delete(oldest[0]);
    this.counters.evicted++;
  }
}
