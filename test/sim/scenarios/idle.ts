import { Run, type Scenario } from '../run.ts';

const REFERENCE_HOSTS = 50;

/** UDP and TCP payload per host and second in the last measurement of a run. */
function rateOf({ figures }: Run): number {
  const rates = figures.filter(({ name }) => /^(UDP|TCP) payload/.test(name));
  return rates.reduce((sum, { value }) => sum + value, 0);
}

export const idle: Scenario = {
  name: 'idle',
  describe: 'nothing happens: what a host costs, beside one in a mesh of 50',
  ...{ hosts: 1000, minutes: 10 },
  run(run) {
    run.form();
    run.measure();
    const small = new Run({ ...run.options, hosts: REFERENCE_HOSTS });
    small.form();
    small.measure();
    run.note('payload per host in all', rateOf(run), 'B/s');
    run.note(`… in a mesh of ${REFERENCE_HOSTS}`, rateOf(small), 'B/s');
    run.must('ratio of the two', rateOf(run) / rateOf(small), '', 1.3);
    run.mustNotKill();
  },
};
