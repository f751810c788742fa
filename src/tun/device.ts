import type { FrameBatch } from '../base/frame-batch.ts';

/** What the data plane needs of a TAP device: about what wireguard-go asks of its TUN. */
export interface TapDevice {
  /** Interface name, 1 to 15 bytes. */
  readonly name: string;
  /** Readable file descriptors, one per queue. A native data plane reads and writes these itself. */
  readonly fds: readonly number[];
  /** Bytes of virtio-net header before each frame on the descriptors: 0, or 10 to 12. */
  readonly vnetHeaderBytes: number;
  /**
   * Reads what is waiting, up to the batch's capacity, without blocking: fills the slots at their
   * headroom, sets `lengths` and `count`, returns `count`. 0 means nothing is waiting. A frame longer
   * than a slot's room is cut by the kernel and reported with its full length, so the caller can count it.
   * Frames in slots begin with their virtio-net header if `vnetHeaderBytes` is not 0.
   */
  readBatch(batch: FrameBatch): number;
  /** Writes the frames in slots [0, count). Returns how many the kernel took; the rest are lost. */
  writeBatch(batch: FrameBatch): number;
  /** Writes one frame: `buffer[start, end)`. False if the kernel refused it. */
  writeFrame(buffer: Buffer, start: number, end: number): boolean;
  /** Calls `ready` whenever frames wait; level-triggered. `undefined` stops it. */
  onReadable(ready: (() => void) | undefined): void;
  /** Calls once when the device is gone (deleted under us). */
  onGone(gone: () => void): void;
  close(): void;
}
