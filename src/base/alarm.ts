import type { Clock, Timer } from './clock.ts';
import { asMillis, type Millis } from './types.ts';

/** The one timer of a machine that says when something is due next: to set it again moves it. */
export class Alarm {
  readonly #clock: Clock;
  readonly #ring: () => void;
  #timer: Timer | undefined;

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock;
    this.#ring = ring;
  }

  /** Rings at that instant, at once if it has passed; undefined: not at all. */
  set(due: Millis | undefined): void {
    this.#timer?.cancel();
    this.#timer =
      due === undefined
        ? undefined
        : this.#clock.after(asMillis(Math.max(0, due - this.#clock.now())), this.#ring);
  }
}

/** A call that has `run` called soon, once for all calls until then. */
export function coalesce(run: () => void): () => void {
  let isComing = false;
  return () => {
    if (isComing) return;
    isComing = true;
    queueMicrotask(() => {
      isComing = false;
      run();
    });
  };
}
