import assert from 'node:assert/strict';
import { isAppError } from '../base/errors.ts';
import type { Offload } from './offloads.ts';
import { Tap, type TapOptions } from './tap.ts';

/** Size of the virtio-net header that every rung uses: without `num_buffers`. */
const VNET_HEADER_BYTES = 10;

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
  for (const offloads of OFFLOAD_LADDER) {
    try {
      return { tap: Tap.open({ ...options, vnetHeader: VNET_HEADER_BYTES, offloads }), offloads };
    } catch (error) {
      // Only a refusal of the offloads is answered by asking for fewer.
      if (offloads.length === 0 || !isAppError(error, 'E_PLATFORM')) throw error;
    }
  }
  assert.fail('the last rung returns or throws');
}
