import type { Rng } from '../../base/rng.ts';
import type { PortId, Vni, Vtep } from '../../base/types.ts';
import type { TapDevice } from '../../tun/device.ts';
import type { UdpSocket } from '../../underlay/udp.ts';
import { createTraffic } from '../counters.ts';
import { Fdb, type FdbOptions, type Place } from '../fdb.ts';
import type { FlightPool } from './flight.ts';

/**
 * The tables of one network as the forwarder reads them. `ports` and `vteps` are replaced, never
 * changed in place: a flood that is under way walks the list that it began with.
 */
export class NetworkState {
  readonly vni: Vni;
  readonly mtu: number;
  readonly fdb: Fdb;
  readonly vtepByAddress = new Map<string, VtepState>();
  ports: readonly PortState[] = [];
  vteps: readonly VtepState[] = [];

  constructor(vni: Vni, mtu: number, fdb: FdbOptions, rng: Rng) {
    this.vni = vni;
    this.mtu = mtu;
    this.fdb = new Fdb(fdb, rng);
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
  readonly traffic = createTraffic();
  vtep: Vtep;

  constructor(place: Place, vtep: Vtep, senders: readonly UdpSocket[]) {
    this.place = place;
    this.vtep = vtep;
    this.senders = senders;
  }
}
