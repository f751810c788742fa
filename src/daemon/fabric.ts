import type { Logger } from '../base/log.ts';
import type { Mac, PortId, Vni, Vtep } from '../base/types.ts';
import type { DataPlane, EndpointDevice, EndpointUpdate } from '../dataplane/dataplane.ts';
import type { Bridges, BridgeSpec } from '../network/bridge.ts';
import { dataPlaneGateway } from '../network/gateway.ts';
import { bridgeName, gatewayMac, tapName } from '../network/names.ts';
import { PORT_MTU } from '../network/port-mtu.ts';
import type { TapDevice } from '../tun/device.ts';

/** A network to be carried; `mtu` is what it has at this moment. */
export interface CarrySpec extends BridgeSpec {
  /** That it was made with: never less than `mtu`. */
  readonly fullMtu: number;
  /** Frames cross the underlay sealed, or not at all. */
  readonly isSealed: boolean;
}

/** A network that this host carries. */
export interface Carried extends CarrySpec {
  readonly bridge: string;
  readonly device: string;
  readonly port: PortId;
}

export interface FabricOptions {
  readonly dataPlane: DataPlane;
  readonly bridges: Bridges;
  readonly openTap: (name: string, mtu: number) => TapDevice;
  readonly log: Logger;
  /** Called when `sealedPeers` may be another by now. */
  readonly onSealed?: () => void;
}

/** A VTEP of a network, whether floods go to it, and whether all that goes there is sealed. */
export interface FloodedVtep extends Vtep {
  readonly floods: boolean;
  readonly isSealed?: boolean;
}

/** What stands behind a carried network; the port changes when its device had to be opened again. */
interface Entry {
  carried: Carried;
  readonly vteps: Map<string, FloodedVtep>;
  readonly localMacs: Set<Mac>;
}

/**
 * The networks that this host carries: a bridge, a TAP device on it and a data plane port each. Callers
 * make one call at a time.
 */
export class Fabric {
  readonly #options: FabricOptions;
  readonly #entries = new Map<Vni, Entry>();

  constructor(options: FabricOptions) {
    this.#options = options;
  }

  carried(): readonly Carried[] {
    return [...this.#entries.values()].map(({ carried }) => carried);
  }

  get(vni: Vni): Carried | undefined {
    return this.#entries.get(vni)?.carried;
  }

  /** Whether the networks that both have endpoints on are sealed, by the places that a host's VTEPs have. */
  sharedWith(places: readonly string[]): boolean[] {
    return [...this.#entries.values()]
      .filter(({ vteps }) => places.some((place) => vteps.get(place)?.floods === true))
      .map(({ carried }) => carried.isSealed);
  }

  /** Locators of the hosts with which this one shares a sealed network. */
  sealedPeers(): ReadonlySet<string> {
    const vteps = [...this.#entries.values()].flatMap((entry) => [...entry.vteps.values()]);
    const sealed = vteps.filter(({ isSealed, floods }) => isSealed === true && floods);
    return new Set(sealed.map(({ address }) => address));
  }

  /** Carries the network from now on. If it rejects, no device or port of this call is left. */
  async carry(spec: CarrySpec): Promise<Carried> {
    const known = this.#entries.get(spec.vni);
    if (known) return this.#setMtu(known, spec.mtu);
    const changes = await this.#options.bridges.ensureBridge(spec);
    const carried = await this.#plug(spec);
    this.#entries.set(spec.vni, { carried, vteps: new Map(), localMacs: new Set() });
    const { network, vni, bridge, device } = carried;
    this.#options.log.info({ network, vni, bridge, device, changes }, 'network is carried here');
    return carried;
  }

  /** The devices get it from the auditor, which looks at the bridge and into the sandboxes. */
  #setMtu(entry: Entry, mtu: number): Carried {
    if (entry.carried.mtu === mtu) return entry.carried;
    entry.carried = { ...entry.carried, mtu };
    this.#options.dataPlane.setSendMtu(entry.carried.vni, mtu);
    return entry.carried;
  }

  /** Stops carrying a network and removes its bridge; false if it was not carried. */
  async drop(vni: Vni): Promise<boolean> {
    if (!this.#entries.delete(vni)) return false;
    this.#options.dataPlane.removeNetwork(vni);
    this.#options.onSealed?.();
    await this.#options.bridges.removeBridge(vni);
    return true;
  }

  /** Makes `wanted` the VTEPs of a carried network, changing only what differs. */
  setVteps(vni: Vni, wanted: readonly FloodedVtep[]): void {
    const next = new Map(wanted.map((vtep) => [vtep.address, vtep]));
    for (const address of this.#entries.get(vni)?.vteps.keys() ?? []) {
      if (!next.has(address)) this.setVtep(vni, address, undefined);
    }
    for (const vtep of next.values()) this.setVtep(vni, vtep.address, vtep);
  }

  /** Makes `wanted` the VTEP at one address of a carried network; `undefined` removes it. */
  setVtep(vni: Vni, address: string, wanted: FloodedVtep | undefined): void {
    const vteps = this.#entries.get(vni)?.vteps;
    const known = vteps?.get(address);
    if (!vteps || (known?.port === wanted?.port && known?.floods === wanted?.floods)) return;
    if (wanted === undefined) {
      vteps.delete(address);
      this.#options.dataPlane.removeVtep(vni, address);
    } else {
      vteps.set(address, wanted);
      const { port, floods, isSealed } = wanted;
      const encapsulation = isSealed === true ? 'sealed' : 'vxlan';
      this.#options.dataPlane.addVtep(vni, { address, port }, { floods, encapsulation });
    }
    if (known?.isSealed === true || wanted?.isSealed === true) this.#options.onSealed?.();
  }

  /** Tells the data plane of endpoints on other hosts. */
  updateEndpoints(vni: Vni, updates: readonly EndpointUpdate[]): void {
    if (this.#entries.has(vni)) this.#options.dataPlane.updateEndpoints(vni, updates);
  }

  /**
   * Makes `endpoints` the MACs that only this host's endpoints may send from; returns those that no longer
   * are. The gateway's is one of them, or an endpoint elsewhere that has it would draw what is for outside.
   */
  setLocalMacs(vni: Vni, endpoints: ReadonlySet<Mac>): readonly Mac[] {
    const entry = this.#entries.get(vni);
    if (!entry) return [];
    const { gateway } = entry.carried;
    const wanted = gateway === undefined ? endpoints : new Set([...endpoints, gatewayMac(vni)]);
    const lost = [...entry.localMacs].filter((mac) => !wanted.has(mac));
    for (const mac of lost) {
      entry.localMacs.delete(mac);
      this.#options.dataPlane.removeLocalMac(vni, mac);
    }
    for (const mac of wanted) {
      if (entry.localMacs.has(mac)) continue;
      entry.localMacs.add(mac);
      this.#options.dataPlane.addLocalMac(vni, mac, entry.carried.port);
    }
    return lost;
  }

  /** The endpoints of a carried network with their devices on this host. */
  setEndpointDevices(vni: Vni, endpoints: readonly EndpointDevice[]): void {
    if (this.#entries.has(vni)) this.#options.dataPlane.setEndpointDevices?.(vni, endpoints);
  }

  /** Opens again the devices that are not among `present`: somebody deleted them. */
  async replug(present: ReadonlySet<string>): Promise<void> {
    for (const entry of this.#entries.values()) {
      if (!present.has(entry.carried.device)) await this.#replug(entry);
    }
  }

  async #replug(entry: Entry): Promise<void> {
    const { dataPlane, bridges } = this.#options;
    dataPlane.removePort(entry.carried.port);
    this.#report(await bridges.ensureBridge(entry.carried));
    entry.carried = await this.#plug(entry.carried);
    for (const mac of entry.localMacs) {
      dataPlane.addLocalMac(entry.carried.vni, mac, entry.carried.port);
    }
    this.#report([`Device ${entry.carried.device} was deleted; opened again.`]);
  }

  /** Opens the TAP device, puts it on the bridge and connects it to the data plane. */
  async #plug(spec: CarrySpec): Promise<Carried> {
    const { dataPlane, bridges, openTap } = this.#options;
    const { vni, mtu, fullMtu, gateway } = spec;
    const device = openTap(tapName(vni), PORT_MTU);
    try {
      await bridges.ensurePort(spec, device.name);
    } catch (error) {
      device.close();
      throw error;
    }
    dataPlane.addNetwork(vni, { mtu: fullMtu });
    dataPlane.setSendMtu(vni, mtu);
    dataPlane.setGateway(vni, gateway && dataPlaneGateway(vni, gateway));
    const port = dataPlane.addPort(vni, device);
    return { ...spec, bridge: bridgeName(vni), device: device.name, port };
  }

  #report(changes: readonly string[]): void {
    for (const change of changes) this.#options.log.info({ change }, 'repaired');
  }
}
