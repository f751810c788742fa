import test from 'ava';
import { asMillis } from '../../src/base/types.ts';
import { ManualClock } from './manual-clock.ts';

test('timers run in order of due time, then of creation, at their due time', (t) => {
  const clock = new ManualClock(100);
  const ran: string[] = [];
  const note = (name: string) => () => void ran.push(`${name}@${clock.now()}`);
  clock.after(asMillis(20), note('late'));
  clock.after(asMillis(10), note('first'));
  clock.after(asMillis(10), note('second'));
  t.is(clock.nextDue, asMillis(110));
  clock.advance(15);
  t.deepEqual(ran, ['first@110', 'second@110']);
  t.is(clock.now(), asMillis(115));
  clock.advance(5);
  t.deepEqual(ran.slice(2), ['late@120']);
  t.is(clock.nextDue, undefined);
});

test('a timer set by a timer runs in the same advance if it falls due', (t) => {
  const clock = new ManualClock();
  const ran: number[] = [];
  const again = (): void => {
    ran.push(clock.now());
    clock.after(asMillis(10), again);
  };
  clock.after(asMillis(10), again);
  clock.advance(35);
  t.deepEqual(ran, [10, 20, 30]);
  t.is(clock.pendingTimers, 1);
});

test('a cancelled timer does not run, and wall time keeps step', (t) => {
  const clock = new ManualClock(5, 1000);
  const timer = clock.after(asMillis(1), () => t.fail());
  timer.cancel();
  timer.cancel();
  clock.advance(250);
  t.is(clock.wallNow(), 1250);
});
