import test, { type ExecutionContext } from 'ava';
import { randomInt, type Rng, seededRng } from '../../../src/base/rng.ts';
import {
  checksumOf,
  GSO,
  NEEDS_CHECKSUM,
  sum16,
  unrollSuperFrame,
  VNET_BYTES,
} from '../../model/super-frame-oracle.ts';
import { testAddon } from './test-addon.ts';

const SEED = Number(process.env['SEED'] ?? 20_261_123);
/** Streams per run; RUNS=100000 is the long one. */
const RUNS = Number(process.env['RUNS'] ?? 1500);
const MTU = 1500;

const [FIN, PSH, ACK, ECE, CWR] = [0x01, 0x08, 0x10, 0x40, 0x80];

interface Flow {
  readonly isIpv6: boolean;
  readonly isTcp: boolean;
  readonly vlan: boolean;
  readonly optionBytes: number;
  readonly port: number;
  sequence: number;
  id: number;
}

const pick = <T>(rng: Rng, items: readonly T[]): T => items[randomInt(rng, items.length)] as T;
const chance = (rng: Rng, oneIn: number): boolean => randomInt(rng, oneIn) === 0;

function randomBytes(rng: Rng, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, () => randomInt(rng, 256)));
}

function randomFlow(rng: Rng, port: number): Flow {
  return {
    isIpv6: chance(rng, 2),
    isTcp: !chance(rng, 3),
    vlan: chance(rng, 4),
    optionBytes: pick(rng, [0, 12, 20]),
    port,
    sequence: randomInt(rng, 2 ** 32),
    id: randomInt(rng, 2 ** 16),
  };
}

/** A frame of the flow with its checksum unfinished, and the virtio-net header that says so. */
function superFrame(rng: Rng, flow: Flow): Buffer {
  const { isIpv6, isTcp } = flow;
  const gsoSize = pick(rng, [100, 536, 1200, 1300]);
  const payload = randomBytes(rng, pick(rng, [1, 99, 536, 1200, 3000, randomInt(rng, 9000) + 1]));
  const segments = Math.ceil(payload.length / gsoSize);
  const l4 = isTcp ? tcpHeader(rng, flow) : udpHeader(flow, payload.length);
  const l3 = isIpv6 ? ipv6Header(flow, l4.length + payload.length) : ipv4Header(rng, flow, l4.length + payload.length);
  const link = Buffer.from(`020000000002020000000001${flow.vlan ? '8100002a' : ''}${isIpv6 ? '86dd' : '0800'}`, 'hex');
  const field = isTcp ? 16 : 6;
  const addresses = isIpv6 ? l3.subarray(8, 40) : l3.subarray(12, 20);
  const pseudo = sum16(addresses, sum16(Buffer.from([0, isTcp ? 6 : 17]), l4.length + payload.length));
  l4.writeUInt16BE(pseudo, field);
  const vnet = Buffer.alloc(VNET_BYTES);
  vnet[0] = NEEDS_CHECKSUM;
  if (segments > 1) {
    vnet[1] = isTcp ? (isIpv6 ? GSO.tcp6 : GSO.tcp4) : GSO.udp;
    vnet.writeUInt16LE(gsoSize, 4);
  }
  vnet.writeUInt16LE(link.length + l3.length, 6);
  vnet.writeUInt16LE(field, 8);
  flow.sequence = (flow.sequence + payload.length) % 2 ** 32;
  flow.id = (flow.id + segments) % 2 ** 16;
  return Buffer.concat([vnet, link, l3, l4, payload]);
}

function tcpHeader(rng: Rng, { port, sequence, optionBytes }: Flow): Buffer {
  const header = Buffer.alloc(20 + optionBytes, 1);
  header.writeUInt16BE(port, 0);
  header.writeUInt16BE(80, 2);
  header.writeUInt32BE(sequence, 4);
  header.writeUInt32BE(chance(rng, 5) ? 8 : 7, 8);
  header[12] = (header.length / 4) << 4;
  header[13] = ACK | pick(rng, [0, 0, 0, PSH, PSH | FIN, CWR, ECE]);
  header.writeUInt16BE(chance(rng, 5) ? 100 : 200, 14);
  header.fill(0, 16, 20);
  return header;
}

function udpHeader({ port }: Flow, payloadBytes: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(port, 0);
  header.writeUInt16BE(53, 2);
  header.writeUInt16BE(8 + payloadBytes, 4);
  return header;
}

function ipv4Header(rng: Rng, { isTcp, id }: Flow, payloadBytes: number): Buffer {
  const header = Buffer.alloc(20 + (chance(rng, 6) ? 8 : 0), 1);
  header[0] = 0x40 + header.length / 4;
  header[1] = chance(rng, 8) ? 3 : 0;
  header.writeUInt16BE(header.length + payloadBytes, 2);
  header.writeUInt16BE(id, 4);
  header.writeUInt16BE(chance(rng, 3) ? 0 : 0x4000, 6);
  header[8] = chance(rng, 8) ? 63 : 64;
  header[9] = isTcp ? 6 : 17;
  header.writeUInt16BE(0, 10);
  header.writeUInt32BE(0x0a000001, 12);
  header.writeUInt32BE(0x0a000002, 16);
  header.writeUInt16BE(checksumOf(header), 10);
  return header;
}

function ipv6Header({ isTcp }: Flow, payloadBytes: number): Buffer {
  const header = Buffer.alloc(40, 0xfd);
  header.writeUInt32BE(0x6000_0001, 0);
  header.writeUInt16BE(payloadBytes, 4);
  header[6] = isTcp ? 6 : 17;
  header[7] = 64;
  return header;
}

/** ARP, LLDP and noise: whatever is no TCP or UDP passes untouched. */
function otherFrame(rng: Rng): Buffer {
  const type = pick(rng, ['0806', '88cc', '0800', '86dd', '8100']);
  return Buffer.concat([
    Buffer.alloc(VNET_BYTES),
    Buffer.from(`ffffffffffff020000000001${type}`, 'hex'),
    randomBytes(rng, randomInt(rng, 200)),
  ]);
}

/** Frames in the order in which they are sent, and with which flow each has to keep its order. */
interface Sent {
  readonly bytes: Buffer;
  readonly flow: number;
}

function randomStream(rng: Rng): Sent[] {
  const flows = Array.from({ length: 1 + randomInt(rng, 4) }, (_, port) => randomFlow(rng, port));
  return Array.from({ length: 2 + randomInt(rng, 8) }, () => {
    if (chance(rng, 6)) return { bytes: otherFrame(rng), flow: -1 };
    const flow = randomInt(rng, flows.length);
    return { bytes: superFrame(rng, flows[flow]!), flow };
  });
}

interface OnWire extends Sent {
  readonly isPartial: boolean;
}

/** Segments as native/core cuts them; the whole ones must be the oracle's, byte for byte. */
function segmentAll(t: ExecutionContext, rng: Rng, stream: readonly Sent[], seed: number): OnWire[] {
  return stream.flatMap(({ bytes, flow }) => {
    const expected = unrollSuperFrame(bytes);
    const whole = testAddon.segment(bytes, MTU, false);
    if (whole === undefined || !sameFrames(whole, expected)) t.fail(`segments differ (SEED=${seed})`);
    const isPartial = flow >= 0 && chance(rng, 2);
    const frames = testAddon.segment(bytes, MTU, isPartial) ?? [];
    return frames.map((frame) => ({ bytes: frame, flow, isPartial }));
  });
}

function sameFrames(a: readonly Buffer[], b: readonly Buffer[]): boolean {
  return a.length === b.length && a.every((frame, index) => frame.equals(b[index]!));
}

/** Flow of a frame, told by its source port: the only port numbers in these streams. */
function sortByFlow(frames: readonly Buffer[], flowOf: (frame: Buffer) => number): Map<number, Buffer[]> {
  const flows = new Map<number, Buffer[]>();
  for (const frame of frames) {
    const flow = flowOf(frame);
    const known = flows.get(flow);
    if (known === undefined) flows.set(flow, [frame]);
    else known.push(frame);
  }
  return flows;
}

test(`random streams come out of segment, wire and coalesce as the oracle says (SEED=${SEED})`, (t) => {
  let joined = 0;
  for (let run = 0; run < RUNS; run++) {
    const seed = SEED + run;
    const rng = seededRng(seed);
    const stream = randomStream(rng);
    const wire = segmentAll(t, rng, stream, seed);
    const written = testAddon.coalesce(
      wire.map(({ bytes }) => bytes),
      wire.map(({ isPartial }) => isPartial),
    );
    joined += wire.length - written.length;
    const sent = stream.flatMap(({ bytes, flow }) =>
      unrollSuperFrame(bytes).map((frame) => ({ frame, flow })),
    );
    const flowByFrame = new Map(sent.map(({ frame, flow }) => [frame.toString('latin1'), flow]));
    const flowOf = (frame: Buffer): number => flowByFrame.get(frame.toString('latin1')) ?? -2;
    const received = sortByFlow(written.flatMap(unrollSuperFrame), flowOf);
    const expected = sortByFlow(sent.map(({ frame }) => frame), flowOf);
    const same = [...expected].every(([flow, frames]) => sameFrames(received.get(flow) ?? [], frames));
    if (!same || received.size !== expected.size) {
      t.fail(`flows differ (SEED=${seed})`);
      return;
    }
  }
  t.true(joined > RUNS);
});
