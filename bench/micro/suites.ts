import { runAllocationMicro } from './allocation.ts';
import { runCodecMicro } from './codec.ts';
import { runFdbMicro } from './fdb.ts';
import { runHandshakeMicro } from './handshake.ts';
import type { LatencyResult } from './latency.ts';
import type { MicroResult } from './measure.ts';
import { runNativeMicro } from './native.ts';

/** One after the other, each alone on the event loop. */
export const SUITES: readonly (() => MicroResult[])[] = [
  runCodecMicro,
  runFdbMicro,
  runNativeMicro,
  runHandshakeMicro,
];

/** The same for operations that wait for the disk. */
export const LATENCY_SUITES: readonly (() => Promise<LatencyResult[]>)[] = [runAllocationMicro];
