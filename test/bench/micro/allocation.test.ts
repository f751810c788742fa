import test from 'ava';
import { runAllocationMicro } from '../../../bench/micro/allocation.ts';
import { renderLatencies } from '../../../bench/micro/latency.ts';

test('addresses come from local space, and the disk has its part', async (t) => {
  const [chosen, computed, flushed, whole] = await runAllocationMicro(20, 10);
  t.is(chosen?.samples.length, 20);
  for (const [index, time] of (whole?.samples ?? []).entries()) {
    const [own = NaN, disk = NaN] = [computed?.samples[index], flushed?.samples[index]];
    t.true(own > 0 && disk > 0);
    t.true(Math.abs(own + disk - time) < 1e-6 * time);
  }
});

test('a percentile above its limit is named', (t) => {
  const samples = [10, 20, 30];
  t.is(
    renderLatencies([
      { name: 'fast', samples, most: 1000 },
      { name: 'slow', samples, most: 15 },
      { name: 'free', samples: [2000] },
    ]),
    `| operation | median, µs | p99, µs | longest, µs |  p99 must be |
| --------- | ---------: | ------: | ----------: | -----------: |
| fast      |       20.0 |    29.8 |        30.0 |       ≤ 1000 |
| slow      |       20.0 |    29.8 |        30.0 | ≤ 15, MISSED |
| free      |       2000 |    2000 |        2000 |            – |`,
  );
});
