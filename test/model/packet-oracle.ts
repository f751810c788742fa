/**
 * A frame taken apart, and its checksums, by the letter of IEEE 802.1Q, RFC 791, 8200, 9293, 768 and 1071.
 * Slow and obvious: the judge of the native data plane, with which it shares no code.
 */
export interface SlowPacket {
  /** `ip`: a transport that is neither TCP nor UDP, or that contradicts its length. */
  readonly kind: 'other' | 'ip' | 'fragment' | 'tcp' | 'udp';
  readonly version: 4 | 6;
  /** Where the IP header, the transport header and its payload begin; 0 where there is none. */
  readonly ip: number;
  readonly transport: number;
  readonly payload: number;
  /** Where the IP packet ends: padding may follow. */
  readonly end: number;
}

const VLAN_TYPES = [0x8100, 0x88a8];
const MAX_VLAN_TAGS = 2;
const FRAGMENT = 44;
/** Hop-by-hop, routing, destination options (RFC 8200 §4): 8 bytes times their length field plus one. */
const EXTENSIONS = [0, 43, 60];
const MAX_EXTENSIONS = 7;
const TCP = 6;
const UDP = 17;

const nothing: SlowPacket = { kind: 'other', version: 4, ip: 0, transport: 0, payload: 0, end: 0 };

export function parseSlowly(frame: Buffer): SlowPacket {
  let at = 14;
  if (frame.length < at) return nothing;
  let type = frame.readUInt16BE(12);
  for (let tags = 0; VLAN_TYPES.includes(type); tags++) {
    if (tags === MAX_VLAN_TAGS || frame.length < at + 4) return nothing;
    type = frame.readUInt16BE(at + 2);
    at += 4;
  }
  if (type === 0x0800) return parseIpv4(frame, at);
  return type === 0x86dd ? parseIpv6(frame, at) : nothing;
}

function parseIpv4(frame: Buffer, ip: number): SlowPacket {
  if (frame.length - ip < 20 || frame.readUInt8(ip) >> 4 !== 4) return nothing;
  const headerBytes = (frame.readUInt8(ip) % 16) * 4;
  const totalBytes = frame.readUInt16BE(ip + 2);
  if (headerBytes < 20 || totalBytes < headerBytes || ip + totalBytes > frame.length) {
    return nothing;
  }
  const packet: SlowPacket = { ...nothing, kind: 'ip', ip, end: ip + totalBytes };
  // More fragments, or an offset: all but the reserved bit and "don't fragment".
  if (frame.readUInt16BE(ip + 6) % 0x4000 !== 0) return { ...packet, kind: 'fragment' };
  return parseTransport(frame, packet, frame.readUInt8(ip + 9), ip + headerBytes);
}

function parseIpv6(frame: Buffer, ip: number): SlowPacket {
  if (frame.length - ip < 40 || frame.readUInt8(ip) >> 4 !== 6) return nothing;
  const end = ip + 40 + frame.readUInt16BE(ip + 4);
  if (end > frame.length) return nothing;
  const packet: SlowPacket = { ...nothing, kind: 'ip', version: 6, ip, end };
  let next = frame.readUInt8(ip + 6);
  let at = ip + 40;
  for (let walked = 0; EXTENSIONS.includes(next); walked++) {
    if (walked === MAX_EXTENSIONS || end - at < 8) return packet;
    next = frame.readUInt8(at);
    at += (frame.readUInt8(at + 1) + 1) * 8;
    if (at > end) return packet;
  }
  if (next === FRAGMENT) return { ...packet, kind: 'fragment' };
  return parseTransport(frame, packet, next, at);
}

function parseTransport(
  frame: Buffer,
  packet: SlowPacket,
  protocol: number,
  transport: number,
): SlowPacket {
  const room = packet.end - transport;
  if (protocol === TCP && room >= 20) {
    const headerBytes = (frame.readUInt8(transport + 12) >> 4) * 4;
    if (headerBytes < 20 || headerBytes > room) return packet;
    return { ...packet, kind: 'tcp', transport, payload: transport + headerBytes };
  }
  if (protocol === UDP && room >= 8 && frame.readUInt16BE(transport + 4) === room) {
    return { ...packet, kind: 'udp', transport, payload: transport + 8 };
  }
  return packet;
}

export function hasPorts({ kind }: SlowPacket): boolean {
  return kind === 'tcp' || kind === 'udp';
}

/** Of the checksum field in the frame. */
export function checksumAt(packet: SlowPacket): number {
  return packet.transport + checksumOffset(packet);
}

/** Of the checksum field in the transport header. */
export function checksumOffset({ kind }: SlowPacket): 16 | 6 {
  return kind === 'tcp' ? 16 : 6;
}

/** Adds big-endian words with end-around carry to `start`; a last odd byte is padded with zero. */
export function addWords(bytes: Buffer, start = 0): number {
  let sum = start;
  for (let at = 0; at < bytes.length; at += 2) {
    sum += (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

/** The sum over addresses, protocol and length that TCP and UDP include (RFC 9293 §3.1, RFC 8200 §8.1). */
export function pseudoHeaderSum(
  frame: Buffer,
  { kind, version, ip }: SlowPacket,
  transportBytes: number,
): number {
  const addresses =
    version === 4 ? frame.subarray(ip + 12, ip + 20) : frame.subarray(ip + 8, ip + 40);
  const rest = Buffer.alloc(4);
  rest.writeUInt16BE(kind === 'tcp' ? TCP : UDP, 0);
  rest.writeUInt16BE(transportBytes, 2);
  return addWords(rest, addWords(addresses));
}

/** What a checksum field holds for such a sum: UDP's zero means "none", so zero is sent as its twin. */
export function transportChecksum(sum: number): number {
  return 0xffff - sum === 0 ? 0xffff : 0xffff - sum;
}

export function isTransportChecksumRight(frame: Buffer, packet: SlowPacket): boolean {
  const pseudo = pseudoHeaderSum(frame, packet, packet.end - packet.transport);
  return addWords(frame.subarray(packet.transport, packet.end), pseudo) === 0xffff;
}

export function isIpv4ChecksumRight(frame: Buffer, { ip }: SlowPacket): boolean {
  const headerBytes = (frame.readUInt8(ip) % 16) * 4;
  return addWords(frame.subarray(ip, ip + headerBytes)) === 0xffff;
}

/** Writes total or payload length for a packet of `packetBytes`, and IPv4's header checksum. */
export function finishIpHeader(
  frame: Buffer,
  { version, ip }: SlowPacket,
  packetBytes: number,
): void {
  if (version === 6) {
    frame.writeUInt16BE(packetBytes - 40, ip + 4);
    return;
  }
  const headerBytes = (frame.readUInt8(ip) % 16) * 4;
  frame.writeUInt16BE(packetBytes, ip + 2);
  frame.writeUInt16BE(0, ip + 10);
  frame.writeUInt16BE(0xffff - addWords(frame.subarray(ip, ip + headerBytes)), ip + 10);
}
