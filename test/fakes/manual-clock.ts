import type { Clock, Timer } from '../../src/base/clock.ts';
import { asMillis, type Millis } from '../../src/base/types.ts';

interface Pending {
  readonly due: number;
  readonly run: () => void;
}

/**
 * Time that moves only when a test says so. Due timers run in the order of their due time, and of
 * their creation where that is equal; while one runs, `now` is its due time, and a timer that it sets
 * within the span being advanced runs in the same call.
 */
export class ManualClock implements Clock {
  readonly #pending = new Set<Pending>();
  readonly #wallOrigin: number;
  #now: number;

  /** `start` is the first instant; the wall clock runs in step, from 2026-01-01 unless told otherwise. */
  constructor(start = 0, wallOrigin = Date.UTC(2026, 0, 1)) {
    this.#now = start;
    this.#wallOrigin = wallOrigin - start;
  }

  now(): Millis {
    return asMillis(this.#now);
  }

  wallNow(): number {
    return this.#wallOrigin + this.#now;
  }

  after(delay: Millis, run: () => void): Timer {
    const timer: Pending = { due: this.#now + Math.max(0, delay), run };
    this.#pending.add(timer);
    return { cancel: () => void this.#pending.delete(timer) };
  }

  /** Timers that have neither run nor been cancelled. */
  get pendingTimers(): number {
    return this.#pending.size;
  }

  /** When the next timer is due, or `undefined` if none waits. */
  get nextDue(): Millis | undefined {
    const next = this.#earliest();
    return next === undefined ? undefined : asMillis(next.due);
  }

  /** Moves time by `ms` and runs what falls due, in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#earliest();
      if (next === undefined || next.due > end) break;
      this.#pending.delete(next);
      this.#now = next.due;
      next.run();
    }
    this.#now = end;
  }

  #earliest(): Pending | undefined {
    let earliest: Pending | undefined;
    // A Set keeps the order of insertion, so `<` leaves ties to the timer that was set first.
    for (const timer of this.#pending) {
      if (earliest === undefined || timer.due < earliest.due) earliest = timer;
    }
    return earliest;
  }
}
