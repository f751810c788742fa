import assert from 'node:assert/strict';
import type { Clock } from '../../base/clock.ts';
import { AppError } from '../../base/errors.ts';
import type { Rng } from '../../base/rng.ts';
import {
  asPortId,
  type Mac,
  type PeerPath,
  type PortId,
  type SocketAddress,
  type Vni,
  type Vtep,
} from '../../base/types.ts';
import { VXLAN_HEADER_BYTES } from '../../encap/vxlan.ts';
import type { TapDevice } from '../../tun/device.ts';
import type { BindUdp } from '../../underlay/udp.ts';
import { createDropCounters, DROP, dropsByReason, readTraffic } from '../counters.ts';
import type {
  DataPlane,
  DataPlaneCounters,
  DataPlaneDescription,
  DataPlaneOptions,
  EndpointUpdate,
  FdbCounters,
  FdbEntry,
  FdbTarget,
  Gateway,
  PathCounters,
  PeerCapabilities,
  RelayHop,
  VtepOptions,
} from '../dataplane.ts';
import { DEFAULT_FDB_CAPACITY, DEFAULT_FDB_MAX_AGE, type FdbRow, NO_PLACE } from '../fdb.ts';
import { DEFAULT_UNKNOWN_UNICAST_RATE } from '../flood-limit.ts';
import { GatewayFilter } from '../gateway.ts';
import { relayHeader } from '../relay-header.ts';
import { canonicalAddress, canonicalVtep } from '../vtep-address.ts';
import { FlightPool } from './flight.ts';
import { Forwarder } from './forwarder.ts';
import { frameRoom } from './frame-size.ts';
import { MeshChannel } from './mesh-channel.ts';
import { type NetworkOptions, NetworkState, PortState, VtepState } from './network-state.ts';
import { Relay, type SendMesh } from './relay.ts';
import { PortableSealing } from './sealing.ts';
import { closeSockets, openSockets, type PlaneSockets, SOURCE_PORTS } from './sockets.ts';

/**
 * Frames read from a device in one turn of the event loop. libuv reads as many datagrams from a socket
 * in a turn, so neither direction starves the other, and gossip waits for neither.
 */
const FRAMES_PER_FLIGHT = 32;
/** Batches of one port that may be on their way out at once. */
const FLIGHTS_PER_PORT = 4;

/** What the portable data plane takes from outside. */
export interface PortableDeps {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly bindUdp: BindUdp;
}

/**
 * Opens the data plane that needs no native code: TAP devices read by the event loop, node:dgram below.
 * @throws AppError E_BIND or E_ADDRESS_INVALID; nothing stays open then
 */
export async function openPortableDataPlane(
  options: DataPlaneOptions,
  deps: PortableDeps,
): Promise<DataPlane> {
  return new PortableDataPlane(await openSockets(options, deps.bindUdp), options, deps);
}

class PortableDataPlane implements DataPlane {
  readonly description: DataPlaneDescription;
  /** A TAP device without virtio-net headers takes whole checksums only. */
  readonly capabilities: PeerCapabilities = { takesPartialChecksums: false };
  readonly meshAddress: SocketAddress;
  readonly vxlanAddress: SocketAddress;
  readonly control: MeshChannel;
  readonly sealing: PortableSealing;

  readonly #sockets: PlaneSockets;
  readonly #clock: Clock;
  readonly #rng: Rng;
  readonly #networkOptions: NetworkOptions;
  readonly #forwarder: Forwarder;
  readonly #relay: Relay;
  /** What the FDBs of removed networks had counted. */
  readonly #pastFdb = { learned: 0, moved: 0, aged: 0, evicted: 0, flushed: 0 };
  #lastPort = 0;
  #lastVtep = 0;
  #closed: Promise<void> | undefined;

  constructor(sockets: PlaneSockets, options: DataPlaneOptions, { clock, rng }: PortableDeps) {
    this.#sockets = sockets;
    this.#clock = clock;
    this.#rng = rng;
    this.#networkOptions = {
      capacity: options.fdbCapacity ?? DEFAULT_FDB_CAPACITY,
      maxAge: options.fdbMaxAge ?? DEFAULT_FDB_MAX_AGE,
      unknownUnicastRate: options.unknownUnicastRate ?? DEFAULT_UNKNOWN_UNICAST_RATE,
    };
    const drops = createDropCounters();
    this.control = new MeshChannel(sockets.mesh, drops, clock);
    this.sealing = new PortableSealing(clock);
    const sendMesh: SendMesh = (bytes, to) => this.control.sendOwn(bytes, to);
    this.#forwarder = new Forwarder(drops, this.sealing, sendMesh);
    this.#relay = new Relay(drops, sendMesh);
    this.meshAddress = sockets.mesh[0].local;
    this.vxlanAddress = sockets.vxlan[0].local;
    this.description = describe(sockets);
    this.#listen();
  }

  #listen(): void {
    const forwarder = this.#forwarder;
    const clock = this.#clock;
    this.control.onSealed = (datagram) => forwarder.egressSealed(datagram, clock.now());
    this.control.onUnsealed = (datagram, address, port) =>
      forwarder.egressUnsealed(datagram, address, port, clock.now());
    this.control.onRelayed = (datagram, address, port) =>
      this.#relay.receive(datagram, address, port);
    for (const socket of this.#sockets.vxlan) {
      socket.onReceive((datagram, address) => forwarder.egress(datagram, address, clock.now()));
    }
    for (const socket of [...this.#sockets.sendersV4, ...this.#sockets.sendersV6]) {
      socket.onReceive(() => forwarder.drops[DROP.underlay_unasked]!++);
    }
  }

  addNetwork(vni: Vni, { mtu }: { readonly mtu: number }): void {
    const { networks } = this.#forwarder;
    if (this.#closed !== undefined || networks.has(vni)) return;
    networks.set(vni, new NetworkState(vni, mtu, this.#networkOptions, this.#rng));
  }

  setSendMtu(vni: Vni, mtu: number): void {
    if (this.#closed === undefined) this.#network(vni).sendMtu = mtu;
  }

  removeNetwork(vni: Vni): void {
    const network = this.#forwarder.networks.get(vni);
    if (network === undefined) return;
    for (const port of network.ports) this.removePort(port.id);
    for (const address of network.vtepByAddress.keys()) this.removeVtep(vni, address);
    addUp(this.#pastFdb, network.fdb.counters);
    this.#forwarder.networks.delete(vni);
  }

  addPort(vni: Vni, device: TapDevice): PortId {
    if (this.#closed !== undefined) {
      device.close();
      return this.#nextPort();
    }
    const network = this.#network(vni);
    assert(device.vnetHeaderBytes === 0, 'the portable data plane reads frames, not vnet headers');
    const known = network.ports.find((port) => port.device === device);
    if (known !== undefined) return known.id;
    const id = this.#nextPort();
    const port = new PortState(id, network, device, this.#flights(network));
    network.ports = [...network.ports, port];
    this.#forwarder.ports.set(port.place, port);
    this.#startReading(port);
    return id;
  }

  #nextPort(): PortId {
    return asPortId(++this.#lastPort);
  }

  #flights(network: NetworkState): FlightPool {
    const { drops } = this.#forwarder;
    const options = {
      flights: FLIGHTS_PER_PORT,
      framesPerFlight: FRAMES_PER_FLIGHT,
      // A device cuts what is longer: with a byte more it is seen to be too long.
      maxFrameBytes: frameRoom(network.mtu) + 1,
      headroom: VXLAN_HEADER_BYTES,
    };
    return new FlightPool(options, () => drops[DROP.underlay_send_failed]!++);
  }

  #startReading(port: PortState): void {
    const read = (): void => this.#read(port);
    port.flights.onRefill = () => {
      if (!port.isStopped) port.device.onReadable(read);
    };
    port.device.onReadable(read);
  }

  #read(port: PortState): void {
    const { device, flights } = port;
    const flight = flights.take();
    if (flight === undefined) {
      device.onReadable(undefined);
      return;
    }
    if (device.readBatch(flight.frames) > 0) {
      this.#forwarder.ingress(port, flight, this.#clock.now());
    }
    if (flight.isGrounded) flights.giveBack(flight);
  }

  removePort(id: PortId): void {
    const port = this.#forwarder.ports.get(id);
    if (port === undefined) return;
    const { network, device } = port;
    port.isStopped = true;
    network.ports = network.ports.filter((each) => each !== port);
    network.fdb.flush(port.place);
    this.#forwarder.ports.delete(port.place);
    device.onReadable(undefined);
    device.close();
  }

  addVtep(vni: Vni, vtep: Vtep, options: VtepOptions = {}): void {
    if (this.#closed !== undefined) return;
    const { floods = true, encapsulation } = options;
    const canonical = canonicalVtep(vtep);
    const network = this.#network(vni);
    const state =
      network.vtepByAddress.get(canonical.address) ??
      this.#newVtep(network, canonical, encapsulation === 'sealed');
    state.vtep = canonical;
    if (floods === network.flooded.includes(state)) return;
    network.flooded = floods
      ? [...network.flooded, state]
      : network.flooded.filter((each) => each !== state);
  }

  #newVtep(network: NetworkState, vtep: Vtep, isSealed: boolean): VtepState {
    const { sendersV4, sendersV6 } = this.#sockets;
    const senders = vtep.address.includes(':') ? sendersV6 : sendersV4;
    const sealedFor = isSealed ? this.sealing.peer(vtep.address) : undefined;
    const state = new VtepState(--this.#lastVtep, vtep, senders, sealedFor);
    network.vtepByAddress.set(vtep.address, state);
    this.#forwarder.vteps.set(state.place, state);
    return state;
  }

  removeVtep(vni: Vni, address: string): void {
    const network = this.#forwarder.networks.get(vni);
    const state = network?.vtepByAddress.get(canonicalAddress(address));
    if (network === undefined || state === undefined) return;
    network.vtepByAddress.delete(state.vtep.address);
    network.flooded = network.flooded.filter((each) => each !== state);
    network.fdb.flush(state.place);
    this.#forwarder.vteps.delete(state.place);
  }

  setPath(address: string, path: PeerPath | undefined): void {
    if (this.#closed === undefined) this.sealing.setPath(address, path);
  }

  setUnsealedSources(address: string, sources: readonly SocketAddress[]): void {
    if (this.#closed === undefined) this.sealing.setUnsealedSources(address, sources);
  }

  pathCounters(address: string): PathCounters {
    return this.sealing.counters(address);
  }

  sendRelayed(bytes: Uint8Array, { to, relayTag }: PeerPath): void {
    const isDirect = relayTag === undefined;
    this.control.send(isDirect ? bytes : Buffer.concat([relayHeader(relayTag), bytes]), to);
  }

  setRoute(tag: bigint, next: RelayHop | undefined): void {
    if (this.#closed === undefined) this.#relay.setRoute(tag, next);
  }

  setRelayPeers(addresses: ReadonlySet<string>): void {
    if (this.#closed === undefined) this.#relay.setPeers(addresses);
  }

  setHandshakeKeys(keys: readonly Uint8Array[]): void {
    this.control.handshakes.setKeys(keys);
  }

  /** Nothing to remember: this data plane sends every checksum whole. */
  setPeer(): void {
    return;
  }

  addLocalMac(vni: Vni, mac: Mac, port: PortId): void {
    if (this.#closed !== undefined) return;
    const network = this.#network(vni);
    if (this.#forwarder.ports.get(port)?.network === network) network.fdb.setStatic(mac, port);
  }

  removeLocalMac(vni: Vni, mac: Mac): void {
    const fdb = this.#forwarder.networks.get(vni)?.fdb;
    if (fdb !== undefined && fdb.staticPlace(mac) > NO_PLACE) fdb.removeStatic(mac);
  }

  setGateway(vni: Vni, gateway: Gateway | undefined): void {
    if (this.#closed !== undefined) return;
    this.#network(vni).gateway = gateway && new GatewayFilter(gateway);
  }

  updateEndpoints(vni: Vni, updates: readonly EndpointUpdate[]): void {
    if (this.#closed !== undefined) return;
    const network = this.#network(vni);
    for (const update of updates) {
      if (update.kind === 'set') this.#setEndpoint(network, update);
      else this.#removeEndpoint(network, update);
    }
  }

  #setEndpoint({ fdb, neighbours, vtepByAddress }: NetworkState, endpoint: EndpointUpdate): void {
    const { mac, addresses } = endpoint;
    const vtep =
      vtepByAddress.get(endpoint.vtep) ?? vtepByAddress.get(canonicalAddress(endpoint.vtep));
    if (vtep === undefined) return;
    if (fdb.staticPlace(mac) <= NO_PLACE) fdb.setStatic(mac, vtep.place);
    for (const address of addresses) neighbours.set(address, mac);
  }

  #removeEndpoint({ fdb, neighbours }: NetworkState, { mac, addresses }: EndpointUpdate): void {
    if (fdb.staticPlace(mac) < NO_PLACE) fdb.removeStatic(mac);
    for (const address of addresses) neighbours.remove(address, mac);
  }

  fdb(vni: Vni): readonly FdbEntry[] {
    const network = this.#forwarder.networks.get(vni);
    return network?.fdb.entries(this.#clock.now()).map((row) => this.#entry(row)) ?? [];
  }

  #entry({ mac, place, isStatic, age }: FdbRow): FdbEntry {
    return { mac, age, origin: isStatic ? 'static' : 'learned', target: this.#target(place) };
  }

  #target(place: number): FdbTarget {
    return place > NO_PLACE
      ? { kind: 'port', port: asPortId(place) }
      : { kind: 'vtep', vtep: this.#forwarder.vteps.get(place)!.vtep };
  }

  counters(): DataPlaneCounters {
    const { drops, ports, networks } = this.#forwarder;
    const tables = [...networks.values()];
    return {
      drops: dropsByReason(drops),
      ports: [...ports.values()].map(({ id, network, device, traffic }) => ({
        ...readTraffic(traffic),
        port: id,
        vni: network.vni,
        device: device.name,
      })),
      vteps: tables.flatMap(({ vni, vtepByAddress }) =>
        Array.from(vtepByAddress.values(), ({ vtep, traffic }) => ({
          ...readTraffic(traffic),
          vni,
          vtep,
        })),
      ),
      fdb: this.#fdbCounters(tables),
      answered: { ...this.#forwarder.answered },
      relayed: { ...this.#relay.counters },
    };
  }

  /** Sweeps first, so that `aged` tells of all that has aged, whether or not frames came by since. */
  #fdbCounters(networks: readonly NetworkState[]): FdbCounters {
    const total = { ...this.#pastFdb };
    for (const { fdb } of networks) {
      fdb.sweep(this.#clock.now(), fdb.size);
      addUp(total, fdb.counters);
    }
    return total;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.control.onReceive(() => undefined);
    this.control.onSealed = () => undefined;
    this.control.onUnsealed = () => undefined;
    this.control.onRelayed = () => undefined;
    for (const vni of this.#forwarder.networks.keys()) this.removeNetwork(vni);
    await closeSockets(this.#sockets);
  }

  #network(vni: Vni): NetworkState {
    const network = this.#forwarder.networks.get(vni);
    if (network !== undefined) return network;
    throw new AppError(
      'E_NETWORK_MISSING',
      `The data plane has no network with VNI ${vni}; add the network before its ports and VTEPs.`,
    );
  }
}

function addUp(total: { -readonly [K in keyof FdbCounters]: number }, more: FdbCounters): void {
  total.learned += more.learned;
  total.moved += more.moved;
  total.aged += more.aged;
  total.evicted += more.evicted;
  total.flushed += more.flushed;
}

function describe({ vxlan }: PlaneSockets): DataPlaneDescription {
  return {
    kind: 'portable',
    features: {
      io: 'one frame per system call, node:dgram',
      offloads: 'none',
      cipher: `node:crypto (OpenSSL ${process.versions.openssl})`,
      vxlanSourcePorts: `${SOURCE_PORTS} per address family, chosen by flow`,
      receiveBuffer: `${Math.round(vxlan[0].receiveBufferBytes / 1024)} KiB per socket`,
      addresses: vxlan.map((socket) => socket.local.address).join(', '),
    },
  };
}
