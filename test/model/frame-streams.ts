import { randomInt, type Rng } from '../../src/base/rng.ts';
import {
  addWords,
  checksumAt,
  checksumOffset,
  finishIpHeader,
  hasPorts,
  parseSlowly,
  pseudoHeaderSum,
  transportChecksum,
} from './packet-oracle.ts';
import { GSO, gsoTypeFor, NEEDS_CHECKSUM, NO_VNET, VNET_BYTES, writeVnet } from './vnet-oracle.ts';

/** One sender's state of one TCP connection or UDP exchange. */
interface Flow {
  readonly isTcp: boolean;
  readonly isIpv6: boolean;
  readonly tags: readonly number[];
  readonly ipOptions: Buffer;
  readonly extensions: readonly number[];
  readonly sourcePort: number;
  readonly mss: number;
  tcpOptions: Buffer;
  sequence: number;
  acknowledgement: number;
  window: number;
  id: number;
  readonly fragmentFlags: number;
  trafficClass: number;
  ttl: number;
}

const FLAGS = {
  fin: 0x01,
  syn: 0x02,
  rst: 0x04,
  psh: 0x08,
  ack: 0x10,
  urg: 0x20,
  ece: 0x40,
  cwr: 0x80,
};
const TIMESTAMPS = Buffer.from('0101080a0000002a00000017', 'hex');
const SACK = Buffer.from('0101050a0000100000002000', 'hex');
const ADDRESSES4 = Buffer.from('0a0000010a000002', 'hex');
const ADDRESSES6 = Buffer.from(`fd00${'00'.repeat(13)}01fd00${'00'.repeat(13)}02`, 'hex');
const MACS = Buffer.from('020000000002020000000001', 'hex');
const ARP = Buffer.from(
  'ffffffffffff020000000001080600010800060400010200000000010a0000010000000000000a000002',
  'hex',
);
const MAX_PACKET_BYTES = 65_535;

/** Source of payloads; its content does not matter, only that neighbours differ. */
const PAYLOAD = Buffer.from(
  Array.from({ length: 2 ** 17 }, (_, at) => (at * 167 + (at >> 8) * 31) & 255),
);

export function chance(rng: Rng, probability: number): boolean {
  return rng.next() < probability;
}

function pick<T>(rng: Rng, items: readonly T[]): T {
  return items[randomInt(rng, items.length)] as T;
}

/**
 * What a container sends in a moment: super-frames and single frames, each with its virtio-net header, of a
 * few flows that mostly go on where they were, with everything else that is on an Ethernet in between. Some
 * are damaged in a way that no honest sender would.
 */
export function randomStream(rng: Rng): Buffer[] {
  // Seldom more flows than a batch has places for.
  const count = chance(rng, 0.005) ? 150 : 1 + randomInt(rng, 4);
  const flows = Array.from({ length: count }, () => randomFlow(rng, count));
  const stream = Array.from({ length: 2 * count + randomInt(rng, 4) }, () =>
    chance(rng, 0.12) ? noise(rng) : nextSuperFrame(rng, pick(rng, flows)),
  );
  return stream.map((frame) => (chance(rng, 0.05) ? damaged(rng, frame) : frame));
}

function randomFlow(rng: Rng, ports: number): Flow {
  const isIpv6 = chance(rng, 0.5);
  return {
    isTcp: chance(rng, 0.7),
    isIpv6,
    tags: pick(rng, [[], [], [], [0x8100], [0x88a8, 0x8100], [0x8100, 0x8100, 0x8100]]),
    ipOptions: Buffer.alloc(!isIpv6 && chance(rng, 0.1) ? 4 * (1 + randomInt(rng, 10)) : 0, 1),
    extensions:
      isIpv6 && chance(rng, 0.15) ? [pick(rng, [0, 60]), 60].slice(randomInt(rng, 2)) : [],
    sourcePort: randomInt(rng, ports),
    mss: pick(rng, [1, 48, 536, 1000, 1200, 1348]),
    tcpOptions: pick(rng, [Buffer.alloc(0), TIMESTAMPS, SACK, Buffer.concat([TIMESTAMPS, SACK])]),
    sequence: chance(rng, 0.1) ? 2 ** 32 - 1 - randomInt(rng, 5000) : randomInt(rng, 2 ** 32),
    acknowledgement: randomInt(rng, 2 ** 32),
    window: randomInt(rng, 2 ** 16),
    id: chance(rng, 0.1) ? 0xffff - randomInt(rng, 10) : randomInt(rng, 2 ** 16),
    fragmentFlags: pick(rng, [0x4000, 0x4000, 0, 0x8000]),
    trafficClass: randomInt(rng, 256),
    ttl: 1 + randomInt(rng, 255),
  };
}

/** Small changes between one super-frame and the next, each of which keeps them from being joined. */
function wander(rng: Rng, flow: Flow): void {
  if (chance(rng, 0.1)) flow.acknowledgement = (flow.acknowledgement + 1000) % 2 ** 32;
  if (chance(rng, 0.05)) flow.window = randomInt(rng, 2 ** 16);
  if (chance(rng, 0.05)) flow.sequence = randomInt(rng, 2 ** 32);
  if (chance(rng, 0.05)) flow.id = randomInt(rng, 2 ** 16);
  if (chance(rng, 0.03)) flow.trafficClass = randomInt(rng, 256);
  if (chance(rng, 0.03)) flow.ttl = 1 + randomInt(rng, 255);
  if (chance(rng, 0.05) && flow.tcpOptions.length > 0) {
    flow.tcpOptions = Buffer.from(flow.tcpOptions);
    flow.tcpOptions[flow.tcpOptions.length - 1] = randomInt(rng, 256);
  }
}

function randomFlags(rng: Rng): number {
  let flags = chance(rng, 0.98) ? FLAGS.ack : 0;
  if (chance(rng, 0.3)) flags |= FLAGS.psh;
  for (const rare of [FLAGS.fin, FLAGS.cwr, FLAGS.ece]) if (chance(rng, 0.06)) flags |= rare;
  for (const odd of [FLAGS.syn, FLAGS.rst, FLAGS.urg]) if (chance(rng, 0.01)) flags |= odd;
  return flags;
}

function payloadSize(rng: Rng, flow: Flow): number {
  // Seldom more than one super-frame holds.
  const segments = chance(rng, 0.02) ? 200 : pick(rng, [0, 1, 1, 2, 3, 5, 10]);
  const rest = chance(rng, 0.5) ? 0 : randomInt(rng, flow.mss);
  return Math.min(segments * flow.mss + rest, MAX_PACKET_BYTES - 300);
}

function nextSuperFrame(rng: Rng, flow: Flow): Buffer {
  wander(rng, flow);
  const payloadBytes = payloadSize(rng, flow);
  const frame = buildFrame(rng, flow, payloadBytes);
  const packet = parseSlowly(frame);
  const count = Math.max(1, Math.ceil(payloadBytes / flow.mss));
  flow.sequence = (flow.sequence + payloadBytes) % 2 ** 32;
  flow.id = (flow.id + count) % 2 ** 16;
  // Three tags are more than anyone here reads.
  if (!hasPorts(packet)) return Buffer.concat([writeVnet(NO_VNET), frame]);
  const transportBytes = packet.end - packet.transport;
  const pseudo = pseudoHeaderSum(frame, packet, transportBytes);
  const isGso = count > 1 || chance(rng, 0.1);
  if (!isGso && chance(rng, 0.3)) {
    const sum = addWords(frame.subarray(packet.transport, packet.end), pseudo);
    const isAbsent = !flow.isTcp && chance(rng, 0.1);
    frame.writeUInt16BE(isAbsent ? 0 : transportChecksum(sum), checksumAt(packet));
    return Buffer.concat([writeVnet(NO_VNET), frame]);
  }
  frame.writeUInt16BE(pseudo, checksumAt(packet));
  const vnet = {
    flags: NEEDS_CHECKSUM,
    gsoType: isGso
      ? gsoTypeFor(packet.kind, packet.version) | (chance(rng, 0.05) ? GSO.ecn : 0)
      : 0,
    headerBytes: packet.payload,
    gsoSize: isGso ? flow.mss : 0,
    checksumStart: packet.transport,
    checksumOffset: checksumOffset(packet),
  };
  return Buffer.concat([writeVnet(vnet), frame]);
}

/** A frame whose transport checksum is still zero. */
function buildFrame(rng: Rng, flow: Flow, payloadBytes: number): Buffer {
  const at = randomInt(rng, PAYLOAD.length - payloadBytes);
  const payload = PAYLOAD.subarray(at, at + payloadBytes);
  const transport = Buffer.concat([
    flow.isTcp ? tcpHeader(rng, flow) : udpHeader(flow, payloadBytes),
    payload,
  ]);
  const ethernet = ethernetHeader(flow);
  const ip = flow.isIpv6 ? ipv6Header(flow, transport.length) : ipv4Header(flow);
  const frame = Buffer.concat([ethernet, ip, transport]);
  const packet = {
    ...parseSlowly(frame),
    version: flow.isIpv6 ? 6 : 4,
    ip: ethernet.length,
  } as const;
  finishIpHeader(frame, packet, frame.length - ethernet.length);
  return frame;
}

function ethernetHeader({ tags, isIpv6 }: Flow): Buffer {
  const type = Buffer.alloc(2);
  type.writeUInt16BE(isIpv6 ? 0x86dd : 0x0800);
  return Buffer.concat([
    MACS,
    ...tags.map((tag) => Buffer.from([tag >> 8, tag & 255, 0, 42])),
    type,
  ]);
}

function ipv4Header(flow: Flow): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45 + flow.ipOptions.length / 4, 0);
  header.writeUInt8(flow.trafficClass, 1);
  header.writeUInt16BE(flow.id, 4);
  header.writeUInt16BE(flow.fragmentFlags, 6);
  header.writeUInt8(flow.ttl, 8);
  header.writeUInt8(flow.isTcp ? 6 : 17, 9);
  ADDRESSES4.copy(header, 12);
  return Buffer.concat([header, flow.ipOptions]);
}

function ipv6Header(flow: Flow, transportBytes: number): Buffer {
  const protocol = flow.isTcp ? 6 : 17;
  const chain = [...flow.extensions, protocol];
  const header = Buffer.alloc(8);
  header.writeUInt32BE(0x6000_0000 + flow.trafficClass * 2 ** 20 + 0x12345, 0);
  header.writeUInt16BE(flow.extensions.length * 8 + transportBytes, 4);
  header.writeUInt8(chain[0] ?? protocol, 6);
  header.writeUInt8(flow.ttl, 7);
  const extensions = flow.extensions.map((_, index) =>
    Buffer.from([chain[index + 1] ?? protocol, 0, 1, 4, 0, 0, 0, 0]),
  );
  return Buffer.concat([header, ADDRESSES6, ...extensions]);
}

function tcpHeader(rng: Rng, flow: Flow): Buffer {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(flow.sourcePort, 0);
  header.writeUInt16BE(2000, 2);
  header.writeUInt32BE(flow.sequence, 4);
  header.writeUInt32BE(flow.acknowledgement, 8);
  header.writeUInt8((5 + flow.tcpOptions.length / 4) * 16 + (chance(rng, 0.02) ? 1 : 0), 12);
  header.writeUInt8(randomFlags(rng), 13);
  header.writeUInt16BE(flow.window, 14);
  return Buffer.concat([header, flow.tcpOptions]);
}

function udpHeader(flow: Flow, payloadBytes: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(flow.sourcePort, 0);
  header.writeUInt16BE(2000, 2);
  header.writeUInt16BE(8 + payloadBytes, 4);
  return header;
}

/** ARP, a fragment, or bytes of no meaning. */
function noise(rng: Rng): Buffer {
  const none = writeVnet(NO_VNET);
  if (chance(rng, 0.3)) return Buffer.concat([none, ARP]);
  if (chance(rng, 0.5)) return Buffer.concat([none, fragment(rng)]);
  const at = randomInt(rng, 60_000);
  return Buffer.concat([none, PAYLOAD.subarray(at, at + 14 + randomInt(rng, 300))]);
}

function fragment(rng: Rng): Buffer {
  const frame = buildFrame(rng, randomFlow(rng, 1), 200);
  const packet = parseSlowly(frame);
  if (packet.kind === 'other') return frame;
  if (packet.version === 6) frame.writeUInt8(44, packet.ip + 6);
  else frame.writeUInt16BE(pick(rng, [0x2000, 0x2010, 0x0010]), packet.ip + 6);
  return frame;
}

/** A few bytes changed anywhere, or the end cut off. */
export function damaged(rng: Rng, frame: Buffer): Buffer {
  if (chance(rng, 0.2)) {
    const least = VNET_BYTES + 14;
    return frame.subarray(0, least + randomInt(rng, Math.max(1, frame.length - least)));
  }
  const copy = Buffer.from(frame);
  // Half of the time among the headers, where it matters most.
  const room = chance(rng, 0.5) ? Math.min(copy.length, 80) : copy.length;
  for (let count = 1 + randomInt(rng, 3); count > 0; count--) {
    const at = randomInt(rng, room);
    copy[at] = (copy[at] ?? 0) ^ (1 << randomInt(rng, 8));
  }
  return copy;
}
