/**
 * The flow hash by slow and obvious means: collects the words that make the flow, then hashes them with
 * BigInt arithmetic after the published description of MurmurHash3 (32 bit).
 */
export function slowFlowHash(frame: Buffer): number {
  return frame.length < 14 ? 0 : Number(murmur(wordsOf(frame)) >> 1n);
}

const PORT_PROTOCOLS = [6, 17, 132];

function wordsOf(frame: Buffer): number[] {
  let typeAt = 12;
  for (let tags = 0; tags < 2; tags++) {
    const isTag = [0x8100, 0x88a8].includes(frame.readUInt16BE(typeAt));
    if (isTag && typeAt + 6 <= frame.length) typeAt += 4;
  }
  const type = frame.readUInt16BE(typeAt);
  const packet = frame.subarray(typeAt + 2);
  const words =
    type === 0x0800 ? ipv4Words(packet) : type === 0x86dd ? ipv6Words(packet) : undefined;
  return words ?? [...[0, 4, 8].map((at) => frame.readUInt32BE(at)), type];
}

function ipv4Words(packet: Buffer): number[] | undefined {
  const headerBytes = ((packet[0] ?? 0) % 16) * 4;
  if (packet.length < 20 || packet.readUInt8(0) >> 4 !== 4) return undefined;
  if (headerBytes < 20 || headerBytes > packet.length) return undefined;
  const protocol = packet.readUInt8(9);
  const isFragment = packet.readUInt16BE(6) % 0x4000 !== 0;
  const words = [packet.readUInt32BE(12), packet.readUInt32BE(16), protocol];
  return isFragment ? words : [...words, ...ports(protocol, packet.subarray(headerBytes))];
}

function ipv6Words(packet: Buffer): number[] | undefined {
  if (packet.length < 40 || packet.readUInt8(0) >> 4 !== 6) return undefined;
  const addresses = Array.from({ length: 8 }, (_, word) => packet.readUInt32BE(8 + 4 * word));
  let protocol = packet.readUInt8(6);
  let rest = packet.subarray(40);
  for (let walked = 0; [0, 43, 44, 51, 60].includes(protocol); walked++) {
    if (rest.length < 8 || walked === 8) return [...addresses, protocol];
    const units = rest.readUInt8(1);
    const bytes = protocol === 44 ? 8 : protocol === 51 ? units * 4 + 8 : units * 8 + 8;
    if (bytes > rest.length) return [...addresses, protocol];
    const isFragment = protocol === 44;
    protocol = rest.readUInt8(0);
    if (isFragment) return [...addresses, protocol];
    rest = rest.subarray(bytes);
  }
  return [...addresses, protocol, ...ports(protocol, rest)];
}

function ports(protocol: number, rest: Buffer): number[] {
  return PORT_PROTOCOLS.includes(protocol) && rest.length >= 4 ? [rest.readUInt32BE(0)] : [];
}

const low32 = (value: bigint): bigint => BigInt.asUintN(32, value);
const rotate = (value: bigint, by: bigint): bigint => low32((value << by) | (value >> (32n - by)));

function murmur(words: readonly number[]): bigint {
  let hash = 0n;
  for (const word of words) {
    const scrambled = rotate(low32(BigInt(word) * 0xcc9e2d51n), 15n);
    hash = rotate(hash ^ low32(scrambled * 0x1b873593n), 13n);
    hash = low32(hash * 5n + 0xe6546b64n);
  }
  hash = low32((hash ^ (hash >> 16n)) * 0x85ebca6bn);
  hash = low32((hash ^ (hash >> 13n)) * 0xc2b2ae35n);
  return hash ^ (hash >> 16n);
}
