/**
 * What the frames of a super-frame are, said as slowly and plainly as possible: byte by byte, one copy
 * per frame, nothing shared with native/core. The checksum is RFC 1071's, 16 bits at a time.
 *
 *   | flags 1 | gso type 1 | header length 2 | gso size 2 | checksum start 2 | offset 2 | frame ... |
 */
export const VNET_BYTES = 10;
export const NEEDS_CHECKSUM = 1;
export const GSO = { none: 0, tcp4: 1, tcp6: 4, udp: 5 } as const;

const FIN_AND_PSH = 0x09;
const CWR = 0x80;

/** The one's complement sum of `bytes`, not complemented. */
export function sum16(bytes: Buffer, start = 0): number {
  let sum = start;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += bytes.readUInt8(at) * 256 + (bytes[at + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** As it is sent: zero is written as its twin. */
export function checksumOf(bytes: Buffer): number {
  const checksum = 0xffff - sum16(bytes);
  return checksum === 0 ? 0xffff : checksum;
}

export interface VnetFields {
  readonly flags: number;
  readonly gsoType: number;
  readonly gsoSize: number;
  readonly checksumStart: number;
  readonly checksumOffset: number;
}

export function readVnet(bytes: Buffer): VnetFields {
  return {
    flags: bytes.readUInt8(0),
    gsoType: bytes.readUInt8(1),
    gsoSize: bytes.readUInt16LE(4),
    checksumStart: bytes.readUInt16LE(6),
    checksumOffset: bytes.readUInt16LE(8),
  };
}

/** @returns the frames that an interface without any offload would have sent */
export function unrollSuperFrame(bytes: Buffer): Buffer[] {
  const vnet = readVnet(bytes);
  const frame = Buffer.from(bytes.subarray(VNET_BYTES));
  if (vnet.gsoType === GSO.none)
    return [vnet.flags & NEEDS_CHECKSUM ? complete(frame, vnet) : frame];
  const l4 = vnet.checksumStart;
  const isTcp = vnet.gsoType !== GSO.udp;
  const header = l4 + (isTcp ? (frame.readUInt8(l4 + 12) >> 4) * 4 : 8);
  const pieces: Buffer[] = [];
  for (let at = header; at < frame.length; at += vnet.gsoSize) {
    pieces.push(frame.subarray(at, at + vnet.gsoSize));
  }
  return pieces.map((piece, index) => {
    const isLast = index === pieces.length - 1;
    const segment = Buffer.concat([frame.subarray(0, header), piece]);
    writeLengths(segment, frame, l4 + vnet.checksumOffset, index);
    if (isTcp) writeTcp(segment, l4, index * vnet.gsoSize, isLast);
    else segment.writeUInt16BE(segment.length - l4, l4 + 4);
    return complete(segment, vnet);
  });
}

/** IP length and id, and the pseudo header's length within the unfinished checksum. */
function writeLengths(segment: Buffer, whole: Buffer, field: number, index: number): void {
  const l3 = networkOffset(segment);
  if (segment.readUInt8(l3) >> 4 === 6) {
    segment.writeUInt16BE(segment.length - l3 - 40, l3 + 4);
  } else {
    const header = (segment.readUInt8(l3) % 16) * 4;
    segment.writeUInt16BE(segment.length - l3, l3 + 2);
    segment.writeUInt16BE((segment.readUInt16BE(l3 + 4) + index) % 2 ** 16, l3 + 4);
    segment.writeUInt16BE(0, l3 + 10);
    segment.writeUInt16BE(checksumOf(segment.subarray(l3, l3 + header)), l3 + 10);
  }
  const shorter = whole.length - segment.length;
  segment.writeUInt16BE(sum16(words(segment.readUInt16BE(field), 0xffff - shorter)), field);
}

export function networkOffset(frame: Buffer): number {
  let at = 12;
  while (frame.readUInt16BE(at) === 0x8100) at += 4;
  return at + 2;
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => bytes.writeUInt16BE(value, index * 2));
  return bytes;
}

function writeTcp(segment: Buffer, l4: number, offset: number, isLast: boolean): void {
  segment.writeUInt32BE((segment.readUInt32BE(l4 + 4) + offset) % 2 ** 32, l4 + 4);
  if (offset > 0) segment.writeUInt8(segment.readUInt8(l4 + 13) & ~CWR, l4 + 13);
  if (!isLast) segment.writeUInt8(segment.readUInt8(l4 + 13) & ~FIN_AND_PSH, l4 + 13);
}

function complete(frame: Buffer, { checksumStart, checksumOffset }: VnetFields): Buffer {
  const field = checksumStart + checksumOffset;
  const checksum = checksumOf(frame.subarray(checksumStart));
  frame.writeUInt16BE(checksum, field);
  return frame;
}
