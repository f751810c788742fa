import { AppError } from '../base/errors.ts';

/**
 * What the owner of a device with virtio-net headers can take from the kernel unfinished: the flags of
 * TUNSETOFFLOAD (linux/if_tun.h). `uso4` and `uso6` need Linux 6.2.
 */
export const OFFLOAD_FLAGS = {
  checksum: 0x01,
  tso4: 0x02,
  tso6: 0x04,
  tsoEcn: 0x08,
  uso4: 0x20,
  uso6: 0x40,
} as const;

export type Offload = keyof typeof OFFLOAD_FLAGS;

/** Sizes that Linux drivers use: without and with `num_buffers`. */
export type VnetHeaderBytes = 10 | 12;

/**
 * The flags of `offloads`, after checking that they can work together.
 * @throws AppError E_USAGE
 */
export function offloadFlags(
  offloads: readonly Offload[],
  vnetHeader: VnetHeaderBytes | undefined,
): number {
  if (offloads.length === 0) return 0;
  if (vnetHeader === undefined) {
    throw new AppError(
      'E_USAGE',
      `The offloads ${offloads.join(', ')} need a virtio-net header to be described in; set vnetHeader to 10 or 12.`,
    );
  }
  if (!offloads.includes('checksum')) {
    throw new AppError(
      'E_USAGE',
      `The offloads ${offloads.join(', ')} leave checksums unfinished too; add "checksum".`,
    );
  }
  return offloads.reduce((flags, offload) => flags | OFFLOAD_FLAGS[offload], 0);
}
