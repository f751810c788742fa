import { loadAddon } from '../../base/package-root.ts';
import type { EnvelopeKey, TrafficCounters } from '../dataplane.ts';
import type { DropReason } from '../drop-reason.ts';

/** Every field is required: the addon reads each one, and has no defaults and no checks of its own. */
export interface NativeOptions {
  /** IPv4 or IPv6 literals, 1 to `maxAddresses`. */
  readonly addresses: readonly string[];
  readonly meshPort: number;
  readonly vxlanPort: number;
  readonly fdbCapacity: number;
  /** Milliseconds. */
  readonly fdbMaxAge: number;
  /** Frames per second. */
  readonly unknownUnicastRate: number;
  /** Whether the kernel takes UDP super-frames from a TAP's owner. */
  readonly joinsUdp: boolean;
  /** 1 to `maxThreads`. */
  readonly threads: number;
}

/** What the kernel refused to bind: `address` is an index into `NativeOptions.addresses`. */
export interface NativeFailure {
  readonly errno: number;
  readonly address: number;
  readonly port: number;
}

/** The sockets of one address. */
export interface NativeBind {
  readonly meshPort: number;
  readonly vxlanPort: number;
  readonly hasGro: boolean;
  readonly receiveBufferBytes: number;
}

/** Called for each control datagram, from the event loop. */
export type NativeReceive = (bytes: Buffer, address: string, port: number) => void;

/** Columns of a row of `NativePlane.fdb`: MAC, age in ms, port or VTEP id, is VTEP, is static. */
export const FDB_COLUMNS = 5;

/**
 * One data plane of `dataplane.node` (native/binding/native-plane.hpp). Ids are the caller's; what a call
 * names must exist, what it adds must not. Counters are slots of a `BigUint64Array` that the addon writes
 * at any time and keeps alive: a row for each thread, one row behind the other. A row of a port or VTEP has
 * `trafficSlots`: rx frames, rx bytes, tx frames, tx bytes, and some that are not used.
 */
export interface NativePlane {
  /** Binds the sockets and starts the forwarders' threads; `globalSlots` has a row for each. After a failure nothing stays open. */
  open(
    options: NativeOptions,
    globalSlots: BigUint64Array,
    onControl: NativeReceive,
  ): NativeFailure | undefined;
  /** In the order of the addresses. */
  binds(): readonly NativeBind[];
  /** From the next network on. `path` was loaded, and is closed after this data plane. */
  mirrorFdb(path: NativeFastPath): void;
  addNetwork(vni: number, mtu: number): void;
  setSendMtu(vni: number, mtu: number): void;
  /** With its ports and VTEPs. */
  removeNetwork(vni: number): void;
  addPort(
    ...port: [
      vni: number,
      id: number,
      fds: readonly number[],
      vnetHeaderBytes: number,
      slots: BigUint64Array,
      firstSlot: number,
    ]
  ): void;
  /** When it returns, the descriptors are no longer in use. */
  removePort(id: number): void;
  addVtep(
    ...vtep: [
      vni: number,
      id: number,
      address: string,
      port: number,
      isSealed: boolean,
      slots: BigUint64Array,
      firstSlot: number,
      floods: boolean,
    ]
  ): void;
  floodVtep(id: number, floods: boolean): void;
  moveVtep(id: number, address: string, port: number): void;
  /** Whether the peer completes partial inner checksums, and may send such itself. */
  configureVtep(id: number, takesPartial: boolean): void;
  removeVtep(id: number): void;
  /** Keys are 32 bytes, copied. The new key seals from its next frame on. */
  setSendKey(address: string, isChaCha: boolean, key: Uint8Array, index: number): void;
  clearSendKey(address: string): void;
  addReceiveKey(address: string, isChaCha: boolean, key: Uint8Array, index: number): void;
  removeReceiveKey(index: number): void;
  /** Sealed frames for the peer go there; with a tag: `to` is a relay, which passes them on to that host. */
  setPath(
    ...path: [
      address: string,
      to: string,
      port: number,
      relayTag: bigint | undefined,
      isUnsealed: boolean,
    ]
  ): void;
  /** Straight to its VTEPs' address and port again. */
  clearPath(address: string): void;
  /** As many ports as addresses. */
  setUnsealedSources(address: string, from: readonly string[], ports: readonly number[]): void;
  /** Since the path was set: rx frames, rx bytes, tx frames, tx bytes; ms since the last frame came, or -1. */
  pathTraffic(address: string): Float64Array;
  /** What comes relayed with this tag goes on to `to`, without its header if `isLast`. */
  setRoute(tag: bigint, to: string, port: number, isLast: boolean): void;
  clearRoute(tag: bigint): void;
  setRelayPeers(addresses: readonly string[]): void;
  /** Of 64 bytes at most, copied. */
  setHandshakeKeys(keys: readonly Uint8Array[]): void;
  setEnvelopeKeys(keys: readonly EnvelopeKey[]): void;
  pin(vni: number, mac: number, port: number): void;
  unpin(vni: number, mac: number): void;
  /** MAC 0: no gateway. Addresses are copied. */
  setGateway(vni: number, mac: number, addresses: readonly Uint8Array[]): void;
  /** `rows` as `endpointRows` writes them; one command to the forwarder. */
  updateEndpoints(vni: number, rows: Uint8Array): void;
  /** Rows of `FDB_COLUMNS` numbers. */
  fdb(vni: number): Float64Array;
  sendControl(bytes: Uint8Array, address: string, port: number): void;
  /** Stops the threads and closes the sockets. Twice does nothing. */
  close(): void;
}

/** What the kernel refused: `step` is a map or a program, `log` the verifier's last line or empty. */
export interface NativeFastPathFailure {
  readonly step: string;
  readonly errno: number;
  readonly log: string;
}

export interface NativeRoute {
  readonly ifindex: number;
  readonly device: string;
  /** The IPv4 address that packets leave from. */
  readonly source: string;
  readonly isEthernet: boolean;
  /** Of the interface, in bytes of IP packets. */
  readonly mtu: number;
  /** Super-frames behind VXLAN headers are the device's business: `tx-udp_tnl-segmentation` of ethtool(8). */
  readonly segmentsTunnels: boolean;
}

/**
 * The programs and maps of the fast path (native/fastpath/fast-path.hpp). Results that are numbers are 0 or
 * a negative errno. What returns a promise waits for the kernel's lock on links, on another thread; one
 * such call may be under way at a time. All ends with `close`, or with the process.
 */
export interface NativeFastPath {
  load(object: string, vxlanPort: number, fdbMaxAge: number): NativeFastPathFailure | undefined;
  /** Attaches to the loopback interface and detaches: whether this kernel can. Waits; for the start. */
  probe(): number;
  /** Calls back after each change of links, IPv4 addresses, routes or rules. */
  watchRoutes(onChange: () => void): number;
  /** 0 if there is no such interface. */
  deviceIndex(name: string): number;
  /** IPv4 literals; an empty source leaves the choice to the kernel. */
  findRoute(destination: string, source: string): Promise<NativeRoute | undefined>;
  /** `tap`: index of the device where user space reads the network's frames, or 0. */
  setEndpoint(vni: number, mac: number, ifindex: number, mtu: number, tap: number): number;
  removeEndpoint(vni: number, mac: number, ifindex: number): void;
  /** Encapsulates what comes in there, from an endpoint that was set. */
  attachEndpoint(ifindex: number): Promise<number>;
  detachEndpoint(ifindex: number): Promise<number>;
  /** Decapsulates what comes in there. */
  attachUnderlay(ifindex: number): Promise<number>;
  detachUnderlay(ifindex: number): Promise<number>;
  setVtep(
    ...vtep: [
      id: number,
      local: string,
      remote: string,
      port: number,
      ifindex: number,
      mtu: number,
      takesSuperFrames: boolean,
      /** Whether it combines congestion marks of outer and inner headers. */
      combinesEcn: boolean,
    ]
  ): number;
  removeVtep(id: number): void;
  traffic(id: number): TrafficCounters;
  close(): void;
}

export interface NativeAddon {
  readonly FastPath: new () => NativeFastPath;
  readonly NativePlane: new () => NativePlane;
  /** Names of the first global slots, in order. */
  readonly dropReasons: readonly DropReason[];
  /** Slots of a data plane as a whole: drops, then FDB learned, moved, aged, evicted, flushed, then others. */
  readonly globalSlots: number;
  /** Slots of a port or VTEP for each thread. */
  readonly trafficSlots: number;
  readonly maxThreads: number;
  /** Name and version of what seals frames. */
  readonly cipherLibrary: string;
  readonly maxQueues: number;
  readonly maxAddresses: number;
  readonly sourcePorts: number;
}

/** Throws Node's own error if the addon is not built or not for this processor or Node. */
export function loadNativeAddon(): NativeAddon {
  return loadAddon('dataplane') as NativeAddon;
}
