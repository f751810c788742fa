import { frameOffset, type FrameBatch } from '../../src/base/frame-batch.ts';
import type { TapDevice } from '../../src/tun/device.ts';

/** What the kernel refuses to take from a TAP's owner: less than an Ethernet header. */
const ETHERNET_HEADER_BYTES = 14;

/**
 * The in-memory twin of a TAP device: frames go in by `inject` and come out in `written`.
 *
 * Readability is told on a microtask after `inject` or `onReadable`, once for each batch that is
 * read, so that `await` lets everything settle; `deliver` does the same at once. Unlike the kernel it
 * does not tell twice about frames that the listener left alone, which would never settle.
 */
export class MemoryTap implements TapDevice {
  readonly name: string;
  readonly fds: readonly number[] = [];
  readonly vnetHeaderBytes = 0;
  /** Copies of the frames written to the device, oldest first; the owner may empty it. */
  readonly written: Buffer[] = [];
  readonly #waiting: Buffer[] = [];
  readonly #goneListeners: (() => void)[] = [];
  #ready: (() => void) | undefined;
  #state: 'open' | 'gone' | 'closed' = 'open';

  constructor(name = 'memory0') {
    this.name = name;
  }

  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Frames injected and not read yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Queues copies of frames as if the host had sent them out of the interface. */
  inject(...frames: readonly Uint8Array[]): void {
    if (this.#state !== 'open') return;
    this.#waiting.push(...frames.map((frame) => Buffer.from(frame)));
    this.#deliverSoon();
  }

  /** Calls the listener until no frame waits or until it reads none. */
  deliver(): void {
    let before = Infinity;
    while (this.#waiting.length > 0 && this.#waiting.length < before) {
      before = this.#waiting.length;
      this.#ready?.();
    }
  }

  /** Takes the device away under its owner: waiting frames vanish, the gone listeners hear it once. */
  destroy(): void {
    if (this.#state !== 'open') return;
    this.#state = 'gone';
    this.#waiting.length = 0;
    for (const gone of this.#goneListeners.splice(0)) gone();
  }

  readBatch(batch: FrameBatch): number {
    const room = batch.slotBytes - batch.headroom;
    const frames = this.#waiting.splice(0, batch.capacity);
    frames.forEach((frame, slot) => {
      frame.copy(batch.buffer, frameOffset(batch, slot), 0, room);
      batch.lengths[slot] = frame.length;
    });
    batch.count = frames.length;
    return batch.count;
  }

  writeBatch(batch: FrameBatch): number {
    let taken = 0;
    for (let slot = 0; slot < batch.count; slot++) {
      const start = frameOffset(batch, slot);
      if (this.writeFrame(batch.buffer, start, start + (batch.lengths[slot] ?? 0))) taken++;
    }
    return taken;
  }

  writeFrame(buffer: Buffer, start: number, end: number): boolean {
    if (this.#state !== 'open' || end - start < ETHERNET_HEADER_BYTES) return false;
    this.written.push(Buffer.from(buffer.subarray(start, end)));
    return true;
  }

  onReadable(ready: (() => void) | undefined): void {
    this.#ready = ready;
    this.#deliverSoon();
  }

  onGone(gone: () => void): void {
    if (this.#state === 'gone') queueMicrotask(gone);
    else this.#goneListeners.push(gone);
  }

  close(): void {
    this.#state = 'closed';
    this.#ready = undefined;
    this.#waiting.length = 0;
    this.#goneListeners.length = 0;
  }

  #deliverSoon(): void {
    if (this.#waiting.length > 0) queueMicrotask(() => this.deliver());
  }
}
