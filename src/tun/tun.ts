import { KernelDevice, type DeviceOptions } from './kernel-device.ts';
import { removeDevice, type DeviceTarget } from './remove-device.ts';

/**
 * A TUN device: a point-to-point interface that carries bare IP packets, without Ethernet headers, to and
 * from this process. What `TapDevice` says of frames holds for packets.
 */
export class Tun extends KernelDevice {
  private constructor(options: DeviceOptions) {
    super('TUN', options);
    this.complete(options);
  }

  /** As `Tap.open`, without a MAC. @throws AppError as `Tap.open` */
  static open(options: DeviceOptions = {}): Tun {
    return new Tun(options);
  }

  /** As `Tap.remove`. @throws AppError as `Tap.remove` */
  static remove(target: DeviceTarget): void {
    removeDevice('TUN', target);
  }
}
