import { isDeepStrictEqual } from 'node:util';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { ExecutionContext } from 'ava';
import { asMac, asVni, type Mac, type PortId, type Vni } from '../../src/base/types.ts';
import type { DataPlane, DataPlaneOptions, FdbEntry } from '../../src/dataplane/dataplane.ts';
import type { DropReason } from '../../src/dataplane/drop-reason.ts';
import type { TapDevice } from '../../src/tun/device.ts';
import { HEADER_BYTES, writeEthernet } from '../../src/wire/ethernet.ts';
import { formatMac } from '../../src/wire/mac.ts';
import { until } from '../fakes/until.ts';

/** What the contract needs to know of a device beside the seam: the far side of it. */
export interface ContractDevice {
  readonly device: TapDevice;
  /** Sends frames out of the host into the data plane. */
  inject(...frames: readonly Uint8Array[]): void;
  /** Frames that the data plane has written, oldest first. */
  received(): readonly Buffer[];
  isClosed(): boolean;
  /** Whether frames of different flows may come in another order than they were sent. */
  readonly mixesFlows?: boolean;
  /** Takes the device away, as `ip link del` does: from now on writes fail. */
  destroy(): void;
}

/** One implementation under test. */
export interface DataPlaneHarness {
  readonly name: string;
  open(options: DataPlaneOptions): Promise<DataPlane>;
  createDevice(): ContractDevice;
}

/** Declares one test of the contract. */
export type Contract = (title: string, body: (t: ExecutionContext) => Promise<void>) => void;

export const VNI = asVni(0x5eed42);
export const MTU = 1450;
/** An untagged frame that fills the MTU. */
export const LONGEST_FRAME = MTU + HEADER_BYTES;
/** Shorter than this a frame passes if it carries a tag; from here on no frame passes. */
export const TOO_LONG_FRAME = LONGEST_FRAME + 5;
export const BROADCAST = asMac(2 ** 48 - 1);
export const MULTICAST = asMac(0x01_00_5e_00_00_fb);
export const SEED = Number(process.env['SEED'] ?? 20_260_103);
/** EtherType for local experiments (IEEE 802 §9.2.4): nothing looks inside. */
const EXPERIMENTAL = 0x88b5;

/** A station's MAC, locally administered: `station(1)` is 02:00:00:00:00:01. */
export const station = (number: number): Mac => asMac(0x02_00_00_00_00_00 + number);

/** A frame whose payload is `text`. */
export function frame(source: Mac, destination: Mac, text = ''): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + Buffer.byteLength(text));
  writeEthernet(bytes, 0, { source, destination, etherType: EXPERIMENTAL });
  bytes.write(text, HEADER_BYTES);
  return bytes;
}

/** `length` bytes that are, or begin like, a frame from station 1 to station 2. */
export function sized(length: number): Buffer {
  const payload = 'x'.repeat(Math.max(0, length - HEADER_BYTES));
  return frame(station(1), station(2), payload).subarray(0, length);
}

/** A VXLAN datagram written by hand, apart from the codec under test (RFC 7348 §5). */
export function vxlan(vni: Vni, inner: Uint8Array, firstWord = 0x08_00_00_00): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(firstWord, 0);
  header.writeUIntBE(vni, 4, 3);
  return Buffer.concat([header, inner]);
}

/** Payloads of what a device was given. */
export function texts(device: ContractDevice): string[] {
  return device.received().map((bytes) => bytes.subarray(HEADER_BYTES).toString());
}

/** The FDB as `02:00:00:00:00:01 port 3` or `... vtep 127.0.0.2`, sorted. */
export function fdbLines(plane: DataPlane, vni = VNI): string[] {
  return plane.fdb(vni).map(fdbLine).sort();
}

function fdbLine({ mac, target, origin }: FdbEntry): string {
  const place = target.kind === 'port' ? `port ${target.port}` : `vtep ${target.vtep.address}`;
  return `${formatMac(mac)} ${place}${origin === 'static' ? ' static' : ''}`;
}

/** Drop counters that are not 0. */
export function drops(plane: DataPlane): Partial<Record<DropReason, number>> {
  return Object.fromEntries(
    Object.entries(plane.counters().drops).filter(([, count]) => count !== 0),
  );
}

export function totalDrops(plane: DataPlane): number {
  return Object.values(plane.counters().drops).reduce((sum, count) => sum + count, 0);
}

/** Waits until as many frames were dropped as `expected` adds up to, and checks the reasons. */
export async function expectDrops(
  t: ExecutionContext,
  plane: DataPlane,
  expected: Partial<Record<DropReason, number>>,
): Promise<void> {
  const total = Object.values(expected).reduce((sum, count) => sum + count, 0);
  await until(() => totalDrops(plane) >= total, `${total} frames are dropped`);
  t.deepEqual(drops(plane), expected);
}

/**
 * Waits until a device was given as many frames as `expected`; they must be these, in this order unless
 * the device mixes flows.
 */
export async function expectTexts(
  t: ExecutionContext,
  device: ContractDevice,
  expected: readonly string[],
): Promise<void> {
  await until(() => device.received().length >= expected.length, `frames ${expected.join()} come`);
  const inOrder = (all: readonly string[]): readonly string[] =>
    device.mixesFlows === true ? [...all].sort() : all;
  t.deepEqual(inOrder(texts(device)), inOrder(expected));
}

/**
 * Waits until `read` gives `expected`. For counts of what others have received already: a receiver may
 * see a frame before the thread that sent it has counted it.
 */
export async function expectCounts<T>(
  t: ExecutionContext,
  read: () => T,
  expected: T,
): Promise<void> {
  const deadline = until(() => isDeepStrictEqual(read(), expected), 'the counts are right');
  // The assertion tells the difference.
  await deadline.catch(() => undefined);
  t.deepEqual(read(), expected);
}

/** A plane with one network and one port. */
export interface Host {
  readonly plane: DataPlane;
  readonly port: PortId;
  readonly device: ContractDevice;
}

/** Sends a frame each way so that both planes know both stations: 1 at `a`, 2 at `b`. */
export async function acquaint(a: Host, b: Host): Promise<void> {
  const [seen, answered] = [b.device.received().length, a.device.received().length];
  a.device.inject(frame(station(1), BROADCAST, 'who is there'));
  await until(() => b.device.received().length > seen, 'the question arrives');
  b.device.inject(frame(station(2), station(1), 'I am'));
  await until(() => a.device.received().length > answered, 'the answer arrives');
}

/** Opens planes and closes them when the test ends. */
export class Lab {
  readonly #harness: DataPlaneHarness;

  constructor(harness: DataPlaneHarness) {
    this.#harness = harness;
  }

  async plane(
    t: ExecutionContext,
    address: string | readonly string[],
    options: Partial<DataPlaneOptions> = {},
  ): Promise<DataPlane> {
    const addresses = typeof address === 'string' ? [address] : address;
    const plane = await this.#harness.open({ addresses, meshPort: 0, vxlanPort: 0, ...options });
    t.teardown(() => plane.close());
    return plane;
  }

  device(): ContractDevice {
    return this.#harness.createDevice();
  }

  async host(
    t: ExecutionContext,
    address: string,
    options: Partial<DataPlaneOptions> = {},
  ): Promise<Host> {
    const plane = await this.plane(t, address, options);
    plane.addNetwork(VNI, { mtu: MTU });
    const device = this.device();
    return { plane, device, port: plane.addPort(VNI, device.device) };
  }

  /** Hosts on 127.0.0.1, 127.0.0.2 ... that have each other as VTEPs. */
  async mesh<const Names extends readonly string[]>(
    t: ExecutionContext,
    names: Names,
    options: Partial<DataPlaneOptions> = {},
  ): Promise<{ readonly [K in Names[number]]: Host }> {
    const hosts = await Promise.all(
      names.map((_, index) => this.host(t, `127.0.0.${index + 1}`, options)),
    );
    for (const { plane } of hosts) {
      for (const { plane: other } of hosts) {
        if (other !== plane) plane.addVtep(VNI, other.vxlanAddress);
      }
    }
    return Object.fromEntries(names.map((name, index) => [name, hosts[index]!])) as {
      readonly [K in Names[number]]: Host;
    };
  }
}

/** A foreign VTEP: a bare UDP socket that can say anything. */
export interface RawPeer {
  readonly address: string;
  readonly port: number;
  /** What came, and from which port. */
  readonly arrivals: readonly { readonly bytes: Buffer; readonly port: number }[];
  /** Sends and waits until the kernel has the datagram. */
  send(bytes: Uint8Array, to: { readonly address: string; readonly port: number }): Promise<void>;
}

export async function rawPeer(t: ExecutionContext, address: string): Promise<RawPeer> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  const arrivals: { bytes: Buffer; port: number }[] = [];
  socket.on('message', (bytes, { port }) => arrivals.push({ bytes, port }));
  return {
    address,
    port: socket.address().port,
    arrivals,
    send: (bytes, to) =>
      new Promise((resolve, reject) => {
        socket.send(bytes, to.port, to.address, (error) => {
          if (error === null) resolve();
          else reject(error);
        });
      }),
  };
}
