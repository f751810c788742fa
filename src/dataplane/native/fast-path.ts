import { isIP } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { EndpointDevice, TrafficCounters } from '../dataplane.ts';
import type { Mac, Vni, Vtep } from '../../base/types.ts';
import type { NativeFastPath, NativeRoute } from './addon.ts';

interface FastVtep {
  readonly id: number;
  readonly vni: Vni;
  vtep: Vtep;
  /** Of the underlay toward it; undefined while its frames all take the slow path. */
  route: NativeRoute | undefined;
}

export const NO_TRAFFIC: TrafficCounters = { rxFrames: 0, rxBytes: 0, txFrames: 0, txBytes: 0 };

export function addTraffic(a: TrafficCounters, b: TrafficCounters): TrafficCounters {
  return {
    rxFrames: a.rxFrames + b.rxFrames,
    rxBytes: a.rxBytes + b.rxBytes,
    txFrames: a.txFrames + b.txFrames,
    txBytes: a.txBytes + b.txBytes,
  };
}

/**
 * The control side of the fast path (docs/adr/0022): which endpoints and VTEPs it may serve, and by
 * which underlay interface. Where MACs live it learns from the forwarder itself (`mirrorFdb`). What it
 * can't serve it leaves out: those frames go through user space, and nothing is lost but speed.
 *
 * Maps in the kernel change within a call. What needs the kernel's lock on links (programs, what an
 * interface can do) follows on another thread, one thing after the other in the order asked for, because
 * that lock may be held for tens of milliseconds; until then frames take the slow path.
 */
export class FastPath {
  readonly #kernel: NativeFastPath;
  /** The address that the VXLAN socket is bound to; empty: what the route says. */
  readonly #source: string;
  readonly #vteps = new Map<number, FastVtep>();
  /** Index of each endpoint's device, by MAC. */
  readonly #endpoints = new Map<Vni, Map<Mac, number>>();
  /** Where user space reads a network's frames: index of its port's device. */
  readonly #taps = new Map<Vni, number>();
  /** Of VTEPs that are gone, by network. */
  readonly #past = new Map<Vni, TrafficCounters>();
  /** Names of the underlay interfaces, by index. */
  #underlays = new Map<number, string>();
  /** Addresses of Weft's native data planes, which take TCP super-frames and combine congestion marks. */
  readonly #peers = new Set<string>();
  /** What the kernel said to an endpoint's device, by network. */
  readonly #refusals = new Map<Vni, number>();
  /** VTEPs whose route is to be asked for. */
  readonly #unrouted = new Set<FastVtep>();
  /** Ends with the last thing that waits for the lock on links. Never rejects. */
  #last: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(kernel: NativeFastPath, source: string) {
    this.#kernel = kernel;
    this.#source = source;
    // Links, addresses, routes or rules of this host have changed.
    kernel.watchRoutes(() => this.#findRoutes(this.#vteps.values()));
  }

  setVtep(vni: Vni, id: number, vtep: Vtep): void {
    const known = this.#vteps.get(id);
    const state = known ?? { id, vni, vtep, route: undefined };
    state.vtep = vtep;
    this.#vteps.set(id, state);
    this.#apply(state, state.route);
    this.#findRoutes([state]);
  }

  /**
   * Whether the host at `address` has a native data plane: it copes with a super-frame that its own fast
   * path does not take.
   */
  setPeer(address: string, isNative: boolean): void {
    if (isNative) this.#peers.add(address);
    else this.#peers.delete(address);
    for (const state of this.#vteps.values()) {
      if (state.vtep.address === address) this.#apply(state, state.route);
    }
  }

  removeVtep(id: number): void {
    const state = this.#vteps.get(id);
    if (state === undefined) return;
    const past = this.#past.get(state.vni) ?? NO_TRAFFIC;
    this.#past.set(state.vni, addTraffic(past, this.#kernel.traffic(id)));
    this.#vteps.delete(id);
    this.#kernel.removeVtep(id);
    this.#inTurn(() => this.#attachUnderlays());
  }

  removeNetwork(vni: Vni): void {
    this.setEndpoints(vni, 0, []);
    this.#endpoints.delete(vni);
    this.#taps.delete(vni);
    this.#refusals.delete(vni);
    this.#past.delete(vni);
  }

  /** The network's port has this device from now on; undefined: it has none. */
  setPort(vni: Vni, mtu: number, device: string | undefined): void {
    const index = device === undefined ? 0 : this.#kernel.deviceIndex(device);
    this.#taps.set(vni, index);
    for (const [mac, ifindex] of this.#endpoints.get(vni) ?? []) {
      this.#kernel.setEndpoint(vni, mac, ifindex, mtu, index);
    }
  }

  /** The network's endpoints may send packets of so many bytes from now on. */
  setMtu(vni: Vni, mtu: number): void {
    const tap = this.#taps.get(vni) ?? 0;
    for (const [mac, ifindex] of this.#endpoints.get(vni) ?? []) {
      this.#kernel.setEndpoint(vni, mac, ifindex, mtu, tap);
    }
  }

  /** Makes `wanted` the endpoints of a network. A device that is not there (any more) is left out. */
  setEndpoints(vni: Vni, mtu: number, wanted: readonly EndpointDevice[]): void {
    const known = this.#endpoints.get(vni) ?? new Map<Mac, number>();
    const next = new Map<Mac, number>();
    for (const { mac, device } of wanted) {
      const ifindex = this.#kernel.deviceIndex(device);
      if (ifindex !== 0) next.set(mac, ifindex);
    }
    for (const [mac, ifindex] of known) {
      if (next.get(mac) === ifindex) continue;
      this.#kernel.removeEndpoint(vni, mac, ifindex);
      this.#inTurn(() => this.#kernel.detachEndpoint(ifindex));
    }
    this.#refusals.delete(vni);
    this.#endpoints.set(vni, next);
    for (const [mac, ifindex] of next) {
      if (known.get(mac) === ifindex) continue;
      const tap = this.#taps.get(vni) ?? 0;
      const errno = this.#kernel.setEndpoint(vni, mac, ifindex, mtu, tap);
      if (errno === 0) this.#inTurn(() => this.#attachEndpoint(vni, mac, ifindex));
      else this.#refuse(vni, mac, errno);
    }
  }

  async #attachEndpoint(vni: Vni, mac: Mac, ifindex: number): Promise<void> {
    const isWanted = (): boolean => this.#endpoints.get(vni)?.get(mac) === ifindex;
    if (!isWanted()) return;
    const errno = await this.#kernel.attachEndpoint(ifindex);
    if (errno === 0 || this.#isClosed || !isWanted()) return;
    this.#kernel.removeEndpoint(vni, mac, ifindex);
    this.#refuse(vni, mac, errno);
  }

  #refuse(vni: Vni, mac: Mac, errno: number): void {
    this.#refusals.set(vni, errno);
    this.#endpoints.get(vni)?.delete(mac);
  }

  /** What it carried to and from a VTEP since that was set. */
  traffic(id: number): TrafficCounters {
    return this.#vteps.has(id) ? this.#kernel.traffic(id) : NO_TRAFFIC;
  }

  /** What it carried on a network: `rx` from VTEPs, `tx` to them. */
  networkTraffic(vni: Vni): TrafficCounters {
    return [...this.#vteps.values()]
      .filter((state) => state.vni === vni)
      .map(({ id }) => this.#kernel.traffic(id))
      .reduce(addTraffic, this.#past.get(vni) ?? NO_TRAFFIC);
  }

  /** For `weft status`. */
  describe(): string {
    const endpoints = [...this.#endpoints.values()].reduce((sum, { size }) => sum + size, 0);
    const slow = [...this.#vteps.values()].filter(({ route }) => route === undefined);
    const networks = new Set([...this.#vteps.values()].map(({ vni }) => vni));
    const carried = [...networks, ...this.#past.keys()];
    const frames = [...new Set(carried)]
      .map((vni) => this.networkTraffic(vni))
      .reduce((sum, { rxFrames, txFrames }) => sum + rxFrames + txFrames, 0);
    const where = [...this.#underlays.values()].join(', ') || 'no underlay interface yet';
    return [
      `on ${where}, ${count(endpoints, 'endpoint')}, ${count(this.#vteps.size - slow.length, 'VTEP')}; ${count(frames, 'frame')} carried`,
      ...(slow.length === 0 ? [] : [`${count(slow.length, 'VTEP')} by user space: ${why(slow)}`]),
      ...[...this.#refusals].map(
        ([vni, errno]) =>
          `the kernel refused the device of network ${vni} (${getSystemErrorName(errno)})`,
      ),
    ].join('; ');
  }

  /** Settles once all that was asked for until now has been done, or refused. */
  settled(): Promise<void> {
    return this.#last;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#last;
    this.#kernel.close();
  }

  /** Does `job` after all that was given before. */
  #inTurn(job: () => Promise<unknown>): void {
    this.#last = this.#last.then(async () => {
      if (!this.#isClosed) await job();
    });
  }

  /** Asks for the routes of these VTEPs together with those that wait already. */
  #findRoutes(vteps: Iterable<FastVtep>): void {
    const isAsked = this.#unrouted.size > 0;
    for (const state of vteps) this.#unrouted.add(state);
    if (!isAsked && this.#unrouted.size > 0) this.#inTurn(() => this.#route());
  }

  async #route(): Promise<void> {
    const unrouted = [...this.#unrouted];
    this.#unrouted.clear();
    const found = new Map<string, NativeRoute | undefined>();
    for (const state of unrouted) {
      const { address } = state.vtep;
      if (!found.has(address)) found.set(address, await this.#routeTo(address));
      if (this.#isClosed) return;
      if (this.#vteps.get(state.id) === state) this.#apply(state, found.get(address));
    }
    await this.#attachUnderlays();
  }

  async #routeTo(address: string): Promise<NativeRoute | undefined> {
    if (isIP(address) !== 4) return undefined;
    const route = await this.#kernel.findRoute(address, this.#source);
    return route?.isEthernet === true ? route : undefined;
  }

  #apply(state: FastVtep, route: NativeRoute | undefined): void {
    const { id, vtep } = state;
    state.route = route;
    if (route === undefined) {
      this.#kernel.removeVtep(id);
      return;
    }
    const { source, ifindex, mtu, segmentsTunnels } = route;
    const isNative = this.#peers.has(vtep.address);
    const abilities = [segmentsTunnels && isNative, isNative] as const;
    this.#kernel.setVtep(id, source, vtep.address, vtep.port, ifindex, mtu, ...abilities);
  }

  async #attachUnderlays(): Promise<void> {
    const wanted = new Map<number, string>();
    for (const { route } of this.#vteps.values()) {
      if (route !== undefined) wanted.set(route.ifindex, route.device);
    }
    for (const ifindex of this.#underlays.keys()) {
      if (this.#isClosed) return;
      if (!wanted.has(ifindex)) await this.#kernel.detachUnderlay(ifindex);
    }
    for (const ifindex of [...wanted.keys()]) {
      if (this.#isClosed) return;
      if (this.#underlays.has(ifindex)) continue;
      if ((await this.#kernel.attachUnderlay(ifindex)) !== 0) wanted.delete(ifindex);
    }
    this.#underlays = wanted;
  }
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`;
}

function why(slow: readonly FastVtep[]): string {
  const isIpv6 = slow.every(({ vtep }) => isIP(vtep.address) === 6);
  return isIpv6 ? 'IPv6 underlay' : 'IPv6 underlay, no route, or one without Ethernet';
}
