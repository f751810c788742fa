/** One row of a micro-benchmark: what one operation costs, over several timed rounds. */
export interface MicroResult {
  readonly name: string;
  readonly nsPerOperation: { readonly median: number; readonly min: number; readonly max: number };
  /** What an operation leaves for the garbage collector; about 0 for a hot path. */
  readonly bytesPerOperation: number;
}

/** Performs that many operations and returns a number that depends on all of them. */
export type Loop = (operations: number) => number;

const OPERATIONS = 1e6;
const WARM_UP_ROUNDS = 5;
const ROUNDS = 15;
const SLICES = 100;

/** Runs `loop` in rounds of 10^6 operations. */
export function measure(name: string, loop: Loop): MicroResult {
  return summarizeRounds(name, OPERATIONS, loop, () => timeOf(loop) / OPERATIONS);
}

/** Performs about that many operations in C++ and returns nanoseconds an operation, timed there. */
export type TimedLoop = (operations: number) => number;

/** Runs `loop` in rounds of `operations`. */
export function measureTimed(name: string, loop: TimedLoop, operations: number): MicroResult {
  return summarizeRounds(name, operations, loop, () => loop(operations));
}

function summarizeRounds(
  name: string,
  operations: number,
  loop: Loop,
  timeRound: () => number,
): MicroResult {
  for (let round = 0; round < WARM_UP_ROUNDS; round++) loop(operations);
  const rounds = Array.from({ length: ROUNDS }, timeRound).sort((a, b) => a - b);
  return {
    name,
    nsPerOperation: {
      median: rounds[Math.floor(ROUNDS / 2)]!,
      min: rounds[0]!,
      max: rounds[ROUNDS - 1]!,
    },
    bytesPerOperation: allocatedBytes(loop, operations) / operations,
  };
}

function timeOf(loop: Loop): number {
  const started = process.hrtime.bigint();
  loop(OPERATIONS);
  return Number(process.hrtime.bigint() - started);
}

/**
 * Bytes that `operations` turns of a warmed-up loop allocate on the JavaScript heap. The heap is read
 * after each of 100 slices and only growth is added up: a collection in between would hide the rest.
 * What the reading itself allocates is measured with an idle loop and taken off.
 */
export function allocatedBytes(loop: Loop, operations: number): number {
  const idle: Loop = () => 0;
  growth(idle, operations);
  const overhead = growth(idle, operations);
  return Math.max(0, growth(loop, operations) - overhead);
}

function growth(loop: Loop, operations: number): number {
  let grown = 0;
  for (let slice = 0; slice < SLICES; slice++) {
    const before = process.memoryUsage().heapUsed;
    loop(operations / SLICES);
    grown += Math.max(0, process.memoryUsage().heapUsed - before);
  }
  return grown;
}
