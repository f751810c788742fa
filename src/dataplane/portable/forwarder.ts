import { frameOffset } from '../../base/frame-batch.ts';
import { asVni, type Mac, type Millis, type Vni } from '../../base/types.ts';
import type { Unwrapped } from '../../encap/encapsulation.ts';
import {
  SEALED_HEADER_BYTES,
  SEALED_TAG_BYTES,
  sealedIsPartial,
  sealedVni,
} from '../../encap/sealed.ts';
import { UNSEALED_HEADER_BYTES, unsealedIsPartial, unsealedVni } from '../../encap/unsealed.ts';
import { unwrapVxlan, VXLAN_REFUSALS, wrapVxlan } from '../../encap/vxlan.ts';
import { flowHash } from '../../wire/flow-hash.ts';
import { HEADER_BYTES, readDestination, readSource } from '../../wire/ethernet.ts';
import { isGroupMac, isStationMac } from '../../wire/mac.ts';
import { completeTransportChecksum } from '../../wire/transport-checksum.ts';
import { countReceived, countSent, DROP, NO_DROP } from '../counters.ts';
import { clampMss } from '../mss-clamp.ts';
import { answerNeighbour, ARP_ANSWER_BYTES, ND_ANSWER_BYTES } from '../neighbour-answer.ts';
import { NO_PLACE, type Place } from '../fdb.ts';

import { MAX_TOO_BIG_BYTES, writeTooBig } from '../too-big.ts';
import { maxFrameBytes } from './frame-size.ts';
import type { Flight } from './flight.ts';
import type { NetworkState, PortState, VtepState } from './network-state.ts';
import type { SendMesh } from './relay.ts';
import type { PortableSealing, SealedPeer } from './sealing.ts';

/**
 * The frame path of the portable data plane, in the order in which a frame takes it.
 *
 *   from a port   form -> gateway's? -> learn source -> answer | look up destination -> one port |
 *                 one VTEP | flood
 *   from a VTEP   header | key -> network -> sender -> form -> gateway's? -> learn source ->
 *                 look up -> ports only
 *
 * Ordering: frames of one port leave in the order in which they were read, and those of one flow
 * by one socket, so nothing here reorders a flow. Nothing allocates but what node:dgram itself makes
 * for each datagram (its message, its address, its request object).
 */

/**
 * Bytes that may wait in one sending socket once the kernel's own send buffer is full. Enough for a
 * burst of 170 full frames; more would only be latency.
 */
const MAX_QUEUED_BYTES = 256 * 1024;

/** Drop counters of `unwrapVxlan`'s codes -1, -2 and so on. */
const VXLAN_DROPS = VXLAN_REFUSALS.map((reason) => DROP[reason]);

/** The same refusals have one name for each encapsulation. */
interface InnerDrops {
  readonly frameShort: number;
  readonly frameLong: number;
  readonly sourceInvalid: number;
  readonly sourceLocal: number;
  readonly sourceSpoofed: number;
  readonly gateway: number;
  readonly noPort: number;
}

const PLAIN: InnerDrops = {
  frameShort: DROP.vxlan_frame_short,
  frameLong: DROP.vxlan_frame_long,
  sourceInvalid: DROP.vxlan_source_invalid,
  sourceLocal: DROP.vxlan_source_local,
  sourceSpoofed: DROP.vxlan_source_spoofed,
  gateway: DROP.vxlan_gateway,
  noPort: DROP.vxlan_no_port,
};

const SEALED: InnerDrops = {
  frameShort: DROP.sealed_frame_short,
  frameLong: DROP.sealed_frame_long,
  sourceInvalid: DROP.sealed_source_invalid,
  sourceLocal: DROP.sealed_source_local,
  sourceSpoofed: DROP.sealed_source_spoofed,
  gateway: DROP.sealed_gateway,
  noPort: DROP.sealed_no_port,
};

export class Forwarder {
  readonly drops: Float64Array;
  readonly networks = new Map<Vni, NetworkState>();
  readonly ports = new Map<Place, PortState>();
  readonly vteps = new Map<Place, VtepState>();
  readonly answered = { arp: 0, nd: 0, tooBig: 0 };
  readonly #sealing: PortableSealing;
  readonly #sendMesh: SendMesh;
  readonly #answer = Buffer.alloc(Math.max(ND_ANSWER_BYTES, MAX_TOO_BIG_BYTES));
  /** Where `unwrapVxlan` leaves what it read: one for all, since frames are taken one at a time. */
  readonly #unwrapped: Unwrapped = { vni: asVni(0) };

  /** `drops` is the data plane's array of drop counters; `sendMesh` sends from the mesh port. */
  constructor(drops: Float64Array, sealing: PortableSealing, sendMesh: SendMesh) {
    this.drops = drops;
    this.#sealing = sealing;
    this.#sendMesh = sendMesh;
  }

  /** Forwards every frame of `flight`, which was just read from `port`. */
  ingress(port: PortState, flight: Flight, now: Millis): void {
    const { frames } = flight;
    for (let slot = 0; slot < frames.count; slot++) {
      const start = frameOffset(frames, slot);
      this.#fromPort(port, flight, start, start + frames.lengths[slot]!, now);
    }
  }

  #fromPort(port: PortState, flight: Flight, start: number, end: number, now: Millis): void {
    const { buffer } = flight.frames;
    const refusal = portRefusal(port, buffer, start, end);
    if (refusal !== NO_DROP) {
      if (refusal === DROP.port_frame_long) this.#answerTooBig(port, buffer, start, end, now);
      this.#drop(refusal);
      return;
    }
    const { fdb, gateway } = port.network;
    if (gateway?.concerns(buffer, start, end) === true) {
      countReceived(port.traffic, end - start);
      this.#drop(DROP.port_gateway);
      return;
    }
    const source = readSource(buffer, start);
    // What is pinned to another port keeps its place, and the frame is forwarded all the same.
    if (!fdb.learn(source, port.place, now) && fdb.staticPlace(source) < NO_PLACE) {
      this.#drop(DROP.port_source_spoofed);
      return;
    }
    countReceived(port.traffic, end - start);
    const destination = readDestination(buffer, start);
    if (isGroupMac(destination) && this.#answers(port, buffer, start, end)) return;
    const place = placeOf(port.network, destination, now);
    if (place === NO_PLACE) this.#flood(port, flight, start, end, now);
    else if (place === port.place) this.#drop(DROP.port_hairpin);
    else if (place > NO_PLACE) this.#deliver(this.ports.get(place)!, buffer, start, end);
    else {
      clampMss(buffer, start, end, port.network.sendMtu);
      this.#encapsulate(this.vteps.get(place)!, flight, start, end, port.network.vni);
    }
  }

  /** Tells the sender of what would be too long for a VTEP. */
  #answerTooBig(port: PortState, buffer: Buffer, start: number, end: number, now: Millis): void {
    const { network } = port;
    const destination = readDestination(buffer, start);
    if (!isStationMac(readSource(buffer, start)) || isGroupMac(destination)) return;
    if (network.fdb.lookup(destination, now) >= NO_PLACE) return;
    const bytes = writeTooBig(buffer, start, end, network.sendMtu, this.#answer);
    if (bytes === 0 || !network.tooBig.admits(now)) return;
    this.answered.tooBig++;
    this.#deliver(port, this.#answer, 0, bytes);
  }

  /** Answers a question that the tables can answer; false if the frame is none. */
  #answers(port: PortState, buffer: Buffer, start: number, end: number): boolean {
    const bytes = answerNeighbour(buffer, start, end, port.network, this.#answer);
    if (bytes === 0) return false;
    if (bytes === ARP_ANSWER_BYTES) this.answered.arp++;
    else this.answered.nd++;
    this.#deliver(port, this.#answer, 0, bytes);
    return true;
  }

  /** To each other port and, by head-end replication, to each VTEP that floods go to, once. */
  #flood(from: PortState, flight: Flight, start: number, end: number, now: Millis): void {
    const { ports, flooded, vni, unknownUnicast, sendMtu } = from.network;
    const { buffer } = flight.frames;
    if (ports.length <= 1 && flooded.length === 0) {
      this.#drop(DROP.port_no_destination);
      return;
    }
    if (!isGroupMac(readDestination(buffer, start)) && !unknownUnicast.admits(now)) {
      this.#drop(DROP.port_unknown_limited);
      return;
    }
    for (const port of ports) {
      if (port !== from) this.#deliver(port, buffer, start, end);
    }
    clampMss(buffer, start, end, sendMtu);
    for (const vtep of flooded) this.#encapsulate(vtep, flight, start, end, vni);
  }

  /** Writes the header into the headroom (for a flood: the same bytes again) and sends. */
  #encapsulate(vtep: VtepState, flight: Flight, start: number, end: number, vni: Vni): void {
    const { buffer } = flight.frames;
    const { senders, sealedFor } = vtep;
    if (sealedFor !== undefined) {
      this.#seal(vtep, sealedFor, vni, buffer.subarray(start, end));
      return;
    }
    if (senders.length === 0) {
      this.#drop(DROP.underlay_send_failed);
      return;
    }
    const sender = senders[flowHash(buffer, start, end) % senders.length]!;
    if (sender.queuedBytes() > MAX_QUEUED_BYTES) {
      this.#drop(DROP.underlay_queue_full);
      return;
    }
    const datagramAt = wrapVxlan(buffer, start, vni);
    const { address, port } = vtep.vtep;
    flight.depart();
    sender.send(buffer, datagramAt, end, address, port, flight.sent);
    countSent(vtep.traffic, end - start);
  }

  /** Seals a copy, which is then the socket's, and sends it by the peer's path; in the clear where that says so. */
  #seal(vtep: VtepState, peer: SealedPeer, vni: Vni, frame: Buffer): void {
    const datagram = peer.isUnsealed
      ? this.#sealing.wrapUnsealed(peer, vni, frame)
      : this.#sealing.seal(peer, vni, frame);
    const refusal =
      typeof datagram === 'number' ? datagram : this.#sendMesh(datagram, peer.to ?? vtep.vtep);
    if (refusal !== NO_DROP) {
      this.#drop(refusal);
      return;
    }
    countSent(vtep.traffic, frame.length);
    countSent(peer.traffic, frame.length);
  }

  #deliver(port: PortState, buffer: Buffer, start: number, end: number): void {
    if (port.isStopped) {
      this.#drop(DROP.port_stopped);
      return;
    }
    if (!port.device.writeFrame(buffer, start, end)) {
      this.#drop(DROP.port_write_failed);
      return;
    }
    countSent(port.traffic, end - start);
  }

  /** Takes one datagram of the VXLAN port, sent by `address` in canonical spelling. */
  egress(datagram: Buffer, address: string, now: Millis): void {
    const start = unwrapVxlan(datagram, 0, datagram.length, this.#unwrapped);
    if (start < 0) {
      this.#drop(VXLAN_DROPS[-1 - start]!);
      return;
    }
    const network = this.networks.get(this.#unwrapped.vni);
    if (network === undefined) {
      this.#drop(DROP.vxlan_vni_unknown);
      return;
    }
    const vtep = network.vtepByAddress.get(address);
    if (vtep === undefined) {
      this.#drop(DROP.vxlan_vtep_unknown);
      return;
    }
    // Whoever can forge an address could otherwise write into a sealed network.
    if (vtep.sealedFor !== undefined) this.#drop(DROP.vxlan_not_sealed);
    else this.#fromVtep(network, vtep, datagram.subarray(start), PLAIN, now);
  }

  /** Takes one sealed datagram of the mesh port, wherever it comes from: its key names the sender. */
  egressSealed(datagram: Buffer, now: Millis): void {
    const peer = this.#sealing.open(datagram);
    if (typeof peer === 'number') {
      this.#drop(peer);
      return;
    }
    const frame = datagram.subarray(SEALED_HEADER_BYTES, datagram.length - SEALED_TAG_BYTES);
    this.#fromPeer(peer, sealedVni(datagram), frame, sealedIsPartial(datagram), now);
  }

  /** Takes one datagram of the mesh port with a frame in the clear, sent from there in canonical spelling. */
  egressUnsealed(datagram: Buffer, address: string, port: number, now: Millis): void {
    const peer = this.#sealing.takeUnsealed(datagram, address, port);
    if (typeof peer === 'number') {
      this.#drop(peer);
      return;
    }
    const frame = datagram.subarray(UNSEALED_HEADER_BYTES);
    this.#fromPeer(peer, unsealedVni(datagram), frame, unsealedIsPartial(datagram), now);
  }

  #fromPeer(peer: SealedPeer, vni: Vni, frame: Buffer, isPartial: boolean, now: Millis): void {
    const network = this.networks.get(vni);
    const vtep = network?.vtepByAddress.get(peer.address);
    if (network === undefined || vtep === undefined) {
      this.#drop(network === undefined ? DROP.sealed_vni_unknown : DROP.sealed_vtep_unknown);
      return;
    }
    if (isPartial && frame.length >= HEADER_BYTES) {
      completeTransportChecksum(frame, 0, frame.length);
    }
    this.#fromVtep(network, vtep, frame, SEALED, now);
  }

  #fromVtep(
    network: NetworkState,
    vtep: VtepState,
    frame: Buffer,
    names: InnerDrops,
    now: Millis,
  ): void {
    const end = frame.length;
    const refusal = vtepRefusal(network, frame, names);
    if (refusal !== NO_DROP) {
      this.#drop(refusal);
      return;
    }
    if (network.gateway?.concerns(frame, 0, end) === true) {
      countReceived(vtep.traffic, end);
      this.#drop(names.gateway);
      return;
    }
    const source = readSource(frame, 0);
    if (!network.fdb.learn(source, vtep.place, now)) {
      const isLocal = network.fdb.staticPlace(source) > NO_PLACE;
      this.#drop(isLocal ? names.sourceLocal : names.sourceSpoofed);
      return;
    }
    countReceived(vtep.traffic, end);
    const place = placeOf(network, readDestination(frame, 0), now);
    if (place > NO_PLACE) this.#deliver(this.ports.get(place)!, frame, 0, end);
    else if (place < NO_PLACE || network.ports.length === 0) this.#drop(names.noPort);
    else for (const port of network.ports) this.#deliver(port, frame, 0, end);
  }

  #drop(reason: number): void {
    this.drops[reason]!++;
  }
}

/** The drop counter for a frame of bad form from a port, or `NO_DROP`. */
function portRefusal(port: PortState, buffer: Buffer, start: number, end: number): number {
  if (port.isStopped) return DROP.port_stopped;
  if (end - start < HEADER_BYTES) return DROP.port_frame_short;
  if (end - start > maxFrameBytes(port.network.sendMtu, buffer, start)) return DROP.port_frame_long;
  return isStationMac(readSource(buffer, start)) ? NO_DROP : DROP.port_source_invalid;
}

/** The same for a frame from a VTEP. */
function vtepRefusal(network: NetworkState, frame: Buffer, names: InnerDrops): number {
  if (frame.length < HEADER_BYTES) return names.frameShort;
  if (frame.length > maxFrameBytes(network.mtu, frame, 0)) return names.frameLong;
  return isStationMac(readSource(frame, 0)) ? NO_DROP : names.sourceInvalid;
}

/** Where the FDB says that a frame goes; `NO_PLACE` for a flood. */
function placeOf(network: NetworkState, destination: Mac, now: Millis): Place {
  return isGroupMac(destination) ? NO_PLACE : network.fdb.lookup(destination, now);
}
