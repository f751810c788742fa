/**
 * CPU accounting over a span: the whole machine, the daemons under test, and load that is none of
 * ours. Foreign load is what other user-space processes used; it spoils a row and is marked there.
 */
import { cpus } from 'node:os';
import { readAllProcesses, readMachineCpu, readProcessCpu } from './proc.ts';
import type { MachineCpu, ProcessCpu } from './proc.ts';

/** The kernel's threads are children of kthreadd, which always has this pid. */
const KTHREADD = 2;

export interface CpuUse {
  readonly wallSeconds: number;
  /** All processors, less what the programs of others used. */
  readonly machineSeconds: number;
  readonly daemonSeconds: number;
  /** Share of the whole machine (0 to 1) used by processes that are neither ours nor the kernel's, or stolen. */
  readonly foreignShare: number;
}

interface Snapshot {
  readonly atMs: number;
  readonly machine: MachineCpu;
  readonly daemons: number;
  readonly foreign: number;
}

/** The processes of `all` that descend from `root`, `root` itself included. */
export function familyOf(root: number, all: readonly ProcessCpu[]): Set<number> {
  const children = new Map<number, number[]>();
  for (const { pid, parent } of all) children.set(parent, [...(children.get(parent) ?? []), pid]);
  const family = new Set<number>();
  const pending = [root];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    family.add(pid);
    pending.push(...(children.get(pid) ?? []));
  }
  return family;
}

/**
 * CPU seconds of all user-space processes outside `ours`. Counting the time of children that were
 * waited for as well makes the difference of two such sums right for processes that ended in between:
 * their time moves from `own` to their parent's `children`. Our own ancestors wait for us only after
 * the span, so nothing of ours enters.
 */
export function foreignSeconds(all: readonly ProcessCpu[], ours: ReadonlySet<number>): number {
  return all
    .filter(({ pid, parent }) => !ours.has(pid) && pid !== KTHREADD && parent !== KTHREADD)
    .reduce((sum, { own, children }) => sum + own + children, 0);
}

function snapshot(daemonPids: readonly number[]): Snapshot {
  const all = readAllProcesses();
  return {
    atMs: performance.now(),
    machine: readMachineCpu(),
    daemons: daemonPids.reduce((sum, pid) => sum + (readProcessCpu(pid)?.own ?? 0), 0),
    // All that runs for the bench, the daemons too, was started by this process.
    foreign: foreignSeconds(all, familyOf(process.pid, all)),
  };
}

/** What ran between two snapshots. */
export function difference(before: Snapshot, after: Snapshot, processors: number): CpuUse {
  const wallSeconds = (after.atMs - before.atMs) / 1000;
  const foreign = after.foreign - before.foreign;
  const stolen = after.machine.stolen - before.machine.stolen;
  return {
    wallSeconds,
    machineSeconds: after.machine.busy - before.machine.busy - foreign,
    daemonSeconds: after.daemons - before.daemons,
    foreignShare: Math.max(0, foreign + stolen) / (wallSeconds * processors),
  };
}

/** Runs `work` and tells what the processors did meanwhile. */
export async function accountCpu<T>(
  daemonPids: readonly number[],
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly use: CpuUse }> {
  const before = snapshot(daemonPids);
  const result = await work();
  return { result, use: difference(before, snapshot(daemonPids), cpus().length) };
}
