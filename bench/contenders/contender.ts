import type { Ends, Topology } from '../lib/topology.ts';

/** A contender at work between two ends. */
export interface Running {
  readonly ends: Ends;
  /** The user-space processes that carry its traffic, on both hosts. */
  readonly daemonPids: readonly number[];
  /** Ends the contender's own programs and removes its files; the topology goes with its lab. */
  down(): Promise<void>;
}

/** One way of joining two containers, measured beside the others. */
export interface Contender {
  readonly name: string;
  /** One line for the report's legend. */
  readonly describe: string;
  /** Debian packages that a peer needs. */
  readonly packages?: readonly string[];
  /**
   * Brings the contender up on a fresh topology; returns once traffic can pass.
   * Rejects with `ContenderUnavailable` if this machine can't run it.
   */
  up(topology: Topology): Promise<Running>;
}

/** This machine can't run a contender: it is left out and said so, and the run goes on. */
export class ContenderUnavailable extends Error {
  override readonly name = 'ContenderUnavailable';
}

/** For contenders that live in the kernel: nothing to end, the namespaces take it with them. */
export function kernelOnly(ends: Ends): Running {
  return { ends, daemonPids: [], down: () => Promise.resolve() };
}
