/**
 * A preallocated batch of frames: `capacity` slots of `slotBytes` in one buffer.
 *
 *   slot i:  | headroom ............ | frame (lengths[i] bytes) ... | unused |
 *            ^ i * slotBytes         ^ i * slotBytes + headroom
 *
 * Headroom lets a header be written before a frame without a copy. The owner may reuse every slot as
 * soon as the call that it passed the batch to returns: whoever wants to keep a frame copies it.
 */
export interface FrameBatch {
  readonly buffer: Buffer;
  readonly capacity: number;
  readonly slotBytes: number;
  readonly headroom: number;
  /** Frame length in bytes of each slot below `count`. */
  readonly lengths: Uint32Array;
  /** Slots in use, from 0. */
  count: number;
}

export function createFrameBatch(
  capacity: number,
  maxFrameBytes: number,
  headroom: number,
): FrameBatch {
  const slotBytes = headroom + maxFrameBytes;
  return {
    buffer: Buffer.alloc(capacity * slotBytes),
    capacity,
    slotBytes,
    headroom,
    lengths: new Uint32Array(capacity),
    count: 0,
  };
}

/** Offset in `batch.buffer` of the first byte of the frame in slot `index`. */
export function frameOffset(batch: FrameBatch, index: number): number {
  return index * batch.slotBytes + batch.headroom;
}
