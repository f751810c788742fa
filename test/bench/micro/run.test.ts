import test from 'ava';
import { renderMicro } from '../../../bench/micro/run.ts';

test('a row has the median, the spread and the heap bytes of an operation', (t) => {
  const nsPerOperation = { median: 9.04, min: 8.5, max: 12.25 };
  t.is(
    renderMicro([{ name: 'vxlan encode', nsPerOperation, bytesPerOperation: 0.0004 }]),
    `| operation    | ns/operation |   spread | heap B/operation |
| ------------ | -----------: | -------: | ---------------: |
| vxlan encode |          9.0 | 8.5–12.3 |            0.000 |`,
  );
});
