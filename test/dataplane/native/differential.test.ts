import test from 'ava';
import { runDifferential } from './differential.ts';

const STREAMS = 4000;

test('random streams are cut and joined as the oracles say, byte by byte', (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
  t.log(`SEED=${seed}`);
  const { superFrames, refused, frames, written } = runDifferential(seed, STREAMS);
  t.log(
    `${superFrames} super-frames (${refused} refused), ${frames} frames, ${written} written`,
  );
  t.true(refused > superFrames / 50 && refused < superFrames / 5);
  t.true(written < frames / 2);
});
