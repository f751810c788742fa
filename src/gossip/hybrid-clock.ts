/** A hybrid logical clock's reading: wall milliseconds, and a count within one. Together 64 bits. */
export interface Stamp {
  /** Since the Unix epoch; 0 to 2^48 - 1. */
  readonly millis: number;
  /** 0 to 65535. */
  readonly count: number;
}

export const MAX_MILLIS = 2 ** 48 - 1;
export const MAX_COUNT = 2 ** 16 - 1;

/** Negative, 0 or positive as `one` is before, equal to or after `other`. */
export function compareStamps(one: Stamp, other: Stamp): number {
  return one.millis - other.millis || one.count - other.count;
}

/** The stamp right after `stamp`. */
function following({ millis, count }: Stamp): Stamp {
  return count < MAX_COUNT ? { millis, count: count + 1 } : { millis: millis + 1, count: 0 };
}

/**
 * Gives stamps that follow every stamp seen, and stay near wall time while clocks are near each other
 * (Kulkarni et al., "Logical Physical Clocks", 2014). A wall clock set back does no harm: the count goes on.
 */
export class HybridClock {
  readonly #aheadMax: number;
  #last: Stamp = { millis: 0, count: 0 };

  /** `aheadMax`: stamps further ahead of the wall, in ms, are not believed. */
  constructor(aheadMax: number) {
    this.#aheadMax = aheadMax;
  }

  /** A stamp for a change made now; `wall` is ms since the Unix epoch. */
  tick(wall: number): Stamp {
    const physical = { millis: Math.max(0, Math.floor(wall)), count: 0 };
    const next = following(this.#last);
    this.#last = compareStamps(physical, next) > 0 ? physical : next;
    return this.#last;
  }

  /** Notes a stamp seen; false, and nothing changed, if it lies too far in the future. */
  observe(stamp: Stamp, wall: number): boolean {
    if (stamp.millis > wall + this.#aheadMax) return false;
    if (compareStamps(stamp, this.#last) > 0) this.#last = stamp;
    return true;
  }
}
