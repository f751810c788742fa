import assert from 'node:assert/strict';
import { isAppError } from '../base/errors.ts';
import type { Offload } from './offloads.ts';
import { Tap, type TapOptions } from './tap.ts';

/** Size of the virtio-net header that every rung uses: without `num_buffers`. */
const VNET_HEADER_BYTES = 10;

/**
 * Frames that each queue holds while the data plane's thread waits for a processor: at the 250,000 small
 * frames a second that one flow of ours reaches, 16 ms, where the kernel's 1000 are full after 4. It bounds
 * the kernel's memory too: what waits is charged to nobody, and as super-frames of 64 KiB comes to 256 MiB.
 */
export const TAP_QUEUE_FRAMES = 4096;

/**
 * What a native data plane asks of the kernel, most first. UDP super-frames (USO) need Linux 6.2; TCP's
 * have been there since 2.6.
 */
export const OFFLOAD_LADDER: readonly (readonly Offload[])[] = [
  ['checksum', 'tso4', 'tso6', 'uso4', 'uso6'],
  ['checksum', 'tso4', 'tso6'],
  [],
];

export interface LadderTap {
  readonly tap: Tap;
  /** What the kernel agreed to leave to us. */
  readonly offloads: readonly Offload[];
}

/**
 * Opens a TAP device with virtio-net headers and as much offload as this kernel grants.
 * @throws AppError as `Tap.open` does, if even a device without offloads is refused
 */
export function openOnLadder(options: TapOptions): LadderTap {
  const ours = { vnetHeader: VNET_HEADER_BYTES, queueFrames: TAP_QUEUE_FRAMES } as const;
  for (const offloads of OFFLOAD_LADDER) {
    try {
      return { tap: Tap.open({ ...ours, ...options, offloads }), offloads };
    } catch (error) {
      // Only a refusal of the offloads is answered by asking for fewer.
      if (offloads.length === 0 || !isAppError(error, 'E_PLATFORM')) throw error;
    }
  }
  assert.fail('the last rung returns or throws');
}
