import { AppError } from '../base/errors.ts';
import { loadAddon } from '../base/package-root.ts';

/** Every field is required: the addon reads each one and has no defaults of its own. */
export interface NativeOpenOptions {
  readonly name: string;
  /** Path of a network namespace; '' for the process's own. */
  readonly netns: string;
  readonly tap: boolean;
  /** Attach to a device that is there, never make one. */
  readonly mustExist: boolean;
  readonly multiQueue: boolean;
  readonly queues: number;
  /** 0 for none. */
  readonly vnetHeaderBytes: number;
  /** TUN_F_* flags of linux/if_tun.h. */
  readonly offloads: number;
}

/** Which act of `open` the kernel refused, and its negative errno. */
export interface NativeFailure {
  readonly step: 'netns' | 'socket' | 'clone' | 'attach' | 'vnet-header' | 'offloads' | 'watch';
  readonly errno: number;
}

/**
 * One device of `tun.node` (native/tun/binding.cpp). Numbers returned are a value, or a negative errno:
 * -ENODEV once the device is gone, -EBADF while it is not open. Nothing throws.
 */
export interface NativeDevice {
  /** `onGone` is called once, from the event loop, when the device is deleted under its owner. */
  open(options: NativeOpenOptions, onGone: () => void): NativeFailure | undefined;
  close(): void;
  fds(): number[];
  /** '' if the device is gone. */
  name(): string;
  getMtu(): number;
  setMtu(mtu: number): number;
  /** Of each queue. */
  getQueueFrames(): number;
  setQueueFrames(frames: number): number;
  /** Fills the 6 bytes of `into`. */
  getMac(into: Buffer): number;
  setMac(mac: Buffer): number;
  /** IFF_* flags of the interface. */
  getFlags(): number;
  setUp(up: boolean): number;
  /** 1 or 0. */
  isPersistent(): number;
  setPersistent(on: boolean): number;
  listen(onReadable: (() => void) | undefined): number;
  readBatch(
    ...slots: [
      buffer: Buffer,
      lengths: Uint32Array,
      capacity: number,
      slotBytes: number,
      headroom: number,
    ]
  ): number;
  writeBatch(
    ...slots: [
      buffer: Buffer,
      lengths: Uint32Array,
      count: number,
      slotBytes: number,
      headroom: number,
    ]
  ): number;
  /** 1 if the kernel took the frame, 0 if it refused it. */
  writeFrame(buffer: Buffer, start: number, end: number): number;
}

export type NativeDeviceClass = new () => NativeDevice;

const METHODS = [
  ...['open', 'close', 'fds', 'name', 'getMtu', 'setMtu', 'getMac', 'setMac', 'getFlags', 'setUp'],
  ...['getQueueFrames', 'setQueueFrames'],
  ...['isPersistent', 'setPersistent', 'listen', 'readBatch', 'writeBatch', 'writeFrame'],
];

function isDeviceClass(value: unknown): value is NativeDeviceClass {
  if (typeof value !== 'function') return false;
  const methods = value.prototype as Readonly<Record<string, unknown>>;
  return METHODS.every((method) => typeof methods[method] === 'function');
}

/** Loads `tun.node` and checks that it has the shape stated here. @throws AppError E_PLATFORM */
export function loadDeviceClass(): NativeDeviceClass {
  let addon: unknown;
  try {
    addon = loadAddon('tun');
  } catch (cause) {
    throw new AppError(
      'E_PLATFORM',
      'The native addon "tun" can\'t be loaded; run "npm run build" in Weft\'s folder.',
      { cause },
    );
  }
  const exported = addon as { readonly Device?: unknown };
  if (isDeviceClass(exported.Device)) return exported.Device;
  throw new AppError(
    'E_PLATFORM',
    'The native addon "tun" is of another version than Weft; run "npm run build" in Weft\'s folder.',
  );
}
