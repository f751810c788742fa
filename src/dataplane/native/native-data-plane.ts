import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { AppError } from '../../base/errors.ts';
import {
  asMac,
  asMillis,
  asPortId,
  type Mac,
  type PeerPath,
  type PortId,
  type SocketAddress,
  type Vni,
  type Vtep,
} from '../../base/types.ts';
import type { TapDevice } from '../../tun/device.ts';
import type { DatagramChannel } from '../../underlay/datagram.ts';
import type { SealingCipher, SealingKey } from '../../encap/sealed.ts';
import { MAX_GATEWAY_ADDRESSES, MAX_RECEIVE_KEYS, MAX_UNSEALED_SOURCES } from '../dataplane.ts';
import type {
  DataPlane,
  DataPlaneCounters,
  DataPlaneDescription,
  DataPlaneOptions,
  EndpointDevice,
  EndpointUpdate,
  EnvelopeKey,
  FdbCounters,
  FdbEntry,
  Gateway,
  PathCounters,
  PeerCapabilities,
  PortCounters,
  RelayHop,
  Sealing,
  VtepOptions,
} from '../dataplane.ts';
import { DROP_REASONS, type DropReason } from '../drop-reason.ts';
import { DEFAULT_FDB_CAPACITY, DEFAULT_FDB_MAX_AGE } from '../fdb.ts';
import { DEFAULT_UNKNOWN_UNICAST_RATE } from '../flood-limit.ts';
import { relayHeader } from '../relay-header.ts';
import { canonicalAddress, canonicalVtep } from '../vtep-address.ts';
import { FDB_COLUMNS, loadNativeAddon, type NativePlane } from './addon.ts';
import { takesUdpSuperFrames } from './availability.ts';
import { endpointRows } from './endpoint-rows.ts';
import { addTraffic, FastPath, NO_TRAFFIC } from './fast-path.ts';
import { openFastPath, type OpenedFastPath } from './open-fast-path.ts';
import { openNative, type OpenedNative } from './open-native.ts';
import { type SlotLayout, sumSlot, type TrafficSlots, TrafficSlotPool } from './slots.ts';

interface PortState {
  readonly id: PortId;
  readonly vni: Vni;
  readonly device: TapDevice;
  readonly traffic: TrafficSlots;
}

interface VtepState {
  readonly id: number;
  readonly traffic: TrafficSlots;
  readonly isSealed: boolean;
  vtep: Vtep;
  floods: boolean;
}

interface NetworkState {
  readonly vni: Vni;
  /** Of what ports send. */
  sendMtu: number;
  readonly ports: Map<PortId, PortState>;
  /** By address. */
  readonly vteps: Map<string, VtepState>;
}

/** A data plane whose frames never enter JavaScript: C++ threads own devices and sockets. */
export interface NativeDataPlane extends DataPlane, Sealing {}

/**
 * Opens the native data plane.
 * @throws AppError E_BIND or E_ADDRESS_INVALID, nothing stays open then; Node's own error if the addon
 *   is not built (`nativeAvailability` tells before)
 */
export function createNativeDataPlane(options: DataPlaneOptions): NativeDataPlane {
  return new ThreadedDataPlane(options);
}

class ThreadedDataPlane implements NativeDataPlane {
  readonly capabilities: PeerCapabilities = { takesPartialChecksums: true };
  readonly meshAddress: SocketAddress;
  readonly vxlanAddress: SocketAddress;
  readonly control: DatagramChannel;
  readonly sealing: Sealing = this;

  readonly #addon = loadNativeAddon();
  readonly #threads: number;
  readonly #global: TrafficSlots;
  readonly #globalLayout: SlotLayout;
  readonly #joinsUdp = takesUdpSuperFrames();
  readonly #opened: OpenedNative;
  readonly #native: NativePlane;
  readonly #fastPath: OpenedFastPath;
  readonly #pool: TrafficSlotPool;
  readonly #networks = new Map<Vni, NetworkState>();
  readonly #ports = new Map<PortId, PortState>();
  readonly #vteps = new Map<number, VtepState>();
  /** Addresses of peers that take partial checksums. */
  readonly #partialPeers = new Set<string>();
  /** Address of the peer, by index of the receive key. */
  readonly #receiveKeys = new Map<number, string>();
  #receive: (bytes: Buffer, from: SocketAddress) => void = () => undefined;
  #unsendable = 0;
  #lastId = 0;
  #isClosed = false;

  constructor(options: DataPlaneOptions) {
    const { globalSlots, trafficSlots, maxThreads } = this.#addon;
    const threads = options.threads ?? 1;
    assert(Number.isInteger(threads) && threads >= 1 && threads <= maxThreads);
    this.#threads = threads;
    this.#globalLayout = { threads, rowSlots: globalSlots };
    this.#global = {
      slots: new BigUint64Array(new ArrayBuffer(threads * globalSlots * 8)),
      first: 0,
    };
    this.#pool = new TrafficSlotPool({ threads, rowSlots: trafficSlots });
    const native = {
      addresses: options.addresses,
      meshPort: options.meshPort,
      vxlanPort: options.vxlanPort,
      fdbCapacity: options.fdbCapacity ?? DEFAULT_FDB_CAPACITY,
      fdbMaxAge: options.fdbMaxAge ?? DEFAULT_FDB_MAX_AGE,
      unknownUnicastRate: options.unknownUnicastRate ?? DEFAULT_UNKNOWN_UNICAST_RATE,
      joinsUdp: this.#joinsUdp,
      threads,
    };
    this.#opened = openNative(native, this.#global.slots, (bytes, address, port) =>
      this.#receive(bytes, { address, port }),
    );
    this.#native = this.#opened.native;
    const { meshPort, vxlanPort } = this.#native.binds()[0]!;
    const { addresses } = this.#opened;
    const address = addresses[0]!;
    this.#fastPath = openFastPath(this.#native, {
      ...{ choice: options.fastPath ?? 'auto', vxlanPort, fdbMaxAge: native.fdbMaxAge, addresses },
    });
    this.meshAddress = { address, port: meshPort };
    this.vxlanAddress = { address, port: vxlanPort };
    this.control = {
      local: this.meshAddress,
      send: (bytes, to) => this.#sendControl(bytes, to),
      onReceive: (receive) => void (this.#receive = receive),
    };
  }

  get #fast(): FastPath | undefined {
    return this.#fastPath instanceof FastPath ? this.#fastPath : undefined;
  }

  get description(): DataPlaneDescription {
    const { addresses } = this.#opened;
    const binds = this.#isClosed ? [] : this.#native.binds();
    const plain = this.#globalSlot(GLOBAL.plainVteps);
    const buffer = Math.round((binds[0]?.receiveBufferBytes ?? 0) / 1024);
    return {
      kind: 'native',
      features: {
        cipher: this.#addon.cipherLibrary,
        threads:
          this.#threads === 1
            ? '1, forwarding both directions'
            : `${this.#threads}, each forwarding both directions of its flows`,
        segmentation:
          plain === 0
            ? 'UDP_SEGMENT toward every VTEP'
            : `UDP_SEGMENT, but not toward ${plain} VTEPs whose route refused it`,
        receive: binds.every(({ hasGro }) => hasGro) ? 'UDP_GRO' : 'one datagram at a time',
        coalescing: this.#joinsUdp ? 'TCP and UDP' : 'TCP (UDP needs Linux 6.2)',
        vxlanSourcePorts: `${this.#addon.sourcePorts} per address, chosen by flow`,
        receiveBuffer: `${buffer} KiB per socket`,
        addresses: addresses.join(', '),
        fastPath: this.#fast?.describe() ?? `off: ${(this.#fastPath as { off: string }).off}`,
      },
    };
  }

  addNetwork(vni: Vni, { mtu }: { readonly mtu: number }): void {
    if (this.#isClosed || this.#networks.has(vni)) return;
    this.#networks.set(vni, { vni, sendMtu: mtu, ports: new Map(), vteps: new Map() });
    this.#native.addNetwork(vni, mtu);
  }

  setSendMtu(vni: Vni, mtu: number): void {
    if (this.#isClosed) return;
    const network = this.#network(vni);
    if (network.sendMtu === mtu) return;
    network.sendMtu = mtu;
    this.#native.setSendMtu(vni, mtu);
    this.#fast?.setMtu(vni, mtu);
  }

  removeNetwork(vni: Vni): void {
    const network = this.#networks.get(vni);
    if (network === undefined) return;
    for (const port of network.ports.keys()) this.removePort(port);
    for (const address of network.vteps.keys()) this.removeVtep(vni, address);
    this.#networks.delete(vni);
    this.#fast?.removeNetwork(vni);
    this.#native.removeNetwork(vni);
  }

  addPort(vni: Vni, device: TapDevice): PortId {
    const id = asPortId(this.#nextId());
    if (this.#isClosed) {
      device.close();
      return id;
    }
    const network = this.#network(vni);
    for (const known of network.ports.values()) if (known.device === device) return known.id;
    const { fds, vnetHeaderBytes } = device;
    this.#checkQueues(device);
    const traffic = this.#pool.take();
    const port = { id, vni, device, traffic };
    network.ports.set(id, port);
    this.#ports.set(id, port);
    this.#native.addPort(vni, id, fds, vnetHeaderBytes, traffic.slots, traffic.first);
    this.#fast?.setPort(vni, network.sendMtu, device.name);
    return id;
  }

  removePort(id: PortId): void {
    const port = this.#ports.get(id);
    if (port === undefined) return;
    this.#ports.delete(id);
    const network = this.#networks.get(port.vni);
    network?.ports.delete(id);
    if (network !== undefined) this.#fast?.setPort(port.vni, network.sendMtu, undefined);
    this.#native.removePort(id);
    this.#pool.giveBack(port.traffic);
    port.device.close();
  }

  addVtep(vni: Vni, vtep: Vtep, options: VtepOptions = {}): void {
    if (this.#isClosed) return;
    const canonical = canonicalVtep(vtep);
    const network = this.#network(vni);
    const known = network.vteps.get(canonical.address);
    if (known === undefined) this.#addVtep(network, canonical, options);
    else this.#changeVtep(vni, known, canonical, options.floods ?? true);
  }

  #changeVtep(vni: Vni, known: VtepState, vtep: Vtep, floods: boolean): void {
    if (known.vtep.port !== vtep.port) {
      known.vtep = vtep;
      this.#native.moveVtep(known.id, vtep.address, vtep.port);
      if (!known.isSealed) this.#fast?.setVtep(vni, known.id, vtep);
    }
    if (known.floods !== floods) {
      known.floods = floods;
      this.#native.floodVtep(known.id, floods);
    }
  }

  #addVtep({ vni, vteps }: NetworkState, vtep: Vtep, options: VtepOptions): void {
    const { encapsulation = 'vxlan', floods = true } = options;
    const isSealed = encapsulation === 'sealed';
    const [id, traffic] = [this.#nextId(), this.#pool.take()];
    const state: VtepState = { id, traffic, isSealed, vtep, floods };
    const { slots, first } = traffic;
    vteps.set(vtep.address, state);
    this.#vteps.set(state.id, state);
    this.#native.addVtep(vni, state.id, vtep.address, vtep.port, isSealed, slots, first, floods);
    if (this.#partialPeers.has(vtep.address)) this.#native.configureVtep(state.id, true);
    if (!isSealed) this.#fast?.setVtep(vni, state.id, vtep);
  }

  removeVtep(vni: Vni, address: string): void {
    const network = this.#networks.get(vni);
    const state = network?.vteps.get(canonicalAddress(address));
    if (network === undefined || state === undefined) return;
    network.vteps.delete(state.vtep.address);
    this.#vteps.delete(state.id);
    this.#fast?.removeVtep(state.id);
    this.#native.removeVtep(state.id);
    this.#pool.giveBack(state.traffic);
  }

  setPeer(address: string, { takesPartialChecksums }: PeerCapabilities): void {
    if (this.#isClosed) return;
    const canonical = canonicalAddress(address);
    if (takesPartialChecksums) this.#partialPeers.add(canonical);
    else this.#partialPeers.delete(canonical);
    // Who completes partial checksums is a native data plane: it takes super-frames apart as well.
    this.#fast?.setPeer(canonical, takesPartialChecksums);
    for (const { vteps } of this.#networks.values()) {
      const state = vteps.get(canonical);
      if (state !== undefined) this.#native.configureVtep(state.id, takesPartialChecksums);
    }
  }

  setSendKey(address: string, { cipher, key, index }: SealingKey): void {
    if (this.#isClosed) return;
    assert(key.length === SEALING_KEY_BYTES);
    this.#native.setSendKey(canonicalAddress(address), isChaCha(cipher), key, index);
  }

  clearSendKey(address: string): void {
    if (!this.#isClosed) this.#native.clearSendKey(canonicalAddress(address));
  }

  addReceiveKey(address: string, { cipher, key, index }: SealingKey): void {
    if (this.#isClosed) return;
    const peer = canonicalAddress(address);
    assert(key.length === SEALING_KEY_BYTES && !this.#receiveKeys.has(index));
    const epochs = [...this.#receiveKeys.values()].filter((each) => each === peer).length;
    assert(epochs < MAX_RECEIVE_KEYS);
    this.#receiveKeys.set(index, peer);
    this.#native.addReceiveKey(peer, isChaCha(cipher), key, index);
  }

  removeReceiveKey(index: number): void {
    if (this.#isClosed || !this.#receiveKeys.delete(index)) return;
    this.#native.removeReceiveKey(index);
  }

  setHandshakeKeys(keys: readonly Uint8Array[]): void {
    if (!this.#isClosed) this.#native.setHandshakeKeys(keys);
  }

  setEnvelopeKeys(keys: readonly EnvelopeKey[]): void {
    if (!this.#isClosed) this.#native.setEnvelopeKeys(keys);
  }

  setPath(address: string, path: PeerPath | undefined): void {
    if (this.#isClosed) return;
    const peer = canonicalAddress(address);
    if (path === undefined) {
      this.#native.clearPath(peer);
      return;
    }
    const { address: to, port } = canonicalVtep(path.to);
    this.#native.setPath(peer, to, port, path.relayTag, path.isUnsealed ?? false);
  }

  setUnsealedSources(address: string, sources: readonly SocketAddress[]): void {
    if (this.#isClosed) return;
    assert(sources.length <= MAX_UNSEALED_SOURCES);
    const from = sources.map(canonicalVtep);
    this.#native.setUnsealedSources(
      canonicalAddress(address),
      from.map((each) => each.address),
      from.map((each) => each.port),
    );
  }

  pathCounters(address: string): PathCounters {
    if (this.#isClosed) return { ...NO_TRAFFIC, silence: undefined };
    const row = this.#native.pathTraffic(canonicalAddress(address));
    const [rxFrames, rxBytes, txFrames, txBytes, silence] = row as unknown as PathRow;
    return {
      ...{ rxFrames, rxBytes, txFrames, txBytes },
      silence: silence < 0 ? undefined : asMillis(silence),
    };
  }

  sendRelayed(bytes: Uint8Array, { to, relayTag }: PeerPath): void {
    const isDirect = relayTag === undefined;
    this.#sendControl(isDirect ? bytes : Buffer.concat([relayHeader(relayTag), bytes]), to);
  }

  setRoute(tag: bigint, next: RelayHop | undefined): void {
    if (this.#isClosed) return;
    if (next === undefined) {
      this.#native.clearRoute(tag);
      return;
    }
    const { address, port } = canonicalVtep(next.to);
    this.#native.setRoute(tag, address, port, next.isLast);
  }

  setRelayPeers(addresses: ReadonlySet<string>): void {
    if (!this.#isClosed) this.#native.setRelayPeers([...addresses].map(canonicalAddress));
  }

  addLocalMac(vni: Vni, mac: Mac, port: PortId): void {
    if (this.#isClosed) return;
    if (this.#network(vni).ports.has(port)) this.#native.pin(vni, mac, port);
  }

  removeLocalMac(vni: Vni, mac: Mac): void {
    if (this.#networks.has(vni)) this.#native.unpin(vni, mac);
  }

  setEndpointDevices(vni: Vni, endpoints: readonly EndpointDevice[]): void {
    const network = this.#networks.get(vni);
    if (network !== undefined) this.#fast?.setEndpoints(vni, network.sendMtu, endpoints);
  }

  setGateway(vni: Vni, gateway: Gateway | undefined): void {
    if (this.#isClosed) return;
    this.#network(vni);
    const { mac, addresses } = gateway ?? { mac: 0, addresses: [] };
    assert(addresses.length <= MAX_GATEWAY_ADDRESSES, 'a gateway has one address of each kind');
    this.#native.setGateway(vni, mac, addresses);
  }

  updateEndpoints(vni: Vni, updates: readonly EndpointUpdate[]): void {
    if (this.#isClosed) return;
    const { vteps } = this.#network(vni);
    const rows = endpointRows(
      updates,
      (address) => (vteps.get(address) ?? vteps.get(canonicalAddress(address)))?.id,
    );
    if (rows.length > 0) this.#native.updateEndpoints(vni, rows);
  }

  fdb(vni: Vni): readonly FdbEntry[] {
    if (!this.#networks.has(vni)) return [];
    const rows = this.#native.fdb(vni);
    const entries: FdbEntry[] = [];
    for (let at = 0; at < rows.length; at += FDB_COLUMNS) {
      entries.push(this.#entry(rows.subarray(at, at + FDB_COLUMNS)));
    }
    return entries;
  }

  #entry(row: Float64Array): FdbEntry {
    const [mac, age, id, isVtep, isStatic] = row as unknown as [number, number, number, number, number];
    return {
      mac: asMac(mac),
      age: asMillis(age),
      origin: isStatic === 1 ? 'static' : 'learned',
      target:
        isVtep === 1
          ? { kind: 'vtep', vtep: this.#vteps.get(id)!.vtep }
          : { kind: 'port', port: asPortId(id) },
    };
  }

  counters(): DataPlaneCounters {
    return {
      drops: this.#drops(),
      ports: [...this.#ports.values()].map((port) => this.#portCounters(port)),
      vteps: [...this.#networks.values()].flatMap(({ vni, vteps }) =>
        [...vteps.values()].map(({ id, vtep, traffic }) => {
          const slow = this.#pool.read(traffic);
          const fast = this.#fast?.traffic(id);
          return { ...(fast ? addTraffic(slow, fast) : slow), vni, vtep };
        }),
      ),
      fdb: this.#fdbCounters(),
      answered: {
        arp: this.#globalSlot(GLOBAL.arpAnswered),
        nd: this.#globalSlot(GLOBAL.ndAnswered),
        tooBig: this.#globalSlot(GLOBAL.tooBigAnswered),
      },
      relayed: {
        datagrams: this.#globalSlot(GLOBAL.relayedDatagrams),
        bytes: this.#globalSlot(GLOBAL.relayedBytes),
      },
    };
  }

  /** What the fast path carries would have come from, or gone to, the network's port. */
  #portCounters({ id, vni, device, traffic }: PortState): PortCounters {
    const slow = this.#pool.read(traffic);
    const fast = this.#fast?.networkTraffic(vni);
    return {
      rxFrames: slow.rxFrames + (fast?.txFrames ?? 0),
      rxBytes: slow.rxBytes + (fast?.txBytes ?? 0),
      txFrames: slow.txFrames + (fast?.rxFrames ?? 0),
      txBytes: slow.txBytes + (fast?.rxBytes ?? 0),
      ...{ port: id, vni, device: device.name },
    };
  }

  #drops(): Readonly<Record<DropReason, number>> {
    const drops = Object.fromEntries(DROP_REASONS.map((reason) => [reason, 0])) as Record<
      DropReason,
      number
    >;
    this.#addon.dropReasons.forEach((reason, slot) => {
      drops[reason] = sumSlot(this.#global, this.#globalLayout, slot);
    });
    drops.underlay_send_failed += this.#globalSlot(GLOBAL.controlSendFailed) + this.#unsendable;
    return drops;
  }

  #fdbCounters(): FdbCounters {
    return {
      learned: this.#globalSlot(GLOBAL.learned),
      moved: this.#globalSlot(GLOBAL.moved),
      aged: this.#globalSlot(GLOBAL.aged),
      evicted: this.#globalSlot(GLOBAL.evicted),
      flushed: this.#globalSlot(GLOBAL.flushed),
    };
  }

  #globalSlot(index: number): number {
    return sumSlot(this.#global, this.#globalLayout, this.#addon.dropReasons.length + index);
  }

  #sendControl(bytes: Uint8Array, to: SocketAddress): void {
    if (this.#isClosed) return;
    if (isIP(to.address) === 0 || !(to.port > 0 && to.port < 65_536)) this.#unsendable++;
    else this.#native.sendControl(bytes, to.address, to.port);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    for (const vni of this.#networks.keys()) this.removeNetwork(vni);
    this.#receive = () => undefined;
    this.#isClosed = true;
    this.#native.close();
    await this.#fast?.close();
  }

  #nextId(): number {
    return ++this.#lastId;
  }

  #network(vni: Vni): NetworkState {
    const network = this.#networks.get(vni);
    if (network !== undefined) return network;
    throw new AppError(
      'E_NETWORK_MISSING',
      `The data plane has no network with VNI ${vni}; add the network before its ports and VTEPs.`,
    );
  }

  #checkQueues({ name, fds }: TapDevice): void {
    const { maxQueues } = this.#addon;
    if (fds.length >= 1 && fds.length <= maxQueues) return;
    throw new AppError(
      'E_DEVICE',
      `The device ${name} has ${fds.length} queues, and the native data plane takes 1 to ${maxQueues}; open it with so many.`,
    );
  }
}

const SEALING_KEY_BYTES = 32;

/** As `NativePlane.pathTraffic` gives it. */
type PathRow = readonly [
  ...[rxFrames: number, rxBytes: number, txFrames: number, txBytes: number],
  silence: number,
];

function isChaCha(cipher: SealingCipher): boolean {
  return cipher === 'chacha20-poly1305';
}

/** Global slots after the drop counters, as native/core/stats.hpp has them. */
const GLOBAL = {
  learned: 0,
  moved: 1,
  aged: 2,
  evicted: 3,
  flushed: 4,
  plainVteps: 5,
  controlSendFailed: 6,
  arpAnswered: 7,
  ndAnswered: 8,
  relayedDatagrams: 9,
  relayedBytes: 10,
  tooBigAnswered: 11,
} as const;
