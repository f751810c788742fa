import { pathToFileURL } from 'node:url';
import { asMac, asVni, type Vni } from '../../src/base/types.ts';
import { unwrapVxlan, VXLAN_HEADER_BYTES, wrapVxlan } from '../../src/encap/vxlan.ts';
import { ETHER_TYPE, readDestination, writeEthernet } from '../../src/wire/ethernet.ts';
import { flowHash } from '../../src/wire/flow-hash.ts';
import { IP_PROTOCOL, writeIpv4 } from '../../src/wire/ipv4.ts';
import { measure, type Loop, type MicroResult } from './measure.ts';

/**
 * What the codecs cost per frame. Each operation runs over a ring of frames in one large buffer, as the
 * data plane has them, and its results are summed so that the compiler can't drop the work.
 */
const RING_FRAMES = 256;
const SLOT_BYTES = 2048;
const FRAME_AT = 64;
const FRAME_BYTES = 1414;
const VNI_BASE = 5000;

function createRing(): Buffer {
  const ring = Buffer.alloc(RING_FRAMES * SLOT_BYTES);
  for (let index = 0; index < RING_FRAMES; index++) {
    const frameAt = index * SLOT_BYTES + FRAME_AT;
    const source = asMac(0x02005e100000 + index);
    const macs = { destination: asMac(0x02005e200000 + index), source };
    const ipAt = writeEthernet(ring, frameAt, { ...macs, etherType: ETHER_TYPE.ipv4 });
    const addresses = { source: 0x0a070001 + index, destination: 0x0a070101 };
    writeIpv4(ring, ipAt, { ...addresses, protocol: IP_PROTOCOL.tcp, payloadBytes: 1380 });
    wrapVxlan(ring, frameAt, asVni(VNI_BASE + index));
  }
  return ring;
}

function slotOf(frame: number): number {
  return (frame % RING_FRAMES) * SLOT_BYTES;
}

/** The operations by name: each handles `frames` frames and returns a sum of what it found. */
export function createCodecLoops(): Readonly<Record<string, Loop>> {
  const ring = createRing();
  const out: { vni: Vni } = { vni: asVni(0) };
  return {
    'vxlan encode': (frames) => {
      let sum = 0;
      for (let frame = 0; frame < frames; frame++) {
        sum += wrapVxlan(ring, slotOf(frame) + FRAME_AT, asVni(VNI_BASE + (frame % RING_FRAMES)));
      }
      return sum;
    },
    'vxlan decode': (frames) => {
      let sum = 0;
      for (let frame = 0; frame < frames; frame++) {
        const start = slotOf(frame) + FRAME_AT - VXLAN_HEADER_BYTES;
        const end = start + VXLAN_HEADER_BYTES + FRAME_BYTES;
        sum += unwrapVxlan(ring, start, end, out) + out.vni;
      }
      return sum;
    },
    'flow hash, IPv4 and TCP': (frames) => {
      let sum = 0;
      for (let frame = 0; frame < frames; frame++) {
        const frameAt = slotOf(frame) + FRAME_AT;
        sum += flowHash(ring, frameAt, frameAt + FRAME_BYTES);
      }
      return sum;
    },
    'read MAC': (frames) => {
      let sum = 0;
      for (let frame = 0; frame < frames; frame++) {
        sum += readDestination(ring, slotOf(frame) + FRAME_AT);
      }
      return sum;
    },
  };
}

/** Measures every codec operation. Takes about a second. */
export function runCodecMicro(): MicroResult[] {
  return Object.entries(createCodecLoops()).map(([name, loop]) => measure(name, loop));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  console.table(
    runCodecMicro().map(({ name, nsPerOperation, bytesPerOperation }) => ({
      operation: name,
      'ns (median)': nsPerOperation.median.toFixed(1),
      'ns (min–max)': `${nsPerOperation.min.toFixed(1)}–${nsPerOperation.max.toFixed(1)}`,
      'heap bytes': bytesPerOperation.toFixed(3),
    })),
  );
}
