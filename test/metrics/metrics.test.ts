import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../src/base/package-root.ts';
import { metricsText } from '../../src/metrics/metrics.ts';
import { FAKE_LINKS, FAKE_STATUS } from '../fakes/fake-control.ts';

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE =
  /^([a-zA-Z0-9_:]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (-?[0-9.e+-]+)$/;

test('every line is a comment or a sample, and every sample has its help and type before it', (t) => {
  const lines = metricsText(FAKE_STATUS, FAKE_LINKS).split('\n');
  t.is(lines.pop(), '');
  const told = new Map<string, string>();
  const seen = new Set<string>();
  for (const line of lines) {
    const type = /^# TYPE (\S+) (counter|gauge)$/.exec(line);
    if (type !== null) told.set(type[1] ?? '', type[2] ?? '');
    if (line.startsWith('# HELP ') || type !== null) continue;
    const [, name = '', labels = ''] = SAMPLE.exec(line) ?? [];
    t.regex(name, NAME, line);
    t.true(told.has(name), `${name} has no type`);
    t.is(told.get(name) === 'counter', name.endsWith('_total'), name);
    t.false(seen.has(`${name} ${labels}`), `${line} is there twice`);
    seen.add(`${name} ${labels}`);
  }
  t.true(seen.size > 20);
});

test('what a link is like is there by host and by path', (t) => {
  const text = metricsText(FAKE_STATUS, FAKE_LINKS);
  for (const line of [
    'weft_link_relayed{peer="host-b"} 1',
    'weft_link_mtu_bytes{peer="host-b"} 1400',
    'weft_link_rtt_seconds{peer="host-b",path="relay host-c"} 0.00124',
    'weft_link_path_up{peer="host-b",path="direct 192.0.2.2:7783"} 0',
    'weft_link_receive_bytes_total{peer="host-b"} 2048',
    'weft_drops_total{reason="vxlan_flags"} 3',
    'weft_members{state="dead"} 1',
  ]) {
    t.true(text.split('\n').includes(line), line);
  }
});

test('the alerts that we give away ask for metrics that there are', (t) => {
  const rules = readFileSync(join(packageRoot, 'deploy/prometheus/weft.rules.yml'), 'utf8');
  const text = metricsText(FAKE_STATUS, FAKE_LINKS);
  const names = [...rules.matchAll(/\bweft_[a-z_]+/g)].map(([name]) => name);
  t.true(names.length >= 6);
  for (const name of names) t.true(text.includes(`# TYPE ${name} `), name);
});

test('labels are escaped', (t) => {
  const [link] = FAKE_LINKS;
  if (link === undefined) return t.fail();
  const text = metricsText(FAKE_STATUS, [{ ...link, why: 'a "b" \\ c\nd', paths: [] }]);
  t.true(text.includes('why="a \\"b\\" \\\\ c\\nd"'));
  t.false(text.includes('rtt_seconds'), 'what has no samples is left out');
});
