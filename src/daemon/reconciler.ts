import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { isAppError } from '../base/errors.ts';
import { asMillis, type Millis, type PeerId, type Vni } from '../base/types.ts';
import { sealed } from '../encap/sealed.ts';
import type { Auditor } from '../network/audit.ts';
import type { Edges } from '../network/edge.ts';
import { addressesOf, HOST_ORIGIN, isEngineManaged, type Endpoint } from '../network/endpoint.ts';
import { gatewayOf, type GatewaySpec } from '../network/gateway.ts';
import type { HostPort, HostRoutes } from '../network/host-routes.ts';
import { engineEndName, hostEndName } from '../network/names.ts';
import { byAge, type NetworkDefinition } from '../network/network.ts';
import type { EdgeNetwork } from '../network/nft-table.ts';
import type { Sandboxes } from '../network/sandbox.ts';
import type { Ip } from '../os/ip.ts';
import type { Netns, Sandbox } from '../os/netns.ts';
import { bareAddress } from '../wire/cidr.ts';
import type { Directory } from './directory.ts';
import type { EndpointFeed } from './endpoint-feed.ts';
import type { Carried, CarrySpec, Fabric } from './fabric.ts';
import type { Serial } from './serial.ts';

/** How often the kernel is compared with what it should have. */
const SWEEP_EVERY = asMillis(10_000);

/** An engine moves the interface as the container starts: in less than a second, or never. */
const FETCHED_WITHIN_MS = 120_000;

/**
 * How long an endpoint of an engine does without the fast path. To put its program on an interface holds the
 * kernel's lock on links for 10 ms and more (docs/adr/0056), for which an engine that starts a container
 * waits again and again. Within this time the container's own program runs, on a busy host too.
 */
const STARTS_WITHIN = asMillis(500);

/** Sandboxes looked into with each of them, by turns: a process each. At the start it is all. */
const LOOKS_PER_SWEEP = 4;

export interface ReconcilerOptions {
  readonly self: PeerId;
  readonly directory: Directory;
  readonly fabric: Fabric;
  readonly feed: EndpointFeed;
  readonly auditor: Auditor;
  readonly edges: Edges;
  readonly hostRoutes: HostRoutes;
  readonly ip: Ip;
  readonly netns: Netns;
  readonly sandboxes: Sandboxes;
  /** Where a container of an engine with that endpoint was seen. */
  readonly engineSandbox: (id: string) => Sandbox | undefined;
  /** That a network has at this moment. */
  readonly mtuOf: (network: NetworkDefinition) => number;
  readonly serial: Serial;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A network of this host with its endpoints here. */
interface Desired {
  readonly network: NetworkDefinition;
  readonly endpoints: readonly Endpoint[];
}

/**
 * Brings this host to what the tables say: carries the networks that have an endpoint here, or that a
 * container engine here has in its list, and no others; repairs what somebody broke, and forgets endpoints whose sandbox has vanished. What other
 * hosts have reaches the data plane by the feed, without reconciling.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  #sweep: Timer | undefined;
  #isStopped = false;
  #isQueued = false;
  #looks = Infinity;
  /** Since when endpoints wait for their engine to move the interface. */
  readonly #unfetched = new Map<string, Millis>();
  /** Endpoints whose containers are being started. */
  readonly #starting = new Map<string, Timer>();
  /** That the sandboxes of a network have been given. */
  readonly #givenMtus = new Map<Vni, number>();

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Reconciles now and then every 10 s until `stop`; settles after the first time. */
  async start(): Promise<void> {
    await this.#options.serial.run(() => this.reconcile());
    this.#scheduleSweep();
  }

  stop(): void {
    this.#isStopped = true;
    this.#sweep?.cancel();
    for (const timer of this.#starting.values()) timer.cancel();
  }

  /** Reconciles soon, after the jobs that already wait; several requests become one. */
  request(): void {
    if (this.#isQueued || this.#isStopped) return;
    this.#isQueued = true;
    void this.#options.serial.run(async () => {
      this.#isQueued = false;
      await this.#tryReconcile();
    });
  }

  isCarried({ vni }: NetworkDefinition): boolean {
    return this.#options.fabric.get(vni) !== undefined;
  }

  /** That the network has at this moment: no path between its hosts takes more. */
  mtuOf(network: NetworkDefinition): number {
    return this.#options.mtuOf(network);
  }

  /**
   * Gives interfaces an MTU that the network has had for a moment only, so that they are not judged by it
   * before; the caller holds the `Serial`.
   */
  async settleMtu(network: NetworkDefinition): Promise<void> {
    const isGiven = this.#givenMtus.get(network.vni) === this.mtuOf(network);
    if (!isGiven) await this.#tryReconcile();
  }

  /** Carries one network, with its VTEPs, endpoints and local MACs set; the caller holds the `Serial`. */
  async carry(network: NetworkDefinition): Promise<Carried> {
    const { fabric, feed } = this.#options;
    const isNew = fabric.get(network.vni) === undefined;
    const carried = await fabric.carry(this.#carrySpec(network));
    feed.open(carried);
    this.refreshMacs(network);
    if (isNew) {
      this.#givenMtus.set(network.vni, carried.mtu);
      await this.refreshEdges();
    }
    return carried;
  }

  /**
   * Brings the edge of this host to what it carries and publishes, an endpoint `changed` in place of what
   * its row says; the caller holds the `Serial`.
   */
  async refreshEdges(changed?: Endpoint): Promise<void> {
    const { edges, fabric, log } = this.#options;
    const networks = fabric
      .carried()
      .map(({ network, bridge, gateway }) =>
        edgeNetwork(bridge, gateway, this.#endpointsHere(network, changed)),
      );
    for (const change of await edges.ensure(networks)) log.info({ change }, 'repaired');
  }

  /**
   * Gives this host its ways by the interfaces that it has on networks with a gateway, an endpoint `changed`
   * in place of what its row says; those in `lost` have no interface. The caller holds the `Serial`.
   */
  async refreshHostRoutes(changed?: Endpoint, lost: readonly Endpoint[] = []): Promise<void> {
    const { fabric, hostRoutes, log } = this.#options;
    const ports = fabric
      .carried()
      .filter(({ gateway }) => gateway !== undefined)
      .flatMap(({ network }) => hostPort(this.#endpointsHere(network, changed)) ?? [])
      .filter(({ ifname }) => lost.every((endpoint) => endpoint.ifname !== ifname));
    for (const change of await hostRoutes.ensure(ports)) log.info({ change }, 'repaired');
  }

  #endpointsHere(network: string, changed: Endpoint | undefined): readonly Endpoint[] {
    const { directory, self } = this.#options;
    const own = directory
      .endpointsAt({ network, host: self })
      .filter(({ id }) => id !== changed?.id);
    return [...own, ...(changed?.network === network ? [changed] : [])];
  }

  /** How this host differs from what `refreshEdges` and `refreshHostRoutes` last made; nothing is changed. */
  async examineEdges(): Promise<readonly string[]> {
    const { edges, hostRoutes } = this.#options;
    return [...(await edges.examine()), ...(await hostRoutes.examine())];
  }

  /** Tells the data plane which MACs are this host's own, and by which devices they are reached. */
  refreshMacs(network: NetworkDefinition): void {
    const { directory, fabric, self } = this.#options;
    const { name, vni, isolated } = network;
    this.refreshLocalMacs(network);
    // The fast path leads past the bridge, whose ports keep apart what is to be isolated.
    const own = isolated === true ? [] : directory.endpointsAt({ network: name, host: self });
    // The fast path in the kernel would pass by what limits a rate, and hands a frame to the other end of
    // a pair in another namespace only.
    const fast = own.filter(
      ({ id, bandwidth, origin }) =>
        bandwidth === undefined && origin !== HOST_ORIGIN && !this.#starting.has(id),
    );
    fabric.setEndpointDevices(
      vni,
      fast.map(({ id, mac }) => ({ mac, device: hostEndName(id) })),
    );
  }

  /**
   * An engine is about to start a container with this endpoint: it is left out of the fast path for a while.
   * To be called before its row is there.
   */
  awaitStart({ id, network: name }: Pick<Endpoint, 'id' | 'network'>): void {
    const { clock, directory, serial } = this.#options;
    this.#starting.get(id)?.cancel();
    const timer = clock.after(STARTS_WITHIN, () => {
      this.#starting.delete(id);
      void serial.run(() => {
        const network = directory.endpoint(id) && directory.network(name);
        if (network !== undefined) this.refreshMacs(network);
        return Promise.resolve();
      });
    });
    this.#starting.set(id, timer);
  }

  /** Of `refreshMacs` what frames need: without it they would be taken for another host's. */
  refreshLocalMacs({ name, vni }: NetworkDefinition): void {
    const { directory, fabric, feed, self } = this.#options;
    const own = directory.endpointsAt({ network: name, host: self });
    const lost = fabric.setLocalMacs(vni, new Set(own.map(({ mac }) => mac)));
    feed.restore(name, lost);
  }

  /** The work itself; the caller holds the `Serial`. */
  async reconcile(): Promise<void> {
    const { fabric, auditor, ip } = this.#options;
    await this.forgetVanished();
    const desired = this.#desired();
    // First: it waits, off the event loop, until the kernel has done with what was just removed.
    const links = await ip.links();
    await this.#dropOthers(desired);
    await fabric.replug(new Set(links.map(({ name }) => name)));
    for (const { network } of desired) await this.carry(network);
    await this.refreshEdges();
    const isStart = this.#looks === Infinity;
    const wanted = desired.map(({ network, endpoints }) => {
      const spec = this.#carrySpec(network);
      const isChanged = isStart || this.#givenMtus.get(network.vni) !== spec.mtu;
      return {
        ...{ ...spec, endpoints, isChanged },
        device: fabric.get(network.vni)?.device ?? '',
      };
    });
    const { changes, lost } = await auditor.audit(wanted, this.#looks);
    await this.refreshHostRoutes(
      undefined,
      lost.map(({ endpoint }) => endpoint),
    );
    await this.#tellEngines(wanted);
    this.#looks = 0;
    for (const change of changes) this.#options.log.info({ change }, 'repaired');
    // A device that was made again is another one.
    if (changes.length > 0) for (const { network } of desired) this.refreshMacs(network);
    for (const { endpoint, reason } of lost) {
      this.#options.log.warn({ endpoint: endpoint.id, reason }, 'endpoint could not be restored');
    }
  }

  #carrySpec(network: NetworkDefinition): CarrySpec {
    const { name, vni, mtu: fullMtu, encap } = network;
    const gateway = gatewayOf(network);
    const mtu = this.#options.mtuOf(network);
    const isSealed = encap === sealed.name;
    return { network: name, vni, mtu, fullMtu, isSealed, ...(gateway && { gateway }) };
  }

  /**
   * What engines care for the auditor does not look into: they are told of another MTU once. One that
   * can't be told hears from the data plane that its packets are too long.
   */
  async #tellEngines(
    wanted: readonly (CarrySpec & {
      readonly endpoints: readonly Endpoint[];
      readonly isChanged: boolean;
    })[],
  ): Promise<void> {
    const { engineSandbox, netns, sandboxes, log } = this.#options;
    for (const { vni, mtu, endpoints, isChanged, network } of wanted) {
      this.#givenMtus.set(vni, mtu);
      if (!isChanged) continue;
      for (const { id, mac, sandbox } of endpoints.filter(isEngineManaged)) {
        try {
          const reference = engineSandbox(id) ?? (await netns.resolve({ netns: sandbox.path }));
          await sandboxes.setMtu(reference, mac, mtu);
        } catch (error) {
          if (!isAppError(error)) throw error;
          log.warn({ endpoint: id, network, mtu, reason: error.message }, 'MTU could not be set');
        }
      }
    }
  }

  /**
   * Forgets this host's endpoints whose sandbox or network is gone: the kernel has removed such an
   * interface, and the address becomes free with the row. The caller holds the `Serial`.
   */
  async forgetVanished(): Promise<void> {
    const { directory, log } = this.#options;
    const own = this.#ownEndpoints();
    const links = own.some(isEngineManaged) ? await this.#linkNames() : new Set<string>();
    for (const endpoint of own) {
      const why =
        directory.network(endpoint.network) === undefined
          ? 'its network was removed'
          : isEngineManaged(endpoint)
            ? this.#whyLeft(endpoint, links)
            : await this.#whyGone(endpoint);
      if (why === undefined) continue;
      directory.removeEndpoint(endpoint);
      log.info({ endpoint: endpoint.id, network: endpoint.network, why }, 'endpoint forgotten');
    }
    for (const id of [...this.#unfetched.keys()]) {
      if (directory.endpoint(id) === undefined) this.#unfetched.delete(id);
    }
  }

  async #linkNames(): Promise<ReadonlySet<string>> {
    return new Set((await this.#options.ip.links()).map(({ name }) => name));
  }

  async #whyGone({ sandbox }: Endpoint): Promise<string | undefined> {
    return (await this.#options.netns.exists(sandbox)) ? undefined : 'its sandbox has vanished';
  }

  /**
   * The kernel removes the pair with the sandbox. An engine that does not fetch the interface has been
   * killed over it; the auditor removes it then, since no row knows it any more.
   */
  #whyLeft({ id }: Endpoint, links: ReadonlySet<string>): string | undefined {
    if (!links.has(hostEndName(id))) return 'its sandbox has vanished';
    if (!links.has(engineEndName(id))) {
      this.#unfetched.delete(id);
      return undefined;
    }
    const now = this.#options.clock.now();
    const since = this.#unfetched.get(id) ?? now;
    this.#unfetched.set(id, since);
    if (now - since < FETCHED_WITHIN_MS) return undefined;
    return 'its engine has not moved the interface into a sandbox';
  }

  async #tryReconcile(): Promise<void> {
    try {
      await this.reconcile();
    } catch (error) {
      const { log } = this.#options;
      const message =
        'this host could not be brought to what the tables say; trying again within 10 s';
      if (isAppError(error)) log.warn({ reason: error.message }, message);
      else log.error({ err: error }, message);
    }
  }

  #scheduleSweep(): void {
    if (this.#isStopped) return;
    this.#sweep = this.#options.clock.after(SWEEP_EVERY, () => {
      this.#looks = LOOKS_PER_SWEEP;
      this.request();
      this.#scheduleSweep();
    });
  }

  #ownEndpoints(): Endpoint[] {
    return this.#options.directory.endpointsOf(this.#options.self);
  }

  /** Endpoints of this host by network; of two networks with one VNI one only. */
  #desired(): Desired[] {
    const { directory, self } = this.#options;
    const own = this.#ownEndpoints();
    const desired = directory
      .networks()
      .sort(byAge)
      .map((network) => ({
        network,
        endpoints: own.filter((endpoint) => endpoint.network === network.name),
      }))
      .filter(
        ({ network: { name }, endpoints }) =>
          endpoints.length > 0 || directory.isUsed({ network: name, host: self }),
      )
      // What is only in an engine's list never takes the VNI from what has endpoints.
      .sort((a, b) => Number(a.endpoints.length === 0) - Number(b.endpoints.length === 0));
    const first = new Map(
      desired.map(({ network }) => [network.vni, network.id] as const).reverse(),
    );
    return desired.filter(({ network }) => first.get(network.vni) === network.id);
  }

  /** A network that was removed, lost its last endpoint here, or has another VNI or MTU by now. */
  async #dropOthers(desired: readonly Desired[]): Promise<void> {
    const { fabric, feed, log } = this.#options;
    for (const { network: name, vni, fullMtu } of fabric.carried()) {
      const isWanted = desired.some(
        ({ network }) => network.name === name && network.vni === vni && network.mtu === fullMtu,
      );
      if (isWanted) continue;
      feed.close(name);
      await fabric.drop(vni);
      this.#givenMtus.delete(vni);
      log.info({ network: name, vni }, 'network is no longer carried here');
    }
  }
}

function edgeNetwork(
  bridge: string,
  gateway: GatewaySpec | undefined,
  endpoints: readonly Endpoint[],
): EdgeNetwork {
  const published = endpoints
    .map((endpoint) => ({
      addresses: addressesOf(endpoint).map(bareAddress),
      ports: endpoint.ports ?? [],
    }))
    .filter(({ ports }) => ports.length > 0);
  const exposed = hostPort(endpoints);
  return {
    ...{ bridge, published, gateways: gateway?.addresses ?? [] },
    ...(gateway && { edge: gateway.edge }),
    ...(gateway?.isIsolated === true && { isIsolated: true }),
    ...(exposed && { exposed }),
  };
}

/** The host's own among the endpoints of a network here. */
function hostPort(endpoints: readonly Endpoint[]): HostPort | undefined {
  const own = endpoints.find(({ origin }) => origin === HOST_ORIGIN);
  return own && { ifname: own.ifname, addresses: addressesOf(own) };
}
