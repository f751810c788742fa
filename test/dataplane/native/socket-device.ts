import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import type { TapDevice } from '../../../src/tun/device.ts';
import type { ContractDevice } from '../../contract/hosts.ts';
import { testAddon } from './test-addon.ts';

/** Holds every burst that a test injects or leaves unread. */
const BUFFER_BYTES = 16 * 2 ** 20;
const MAX_FRAME_BYTES = 2 ** 16 + 64;

let created = 0;

export interface SocketDevice extends ContractDevice {
  /** As `inject`, with a virtio-net header of the test's own before the frame. */
  injectWithHeader(bytes: Buffer): void;
}

/**
 * A TAP queue's stand-in: a socket pair whose messages are a virtio-net header and a frame. The data
 * plane has one end; the test is the kernel on the other. `mixesFlows` says that several threads write.
 */
export function createSocketDevice(vnetHeaderBytes: number, mixesFlows = false): SocketDevice {
  const [queue, far] = testAddon.socketPair(BUFFER_BYTES);
  const frames: Buffer[] = [];
  const scratch = Buffer.alloc(MAX_FRAME_BYTES);
  let isFarOpen = true;
  let isClosed = false;
  const drain = (): readonly Buffer[] => {
    while (isFarOpen) {
      const size = testAddon.read(far, scratch);
      if (size <= 0) break;
      frames.push(Buffer.from(scratch.subarray(vnetHeaderBytes, size)));
    }
    return frames;
  };
  const closeFar = (): void => {
    if (isFarOpen) closeSync(far);
    isFarOpen = false;
  };
  const device: TapDevice = {
    name: `socket${created++}`,
    fds: [queue],
    vnetHeaderBytes,
    readBatch: () => 0,
    writeBatch: () => 0,
    writeFrame: () => false,
    onReadable: () => undefined,
    onGone: () => undefined,
    close() {
      if (isClosed) return;
      drain();
      isClosed = true;
      closeSync(queue);
      closeFar();
    },
  };
  const header = Buffer.alloc(vnetHeaderBytes);
  return {
    device,
    mixesFlows,
    inject(...sent) {
      for (const frame of sent) writeWhole(far, Buffer.concat([header, frame]));
    },
    injectWithHeader: (bytes) => writeWhole(far, bytes),
    received: drain,
    isClosed: () => isClosed,
    destroy: closeFar,
  };
}

/** Tries until the data plane has made room. */
function writeWhole(fd: number, bytes: Buffer): void {
  for (;;) {
    const size = testAddon.write(fd, bytes);
    if (size === bytes.length) return;
    if (size !== -constants.errno.EAGAIN) throw new Error(`write of a frame: ${size}`);
  }
}
