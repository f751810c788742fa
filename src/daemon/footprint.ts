import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from '../base/clock.ts';
import { loadHost } from '../base/host-addon.ts';
import { asMillis } from '../base/types.ts';

/**
 * V8 is set for pages that compute and are closed; a daemon waits, for months. What each line saves of
 * the resident memory of an idle daemon, and what it costs, is in docs/operations.md.
 */
const FLAGS = [
  // The garbage collector grows the heap in small steps.
  '--optimize-for-size',
  // Young objects stay within the first 1 MiB instead of up to 16: more and shorter collections.
  '--semi-space-growth-factor=1',
  // Code is compiled to machine code once it is hot (15 times hotter than by default), not while starting.
  '--interrupt-budget=1000000',
  '--no-sparkplug',
] as const;

/** Makes this process small rather than quick to warm up. Early, before the daemon's code is loaded. */
export function keepSmall(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}

/** After the first attachments, and after those that a whole host starts with. */
const SOON_AFTER = [5_000, 60_000].map(asMillis);
/** From then on. */
const EVERY = asMillis(600_000);

/**
 * Gives back what starting has left behind, code that only it ran among it: once, after it, since a
 * collection of all takes some 20 ms. What later work has read of Node's program is let go from time to
 * time, which takes `trim` some 2 ms.
 */
export function giveBack(clock: Clock): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  trimAgain(clock, 0);
}

function trimAgain(clock: Clock, times: number): void {
  loadHost().trim();
  clock.after(SOON_AFTER[times] ?? EVERY, () => trimAgain(clock, times + 1));
}
