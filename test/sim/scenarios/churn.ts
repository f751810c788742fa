import type { SimHost } from '../host.ts';
import { lognormal } from '../network.ts';
import type { Run, Scenario } from '../run.ts';

/** From one change to the next. */
const EVERY_MS = 5000;
const AWAY_MS = 30_000;

/** One of: a newcomer; a host that leaves; a crash, and a restart half a minute later. */
function change(run: Run, turn: number): void {
  const { cluster, census } = run;
  if (turn % 3 === 0) {
    const other = run.pick();
    cluster.add().join(other);
    return;
  }
  const host = run.pick();
  if (turn % 3 === 1) {
    host.leave();
    cluster.after(1000, () => cluster.kill(host));
    return;
  }
  census.expectDeaths([host]);
  cluster.kill(host);
  cluster.after(AWAY_MS, () => comeBack(run, host));
}

function comeBack(run: Run, host: SimHost): void {
  const { cluster, census } = run;
  const again = cluster.restart(host, { seeds: [run.pick().reached] });
  // Who has not heard yet that it is back may still tell of its death.
  cluster.after(EVERY_MS, () => census.expectLife([again]));
}

export const churn: Scenario = {
  name: 'churn',
  describe: 'every 5 s a host joins, leaves, or crashes and comes back after 30 s; 1 % loss',
  ...{ hosts: 1000, minutes: 10 },
  network: { loss: 0.01, duplication: 0.01, latency: lognormal(1, 1) },
  run(run) {
    const { cluster } = run;
    run.form();
    const changes = Math.floor((run.options.minutes * 60_000) / EVERY_MS);
    for (let turn = 0; turn < changes; turn++) {
      cluster.after(turn * EVERY_MS, () => change(run, turn));
    }
    run.measure();
    cluster.run(AWAY_MS);
    const settled = cluster.runUntil(() => cluster.isConverged(), 60_000, 250);
    run.must('all views right after the last change, within', settled, 'ms', 15_000);
    run.mustNotKill();
  },
};
