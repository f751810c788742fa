/**
 * The differential test at length: `npm run differential -- [--streams 100000] [--seed N]`. Prints the seed
 * and what was compared; a difference ends it with status 1 and the seed of the stream.
 */
import { parseArgs } from 'node:util';
import { runDifferential } from './differential.ts';

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
  },
});
const seed = Number(values.seed);
const start = process.hrtime.bigint();
console.log(`seed ${seed}`);
const { streams, superFrames, refused, frames, written } = runDifferential(
  seed,
  Number(values.streams),
);
const seconds = Number(process.hrtime.bigint() - start) / 1e9;
console.log(
  `${streams} streams, ${superFrames} super-frames (${refused} refused), ${frames} frames on the wire, ` +
    `${written} written: no difference, ${seconds.toFixed(0)} s`,
);
