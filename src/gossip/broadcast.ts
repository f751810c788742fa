import type { GossipConfig } from './config.ts';

/** How often one host sends one broadcast, with `hosts` in the mesh: O(log N) makes it reach all. */
export function retransmitLimit(
  { retransmitFactor }: Pick<GossipConfig, 'retransmitFactor'>,
  hosts: number,
): number {
  return retransmitFactor * Math.ceil(Math.log10(hosts + 1));
}

/** Most broadcasts queued; beyond it the most-sent go. Push-pull brings what gossip then misses. */
export const QUEUE_MAX = 16_384;

/** Items too large for the room left that are passed over before a datagram is called full. */
const MISFITS_MAX = 8;

/** One piece of news: `chunk` is ready to be put into a message. */
export interface Broadcast {
  readonly key: string;
  readonly chunk: Uint8Array;
  /** How often this host has sent it. */
  readonly sent: number;
}

/**
 * News to piggyback on datagrams, by key: newer news of the same thing replaces older. What was sent
 * least goes first, and of that the oldest.
 */
export class BroadcastQueue {
  /** `#tiers[n]`: what was sent n times so far, in order of arrival there. */
  readonly #tiers: Map<string, Uint8Array>[] = [];
  readonly #tierOf = new Map<string, number>();

  get size(): number {
    return this.#tierOf.size;
  }

  /** `chunk` is kept, not copied. Returns how many older items had to go: 0 or 1. */
  put(key: string, chunk: Uint8Array): number {
    this.delete(key);
    const evicted = this.#tierOf.size >= QUEUE_MAX ? this.#evict() : 0;
    this.#place(key, chunk, 0);
    return evicted;
  }

  delete(key: string): void {
    const tier = this.#tierOf.get(key);
    if (tier === undefined) return;
    this.#tiers[tier]?.delete(key);
    this.#tierOf.delete(key);
  }

  clear(): void {
    this.#tiers.length = 0;
    this.#tierOf.clear();
  }

  /**
   * Takes items of at most `room` bytes together out of the queue. Whoever sends them gives them back
   * by `giveBack`; until then another `take` yields others, for the next datagram to the same host.
   */
  take(room: number): Broadcast[] {
    const taken: Broadcast[] = [];
    let left = room;
    for (const item of this.#inOrder(() => left)) {
      taken.push(item);
      left -= item.chunk.length;
    }
    for (const { key } of taken) this.delete(key);
    return taken;
  }

  /**
   * Counts `items` as sent once more, if that counts. One that was sent `limit` times is forgotten, and so
   * is one that newer news has replaced meanwhile.
   */
  giveBack(items: readonly Broadcast[], limit: number, isCounted = true): void {
    for (const { key, chunk, sent } of items) {
      const times = isCounted ? sent + 1 : sent;
      if (times < limit && !this.#tierOf.has(key)) this.#place(key, chunk, times);
    }
  }

  /** What fits into `room()` as it is when each is asked for. */
  *#inOrder(room: () => number): Generator<Broadcast> {
    let misfits = 0;
    for (const [sent, items] of this.#tiers.entries()) {
      for (const [key, chunk] of items) {
        if (chunk.length <= room()) yield { key, chunk, sent };
        else if (++misfits > MISFITS_MAX) return;
      }
    }
  }

  #place(key: string, chunk: Uint8Array, tier: number): void {
    while (this.#tiers.length <= tier) this.#tiers.push(new Map());
    this.#tiers[tier]?.set(key, chunk);
    this.#tierOf.set(key, tier);
  }

  #evict(): number {
    const fullest = this.#tiers.findLast((items) => items.size > 0);
    const [key] = fullest?.keys() ?? [];
    if (key === undefined) return 0;
    this.delete(key);
    return 1;
  }
}
