import { lognormal } from '../network.ts';
import type { Scenario } from '../run.ts';

const HOUR = 3_600_000;

export const skew: Scenario = {
  name: 'skew',
  describe:
    'wall clocks up to an hour off either way: deaths are seen in time, the last write wins',
  ...{ hosts: 1000, minutes: 5 },
  network: { loss: 0.01, duplication: 0, latency: lognormal(1, 0.5) },
  run(run) {
    const { cluster, census } = run;
    const { rng } = cluster;
    run.form(() => ({ wallAheadMs: (2 * rng.next() - 1) * HOUR }));
    const victim = run.pick();
    census.expectDeaths([victim]);
    const death = census.follow(victim, 'dead');
    cluster.kill(victim);
    const writers = [run.pick(), run.pick(), run.pick()];
    for (const [order, writer] of writers.entries()) {
      cluster.after(5000 * (order + 1), () => writer.put('endpoints', 'key', { order }));
    }
    run.measure();
    run.must('a death seen by 99 %', death.within(0.99, cluster.hosts.length), 'ms', 10_000);
    const last = writers.at(-1);
    const isWrong = cluster.hosts.filter(
      ({ machine }) => machine.replica.get('endpoints', 'key')?.row.author !== last?.id,
    );
    run.must('hosts that do not hold the last write', isWrong.length, '', 0);
    run.mustNotKill();
  },
};
