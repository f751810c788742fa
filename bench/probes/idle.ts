/** What a daemon costs when nothing happens: memory after the loads, and CPU. */
import { setTimeout as pause } from 'node:timers/promises';
import { readPeakBytes, readResidentBytes, readRunSeconds } from '../lib/proc.ts';
import type { Load, Probe } from './probe.ts';

const MIB = 2 ** 20;
/** Long enough to see gossip's own period several times. */
const LEAST_SECONDS = 5;

function most(values: readonly number[]): number {
  return Math.max(0, ...values);
}

export const idle: Probe = {
  name: 'idle',
  section: 'Latency and footprint',
  columns: [
    { key: 'idle.rssMib', title: 'RSS MiB/host', better: 'lower', digits: 1, isHeadline: false },
    { key: 'idle.peakMib', title: 'peak', better: 'lower', digits: 1, isHeadline: false },
    { key: 'idle.cpuPercent', title: 'idle CPU %', better: 'lower', digits: 2, isHeadline: false },
  ],
  async load({ daemonPids }, { seconds }): Promise<Load> {
    if (daemonPids.length === 0) return () => ({});
    const span = Math.max(LEAST_SECONDS, seconds);
    const before = daemonPids.map(readRunSeconds);
    await pause(span * 1000);
    const shares = daemonPids.map((pid, at) => (readRunSeconds(pid) - (before[at] ?? 0)) / span);
    const values = {
      'idle.rssMib': most(daemonPids.map(readResidentBytes)) / MIB,
      'idle.peakMib': most(daemonPids.map(readPeakBytes)) / MIB,
      'idle.cpuPercent': 100 * most(shares),
    };
    return () => values;
  },
};
