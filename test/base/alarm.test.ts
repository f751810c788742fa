import test from 'ava';
import { Alarm, coalesce } from '../../src/base/alarm.ts';
import { asMillis } from '../../src/base/types.ts';
import { ManualClock } from '../fakes/manual-clock.ts';

test('an alarm rings once, at the instant set last, and not at all when taken back', (t) => {
  const clock = new ManualClock(1000);
  const rung: number[] = [];
  const alarm = new Alarm(clock, () => rung.push(clock.now()));
  alarm.set(asMillis(1500));
  alarm.set(asMillis(1200));
  clock.advance(600);
  t.deepEqual(rung, [1200]);
  alarm.set(asMillis(100));
  clock.advance(0);
  t.deepEqual(rung, [1200, 1600], 'what has passed is due at once');
  alarm.set(asMillis(2000));
  alarm.set(undefined);
  clock.advance(1000);
  t.is(rung.length, 2);
  t.is(clock.pendingTimers, 0);
});

test('calls until it runs are one; later ones are another', async (t) => {
  let runs = 0;
  const soon = coalesce(() => {
    runs++;
  });
  soon();
  soon();
  t.is(runs, 0);
  await Promise.resolve();
  t.is(runs, 1);
  soon();
  await Promise.resolve();
  t.is(runs, 2);
});
