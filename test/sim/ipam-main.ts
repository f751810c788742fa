/** `node dist/test/sim/ipam-main.js --schedules N --seed S`: the address space's random schedules at length. */
import { parseArgs } from 'node:util';
import { runSchedule, type Totals } from './ipam-schedule.ts';

const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
  },
});
const [schedules, seed] = [Number(values.schedules), Number(values.seed)];
const totals: Totals = { schedules: 0, addresses: 0, revocations: 0, versions: 0 };
const started = performance.now();
for (let index = 0; index < schedules; index++) {
  runSchedule(seed + index, totals);
  if ((index + 1) % 10_000 === 0) console.log(`${index + 1} schedules`);
}
const seconds = ((performance.now() - started) / 1000).toFixed(0);
console.log(
  `${totals.schedules} schedules, seeds ${seed} to ${seed + schedules - 1}, ${seconds} s: ${totals.addresses} addresses given, ${totals.versions} decisions, ${totals.revocations} revocations, 0 addresses twice, 0 lost`,
);
