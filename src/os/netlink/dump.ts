import type { Outcome, Perform, Step } from './addon.ts';

/** A dump that is changed under begins anew this often; then the last word is an error. */
const MAX_DUMPS = 10;
/** EAGAIN: what a dump that was torn ends with (native/netlink/transaction.cpp). */
const TORN = 11;

/** Performs dumps, all of them again as long as one was torn. Never rejects. */
export async function performDump(
  perform: Perform,
  netns: string,
  steps: readonly Step[],
): Promise<Outcome> {
  for (let time = 1; ; time++) {
    const outcome = await perform(netns, steps);
    if (outcome.errno !== TORN || time === MAX_DUMPS) return outcome;
  }
}
