import assert from 'node:assert';
import { constants } from 'node:os';
import type { FrameBatch } from '../base/frame-batch.ts';
import { loadDeviceClass, type NativeDevice } from './addon.ts';
import { checkDeviceName, checkMtu, checkQueueFrames, checkQueues } from './arguments.ts';
import type { TapDevice } from './device.ts';
import { actError, openError, type DeviceKind } from './failure.ts';
import { offloadFlags, type Offload, type VnetHeaderBytes } from './offloads.ts';

/** How to open a device. */
export interface DeviceOptions {
  /** 1 to 15 bytes; one `%d` is a number that the kernel picks. Default `weft%d`. */
  readonly name?: string;
  /** 68 to 65521 bytes. Default: the kernel's, 1500. */
  readonly mtu?: number;
  /** Frames of each queue that wait for the reader before the kernel drops more. Default: the kernel's, 1000. */
  readonly queueFrames?: number;
  /** 1 (default) to 256 descriptors over which the kernel spreads flows. */
  readonly queues?: number;
  /** Bytes of virtio-net header before each frame; default none. */
  readonly vnetHeader?: VnetHeaderBytes;
  /** Needs `vnetHeader`; default none, so that every frame comes finished. */
  readonly offloads?: readonly Offload[];
  /** Path of the network namespace to make the device in; default the process's own. */
  readonly netns?: string;
  /** Whether the device outlives its last handle. Default: as it is, which for a new one is no. */
  readonly persistent?: boolean;
}

const IFF_UP = 0x1;
const { EBADF, EINVAL, ENODEV } = constants.errno;

/**
 * What TAP and TUN devices have in common. Reading a property asks the kernel each time, so it is true
 * after `ip link` has changed it too, also in another namespace.
 *
 *   open ──(deleted under us)──▶ gone ──▶ closed
 *     └──────────(close)────────────────────▲
 *
 * A gone or closed device reads nothing and takes nothing; its properties throw E_DEVICE_MISSING. An open
 * device is the owner's to close; it keeps the process alive only while it is listened to.
 */
export abstract class KernelDevice implements TapDevice {
  readonly fds: readonly number[];
  readonly vnetHeaderBytes: number;
  protected readonly native: NativeDevice;
  readonly #goneListeners: (() => void)[] = [];
  #name: string;
  #state: 'open' | 'gone' | 'closed' = 'open';

  /** Whoever derives calls `complete` next. @throws AppError; nothing is left behind then. */
  protected constructor(kind: DeviceKind, options: DeviceOptions) {
    const { name = 'weft%d', netns = '', queues = 1, vnetHeader, offloads = [] } = options;
    const openOptions = {
      name: checkDeviceName(name),
      netns,
      tap: kind === 'TAP',
      mustExist: false,
      multiQueue: checkQueues(queues) > 1,
      queues,
      vnetHeaderBytes: vnetHeader ?? 0,
      offloads: offloadFlags(offloads, vnetHeader),
    };
    if (options.mtu !== undefined) checkMtu(options.mtu);
    this.native = new (loadDeviceClass())();
    const failure = this.native.open(openOptions, () => this.#noticeGone());
    if (failure !== undefined) throw openError(failure, { kind, name, netns });
    this.#name = this.native.name();
    this.fds = this.native.fds();
    this.vnetHeaderBytes = openOptions.vnetHeaderBytes;
  }

  /** The name now: `ip link set … name` is noticed. Of a gone device, the last one known. */
  get name(): string {
    if (this.#state === 'open') this.#name = this.native.name() || this.#name;
    return this.#name;
  }

  /** Bytes, 68 to 65521. */
  get mtu(): number {
    return this.check('read the MTU', this.native.getMtu());
  }

  set mtu(mtu: number) {
    this.check(`set the MTU ${mtu}`, this.native.setMtu(checkMtu(mtu)));
  }

  /** Frames of each queue that wait for the reader before the kernel drops more: `txqueuelen`. */
  get queueFrames(): number {
    return this.check('read the queue length', this.native.getQueueFrames());
  }

  set queueFrames(frames: number) {
    this.check(
      `set the queue length ${frames}`,
      this.native.setQueueFrames(checkQueueFrames(frames)),
    );
  }

  /** Administratively up: `ip link set up`. Frames come and go only then. */
  get isUp(): boolean {
    return (this.check('read the flags', this.native.getFlags()) & IFF_UP) !== 0;
  }

  set isUp(up: boolean) {
    this.check(`set the state ${up ? 'up' : 'down'}`, this.native.setUp(up));
  }

  /** Whether the device outlives its last handle. */
  get isPersistent(): boolean {
    return this.check('read the persistence', this.native.isPersistent()) !== 0;
  }

  set isPersistent(on: boolean) {
    this.check('set the persistence', this.native.setPersistent(on));
  }

  readBatch(batch: FrameBatch): number {
    const { buffer, lengths, capacity, slotBytes, headroom } = batch;
    const count = this.native.readBatch(buffer, lengths, capacity, slotBytes, headroom);
    batch.count = this.#countOf(count);
    return batch.count;
  }

  writeBatch(batch: FrameBatch): number {
    const { buffer, lengths, count, slotBytes, headroom } = batch;
    return this.#countOf(this.native.writeBatch(buffer, lengths, count, slotBytes, headroom));
  }

  writeFrame(buffer: Buffer, start: number, end: number): boolean {
    return this.#countOf(this.native.writeFrame(buffer, start, end)) === 1;
  }

  onReadable(ready: (() => void) | undefined): void {
    if (this.#state === 'open') this.check('watch the queues', this.native.listen(ready));
  }

  onGone(gone: () => void): void {
    if (this.#state === 'gone') queueMicrotask(gone);
    else this.#goneListeners.push(gone);
  }

  /** Lets go of the device, which vanishes unless it is persistent. Nothing is called back after it. */
  close(): void {
    this.#state = 'closed';
    this.#goneListeners.length = 0;
    this.native.close();
  }

  /**
   * The rest of an `open`: sets the properties asked for, then `more`. Closes the device if one is
   * refused; persistence comes last, so that a half-made device does not stay.
   */
  protected complete({ mtu, queueFrames, persistent }: DeviceOptions, more?: () => void): void {
    try {
      if (mtu !== undefined) this.mtu = mtu;
      if (queueFrames !== undefined) this.queueFrames = queueFrames;
      more?.();
      if (persistent !== undefined) this.isPersistent = persistent;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The value of a native call. @throws AppError if it is a negative errno */
  protected check(act: string, value: number): number {
    if (value < 0) throw actError(this.#name, act, value);
    return value;
  }

  #countOf(value: number): number {
    if (value >= 0) return value;
    assert(value !== -EINVAL, 'a batch whose slots lie outside its buffer');
    assert(value === -ENODEV || value === -EBADF, `errno ${-value} from a batch call`);
    if (value === -ENODEV) this.#noticeGone();
    return 0;
  }

  // On a microtask: a read may have noticed it in the middle of its caller's loop.
  #noticeGone(): void {
    if (this.#state !== 'open') return;
    this.#state = 'gone';
    queueMicrotask(() => {
      for (const gone of this.#goneListeners.splice(0)) gone();
    });
  }
}
