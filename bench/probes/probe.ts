import type { Running } from '../contenders/contender.ts';
import type { CpuUse } from '../lib/cpu.ts';
import type { Column } from '../lib/result.ts';

export interface ProbeSettings {
  /** How long each load runs. */
  readonly seconds: number;
  /** Rate of the paced UDP load, in Mbit/s. */
  readonly pacedMbps: number;
}

/** One load on a running contender and the figures it yields. */
export interface Probe {
  readonly name: string;
  readonly section: SectionName;
  readonly columns: readonly Column[];
  /** Called inside CPU accounting; rejects if no traffic passed. */
  load(running: Running, settings: ProbeSettings): Promise<Load>;
}

/** A load that has ended; its figures, by column key, may depend on the CPU time it took. */
export type Load = (use: CpuUse) => Readonly<Record<string, number>>;

export const SECTIONS = ['TCP', 'UDP', 'Latency and footprint'] as const;
export type SectionName = (typeof SECTIONS)[number];
