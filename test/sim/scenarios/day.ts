import type { Scenario } from '../run.ts';

const DAY_MS = 24 * 3_600_000;

export const day: Scenario = {
  name: 'day',
  describe: 'a mesh cut in halves for a day (or --minutes) heals by itself',
  ...{ hosts: 10, minutes: DAY_MS / 60_000 },
  run(run) {
    const { cluster, census, options } = run;
    const hosts = run.form();
    const half = Math.ceil(hosts.length / 2);
    census.expectDeaths(hosts);
    cluster.partition(hosts.slice(0, half), hosts.slice(half));
    run.measure(options.minutes * 60_000);
    cluster.heal();
    const healed = cluster.runUntil(() => cluster.isConverged(), 120_000, 250);
    run.must('all views right after healing', healed, 'ms', 15_000);
  },
};
