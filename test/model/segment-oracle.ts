import {
  addWords,
  checksumAt,
  checksumOffset,
  finishIpHeader,
  hasPorts,
  parseSlowly,
  pseudoHeaderSum,
  type SlowPacket,
  transportChecksum,
} from './packet-oracle.ts';
import {
  GSO,
  gsoTypeFor,
  NEEDS_CHECKSUM,
  readVnet,
  type SlowVnet,
  VNET_BYTES,
} from './vnet-oracle.ts';

/** Longer headers are refused: a limit of ours (native/core/segmenter.hpp). */
const MAX_HEADER_BYTES = 256;
const MAX_SEGMENTS = 1366;
const FIN = 0x01;
const PSH = 0x08;
const CWR = 0x80;

export interface SlowSegments {
  readonly frames: readonly Buffer[];
  /** Their transport checksum fields hold the pseudo-header sum only. */
  readonly arePartial: boolean;
}

/**
 * What leaves an interface without offloads instead of a super-frame (virtio-net header and frame), after
 * RFC 9293 §3.7.1 and virtio 1.2 §5.1.6.2.1; undefined if its claims are false or a frame exceeds `mtu`.
 * @param mayBePartial  whether the receiver completes transport checksums
 */
export function segmentSlowly(
  superFrame: Buffer,
  mtu: number,
  mayBePartial: boolean,
): SlowSegments | undefined {
  const vnet = readVnet(superFrame);
  const frame = superFrame.subarray(VNET_BYTES);
  const packet = parseSlowly(frame);
  const needsChecksum = (vnet.flags & NEEDS_CHECKSUM) !== 0;
  if (needsChecksum && !isChecksumPlaced(vnet, frame)) return undefined;
  const isAtTransport = needsChecksum && isTransportChecksum(vnet, packet);
  const isGso = vnet.gsoType !== GSO.none;
  if (isGso && !(isAtTransport && isGsoTrue(vnet, frame, packet))) return undefined;
  const longest = isGso ? Math.min(frame.length, packet.payload + vnet.gsoSize) : frame.length;
  const tagBytes = frame.readUInt16BE(12) === 0x8100 ? 4 : 0;
  if (longest > mtu + 14 + tagBytes) return undefined;
  const arePartial = mayBePartial && isAtTransport;
  if (isGso) return { frames: cut(frame, packet, vnet.gsoSize, arePartial), arePartial };
  const isFinished = !needsChecksum || arePartial;
  return { frames: [isFinished ? Buffer.from(frame) : finish(frame, vnet)], arePartial };
}

function isChecksumPlaced({ checksumStart, checksumOffset }: SlowVnet, frame: Buffer): boolean {
  const end = checksumStart + checksumOffset + 2;
  return checksumStart >= 14 && end <= frame.length && end <= MAX_HEADER_BYTES;
}

function isTransportChecksum(vnet: SlowVnet, packet: SlowPacket): boolean {
  return (
    hasPorts(packet) &&
    vnet.checksumStart === packet.transport &&
    vnet.checksumOffset === checksumOffset(packet)
  );
}

function isGsoTrue({ gsoType, gsoSize }: SlowVnet, frame: Buffer, packet: SlowPacket): boolean {
  const payloadBytes = frame.length - packet.payload;
  return (
    (gsoType & ~GSO.ecn) === gsoTypeFor(packet.kind, packet.version) &&
    gsoSize > 0 &&
    packet.end === frame.length &&
    packet.payload <= MAX_HEADER_BYTES &&
    Math.ceil(payloadBytes / gsoSize) <= MAX_SEGMENTS
  );
}

/** A frame that is whole but for a checksum over its end. */
function finish(frame: Buffer, { checksumStart, checksumOffset }: SlowVnet): Buffer {
  const finished = Buffer.from(frame);
  const sum = addWords(frame.subarray(checksumStart));
  finished.writeUInt16BE(transportChecksum(sum), checksumStart + checksumOffset);
  return finished;
}

function cut(frame: Buffer, packet: SlowPacket, size: number, arePartial: boolean): Buffer[] {
  const payload = frame.subarray(packet.payload);
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < payload.length; at += size) {
    const segment = Buffer.concat([
      frame.subarray(0, packet.payload),
      payload.subarray(at, at + size),
    ]);
    const isLast = at + size >= payload.length;
    adaptIp(segment, packet, frames.length);
    adaptTransport(segment, packet, at, isLast);
    writeChecksum(segment, packet, frame, arePartial);
    frames.push(segment);
  }
  return frames;
}

function adaptIp(segment: Buffer, packet: SlowPacket, index: number): void {
  if (packet.version === 4) {
    const id = segment.readUInt16BE(packet.ip + 4);
    segment.writeUInt16BE((id + index) % 0x10000, packet.ip + 4);
  }
  finishIpHeader(segment, packet, segment.length - packet.ip);
}

function adaptTransport(segment: Buffer, packet: SlowPacket, at: number, isLast: boolean): void {
  const { kind, transport } = packet;
  if (kind === 'udp') {
    segment.writeUInt16BE(segment.length - transport, transport + 4);
    return;
  }
  segment.writeUInt32BE((segment.readUInt32BE(transport + 4) + at) % 2 ** 32, transport + 4);
  // Push and the end belong to the last byte; the window was reduced once (RFC 3168 §6.1.2).
  let flags = segment.readUInt8(transport + 13);
  if (!isLast) flags &= ~(FIN | PSH);
  if (at > 0) flags &= ~CWR;
  segment.writeUInt8(flags, transport + 13);
}

function writeChecksum(
  segment: Buffer,
  packet: SlowPacket,
  superFrame: Buffer,
  isPartial: boolean,
): void {
  const field = checksumAt(packet);
  segment.writeUInt16BE(segmentPseudoSum(segment, packet, superFrame), field);
  if (isPartial) return;
  const sum = addWords(segment.subarray(packet.transport));
  segment.writeUInt16BE(transportChecksum(sum), field);
}

/**
 * The segment's own pseudo-header sum. Behind a routing header, or from a sender that lies, the field holds
 * another sum than that over the addresses in the header; it then differs by the lengths only.
 */
function segmentPseudoSum(segment: Buffer, packet: SlowPacket, superFrame: Buffer): number {
  const [whole, part] = [superFrame, segment].map((frame) => frame.length - packet.transport) as [
    number,
    number,
  ];
  const given = superFrame.readUInt16BE(checksumAt(packet));
  if (given === pseudoHeaderSum(superFrame, packet, whole)) {
    return pseudoHeaderSum(segment, packet, part);
  }
  let moved = given + part + (0xffff - whole);
  while (moved > 0xffff) moved -= 0xffff;
  return moved;
}
