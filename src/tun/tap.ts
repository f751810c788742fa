import type { Mac } from '../base/types.ts';
import { formatMac, MAC_BYTES, readMac, writeMac } from '../wire/mac.ts';
import { checkMac } from './arguments.ts';
import { KernelDevice, type DeviceOptions } from './kernel-device.ts';
import { removeDevice, type DeviceTarget } from './remove-device.ts';

export interface TapOptions extends DeviceOptions {
  /** `02:00:00:00:00:01`; unicast, not zero. Default: the kernel picks one at random. */
  readonly mac?: string;
}

/**
 * A TAP device: an Ethernet interface whose other end is this process.
 *
 * Frames on it are whole Ethernet frames without FCS. With a virtio-net header (`vnetHeaderBytes` > 0) each
 * slot of a batch begins with that header, in host byte order.
 */
export class Tap extends KernelDevice {
  private constructor(options: TapOptions) {
    const mac = options.mac === undefined ? undefined : checkMac(options.mac);
    super('TAP', options);
    this.complete(options, () => {
      if (mac !== undefined) this.#setMac(mac);
    });
  }

  /**
   * Makes a device, or takes back a persistent one of that name. It is down; set `isUp`.
   * @throws AppError E_IFNAME_INVALID, E_MTU_RANGE, E_MAC_INVALID, E_USAGE before anything is done;
   *   E_PERMISSION, E_DEVICE_BUSY, E_IFNAME_TAKEN, E_SANDBOX_MISSING, E_PLATFORM, E_DEVICE if the kernel refuses
   */
  static open(options: TapOptions = {}): Tap {
    return new Tap(options);
  }

  /**
   * Removes a persistent device; one with several queues that is open elsewhere goes when it is closed.
   * @throws AppError E_DEVICE_MISSING, E_DEVICE_BUSY and those of `open`
   */
  static remove(target: DeviceTarget): void {
    removeDevice('TAP', target);
  }

  /** Lower case with colons. */
  get mac(): string {
    const bytes = Buffer.alloc(MAC_BYTES);
    this.check('read the MAC', this.native.getMac(bytes));
    return formatMac(readMac(bytes, 0));
  }

  set mac(mac: string) {
    this.#setMac(checkMac(mac));
  }

  #setMac(mac: Mac): void {
    const bytes = Buffer.alloc(MAC_BYTES);
    writeMac(bytes, 0, mac);
    this.check(`set the MAC ${formatMac(mac)}`, this.native.setMac(bytes));
  }
}
