import type { Rng } from '../../base/rng.ts';
import type { Mac, PortId, Vni, Vtep } from '../../base/types.ts';
import type { TapDevice } from '../../tun/device.ts';
import type { UdpSocket } from '../../underlay/udp.ts';
import { ZERO_MAC } from '../../wire/mac.ts';
import { createTraffic } from '../counters.ts';
import { Fdb, type FdbOptions, NO_PLACE, type Place } from '../fdb.ts';
import { FloodLimit } from '../flood-limit.ts';
import { TOO_BIG_RATE } from '../too-big.ts';
import type { NeighbourSource } from '../neighbour-answer.ts';
import type { GatewayFilter } from '../gateway.ts';
import { Neighbours } from '../neighbours.ts';
import type { FlightPool } from './flight.ts';
import type { SealedPeer } from './sealing.ts';

export interface NetworkOptions extends FdbOptions {
  /** Frames per second to unknown MACs that the network floods. */
  readonly unknownUnicastRate: number;
}

/**
 * The tables of one network as the forwarder reads them. `ports` and `flooded` are replaced, never
 * changed in place: a flood that is under way walks the list that it began with.
 */
export class NetworkState implements NeighbourSource {
  readonly vni: Vni;
  readonly mtu: number;
  /** Of what ports send. */
  sendMtu: number;
  readonly fdb: Fdb;
  readonly neighbours = new Neighbours();
  readonly unknownUnicast: FloodLimit;
  /** Messages to stations whose packets are too long. */
  readonly tooBig = new FloodLimit(TOO_BIG_RATE);
  readonly vtepByAddress = new Map<string, VtepState>();
  gateway: GatewayFilter | undefined;
  ports: readonly PortState[] = [];
  /** The VTEPs that floods go to. */
  flooded: readonly VtepState[] = [];

  constructor(vni: Vni, mtu: number, options: NetworkOptions, rng: Rng) {
    this.vni = vni;
    this.mtu = mtu;
    this.sendMtu = mtu;
    this.fdb = new Fdb(options, rng);
    this.unknownUnicast = new FloodLimit(options.unknownUnicastRate);
  }

  neighbour4(address: number): Mac {
    return this.#remote(this.neighbours.find4(address));
  }

  neighbour6(buf: Uint8Array, at: number): Mac {
    return this.#remote(this.neighbours.find6(buf, at));
  }

  /** The MAC while it is pinned to a VTEP: for what is not, nobody may speak. */
  #remote(mac: Mac): Mac {
    return this.fdb.staticPlace(mac) < NO_PLACE ? mac : ZERO_MAC;
  }
}

/** An attached device. Its place in the FDB is its id: above 0. */
export class PortState {
  readonly id: PortId;
  readonly network: NetworkState;
  readonly device: TapDevice;
  readonly flights: FlightPool;
  readonly traffic = createTraffic();
  isStopped = false;

  constructor(id: PortId, network: NetworkState, device: TapDevice, flights: FlightPool) {
    this.id = id;
    this.network = network;
    this.device = device;
    this.flights = flights;
  }

  get place(): Place {
    return this.id;
  }
}

/** A VTEP of one network. Its place in the FDB is below 0. */
export class VtepState {
  readonly place: Place;
  /** The sockets that reach its address family; none if the data plane has no such address. */
  readonly senders: readonly UdpSocket[];
  /** The host that frames are sealed for; `undefined`: the VTEP is plain. */
  readonly sealedFor: SealedPeer | undefined;
  readonly traffic = createTraffic();
  vtep: Vtep;

  constructor(
    place: Place,
    vtep: Vtep,
    senders: readonly UdpSocket[],
    sealedFor: SealedPeer | undefined,
  ) {
    this.place = place;
    this.vtep = vtep;
    this.senders = senders;
    this.sealedFor = sealedFor;
  }
}
