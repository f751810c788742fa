import test from 'ava';
import {
  parseMachineCpu,
  parseMemory,
  parseProcessCpu,
  readRunSeconds,
} from '../../../bench/lib/proc.ts';

test('the machine is busy with all but idle, iowait, steal and guest time', (t) => {
  const stat = 'cpu  100 20 300 9999 888 4 50 60 70 8\ncpu0 1 1 1 1 1 1 1 1 0 0\nintr 5\n';
  t.deepEqual(parseMachineCpu(stat), { busy: 4.74, stolen: 0.6 });
});

test('a process name may hold spaces and parentheses', (t) => {
  const stat = '42 (a) b (c)) S 7 42 42 0 -1 4194304 100 200 0 0 150 50 25 75 20 0 9 0 12345 1000';
  t.deepEqual(parseProcessCpu(stat), { pid: 42, parent: 7, own: 2, children: 1 });
});

test('memory fields are read by name; a zombie has none', (t) => {
  const status = 'Name:\tnode\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t3\n';
  t.is(parseMemory(status, 'VmRSS'), 2 ** 20);
  t.is(parseMemory(status, 'VmHWM'), 2 ** 21);
  t.is(parseMemory('Name:\tnode\nState:\tZ (zombie)\n', 'VmRSS'), 0);
});

test('run time grows with work, and a process that is not there has none', (t) => {
  const before = readRunSeconds(process.pid);
  const end = performance.now() + 20;
  while (performance.now() < end);
  t.true(readRunSeconds(process.pid) > before);
  t.is(readRunSeconds(2 ** 30), 0);
});
