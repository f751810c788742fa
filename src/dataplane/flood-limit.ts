import { TokenBucket } from '../base/token-bucket.ts';
import type { Millis } from '../base/types.ts';

/**
 * Frames per second that one network floods because no table knows their destination, unless told
 * otherwise. Endpoints are known from the table, so what remains is the first frame to a station behind a
 * foreign VTEP or a nested bridge, and one-way flows to stations that never speak: those are slowed.
 */
export const DEFAULT_UNKNOWN_UNICAST_RATE = 1000;
export const MAX_UNKNOWN_UNICAST_RATE = 10_000_000;

/** A token bucket that holds one second's worth, full at the start; native/core/flood-limit.hpp is its twin. */
export class FloodLimit {
  readonly #bucket: TokenBucket;

  /** `rate` is in frames per second, 1 to `MAX_UNKNOWN_UNICAST_RATE`. */
  constructor(rate: number) {
    this.#bucket = new TokenBucket({ rate, burst: rate });
  }

  /** Whether one more frame may be flooded; if so, it is counted. `now` never runs backwards. */
  admits(now: Millis): boolean {
    return this.#bucket.take(now);
  }
}
