import type { Mac, Millis, PeerPath, PortId, SocketAddress, Vni, Vtep } from '../base/types.ts';
import type { TapDevice } from '../tun/device.ts';
import type { SealingKey } from '../encap/sealed.ts';
import type { DatagramChannel } from '../underlay/datagram.ts';
import type { DropReason } from './drop-reason.ts';

/** Where an FDB entry points. */
export type FdbTarget =
  { readonly kind: 'port'; readonly port: PortId } | { readonly kind: 'vtep'; readonly vtep: Vtep };

export interface FdbEntry {
  readonly mac: Mac;
  readonly target: FdbTarget;
  /** `static` entries are pinned by the control plane and neither age nor move. */
  readonly origin: 'learned' | 'static';
  /** Since a frame last confirmed it; 0 for static entries. */
  readonly age: Millis;
}

/**
 * Frames and bytes of frames (headers of the underlay not counted). rx counts frames that were well
 * formed: none of the drops `*_short`, `*_long`, `*_source_*`. tx counts those handed to the device or
 * the socket; one that the socket refuses after that is counted in `underlay_send_failed` as well.
 */
export interface TrafficCounters {
  readonly rxFrames: number;
  readonly rxBytes: number;
  readonly txFrames: number;
  readonly txBytes: number;
}

export interface PortCounters extends TrafficCounters {
  readonly port: PortId;
  readonly vni: Vni;
  readonly device: string;
}

/** rx: what the VTEP sent us; tx: what we sent to it. */
export interface VtepCounters extends TrafficCounters {
  readonly vni: Vni;
  readonly vtep: Vtep;
}

export interface FdbCounters {
  readonly learned: number;
  readonly moved: number;
  readonly aged: number;
  /** Entries thrown out because their network's table was full. */
  readonly evicted: number;
  readonly flushed: number;
}

/** What the data plane has said to local stations by itself. */
export interface AnswerCounters {
  /** Answers for endpoints on other hosts. */
  readonly arp: number;
  readonly nd: number;
  /** ICMP: a packet to another host was longer than the network takes. */
  readonly tooBig: number;
}

export interface DataPlaneCounters {
  readonly drops: Readonly<Record<DropReason, number>>;
  readonly ports: readonly PortCounters[];
  readonly vteps: readonly VtepCounters[];
  readonly fdb: FdbCounters;
  readonly answered: AnswerCounters;
  readonly relayed: RelayCounters;
}

/** Facts for `weft status`: one line each, in words. */
export interface DataPlaneDescription {
  readonly kind: 'portable' | 'native';
  /** Properties such as offloads in use, cipher library, thread count. */
  readonly features: Readonly<Record<string, string>>;
}

export interface DataPlaneOptions {
  /** Addresses to bind, e.g. `['0.0.0.0', '::']`. An IPv6 wildcard is left out where IPv6 is off. */
  readonly addresses: readonly string[];
  /** UDP port of gossip and sealed frames; 0 picks a free one. */
  readonly meshPort: number;
  /** UDP port of plain VXLAN (IANA: 4789); 0 picks a free one. */
  readonly vxlanPort: number;
  /** Entries per network before the oldest learned one is evicted. */
  readonly fdbCapacity?: number;
  /** Life of a learned entry that no frame confirms. */
  readonly fdbMaxAge?: Millis;
  /** Whether a data plane that has a fast path through the kernel may use it. Default `auto`. */
  readonly fastPath?: 'auto' | 'off';
  /** Threads that forward, 1 to 8; default 1. The portable data plane has its one event loop. */
  readonly threads?: number;
  /**
   * Frames per second to unknown MACs that each network floods, up to a second's worth at once; 1 to
   * `MAX_UNKNOWN_UNICAST_RATE`, 1000 unless told otherwise. Frames to group addresses do not count.
   */
  readonly unknownUnicastRate?: number;
}

/** A key of the mesh. */
export interface EnvelopeKey {
  /** What an envelope tells of it in the open: 0 to 255. */
  readonly hint: number;
  /** 32 bytes. */
  readonly secret: Uint8Array;
}

/** The host's end of an endpoint's veth pair. */
export interface EndpointDevice {
  readonly mac: Mac;
  readonly device: string;
}

/** As a relay: where datagrams for a host go next. */
export interface RelayHop {
  readonly to: SocketAddress;
  /** `to` is the host itself, which gets the datagram without its relay header. */
  readonly isLast: boolean;
}

/**
 * Sealed frames of all networks to and from a peer since its path was set or cleared. tx counts those
 * handed to the socket; rx those that were opened, by whichever path they came.
 */
export interface PathCounters extends TrafficCounters {
  /** Since a frame of the peer was last opened, before the path was set or after; `undefined`: never yet. */
  readonly silence: Millis | undefined;
}

/** What this host passed on for others. */
export interface RelayCounters {
  readonly datagrams: number;
  /** Of their UDP payload, as it was sent. */
  readonly bytes: number;
}

/** What a network's VTEP is for, beside what the FDB says of it. */
export interface VtepOptions {
  /** Whether floods go to it. Frames from it are taken in any case. Default true. */
  readonly floods?: boolean;
  /**
   * `sealed` VTEPs are on the peer's mesh port, and plain VXLAN from them is refused. Default `vxlan`. That
   * of a VTEP that is there is not changed.
   */
  readonly encapsulation?: 'vxlan' | 'sealed';
}

/** As native/core/unsealed.hpp has it. */
export const MAX_UNSEALED_SOURCES = 8;

/** Receive keys of one peer that may stand side by side: the one before, the current and the next. */
export const MAX_RECEIVE_KEYS = 3;

/** The keys of sealed frames. */
export interface Sealing {
  /**
   * What is sealed for the host at `address` uses this key from now on. Its counter starts at 0, so
   * a key must never be set twice. Set it once the peer has the same key to receive.
   */
  setSendKey(address: string, key: SealingKey): void;
  /** Until a key is set again, frames to its sealed VTEPs are dropped as `sealed_no_key`. */
  clearSendKey(address: string): void;
  /** Opens what the host at `address` seals with this key; at most `MAX_RECEIVE_KEYS` of one host. */
  addReceiveKey(address: string, key: SealingKey): void;
  removeReceiveKey(index: number): void;
}

/** One change to what is known of the endpoints on other hosts. */
export interface EndpointUpdate {
  readonly kind: 'set' | 'remove';
  readonly mac: Mac;
  /** Underlay address of its host, which must be a VTEP of the network; `remove` does not look at it. */
  readonly vtep: string;
  /** Addresses that are answered for: 4 or 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
}

/** A network's gateway: every host that carries the network has it on its own bridge. */
export interface Gateway {
  readonly mac: Mac;
  /** At most `MAX_GATEWAY_ADDRESSES`, 4 or 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
}

/** As native/core/gateway.hpp has it: one of each family, and the link-local one. */
export const MAX_GATEWAY_ADDRESSES = 3;

/** What the host behind an underlay address has announced of itself. */
export interface PeerCapabilities {
  /**
   * It completes inner TCP and UDP checksums that were left partial, and combines congestion marks of outer
   * and inner headers: it has a native data plane (docs/wire-format.md).
   */
  readonly takesPartialChecksums: boolean;
}

/**
 * Forwarding, whichever implementation does it. Tables go down through these calls, counters and
 * learned MACs come up; nothing here waits, and no call is made per frame. Every `add` of what is
 * already there and every `remove` of what is not does nothing. An `add` to a network that was not
 * added throws AppError E_NETWORK_MISSING. After `close` has been called every call does nothing, but
 * `addPort` still closes the device that it is given.
 *
 * Rules that each implementation keeps (test/contract proves them):
 *  1. A frame from a port: learn its source; forward to the FDB's target, or flood to the network's
 *     other ports and to each of its VTEPs once (head-end replication) if the destination is a group
 *     address or unknown.
 *  2. A frame from a VTEP: learn its source; forward to local ports only (split horizon).
 *  3. A source MAC seen at a new place moves there at once, unless it is `static`. A frame from a
 *     VTEP that claims a pinned MAC is dropped, and so is one from a port if a VTEP has the MAC.
 *  4. Removing a VTEP or port flushes the entries that point at it, and no others.
 *  5. Every refusal increments exactly one drop counter.
 *  6. A question from a port for the MAC of an endpoint on another host (ARP, neighbour discovery) is
 *     answered at once and not forwarded (docs/adr/0018); whether an address is free is not answered.
 *  7. On a network with a gateway, a frame from or to its MAC, and ARP or neighbour discovery that
 *     speaks of its addresses, is neither sent to a VTEP nor taken from one (docs/adr/0026).
 *  8. A relayed datagram from a relay peer goes on to the hop of its tag, with one off its hop limit, and
 *     never into a network of this host (docs/adr/0047).
 */
export interface DataPlane {
  readonly description: DataPlaneDescription;
  /** What this host may announce to others of its data plane. */
  readonly capabilities: PeerCapabilities;
  /** Bound addresses; ports are the real ones. */
  readonly meshAddress: SocketAddress;
  readonly vxlanAddress: SocketAddress;
  /** Control datagrams of the mesh port. */
  readonly control: DatagramChannel;
  /** Keys of sealed frames. What is sealed is told by its receiver index alone, wherever it comes from. */
  readonly sealing: Sealing;

  addNetwork(vni: Vni, options: { readonly mtu: number }): void;
  /**
   * Longest IP packet that ports may send from now on, at most the network's MTU, which it is at first.
   * What VTEPs send is still taken up to the network's MTU: it came by a path that carries it.
   */
  setSendMtu(vni: Vni, mtu: number): void;
  /** Removes its ports (closing their devices), VTEPs and FDB. */
  removeNetwork(vni: Vni): void;

  /** Starts forwarding for an open device, which the data plane owns and closes from now on. */
  addPort(vni: Vni, device: TapDevice): PortId;
  removePort(port: PortId): void;

  /** An existing VTEP with the same address takes the new port, and whether floods go to it. */
  addVtep(vni: Vni, vtep: Vtep, options?: VtepOptions): void;
  removeVtep(vni: Vni, address: string): void;

  /**
   * Sealed frames for the peer whose VTEPs have this address go by this path; `undefined`: straight to
   * the VTEP's address and port. Takes effect between two frames; what was sent before may come after.
   * @throws AppError E_ADDRESS_INVALID
   */
  setPath(address: string, path: PeerPath | undefined): void;
  /**
   * Frames in the clear are taken as the peer's if they come from one of these addresses and ports and name
   * one of its receive keys; all others are dropped. At most `MAX_UNSEALED_SOURCES`; at first there are none.
   * @throws AppError E_ADDRESS_INVALID
   */
  setUnsealedSources(address: string, sources: readonly SocketAddress[]): void;
  pathCounters(address: string): PathCounters;
  /** Sends a control datagram by a path; what `control.send` does, if no relay is on it. */
  sendRelayed(bytes: Uint8Array, path: PeerPath): void;

  /**
   * As a relay, what comes for the host with this tag goes on to `next`; `undefined`: no longer. Never
   * give this host's own tag or address.
   * @throws AppError E_ADDRESS_INVALID
   */
  setRoute(tag: bigint, next: RelayHop | undefined): void;
  /** Makes these the underlay addresses from which relayed datagrams are taken. At first there are none. */
  setRelayPeers(addresses: ReadonlySet<string>): void;

  /**
   * Keys of mac1 of handshakes, 32 bytes each and copied. Initiations and responses that were made with
   * none of them are dropped as `mesh_handshake_foreign`; until keys are set, none is. Of those that were,
   * and of other handshakes, so many a second go up, and the rest are `mesh_handshake_shed` (docs/adr/0065).
   */
  setHandshakeKeys(keys: readonly Uint8Array[]): void;

  /**
   * The keys of a mesh whose control is sealed, copied. Of control that is no handshake and not sealed
   * under one of them 100 datagrams a second go up, 200 at once, and the rest are `mesh_envelope_shed`
   * (docs/adr/0063); until keys are set all goes up. A data plane that receives on the event loop would
   * save nothing, and has no such method.
   */
  setEnvelopeKeys?(keys: readonly EnvelopeKey[]): void;

  /** Holds for every VTEP with this address, those added later included. */
  setPeer(address: string, capabilities: PeerCapabilities): void;

  /** A MAC that belongs to an endpoint of this host: frames from VTEPs that claim it are dropped. */
  addLocalMac(vni: Vni, mac: Mac, port: PortId): void;
  removeLocalMac(vni: Vni, mac: Mac): void;

  /** Sets the gateway of a network, in place of the one that it had; `undefined`: it has none. */
  setGateway(vni: Vni, gateway: Gateway | undefined): void;

  /**
   * Makes these the endpoints whose frames may take a fast path past the port, as long as each MAC is
   * where the FDB has it. A data plane without a fast path has no such method.
   */
  setEndpointDevices?(vni: Vni, endpoints: readonly EndpointDevice[]): void;

  /**
   * Applies the changes in their order; the forwarder is told once for each 16,384. `set` pins the
   * MAC to the VTEP and answers for its addresses, beside those that were set before; it does nothing
   * if there is no such VTEP, and a local MAC of this host stays one. `remove` forgets the pin
   * and the addresses named. A network pins at most `MAX_PINNED` MACs; what is beyond it is learned.
   */
  updateEndpoints(vni: Vni, updates: readonly EndpointUpdate[]): void;

  fdb(vni: Vni): readonly FdbEntry[];
  counters(): DataPlaneCounters;
  /** Stops forwarding, closes sockets and devices. Nothing is delivered after it settles. */
  close(): Promise<void>;
}
