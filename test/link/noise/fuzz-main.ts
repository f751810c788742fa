/**
 * `npm run fuzz:handshakes -- [INPUTS]`: hostile messages to handshakes at every stage, 10^6 unless told
 * otherwise. Prints the seed, which `SEED=` repeats; the exit status is 1 if one was taken, left a trace,
 * or if memory grew with their number.
 */
import { seededRng } from '../../../src/base/rng.ts';
import { sendHostile } from './hostile-messages.ts';

const ROUND = 10_000;
/** What the heap may differ by between a round early on and the last. */
const GROWTH_BYTES = 16 * 2 ** 20;

const inputs = Number(process.argv[2] ?? 1_000_000);
if (!Number.isInteger(inputs) || inputs < 1) {
  console.error(`weft: "${process.argv[2]}" is not a whole number from 1.`);
  process.exit(2);
}
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
const rng = seededRng(seed);

function heapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

const faults: string[] = [];
let early = 0;
for (let sent = 0; sent < inputs; sent += ROUND) {
  faults.push(...sendHostile(Math.min(ROUND, inputs - sent), rng));
  if (sent === 0) early = heapBytes();
}
const growth = heapBytes() - early;
if (growth > GROWTH_BYTES) faults.push(`the heap grew by ${growth} bytes`);
for (const fault of faults.slice(0, 20)) console.error(fault);
console.log(`${inputs} inputs, ${faults.length} faults, heap ${growth} bytes, SEED=${seed}`);
process.exitCode = faults.length === 0 ? 0 : 1;
