import test from 'ava';
import { failed, renderFigures } from '../../../bench/links/figure.ts';

test('the table says what must be, what was seen, and whether that is reached', (t) => {
  const values = { ms: 1.2 };
  const row = { what: 'a handshake', must: '≤ 1.5 ms', seen: '1.20 ms', isReached: true, values };
  const table = renderFigures([row, { ...row, what: 'another', isReached: false }]);
  t.regex(table, /^\| a handshake +\| ≤ 1\.5 ms +\| 1\.20 ms +\| reached +\|$/m);
  t.regex(table, /^\| another +\| ≤ 1\.5 ms +\| 1\.20 ms +\| MISSED +\|$/m);
});

test('a measurement that failed is a row that is missed, with the first line of why', (t) => {
  const row = failed('relay', new Error('nothing came\nand more'));
  t.like(row, { what: 'relay', seen: 'failed: nothing came', isReached: false });
});
