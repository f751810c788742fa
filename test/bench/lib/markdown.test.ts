import test from 'ava';
import { markdownTable } from '../../../bench/lib/markdown.ts';

test('cells are padded to the widest, numbers to the right', (t) => {
  const columns = [
    { title: 'name', align: 'left' },
    { title: 'n', align: 'right' },
  ] as const;
  t.is(
    markdownTable(columns, [['kernel-vxlan', '1.5'], ['bare', '12345'], ['x']]),
    [
      '| name         |     n |',
      '| ------------ | ----: |',
      '| kernel-vxlan |   1.5 |',
      '| bare         | 12345 |',
      '| x            |       |',
    ].join('\n'),
  );
});
