import type { Scenario } from '../run.ts';
import { percentile } from '../statistics.ts';

const NEWCOMERS = 20;

export const join: Scenario = {
  name: 'join',
  describe: `${NEWCOMERS} hosts join one after another: when each is known`,
  ...{ hosts: 1000, minutes: 1 },
  run(run) {
    const { cluster, census } = run;
    run.form();
    const [some, all]: [number[], number[]] = [[], []];
    for (let count = 0; count < NEWCOMERS; count++) {
      const newcomer = cluster.add();
      const spread = census.follow(newcomer, 'alive');
      newcomer.join(cluster.hosts[count] ?? newcomer);
      cluster.run(3000);
      const others = cluster.hosts.length - 1;
      some.push(spread.within(0.99, others));
      all.push(spread.within(1, others));
    }
    run.note('known to all hosts, median join', percentile(all, 0.5), 'ms');
    run.must('known to 99 % of hosts, slowest join', Math.max(...some), 'ms', 2000);
    run.measure();
    run.mustNotKill();
  },
};
