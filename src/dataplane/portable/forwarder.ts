import { frameOffset } from '../../base/frame-batch.ts';
import { asVni, type Mac, type Millis, type Vni } from '../../base/types.ts';
import type { Unwrapped } from '../../encap/encapsulation.ts';
import { unwrapVxlan, VXLAN_REFUSALS, wrapVxlan } from '../../encap/vxlan.ts';
import { flowHash } from '../../wire/flow-hash.ts';
import { HEADER_BYTES, readDestination, readSource } from '../../wire/ethernet.ts';
import { isGroupMac, isStationMac } from '../../wire/mac.ts';
import { countReceived, countSent, createDropCounters, DROP } from '../counters.ts';
import { answerNeighbour, ARP_ANSWER_BYTES, ND_ANSWER_BYTES } from '../neighbour-answer.ts';
import { NO_PLACE, type Place } from '../fdb.ts';
import { maxFrameBytes } from './frame-size.ts';
import type { Flight } from './flight.ts';
import type { NetworkState, PortState, VtepState } from './network-state.ts';

/**
 * The frame path of the portable data plane, in the order in which a frame takes it.
 *
 *   from a port   form -> gateway's? -> learn source -> answer | look up destination -> one port |
 *                 one VTEP | flood
 *   from a VTEP   header -> network -> sender -> form -> gateway's? -> learn source -> look up ->
 *                 ports only
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

const NO_DROP = -1;

export class Forwarder {
  readonly drops = createDropCounters();
  readonly networks = new Map<Vni, NetworkState>();
  readonly ports = new Map<Place, PortState>();
  readonly vteps = new Map<Place, VtepState>();
  readonly answered = { arp: 0, nd: 0 };
  readonly #answer = Buffer.alloc(ND_ANSWER_BYTES);
  /** Where `unwrapVxlan` leaves what it read: one for all, since frames are taken one at a time. */
  readonly #unwrapped: Unwrapped = { vni: asVni(0) };

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
    else this.#encapsulate(this.vteps.get(place)!, flight, start, end, port.network.vni);
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
    const { ports, flooded, vni, unknownUnicast } = from.network;
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
    for (const vtep of flooded) this.#encapsulate(vtep, flight, start, end, vni);
  }

  /** Writes the header into the headroom (for a flood: the same bytes again) and sends. */
  #encapsulate(vtep: VtepState, flight: Flight, start: number, end: number, vni: Vni): void {
    const { buffer } = flight.frames;
    const { senders } = vtep;
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
    this.#fromVtep(network, vtep, datagram, start, now);
  }

  #fromVtep(
    network: NetworkState,
    vtep: VtepState,
    datagram: Buffer,
    start: number,
    now: Millis,
  ): void {
    const end = datagram.length;
    const refusal = vtepRefusal(network, datagram, start, end);
    if (refusal !== NO_DROP) {
      this.#drop(refusal);
      return;
    }
    if (network.gateway?.concerns(datagram, start, end) === true) {
      countReceived(vtep.traffic, end - start);
      this.#drop(DROP.vxlan_gateway);
      return;
    }
    const source = readSource(datagram, start);
    if (!network.fdb.learn(source, vtep.place, now)) {
      const isLocal = network.fdb.staticPlace(source) > NO_PLACE;
      this.#drop(isLocal ? DROP.vxlan_source_local : DROP.vxlan_source_spoofed);
      return;
    }
    countReceived(vtep.traffic, end - start);
    const place = placeOf(network, readDestination(datagram, start), now);
    if (place > NO_PLACE) this.#deliver(this.ports.get(place)!, datagram, start, end);
    else if (place < NO_PLACE || network.ports.length === 0) this.#drop(DROP.vxlan_no_port);
    else for (const port of network.ports) this.#deliver(port, datagram, start, end);
  }

  #drop(reason: number): void {
    this.drops[reason]!++;
  }
}

/** The drop counter for a frame of bad form from a port, or `NO_DROP`. */
function portRefusal(port: PortState, buffer: Buffer, start: number, end: number): number {
  if (port.isStopped) return DROP.port_stopped;
  if (end - start < HEADER_BYTES) return DROP.port_frame_short;
  if (end - start > maxFrameBytes(port.network.mtu, buffer, start)) return DROP.port_frame_long;
  return isStationMac(readSource(buffer, start)) ? NO_DROP : DROP.port_source_invalid;
}

/** The same for a frame from a VTEP; `unwrapVxlan` has seen that it has a header. */
function vtepRefusal(network: NetworkState, buffer: Buffer, start: number, end: number): number {
  if (end - start > maxFrameBytes(network.mtu, buffer, start)) return DROP.vxlan_frame_long;
  return isStationMac(readSource(buffer, start)) ? NO_DROP : DROP.vxlan_source_invalid;
}

/** Where the FDB says that a frame goes; `NO_PLACE` for a flood. */
function placeOf(network: NetworkState, destination: Mac, now: Millis): Place {
  return isGroupMac(destination) ? NO_PLACE : network.fdb.lookup(destination, now);
}
