import { lognormal } from '../network.ts';
import type { Scenario } from '../run.ts';

export const loss: Scenario = {
  name: 'loss',
  describe: '5 % of datagrams are lost, 2 % doubled, some overtake others: nobody may die of it',
  ...{ hosts: 1000, minutes: 10 },
  network: { loss: 0.05, duplication: 0.02, latency: lognormal(2, 1) },
  run(run) {
    run.form();
    run.measure();
    run.mustNotKill();
  },
};
