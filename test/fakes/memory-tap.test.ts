import test from 'ava';
import { createFrameBatch, frameOffset } from '../../src/base/frame-batch.ts';
import { MemoryTap } from '../fakes/memory-tap.ts';

const frame = (fill: number, length = 60): Buffer => Buffer.alloc(length, fill);

test('injected frames are told on a microtask and read at the headroom', async (t) => {
  const tap = new MemoryTap();
  const batch = createFrameBatch(4, 1514, 50);
  const seen: number[] = [];
  tap.onReadable(() => seen.push(tap.readBatch(batch)));
  tap.inject(frame(1), frame(2, 90));
  t.deepEqual(seen, []);
  await Promise.resolve();
  t.deepEqual(seen, [2]);
  t.deepEqual([...batch.lengths.subarray(0, 2)], [60, 90]);
  const start = frameOffset(batch, 1);
  t.deepEqual(batch.buffer.subarray(start, start + 90), frame(2, 90));
});

test('more frames than slots are told again until none waits', async (t) => {
  const tap = new MemoryTap();
  const batch = createFrameBatch(2, 1514, 0);
  const counts: number[] = [];
  tap.inject(frame(1), frame(2), frame(3));
  tap.onReadable(() => counts.push(tap.readBatch(batch)));
  await Promise.resolve();
  t.deepEqual(counts, [2, 1]);
  t.is(tap.readBatch(batch), 0);
});

test('a listener that reads nothing does not hang, and hears of the frames with the next one', (t) => {
  const tap = new MemoryTap();
  let calls = 0;
  tap.onReadable(() => calls++);
  tap.inject(frame(1));
  tap.deliver();
  t.is(calls, 1);
  tap.inject(frame(2));
  tap.deliver();
  t.is(calls, 2);
  t.is(tap.waiting, 2);
});

test('a frame longer than the room is cut and reported with its full length', (t) => {
  const tap = new MemoryTap();
  const batch = createFrameBatch(2, 100, 10);
  tap.inject(frame(7, 300), frame(8, 60));
  t.is(tap.readBatch(batch), 2);
  t.is(batch.lengths[0], 300);
  t.is(batch.buffer[frameOffset(batch, 1)], 8);
});

test('written frames are copies, runts are refused, and a gone device takes none', (t) => {
  const tap = new MemoryTap();
  const batch = createFrameBatch(2, 100, 10);
  batch.count = 2;
  batch.lengths.set([20, 5]);
  batch.buffer.fill(3);
  t.is(tap.writeBatch(batch), 1);
  batch.buffer.fill(4);
  t.deepEqual(tap.written, [frame(3, 20)]);
  tap.destroy();
  t.false(tap.writeFrame(batch.buffer, 0, 60));
});

test('gone is told once, also to whoever asks too late, and never after close', async (t) => {
  const tap = new MemoryTap();
  let gone = 0;
  tap.onGone(() => gone++);
  tap.destroy();
  tap.destroy();
  t.is(gone, 1);
  tap.onGone(() => gone++);
  await Promise.resolve();
  t.is(gone, 2);

  const closed = new MemoryTap();
  closed.onGone(() => t.fail('told after close'));
  closed.close();
  closed.destroy();
  t.true(closed.isClosed);
});
