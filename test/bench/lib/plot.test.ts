import test from 'ava';
import { renderPlot, type Panel } from '../../../bench/lib/plot.ts';

const PANEL: Panel = {
  title: 'TCP <Gb/s> & "more"',
  note: 'higher is better',
  digits: 1,
  bars: [
    { label: 'bare', value: 20, min: 15, max: 25, isOurs: false },
    { label: 'weft-native', value: 10, min: 10, max: 10, isOurs: true },
  ],
};

function widths(svg: string): number[] {
  return [...svg.matchAll(/<rect x="132"[^>]* width="([\d.]+)"/g)].map((match) => Number(match[1]));
}

test('a bar is as long as its value', (t) => {
  const [bare = 0, ours = 0] = widths(renderPlot('t', ['s'], [PANEL]));
  t.true(Math.abs(bare / ours - 2) < 0.01);
});

test('only a bar with a spread has a whisker, and it stays inside the panel', (t) => {
  const svg = renderPlot('t', ['s'], [PANEL]);
  const whiskers = [...svg.matchAll(/<path d="M([\d.]+) \d+V\d+M([\d.]+) /g)];
  t.is(whiskers.length, 1);
  const [from, to] = [Number(whiskers[0]?.[1]), Number(whiskers[0]?.[2])];
  t.true(from > 132 && from < to && to < 460);
});

test('text is escaped and every element is closed', (t) => {
  const svg = renderPlot('a & b', ['s'], [PANEL]);
  t.true(svg.includes('TCP &#60;Gb/s&#62; &#38; &#34;more&#34;'));
  t.false(/&(?!#\d+;)/.test(svg));
  const opened = [...svg.matchAll(/<(svg|g|text)\b/g)].length;
  const closed = [...svg.matchAll(/<\/(svg|g|text)>/g)].length;
  t.is(opened, closed);
});

test('panels without bars are left out, and values of 0 do not divide by 0', (t) => {
  const zero = { ...PANEL, bars: [{ label: 'x', value: 0, min: 0, max: 0, isOurs: false }] };
  const svg = renderPlot('t', ['s'], [{ ...PANEL, bars: [] }, zero]);
  t.is([...svg.matchAll(/<g /g)].length, 1);
  t.false(svg.includes('NaN') || svg.includes('Infinity'));
});
