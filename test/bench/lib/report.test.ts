import test from 'ava';
import { formatFigure, panelsOf, renderReport } from '../../../bench/lib/report.ts';
import { BASE_CONTENDER, type Column, type Sample } from '../../../bench/lib/result.ts';

const GBPS: Column = {
  key: 'tcp1.gbps',
  title: 'TCP Gb/s',
  better: 'higher',
  digits: 1,
  isHeadline: true,
};
const LOSS: Column = {
  key: 'udp.loss',
  title: 'loss %',
  better: 'lower',
  digits: 2,
  isHeadline: false,
};
const SECTIONS = [
  { title: 'TCP', columns: [GBPS] },
  { title: 'UDP', columns: [LOSS] },
];

function tcp(round: number, contender: string, value: number, foreignShare = 0): Sample {
  return { round, contender, probe: 'tcp1', values: { 'tcp1.gbps': value }, foreignShare };
}

test('a headline shows its spread once there is one, others only the median', (t) => {
  const figure = { median: 2, min: 1, max: 3.25, count: 3, ratio: 1, isDisturbed: false };
  t.is(formatFigure(figure, GBPS), '2.0 (1.0–3.3)');
  t.is(formatFigure({ ...figure, count: 1 }, GBPS), '2.0');
  t.is(formatFigure({ ...figure, isDisturbed: true }, LOSS), '2.00*');
  t.is(formatFigure(undefined, LOSS), '–');
});

test('a report has a table for each measured section, and a line for all that is missing', (t) => {
  const samples: Sample[] = [
    tcp(1, BASE_CONTENDER, 10),
    tcp(1, 'weft-portable', 4, 0.5),
    {
      ...{ round: 2, contender: 'weft-portable', probe: 'tcp1', values: {}, foreignShare: 0 },
      failure: 'it broke',
    },
  ];
  const absences = [{ contender: 'weft-native', reason: 'no addon', isUnavailable: true }];
  const names = [BASE_CONTENDER, 'weft-portable', 'weft-native'];
  t.is(
    renderReport(SECTIONS, names, samples, absences),
    `### TCP

| contender     | TCP Gb/s | ratio |
| ------------- | -------: | ----: |
| kernel-vxlan  |     10.0 |  1.00 |
| weft-portable |     4.0* |  0.40 |
| weft-native   |        – |     – |

ratio: to kernel-vxlan in the same round, median over the rounds.

\\* other programs used over 5 % of the machine during a sample.

**FAILED** weft-portable, tcp1, round 2: it broke

**LEFT OUT** weft-native: no addon
`,
  );
});

test('only headline columns become panels, and ours are marked', (t) => {
  const panels = panelsOf(
    [GBPS, LOSS],
    ['bare', 'weft-native', 'absent'],
    [tcp(1, 'bare', 20), tcp(2, 'bare', 30), tcp(1, 'weft-native', 10)],
  );
  t.deepEqual(panels, [
    {
      title: 'TCP Gb/s',
      note: 'higher is better',
      digits: 1,
      bars: [
        { label: 'bare', value: 25, min: 20, max: 30, isOurs: false },
        { label: 'weft-native', value: 10, min: 10, max: 10, isOurs: true },
      ],
    },
  ]);
});

test('ratios are to the contender named, and the footnote says so', (t) => {
  const samples = [tcp(1, BASE_CONTENDER, 10), tcp(1, 'weft-portable', 4)];
  const report = renderReport(SECTIONS, ['weft-portable'], samples, [], 'weft-portable');
  t.regex(report, /weft-portable \| +4\.0 \| +1\.00 \|/);
  t.regex(report, /ratio: to weft-portable in the same round/);
});
