import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { loadHost } from '../base/host-addon.ts';

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

/** Gives back what starting has left behind, code that only it ran among it. Once, after it: a collection of all takes some 20 ms. */
export function giveBack(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  loadHost().trim();
}
