import test from 'ava';
import { floodReport } from '../../../bench/lib/udpgen.ts';

test('rates are each over the time of their own end', (t) => {
  const report = floodReport(
    64,
    { sent: 3000, seconds: 2 },
    { received: 2400, seconds: 2.4, reordered: 7 },
  );
  t.deepEqual(report, {
    ...{ bytes: 64, sent: 3000, received: 2400, reordered: 7 },
    offeredPerSecond: 1500,
    receivedPerSecond: 1000,
    lossPercent: 20,
  });
});

test('nothing sent and nothing received divide by nothing', (t) => {
  const report = floodReport(
    64,
    { sent: 0, seconds: 1 },
    { received: 0, seconds: 0, reordered: 0 },
  );
  t.is(report.lossPercent, 0);
  t.is(report.receivedPerSecond, 0);
});
