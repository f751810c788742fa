import type { Scenario } from '../run.ts';
import { percentile } from '../statistics.ts';

const VICTIMS = 20;
const SPAN_MS = 15_000;
/** The bound: a SIGKILL is seen by 99 % of 1000 hosts within this. */
const MOST_MS = 8000;

export const kill: Scenario = {
  name: 'kill',
  describe: `kill -9 of ${VICTIMS} hosts one after another: when each death is seen`,
  ...{ hosts: 1000, minutes: 1 },
  run(run) {
    const { cluster, census } = run;
    run.form();
    const [half, most]: [number[], number[]] = [[], []];
    for (let count = 0; count < VICTIMS; count++) {
      const victim = run.pick();
      census.expectDeaths([victim]);
      const spread = census.follow(victim, 'dead');
      cluster.kill(victim);
      cluster.run(SPAN_MS + cluster.rng.next() * 1000);
      half.push(spread.within(0.5, cluster.hosts.length));
      most.push(spread.within(0.99, cluster.hosts.length));
    }
    run.note('seen by half of the hosts, median kill', percentile(half, 0.5), 'ms');
    run.note('seen by 99 %, median kill', percentile(most, 0.5), 'ms');
    run.must('seen by 99 %, slowest kill', Math.max(...most), 'ms', MOST_MS);
    run.measure();
    run.mustNotKill();
  },
};
