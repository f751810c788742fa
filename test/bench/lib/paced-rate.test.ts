import test from 'ava';
import { highestRate, isCarried } from '../../../bench/lib/paced-rate.ts';

test('the search ends within an eighth below what the path carries', async (t) => {
  for (const limit of [250, 999, 1700, 5300, 30_000]) {
    const found = await highestRate((mbps) => Promise.resolve(mbps <= limit));
    t.true(found <= limit && found >= limit / (1 + 1 / 8), `${found} of ${limit}`);
  }
});

test('a path that carries the most that is tried ends the search there', async (t) => {
  t.is(await highestRate(() => Promise.resolve(true)), 64_000);
});

test('a path that loses at the least rate is told, not measured', async (t) => {
  await t.throwsAsync(
    highestRate(() => Promise.resolve(false)),
    { message: /not even 250 Mb\/s/ },
  );
});

test('a rate is carried if next to nothing is lost and the sender kept it', (t) => {
  t.true(isCarried(1000, { sentMbps: 999, lossPercent: 0.05 }));
  t.false(isCarried(1000, { sentMbps: 999, lossPercent: 0.2 }));
  t.false(isCarried(1000, { sentMbps: 900, lossPercent: 0 }));
});
