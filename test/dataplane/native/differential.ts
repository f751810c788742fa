import assert from 'node:assert/strict';
import { randomInt, type Rng, seededRng } from '../../../src/base/rng.ts';
import { coalesceSlowly, type ReceivedFrame } from '../../model/coalesce-oracle.ts';
import { chance, damaged, randomStream } from '../../model/frame-streams.ts';
import { segmentSlowly, type SlowSegments } from '../../model/segment-oracle.ts';
import { VNET_BYTES } from '../../model/vnet-oracle.ts';
import { testAddon } from './test-addon.ts';

export interface DifferentialReport {
  readonly streams: number;
  readonly superFrames: number;
  readonly refused: number;
  readonly frames: number;
  /** What came out; fewer than frames, as the coalescer joins them. */
  readonly written: number;
}

const MTUS = [1450, 1450, 1400, 9000, 65_535];

/**
 * Sends random streams through the native segmenter, a wire that loses, doubles, swaps and damages, and the
 * native coalescer, and compares each step byte by byte with the oracles.
 * @throws AssertionError whose message names the stream's seed, with which `count` of 1 repeats it
 */
export function runDifferential(seed: number, count: number): DifferentialReport {
  const total = { streams: 0, superFrames: 0, refused: 0, frames: 0, written: 0 };
  for (; total.streams < count; total.streams++) {
    const streamSeed = (seed + total.streams) >>> 0;
    const rng = seededRng(streamSeed);
    const stream = randomStream(rng);
    const mtu = MTUS[randomInt(rng, MTUS.length)] ?? 1450;
    const isPartial = chance(rng, 0.5);
    const cuts = stream.map((superFrame) => compareCut(superFrame, mtu, isPartial, streamSeed));
    const sent = cuts.flatMap((cut) =>
      (cut?.frames ?? []).map((bytes) => ({ bytes, isPartial: cut?.arePartial ?? false })),
    );
    const received = wire(rng, sent);
    total.superFrames += stream.length;
    total.refused += cuts.filter((cut) => cut === undefined).length;
    total.frames += received.length;
    total.written += compareJoined(received, streamSeed);
  }
  return total;
}

function compareCut(
  superFrame: Buffer,
  mtu: number,
  isPartial: boolean,
  seed: number,
): SlowSegments | undefined {
  const expected = segmentSlowly(superFrame, mtu, isPartial);
  const actual = testAddon.segment(superFrame, mtu, isPartial);
  const what = `of super-frame ${superFrame.subarray(0, 160).toString('hex')} (mtu ${mtu}, seed ${seed})`;
  assert.equal(actual?.length, expected?.frames.length, `number of segments ${what}`);
  expected?.frames.forEach((frame, index) => {
    assertSame(actual?.[index], frame, `segment ${index} ${what}`);
  });
  return expected;
}

/** What arrives of what was sent, in one batch. */
function wire(rng: Rng, sent: readonly ReceivedFrame[]): ReceivedFrame[] {
  if (chance(rng, 0.5)) return [...sent];
  const received: ReceivedFrame[] = [];
  for (const frame of sent) {
    if (chance(rng, 0.02)) continue;
    received.push(chance(rng, 0.02) ? damage(rng, frame) : frame);
    if (chance(rng, 0.02)) received.push(frame);
    if (received.length >= 2 && chance(rng, 0.05)) {
      received.splice(-2, 2, ...received.slice(-2).reverse());
    }
  }
  return received;
}

/** The frame alone: `damaged` expects a virtio-net header before it, which it may change too. */
function damage(rng: Rng, { bytes, isPartial }: ReceivedFrame): ReceivedFrame {
  const changed = damaged(rng, Buffer.concat([Buffer.alloc(VNET_BYTES), bytes]));
  return { bytes: changed.subarray(VNET_BYTES), isPartial };
}

function compareJoined(received: readonly ReceivedFrame[], seed: number): number {
  const expected = coalesceSlowly(received);
  const actual = testAddon.coalesce(
    received.map(({ bytes }) => bytes),
    received.map(({ isPartial }) => isPartial),
  );
  assert.equal(actual.length, expected.length, `number of frames written (seed ${seed})`);
  expected.forEach((frame, index) => {
    assertSame(actual[index], frame, `written frame ${index} (seed ${seed})`);
  });
  return actual.length;
}

function assertSame(actual: Buffer | undefined, expected: Buffer, what: string): void {
  if (actual?.equals(expected)) return;
  const lengths = `${actual?.length} bytes, not ${expected.length}`;
  const at = expected.findIndex((byte, index) => byte !== actual?.[index]);
  assert.fail(
    `${what} differs at byte ${at} (${lengths}):\n` +
      `native ${actual?.subarray(0, 200).toString('hex')}\noracle ${expected.subarray(0, 200).toString('hex')}`,
  );
}
