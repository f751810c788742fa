import { runSchedule, type Totals } from './ipam-schedule.ts';

const TELL_EVERY = 10_000;

/** `npm run sim -- ipam`: random schedules of the address space; throws with the seed of one that fails. */
export function runSchedules({
  schedules,
  seed,
}: {
  readonly schedules: number;
  readonly seed: number;
}): void {
  const totals: Totals = { schedules: 0, addresses: 0, revocations: 0, versions: 0 };
  const started = performance.now();
  for (let index = 0; index < schedules; index++) {
    runSchedule(seed + index, totals);
    if ((index + 1) % TELL_EVERY === 0) console.log(`${index + 1} schedules`);
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(
    `${schedules} schedules, seeds ${seed} to ${seed + schedules - 1}, ${seconds} s: ${totals.addresses} addresses given, ${totals.versions} decisions, ${totals.revocations} revocations, 0 addresses twice, 0 lost`,
  );
}
