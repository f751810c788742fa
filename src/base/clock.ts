import { asMillis, type Millis } from './types.ts';

/** A pending call; `cancel` after it ran, or twice, does nothing. */
export interface Timer {
  cancel(): void;
}

/** All the time a module may know. Machines take `now` as a value; drivers take a `Clock`. */
export interface Clock {
  /** Monotonic, from an arbitrary origin. */
  now(): Millis;
  /** Milliseconds since the Unix epoch: for logs, for the hybrid clock's physical part, never for spans. */
  wallNow(): number;
  /** Calls `run` once, no sooner than `delay` from now. A pending timer never keeps the process alive. */
  after(delay: Millis, run: () => void): Timer;
}

export const systemClock: Clock = {
  now: () => asMillis(performance.now()),
  wallNow: () => Date.now(),
  after(delay, run) {
    const handle = setTimeout(run, delay);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Settles after `delay` by `clock`. */
export function pause(clock: Clock, delay: Millis): Promise<void> {
  return new Promise((resolve) => void clock.after(delay, resolve));
}
