import { randomInt } from '../../../src/base/rng.ts';
import type { Scenario } from '../run.ts';

/** Part of all ordered pairs in which nothing passes. */
const PART = 0.05;

export const oneWay: Scenario = {
  name: 'one-way',
  describe: 'one of 20 links carries nothing in one direction, TCP neither: nobody may die of it',
  ...{ hosts: 1000, minutes: 10 },
  run(run) {
    const { cluster } = run;
    const hosts = run.form();
    for (let link = 0; link < PART * hosts.length ** 2; link++) {
      cluster.cuts.block(
        randomInt(cluster.rng, hosts.length),
        randomInt(cluster.rng, hosts.length),
      );
    }
    run.measure();
    run.mustNotKill();
  },
};
