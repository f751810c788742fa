/** Round-trip time of a small packet on an otherwise idle path, by ping. */
import { quantile } from '../lib/statistics.ts';
import type { Load, Probe } from './probe.ts';

const COUNT = 400;
const INTERVAL_SECONDS = 0.002;
const MICROS_PER_MS = 1000;

export const rtt: Probe = {
  name: 'rtt',
  section: 'Latency and footprint',
  columns: [
    { key: 'rtt.medianUs', title: 'RTT median µs', better: 'lower', digits: 0, isHeadline: true },
    { key: 'rtt.p99Us', title: 'p99 µs', better: 'lower', digits: 0, isHeadline: false },
    { key: 'rtt.lossPercent', title: 'loss %', better: 'lower', digits: 1, isHeadline: false },
  ],
  async load({ ends }): Promise<Load> {
    const report = await ends.client.ping(ends.serverAddress, {
      count: COUNT,
      intervalSeconds: INTERVAL_SECONDS,
      waitSeconds: 1,
    });
    if (report.received === 0) throw new Error('no ping was answered');
    return () => ({
      'rtt.medianUs': quantile(report.roundTripsMs, 0.5) * MICROS_PER_MS,
      'rtt.p99Us': quantile(report.roundTripsMs, 0.99) * MICROS_PER_MS,
      'rtt.lossPercent': report.lossPercent,
    });
  },
};
