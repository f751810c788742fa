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

const later = (one: Stamp, other: Stamp): Stamp => (compareStamps(one, other) > 0 ? one : other);

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

  /**
   * A stamp for a change made now; `wall` is ms since the Unix epoch. It follows `replaced`, the version
   * that the change replaces, even where that one has not moved the clock.
   */
  tick(wall: number, replaced?: Stamp): Stamp {
    const physical = { millis: Math.max(0, Math.floor(wall)), count: 0 };
    this.#last = later(physical, following(this.#last));
    return replaced === undefined ? this.#last : later(this.#last, following(replaced));
  }

  /** Whether a stamp is near enough to the wall to be believed. */
  believes(stamp: Stamp, wall: number): boolean {
    return stamp.millis <= wall + this.#aheadMax;
  }

  /**
   * Notes a stamp that was believed. One that is more than half of `aheadMax` ahead does not move the
   * clock: a forged stamp at the limit would otherwise make this host's own changes unbelievable to
   * hosts whose clocks are behind.
   */
  observe(stamp: Stamp, wall: number): void {
    if (stamp.millis <= wall + this.#aheadMax / 2) this.#last = later(stamp, this.#last);
  }
}
