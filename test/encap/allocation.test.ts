import test from 'ava';
import { createCodecLoops } from '../../bench/micro/codec.ts';
import { allocatedBytes } from '../../bench/micro/measure.ts';

const FRAMES = 1e6;
const WARM_UP_ROUNDS = 10;

/** The smallest JavaScript object takes 16 bytes: far below one per ten frames, there is none per frame. */
const LIMIT_BYTES_PER_FRAME = 1;

test('the measure sees one small object per frame', (t) => {
  const kept: { frame: number }[] = new Array<{ frame: number }>(8);
  const allocating = (frames: number): number => {
    for (let frame = 0; frame < frames; frame++) kept[frame % 8] = { frame };
    return kept.length;
  };
  for (let round = 0; round < WARM_UP_ROUNDS; round++) allocating(FRAMES / WARM_UP_ROUNDS);
  t.true(allocatedBytes(allocating, FRAMES) / FRAMES >= 16);
});

for (const [name, loop] of Object.entries(createCodecLoops())) {
  test(`${name}: nothing is allocated per frame over 10^6 frames`, (t) => {
    for (let round = 0; round < WARM_UP_ROUNDS; round++) loop(FRAMES / WARM_UP_ROUNDS);
    const bytes = allocatedBytes(loop, FRAMES) / FRAMES;
    t.true(bytes < LIMIT_BYTES_PER_FRAME, `${bytes} bytes per frame`);
  });
}
