/** Small UDP at the rate that the path just carried, then at twice that, beside another flow. */
import { readResidentBytes } from '../lib/proc.ts';
import type { Column } from '../lib/result.ts';
import { flood } from '../lib/udpgen.ts';
import type { Load, Probe } from './probe.ts';

const MIB = 2 ** 20;
const BYTES = 64;
const PING_INTERVAL_SECONDS = 0.05;

function column(key: string, title: string, digits = 0): Omit<Column, 'better'> {
  return { key: `overload.${key}`, title, digits, isHeadline: false };
}

function resident(pids: readonly number[]): number {
  return Math.max(0, ...pids.map(readResidentBytes));
}

/** What happens when more is offered than can be forwarded: does it collapse, grow, or stop others? */
export const overload: Probe = {
  name: 'overload',
  section: 'UDP',
  columns: [
    { ...column('carriedKpps', 'UDP 64 B carried kpps'), better: 'higher' },
    { ...column('offeredKpps', 'then offered'), better: 'higher' },
    { ...column('receivedKpps', 'received'), better: 'higher' },
    { ...column('otherLossPercent', 'other flow lost %'), better: 'lower' },
    { ...column('growthMib', 'RSS growth MiB', 1), better: 'lower' },
  ],
  async load({ ends, daemonPids }, { seconds }): Promise<Load> {
    const { receivedPerSecond: carried } = await flood(ends, { bytes: BYTES, seconds });
    const before = resident(daemonPids);
    const pings = ends.client.ping(ends.serverAddress, {
      count: Math.floor(seconds / PING_INTERVAL_SECONDS),
      intervalSeconds: PING_INTERVAL_SECONDS,
      waitSeconds: 1,
    });
    const beyond = await flood(ends, { bytes: BYTES, seconds, rate: 2 * carried });
    const { lossPercent } = await pings;
    return () => ({
      'overload.carriedKpps': carried / 1000,
      'overload.offeredKpps': beyond.offeredPerSecond / 1000,
      'overload.receivedKpps': beyond.receivedPerSecond / 1000,
      'overload.otherLossPercent': lossPercent,
      ...(daemonPids.length > 0 && { 'overload.growthMib': (resident(daemonPids) - before) / MIB }),
    });
  },
};
