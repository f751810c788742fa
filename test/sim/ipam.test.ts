import test from 'ava';
import { runSchedule, type Totals } from './ipam-schedule.ts';
import { seedFor } from './seed.ts';

const SCHEDULES = 2_000;

test('2,000 random schedules give no address twice and lose none that was acknowledged', (t) => {
  const first = seedFor(t);
  const totals: Totals = { schedules: 0, addresses: 0, revocations: 0, versions: 0 };
  for (let index = 0; index < SCHEDULES; index++) runSchedule(first + index, totals);
  t.log(
    `${totals.addresses} addresses, ${totals.versions} decisions, ${totals.revocations} revocations`,
  );
  t.true(totals.addresses > SCHEDULES && totals.revocations > SCHEDULES / 20);
});
