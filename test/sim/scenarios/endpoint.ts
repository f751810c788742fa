import type { Scenario } from '../run.ts';
import { percentile } from '../statistics.ts';

const ROWS = 20;
/** The bound: a new endpoint is known on 99 % of 1000 hosts within this. */
const MOST_MS = 2000;

export const endpoint: Scenario = {
  name: 'endpoint',
  describe: `${ROWS} new rows one after another: when each is known everywhere`,
  ...{ hosts: 1000, minutes: 1 },
  run(run) {
    const { cluster, census } = run;
    run.form();
    const [half, most]: [number[], number[]] = [[], []];
    for (let index = 0; index < ROWS; index++) {
      const writer = run.pick();
      const spread = census.followRow(writer, `row-${index}`);
      writer.put('endpoints', `row-${index}`, { mac: '02:00:00:00:00:01', host: writer.name });
      cluster.run(5000);
      half.push(spread.within(0.5, cluster.hosts.length));
      most.push(spread.within(0.99, cluster.hosts.length));
    }
    run.note('known to half of the hosts, median row', percentile(half, 0.5), 'ms');
    run.note('known to 99 %, median row', percentile(most, 0.5), 'ms');
    run.must('known to 99 %, slowest row', Math.max(...most), 'ms', MOST_MS);
    run.measure();
    run.mustNotKill();
  },
};
