import {
  checksum,
  pseudoHeaderSum4,
  pseudoHeaderSum6,
  addToSum,
  foldSum,
} from '../../src/wire/checksum.ts';

const TCP = 6;
const MACS = Buffer.from('020000000002020000000001', 'hex');

export interface SynSpec {
  readonly family?: 4 | 6;
  readonly mss?: number;
  /** Options before that of the MSS, in hex. */
  readonly before?: string;
  /** Default SYN. */
  readonly flags?: number;
  readonly macs?: Buffer;
  readonly payload?: number;
}

/** A frame with a TCP segment that announces a maximum segment size; its checksums are right. */
export function synFrame({
  family = 4,
  mss = 8960,
  before = '',
  flags = 0x02,
  macs = MACS,
  payload = 0,
}: SynSpec = {}): Buffer {
  const value = Buffer.alloc(4);
  value.writeUInt16BE(0x0204, 0);
  value.writeUInt16BE(mss, 2);
  const named = Buffer.concat([Buffer.from(before, 'hex'), value]);
  const options = Buffer.concat([named, Buffer.alloc((4 - (named.length % 4)) % 4, 1)]);
  const head = Buffer.from('01bbc0010000000100000002' + '0002ffff00000000', 'hex');
  head[12] = ((20 + options.length) / 4) << 4;
  head[13] = flags;
  const segment = Buffer.concat([head, options, Buffer.alloc(payload, 0x61)]);
  const ip = family === 4 ? header4(segment.length) : header6(segment.length);
  segment.writeUInt16BE(foldSum(addToSum(segment, 0, segment.length, pseudoSum(ip, segment))), 16);
  return Buffer.concat([macs, Buffer.from(family === 4 ? '0800' : '86dd', 'hex'), ip, segment]);
}

/** Whether the TCP checksum of such a frame is right. */
export function isSynWhole(frame: Buffer): boolean {
  const isV4 = frame.readUInt16BE(12) === 0x0800;
  const ip = frame.subarray(14, 14 + (isV4 ? 20 : 40));
  const segment = frame.subarray(14 + ip.length);
  return foldSum(addToSum(segment, 0, segment.length, pseudoSum(ip, segment))) === 0;
}

/** The MSS that such a frame announces, behind `before` bytes of other options. */
export function mssOf(frame: Buffer, before = 0): number {
  const isV4 = frame.readUInt16BE(12) === 0x0800;
  return frame.readUInt16BE(14 + (isV4 ? 20 : 40) + 20 + before + 2);
}

function pseudoSum(ip: Buffer, { length }: Buffer): number {
  return ip.length === 20
    ? pseudoHeaderSum4(ip.readUInt32BE(12), ip.readUInt32BE(16), TCP, length)
    : pseudoHeaderSum6(ip, 8, TCP, length);
}

function header4(bytes: number): Buffer {
  const ip = Buffer.from('4500000000004000400600000a0700020a070003', 'hex');
  ip.writeUInt16BE(20 + bytes, 2);
  ip.writeUInt16BE(checksum(ip, 0, 20), 10);
  return ip;
}

function header6(bytes: number): Buffer {
  const ip = Buffer.alloc(40);
  ip[0] = 0x60;
  ip.writeUInt16BE(bytes, 4);
  ip[6] = TCP;
  ip[7] = 64;
  for (const [at, last] of [
    [8, 2],
    [24, 3],
  ] as const) {
    ip[at] = 0xfd;
    ip[at + 15] = last;
  }
  return ip;
}
