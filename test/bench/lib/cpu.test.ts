import test from 'ava';
import { difference, familyOf, foreignSeconds } from '../../../bench/lib/cpu.ts';
import type { ProcessCpu } from '../../../bench/lib/proc.ts';

function cpuOf(pid: number, parent: number, own = 0, children = 0): ProcessCpu {
  return { pid, parent, own, children };
}

test('a family is a process with all its descendants', (t) => {
  const all = [cpuOf(1, 0), cpuOf(5, 1), cpuOf(6, 5), cpuOf(7, 6), cpuOf(8, 1)];
  t.deepEqual([...familyOf(5, all)].sort(), [5, 6, 7]);
});

test('kernel threads and our own are not foreign', (t) => {
  const all = [
    cpuOf(1, 0, 1),
    cpuOf(2, 0, 50),
    cpuOf(3, 2, 60),
    cpuOf(5, 1, 70),
    cpuOf(8, 1, 2, 4),
  ];
  t.is(foreignSeconds(all, new Set([5])), 7);
});

test('a foreign program that starts and ends within the span is counted through its parent', (t) => {
  const before = foreignSeconds([cpuOf(8, 1, 2, 4)], new Set());
  const during = foreignSeconds([cpuOf(8, 1, 2, 4), cpuOf(9, 8, 3)], new Set());
  const after = foreignSeconds([cpuOf(8, 1, 2, 7.5)], new Set());
  t.is(during - before, 3);
  t.is(after - before, 3.5);
});

test('what others used is not counted as ours; stolen time is foreign too', (t) => {
  const snapshot = { atMs: 0, machine: { busy: 10, stolen: 1 }, daemons: 1, foreign: 5 };
  const later = { atMs: 2000, machine: { busy: 13, stolen: 1.25 }, daemons: 2.5, foreign: 5.75 };
  t.deepEqual(difference(snapshot, later, 2), {
    wallSeconds: 2,
    machineSeconds: 2.25,
    daemonSeconds: 1.5,
    foreignShare: 0.25,
  });
});
