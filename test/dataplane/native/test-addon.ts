import { loadAddon } from '../../../src/base/package-root.ts';

/** The addon that only tests load (native/test-addon/module.cpp). */
export interface TestAddon {
  /** Both ends of a SOCK_SEQPACKET pair: one message is one frame, as on a TAP queue. */
  socketPair(bufferBytes: number): [number, number];
  /** Bytes, or a negative errno. Neither waits. */
  read(fd: number, into: Buffer): number;
  write(fd: number, bytes: Buffer): number;
  /** Cuts a super-frame (virtio-net header of 10 bytes and frame) into frames; undefined if refused. */
  segment(superFrame: Buffer, mtu: number, partial: boolean): Buffer[] | undefined;
  /** Joins one batch of frames; each result begins with its virtio-net header of 10 bytes. */
  coalesce(frames: readonly Buffer[], partial: readonly boolean[]): Buffer[];
  /** The answer that `mac` has whatever address the frame asks for; undefined if it asks for none. */
  answerNeighbour(frame: Buffer, mac: number): Buffer | undefined;
  /** The message that a packet is too long; undefined if none may be sent. */
  tooBig(frame: Buffer, mtu: number): Buffer | undefined;
}

export const testAddon = loadAddon('dataplane_test') as TestAddon;
