import type { Rng } from '../../src/base/rng.ts';

/** Draws a one-way delay in milliseconds. */
export type Latency = (rng: Rng) => number;

/** Any delay between the two alike, so that datagrams overtake each other. */
export const uniform =
  (least: number, most: number): Latency =>
  (rng) =>
    least + rng.next() * (most - least);

/** Half of the delays above `median`, a few far above it: `sigma` 0.5 gives 3.2 times at 1 in 100. */
export const lognormal =
  (median: number, sigma: number): Latency =>
  (rng) => {
    const radius = Math.sqrt(-2 * Math.log(1 - rng.next()));
    return median * Math.exp(sigma * radius * Math.cos(2 * Math.PI * rng.next()));
  };

/** What the underlay does to datagrams. TCP hides loss behind delay, and is cut where datagrams are. */
export interface NetworkOptions {
  /** Part of the datagrams that vanish, 0 to 1. */
  readonly loss: number;
  /** Part of the datagrams that arrive twice. */
  readonly duplication: number;
  readonly latency: Latency;
  /** Part of TCP's segments that are lost and sent again. Default: as datagrams. */
  readonly streamLoss?: number;
}

export const PERFECT: NetworkOptions = { loss: 0, duplication: 0, latency: uniform(0.2, 1) };
export const LOSSY: NetworkOptions = { loss: 0.05, duplication: 0.02, latency: uniform(0.2, 20) };
/** One site: half a millisecond, with a tail. */
export const SITE: NetworkOptions = { loss: 0, duplication: 0, latency: lognormal(0.5, 0.5) };

/** First wait before TCP sends a lost segment again; doubles. */
const RETRANSMIT_AFTER_MS = 200;

/** The delay of one leg of a connection: what is lost is sent again later. */
export function streamDelay(
  { loss, streamLoss = loss, latency }: NetworkOptions,
  rng: Rng,
): number {
  let delay = latency(rng);
  for (let wait = RETRANSMIT_AFTER_MS; rng.next() < streamLoss; wait *= 2) delay += wait;
  return delay;
}

/** Which pairs of hosts can't reach each other, by the hosts' numbers. */
export class Cuts {
  readonly #sides = new Map<number, number>();
  readonly #oneWay = new Set<number>();

  /** Hosts in different groups can't reach each other; hosts in none are as one more group. */
  partition(groups: readonly (readonly number[])[]): void {
    this.#sides.clear();
    for (const [side, group] of groups.entries()) {
      for (const host of group) this.#sides.set(host, side);
    }
  }

  /** What `from` sends does not reach `to`; the other way works. */
  block(from: number, to: number): void {
    this.#oneWay.add(pair(from, to));
  }

  heal(): void {
    this.#sides.clear();
    this.#oneWay.clear();
  }

  isCut(from: number, to: number): boolean {
    if (this.#oneWay.size > 0 && this.#oneWay.has(pair(from, to))) return true;
    return this.#sides.size > 0 && this.#sides.get(from) !== this.#sides.get(to);
  }
}

const pair = (from: number, to: number): number => from * 2 ** 20 + to;
