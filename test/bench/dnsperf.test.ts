import test from 'ava';
import { parseDnsperf } from '../../bench/dns/dnsperf.ts';

const SAID = `[Status] Sending queries (to 10.77.0.1:53)
> NOERROR web.weft.local A 0.000412
> NOERROR web.weft.local A 0.001500
> T web.weft.local A
Statistics:

  Queries sent:         3
  Queries completed:    2 (66.67%)
  Queries lost:         1 (33.33%)

  Run time (s):         0.500000
  Queries per second:   4.000000
`;

test("dnsperf's totals and the latency of each answer are read", (t) => {
  const { latenciesMs, ...totals } = parseDnsperf(SAID);
  t.deepEqual(totals, { sent: 3, lost: 1, perSecond: 4 });
  t.deepEqual(
    latenciesMs.map((ms) => ms.toFixed(3)),
    ['0.412', '1.500'],
  );
  t.throws(() => parseDnsperf('nothing'), { message: /"Queries sent"/ });
});
