import { lognormal } from '../network.ts';
import type { Scenario } from '../run.ts';

/** One host in so many is slow. */
const ONE_IN = 20;
const STALL_MS = 2000;
/** A slow host stands still this often. */
const EVERY_MS = 15_000;

export const slow: Scenario = {
  name: 'slow',
  describe: `1 host in ${ONE_IN} reads late and stands still for ${STALL_MS / 1000} s every ${EVERY_MS / 1000} s: nobody may die`,
  ...{ hosts: 1000, minutes: 10 },
  run(run) {
    const { cluster, options } = run;
    const isSlow = (index: number): boolean => index % ONE_IN === 0;
    const hosts = run.form((index) => (isSlow(index) ? { lag: lognormal(30, 1) } : {}));
    const end = cluster.now + options.minutes * 60_000;
    for (const host of hosts.filter((_, index) => isSlow(index))) {
      for (let at = cluster.rng.next() * EVERY_MS; cluster.now + at < end; at += EVERY_MS) {
        cluster.after(at, () => host.stall(STALL_MS));
      }
    }
    run.measure();
    run.mustNotKill();
  },
};
