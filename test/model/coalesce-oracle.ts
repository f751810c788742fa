import {
  checksumAt,
  checksumOffset,
  finishIpHeader,
  hasPorts,
  isIpv4ChecksumRight,
  isTransportChecksumRight,
  parseSlowly,
  pseudoHeaderSum,
  type SlowPacket,
} from './packet-oracle.ts';
import { DATA_VALID, gsoTypeFor, NEEDS_CHECKSUM, NO_VNET, writeVnet } from './vnet-oracle.ts';

/** Limits of ours (native/core/coalescer.hpp). */
const MAX_FLOWS = 64;
const MAX_JOINED = { tcp: 128, udp: 64 } as const;
const MAX_PACKET_BYTES = 65_535;
const PSH = 0x08;
const ACK = 0x10;
const ECE = 0x40;
const DONT_FRAGMENT = 0x4000;

export interface ReceivedFrame {
  readonly bytes: Buffer;
  /** Its transport checksum field holds the pseudo-header sum only. */
  readonly isPartial: boolean;
}

interface Segment extends ReceivedFrame {
  readonly packet: SlowPacket;
}

/** A flow keeps its place in the order of the batch also while nothing of it waits. */
interface Flow {
  readonly key: string;
  waiting: Segment[];
}

/**
 * What one batch of received frames is written as, each with its virtio-net header: consecutive segments of
 * a flow as the super-frame of which an interface would have made just these segments, all else as it came.
 */
export function coalesceSlowly(frames: readonly ReceivedFrame[]): Buffer[] {
  const written: Buffer[] = [];
  let flows: Flow[] = [];
  const write = (flow: Flow): void => {
    if (flow.waiting.length > 0) written.push(join(flow.waiting));
    flow.waiting = [];
  };
  const flush = (): void => {
    for (const flow of flows) write(flow);
    flows = [];
  };
  for (const frame of frames) {
    const segment = { ...frame, packet: parseSlowly(frame.bytes) };
    if (segment.packet.kind === 'fragment') flush();
    const key = flowKey(segment);
    const flow = flows.find((each) => each.key === key);
    if (flow !== undefined && canFollow(flow.waiting, segment)) {
      flow.waiting.push(segment);
      continue;
    }
    if (flow !== undefined) write(flow);
    if (!isJoinable(segment)) written.push(alone(segment));
    else if (flow !== undefined) flow.waiting = [segment];
    else {
      if (flows.length === MAX_FLOWS) flush();
      flows.push({ key, waiting: [segment] });
    }
  }
  flush();
  return written;
}

/** Tags, addresses, protocol and ports; nothing for frames without ports, which are never joined. */
function flowKey({ bytes, packet }: Segment): string {
  if (!hasPorts(packet)) return '';
  const { version, ip, transport, kind } = packet;
  const addresses = version === 4 ? [ip + 12, ip + 20] : [ip + 8, ip + 40];
  const parts = [[12, ip], addresses, [transport, transport + 4]] as const;
  return `${kind}${version} ${parts.map(([from, to]) => bytes.toString('hex', from, to)).join(' ')}`;
}

/** Whether a segment may be part of a super-frame at all. A wrong checksum must arrive as it is. */
function isJoinable(segment: Segment): boolean {
  const { bytes, packet, isPartial } = segment;
  const { version, ip, transport, payload, end } = packet;
  if (!hasPorts(packet) || transport !== ip + (version === 4 ? 20 : 40)) return false;
  if (end !== bytes.length || payload === end) return false;
  if (version === 4 && !isIpv4ChecksumRight(bytes, packet)) return false;
  if (packet.kind === 'tcp' && (tcpFlags(segment) & ~(PSH | ECE)) !== ACK) return false;
  if (isPartial) return true;
  const hasChecksum = packet.kind === 'tcp' || bytes.readUInt16BE(checksumAt(packet)) !== 0;
  return hasChecksum && isTransportChecksumRight(bytes, packet);
}

function tcpFlags({ bytes, packet }: Segment): number {
  return bytes.readUInt8(packet.transport + 13);
}

function payloadBytes({ packet }: Segment): number {
  return packet.end - packet.payload;
}

function canFollow(waiting: readonly Segment[], next: Segment): boolean {
  const [first, last] = [waiting[0], waiting.at(-1)];
  if (first === undefined || last === undefined || !isJoinable(next)) return false;
  const isShort = payloadBytes(last) < payloadBytes(first);
  if (isShort || payloadBytes(next) > payloadBytes(first)) return false;
  if (waiting.length === MAX_JOINED[next.packet.kind === 'tcp' ? 'tcp' : 'udp']) return false;
  if (packetBytes([...waiting, next]) > MAX_PACKET_BYTES) return false;
  if (sharedHeader(first) !== sharedHeader(next)) return false;
  if (next.packet.kind === 'tcp') {
    const isPushed = (tcpFlags(last) & PSH) !== 0;
    if (isPushed || sequence(next) !== (sequence(last) + payloadBytes(last)) % 2 ** 32)
      return false;
  }
  return next.packet.version === 6 || doIdsFit([...waiting, next]);
}

function sequence({ bytes, packet }: Segment): number {
  return bytes.readUInt32BE(packet.transport + 4);
}

/** Of the IP packet that these make together. */
function packetBytes(segments: readonly Segment[]): number {
  const { packet } = segments[0] as Segment;
  const payload = segments.reduce((sum, segment) => sum + payloadBytes(segment), 0);
  return packet.payload - packet.ip + payload;
}

/** All header bytes but lengths, checksums, sequence number, IPv4's id and the push flag, in hex. */
function sharedHeader({ bytes, packet }: Segment): string {
  const header = Buffer.from(bytes.subarray(0, packet.payload));
  const { version, ip, transport, kind } = packet;
  if (version === 4) {
    header.fill(0, ip + 2, ip + 6);
    header.fill(0, ip + 10, ip + 12);
  } else {
    header.fill(0, ip + 4, ip + 6);
  }
  if (kind === 'udp') {
    header.fill(0, transport + 4, transport + 8);
  } else {
    header.fill(0, transport + 4, transport + 8);
    header.writeUInt8(header.readUInt8(transport + 13) & ~PSH, transport + 13);
    header.fill(0, transport + 16, transport + 18);
  }
  return header.toString('hex');
}

/**
 * A super-frame's ids count upwards. Ids that all are equal may be renumbered where they mean nothing: in
 * packets that must not be fragmented (RFC 6864 §4.1).
 */
function doIdsFit(segments: readonly Segment[]): boolean {
  const ids = segments.map(({ bytes, packet }) => bytes.readUInt16BE(packet.ip + 4));
  const [first] = segments as [Segment];
  const isAtomic = (first.bytes.readUInt16BE(first.packet.ip + 6) & DONT_FRAGMENT) !== 0;
  const doCount = ids.every((id, index) => id === ((ids[0] ?? 0) + index) % 0x10000);
  return doCount || (isAtomic && ids.every((id) => id === ids[0]));
}

/** A frame that was not examined further, or found wanting. */
function alone({ bytes, packet, isPartial }: Segment): Buffer {
  const isLeftOpen = isPartial && hasPorts(packet);
  return Buffer.concat([writeVnet(isLeftOpen ? openChecksum(packet) : NO_VNET), bytes]);
}

function openChecksum(packet: SlowPacket) {
  return {
    ...NO_VNET,
    flags: NEEDS_CHECKSUM,
    checksumStart: packet.transport,
    checksumOffset: checksumOffset(packet),
  };
}

function join(segments: readonly Segment[]): Buffer {
  const [first] = segments as [Segment];
  const { packet, bytes, isPartial } = first;
  if (segments.length === 1) {
    const vnet = isPartial ? openChecksum(packet) : { ...NO_VNET, flags: DATA_VALID };
    return Buffer.concat([writeVnet(vnet), bytes]);
  }
  const frame = Buffer.concat([
    bytes.subarray(0, packet.payload),
    ...segments.map((segment) => segment.bytes.subarray(packet.payload)),
  ]);
  const transportBytes = frame.length - packet.transport;
  finishIpHeader(frame, packet, frame.length - packet.ip);
  if (packet.kind === 'tcp') {
    const flags = segments.reduce((all, segment) => all | tcpFlags(segment), 0);
    frame.writeUInt8(flags, packet.transport + 13);
  } else {
    frame.writeUInt16BE(transportBytes, packet.transport + 4);
  }
  frame.writeUInt16BE(pseudoHeaderSum(frame, packet, transportBytes), checksumAt(packet));
  const vnet = {
    ...openChecksum(packet),
    gsoType: gsoTypeFor(packet.kind, packet.version),
    headerBytes: packet.payload,
    gsoSize: payloadBytes(first),
  };
  return Buffer.concat([writeVnet(vnet), frame]);
}
