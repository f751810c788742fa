import test from 'ava';
import { PathMeter } from '../../src/link/path-meter.ts';

/** A path that is probed so often from `from` to `to` ms, with one round trip. */
function measure(meter: PathMeter, every: number, from: number, to: number, rtt: number): void {
  for (let now = from; now < to; now += every) meter.answered(rtt, now);
}

test('paths that are probed at different rates are judged by the same stretch of time', (t) => {
  const [used, other] = [new PathMeter(), new PathMeter()];
  measure(used, 250, 0, 10_000, 1);
  measure(other, 2_000, 0, 10_000, 1);
  // A load begins that keeps both hosts from answering at once.
  measure(used, 250, 10_000, 14_000, 6);
  measure(other, 2_000, 10_000, 14_000, 6);
  t.deepEqual([used.leastRtt, other.leastRtt], [1, 1]);
  measure(used, 250, 14_000, 30_000, 6);
  measure(other, 2_000, 14_000, 30_000, 6);
  t.deepEqual([used.leastRtt, other.leastRtt], [6, 6]);
});

test('a path that is seldom probed is judged by its last eight round trips', (t) => {
  const meter = new PathMeter();
  meter.answered(2, 0);
  t.false(meter.isMeasured);
  measure(meter, 25_000, 25_000, 200_000, 9);
  t.true(meter.isMeasured);
  t.is(meter.leastRtt, 2);
  meter.answered(9, 200_000);
  t.is(meter.leastRtt, 9);
});
