import test from 'ava';
import {
  countReceived,
  countSent,
  createDropCounters,
  createTraffic,
  DROP,
  dropsByReason,
  readTraffic,
} from '../../src/dataplane/counters.ts';
import { DROP_REASONS } from '../../src/dataplane/drop-reason.ts';

test('each reason has an index of its own, and its count comes back under its name', (t) => {
  const counts = createDropCounters();
  DROP_REASONS.forEach((reason, index) => {
    counts[DROP[reason]]! += index + 1;
  });
  const drops = dropsByReason(counts);
  t.deepEqual(Object.keys(drops), [...DROP_REASONS]);
  t.deepEqual(
    DROP_REASONS.map((reason) => drops[reason]),
    DROP_REASONS.map((_, index) => index + 1),
  );
});

test('names are unique and say where the refusal happened', (t) => {
  t.is(new Set(DROP_REASONS).size, DROP_REASONS.length);
  for (const reason of DROP_REASONS)
    t.regex(reason, /^(port|vxlan|sealed|unsealed|mesh|relay|underlay)_[a-z_]+$/);
});

test('traffic counts each way apart, past 2^32 bytes', (t) => {
  const traffic = createTraffic();
  countReceived(traffic, 2 ** 40);
  countReceived(traffic, 1);
  countSent(traffic, 60);
  t.deepEqual(readTraffic(traffic), {
    rxFrames: 2,
    rxBytes: 2 ** 40 + 1,
    txFrames: 1,
    txBytes: 60,
  });
});
