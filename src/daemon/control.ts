import type {
  AttachRequest,
  AuditReport,
  Control,
  DetachRequest,
  EndpointInfo,
  EndpointScope,
  EventsRequest,
  ExpelledInfo,
  ExposeRequest,
  FdbInfo,
  ForeignVtep,
  ForgetReport,
  ForgetRequest,
  IpamPlan,
  JoinReport,
  KeyInfo,
  LinkDetail,
  LinkEvent,
  LinksStatus,
  MetricsText,
  NameInfo,
  NameRemoval,
  NameRequest,
  NetworkDetail,
  NetworkInfo,
  NetworkRequest,
  PathMtuStatus,
  PeerInfo,
  PoolInfo,
  PortRequest,
  RenameRequest,
  RepairReport,
  Status,
  TokenInfo,
  TokenRequest,
  TokenText,
  VersionInfo,
  VtepInfo,
} from '../api/control.ts';
import { AppError, isAppError } from '../base/errors.ts';
import { packageVersion } from '../base/package-root.ts';
import { formatSocketAddress, type Mac, type PeerId, type Vni } from '../base/types.ts';
import type { DataPlane, DataPlaneCounters } from '../dataplane/dataplane.ts';
import { sealed } from '../encap/sealed.ts';
import type { JoinOutcome } from '../gossip/join.ts';
import { PROTOCOL, type Mesh } from '../gossip/driver.ts';
import { isActive, MEMBER_STATES } from '../gossip/member.ts';
import type { PathMtuProber } from '../link/pmtu-prober.ts';
import type { Endpoint } from '../network/endpoint.ts';
import { metricsText } from '../metrics/metrics.ts';
import type { NetworkDefinition } from '../network/network.ts';
import type { Sysctl } from '../os/sysctl.ts';
import { describeConflicts } from './conflicts.ts';
import type { Addresses } from './addresses.ts';
import type { Directory } from './directory.ts';
import type { Exposure } from './exposure.ts';
import type { Fabric } from './fabric.ts';
import type { Forgetting } from './forgetting.ts';
import { poolInfo } from './ipam-views.ts';
import { readToken, type Joining } from './joining.ts';
import type { Keys } from './keys.ts';
import type { LinkViews } from './link-views.ts';
import type { Links } from './links.ts';
import type { Moving } from './moving.ts';
import type { NameRows } from './name-rows.ts';
import type { NameService } from './name-service.ts';
import type { NetworkMtus } from './network-mtus.ts';
import type { Networks } from './networks.ts';
import { memberMeta, type Peers } from './peers.ts';
import type { Reconciler } from './reconciler.ts';
import type { Repairs } from './repairs.ts';
import type { Serial } from './serial.ts';
import type { State } from './state.ts';
import { parseTarget, parseVtep, resolveTarget } from './targets.ts';
import {
  endpointInfo,
  fdbInfo,
  idleVtepInfo,
  networkInfo,
  otherPeerInfo,
  peerInfo,
  portInfo,
  vtepInfo,
} from './views.ts';
import type { Tokens } from './tokens.ts';
import type { TrustedPaths } from './trusted-paths.ts';
import type { Workloads } from './workloads.ts';

/** Said at every start and in every status of a mesh that is open by choice. */
export const OPEN_MESH_WARNING =
  'Gossip is open (--gossip open): whoever reaches the mesh port of this host can join the mesh, read all of its state and change it; use it on a network you trust.';

const FILTERED_WARNING =
  "This host's firewall judges bridged frames (net.bridge.bridge-nf-call-iptables is 1): its forward rules, such as Docker's, may drop what workloads say to each other; set it to 0 or allow the bridges weft-*.";

/** Key of the note that a change of networks or VTEPs leaves while it lasts; nothing is to be recovered. */
const NOTE = 'rows';

export interface DaemonControlOptions {
  readonly dataPlane: DataPlane;
  readonly dataPlaneReason: string;
  readonly mesh: Mesh;
  readonly peers: Peers;
  readonly directory: Directory;
  readonly networks: Networks;
  readonly workloads: Workloads;
  readonly exposure: Exposure;
  readonly addresses: Addresses;
  readonly forgetting: Forgetting;
  readonly repairs: Repairs;
  readonly audit: () => Promise<AuditReport>;
  readonly moving: Moving;
  readonly names: NameRows;
  readonly nameService: NameService;
  readonly fabric: Fabric;
  readonly links: Links;
  readonly linkViews: LinkViews;
  readonly trusted: Pick<TrustedPaths, 'subnets'>;
  readonly joining: Joining;
  readonly keys: Keys;
  /** Whether this mesh's gossip is open by choice. */
  readonly isOpen: boolean;
  /** Named counts of the mesh's control messages. */
  readonly controlCounters: () => Readonly<Record<string, number>>;
  readonly controlSent: () => LinksStatus['sent'];
  readonly tokens: Tokens;
  readonly networkMtus: NetworkMtus;
  readonly pathMtus: PathMtuProber;
  readonly reconciler: Reconciler;
  readonly state: State;
  readonly serial: Serial;
  readonly sysctl: Sysctl;
  /** Where metrics are served, as a URL has it; undefined: nowhere. */
  readonly metricsAt: string | undefined;
  /** Port that a target without one means. */
  readonly defaultPort: number;
  /** Port that a foreign VTEP without one has. */
  readonly defaultVxlanPort: number;
  /** Milliseconds since the Unix epoch. */
  readonly startedAt: number;
}

/** Everything a user can do, done. What changes something runs one call at a time. */
export class DaemonControl implements Control {
  readonly #options: DaemonControlOptions;

  constructor(options: DaemonControlOptions) {
    this.#options = options;
  }

  async status(): Promise<Status> {
    const { dataPlane, dataPlaneReason, mesh, directory } = this.#options;
    const { trusted, metricsAt, startedAt } = this.#options;
    const views = this.#options.linkViews.links();
    const counters = dataPlane.counters();
    const { kind, features } = dataPlane.description;
    return {
      ...{ version: packageVersion, name: mesh.self.name, id: mesh.self.id, pid: process.pid },
      key: this.#options.state.identity.publicKey.toString('base64'),
      startedAt: new Date(startedAt).toISOString(),
      meshAddress: formatSocketAddress(dataPlane.meshAddress),
      advertise: formatSocketAddress(mesh.self.address),
      vxlanPort: dataPlane.vxlanAddress.port,
      ...(trusted.subnets.length > 0 && { trustedSubnets: trusted.subnets }),
      ...(metricsAt !== undefined && { metrics: metricsAt }),
      warnings: await this.#warnings(views),
      dataPlane: {
        ...{ kind, features, reason: dataPlaneReason },
        drops: counters.drops,
        fdb: { ...counters.fdb },
        answered: { ...counters.answered },
        ports: counters.ports.map((port) => portInfo(port, this.#networkName)),
        vteps: this.#vtepInfos(counters),
      },
      gossip: {
        members: this.#memberCounts(),
        counters: {
          ...mesh.counters(),
          ...this.#options.addresses.counters(),
          ...this.#options.controlCounters(),
        },
      },
      dns: this.#options.nameService.status(),
      links: { ...this.#linksStatus(views), sent: this.#options.controlSent() },
      pathMtu: this.#pathMtuStatus(),
      networks: directory.networks().length,
      endpoints: {
        local: directory.endpointsOf(mesh.self.id).length,
        mesh: directory.endpoints().length,
      },
    };
  }

  peers(): Promise<readonly PeerInfo[]> {
    const { mesh, startedAt } = this.#options;
    const self = peerInfo(mesh.self, { wall: startedAt, isSelf: true });
    const others = mesh.members().map(otherPeerInfo);
    return Promise.resolve([self, ...others.sort((a, b) => a.name.localeCompare(b.name))]);
  }

  async join(targets: readonly string[]): Promise<JoinReport> {
    for (const target of targets) parseTarget(target, this.#options.defaultPort);
    const results = await Promise.all(targets.map((target) => this.#join(target)));
    const joined = results.flatMap((result) => ('peer' in result ? [result] : []));
    const failures = results.flatMap((result) => ('error' in result ? [result] : []));
    const [first] = failures;
    if (joined.length === 0 && first) throw first.error;
    // A restart calls the peers again that are on disk.
    await this.#options.state.settled();
    return {
      joined,
      failed: failures.map(({ target, error: { code, message } }) => ({ target, code, message })),
    };
  }

  async joinByToken(target: string, word: string): Promise<JoinReport> {
    const { joining, keys } = this.#options;
    parseTarget(target, this.#options.defaultPort);
    const token = readToken(word);
    const [address] = await resolveTarget(target, this.#options.defaultPort);
    if (address === undefined) {
      throw new AppError('E_JOIN_UNRESOLVED', `The name "${target}" has no address.`);
    }
    const keyring = await joining.fetch(token, address, target);
    if (keyring === undefined) return this.join([target]);
    if (keyring.meshId === keys.keyring.meshId) {
      keys.learn(keyring);
      return this.join([target]);
    }
    const before = keys.keyring;
    keys.replace(keyring);
    try {
      return await this.join([target]);
    } catch (error) {
      keys.replace(before);
      throw error;
    }
  }

  createToken(request: TokenRequest): Promise<TokenText> {
    return this.#change(() => Promise.resolve(this.#options.tokens.create(request)));
  }

  listTokens(): Promise<readonly TokenInfo[]> {
    return Promise.resolve(this.#options.tokens.list());
  }

  revokeToken(id: string): Promise<void> {
    return this.#change(() => {
      this.#options.tokens.revoke(id);
      return Promise.resolve();
    });
  }

  listKeys(): Promise<readonly KeyInfo[]> {
    return Promise.resolve(this.#options.keys.list());
  }

  rotateKeys(): Promise<readonly KeyInfo[]> {
    return this.#change(() => Promise.resolve(this.#options.keys.rotate()));
  }

  retireKeys(id?: string): Promise<readonly KeyInfo[]> {
    return this.#change(() => Promise.resolve(this.#options.keys.retire(id)));
  }

  listExpelled(): Promise<readonly ExpelledInfo[]> {
    return Promise.resolve(this.#options.keys.expelled());
  }

  expel(host: string): Promise<ExpelledInfo> {
    return this.#change(() => {
      const { keys, mesh, peers } = this.#options;
      const id = peers.find(host);
      if (id === mesh.self.id) {
        throw new AppError(
          'E_USAGE',
          `Host ${host} is this one; run "weft expel" on a host that stays, or "weft leave" here.`,
        );
      }
      const name = peers.nameOf(id);
      keys.expel(id, name);
      return Promise.resolve({ id, name });
    });
  }

  takeBack(host: string): Promise<ExpelledInfo> {
    return this.#change(() => Promise.resolve(this.#options.keys.takeBack(host)));
  }

  async leave(): Promise<void> {
    await this.#options.mesh.leave();
    this.#options.state.setPeers([]);
    await this.#options.state.settled();
  }

  createNetwork(request: NetworkRequest): Promise<NetworkInfo> {
    return this.#changeNoted(async () =>
      networkInfo(await this.#options.networks.create(request), 0),
    );
  }

  listNetworks(): Promise<readonly NetworkInfo[]> {
    const { directory } = this.#options;
    const count = (name: string): number => directory.endpoints(name).length;
    return Promise.resolve(
      directory.networks().map((network) => ({
        ...networkInfo(network, count(network.name)),
        ...this.#mtuLimit(network),
      })),
    );
  }

  async inspectNetwork(name: string): Promise<NetworkDetail> {
    const { networks, directory, fabric, nameService, peers } = this.#options;
    const network = networks.require(name);
    const dns = nameService.resolvConf(network.name);
    const endpoints = directory.endpoints(name);
    const carried = fabric.get(network.vni);
    return {
      ...networkInfo(network, endpoints.length),
      ...this.#mtuLimit(network),
      ...(carried && { bridge: carried.bridge, device: carried.device }),
      ...(dns && { dns }),
      createdBy: peers.nameOf(network.createdBy),
      createdAt: network.createdAt,
      attached: endpoints.map((endpoint) => this.#endpointInfo(endpoint, network)),
      vteps: await this.listVteps(name),
    };
  }

  removeNetwork(name: string): Promise<void> {
    const { names, networks, peers, reconciler } = this.#options;
    return this.#changeNoted(async () => {
      networks.remove(name, (host) => peers.nameOf(host));
      names.removeNetwork(name);
      await reconciler.reconcile();
    });
  }

  endpoints(scope: EndpointScope): Promise<readonly EndpointInfo[]> {
    const { directory, mesh } = this.#options;
    const found = scope === 'all' ? directory.endpoints() : directory.endpointsOf(mesh.self.id);
    const infos = found.map((each) => this.#endpointInfo(each, directory.network(each.network)));
    const keyOf = ({ host, network, since = '' }: EndpointInfo): string =>
      [host, network, since].join(' ');
    return Promise.resolve(infos.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)));
  }

  attach(request: AttachRequest): Promise<EndpointInfo> {
    return this.#change(async () => {
      const endpoint = await this.#options.workloads.attach(request);
      return this.#endpointInfo(endpoint, this.#options.networks.require(endpoint.network));
    });
  }

  detach(request: DetachRequest): Promise<EndpointInfo> {
    return this.#change(async () => {
      const endpoint = await this.#options.workloads.detach(request);
      return this.#endpointInfo(endpoint, this.#options.directory.network(endpoint.network));
    });
  }

  expose(request: ExposeRequest): Promise<EndpointInfo> {
    return this.#change(async () => {
      const endpoint = await this.#options.exposure.expose(request);
      return this.#endpointInfo(endpoint, this.#options.directory.network(endpoint.network));
    });
  }

  hide(network: string): Promise<EndpointInfo> {
    return this.#change(async () => {
      const endpoint = await this.#options.exposure.hide(network);
      return this.#endpointInfo(endpoint, this.#options.directory.network(endpoint.network));
    });
  }

  publish(endpoint: string, ports: readonly PortRequest[]): Promise<EndpointInfo> {
    return this.#change(async () => {
      const published = await this.#options.workloads.publish(endpoint, ports);
      return this.#endpointInfo(published, this.#options.directory.network(published.network));
    });
  }

  unpublish(endpoint: string, ports?: readonly PortRequest[]): Promise<EndpointInfo> {
    return this.#change(async () => {
      const changed = await this.#options.workloads.unpublish(endpoint, ports);
      return this.#endpointInfo(changed, this.#options.directory.network(changed.network));
    });
  }

  rename({ endpoint, names }: RenameRequest): Promise<EndpointInfo> {
    return this.#change(() => {
      const renamed = this.#options.workloads.rename(endpoint, names);
      return Promise.resolve(
        this.#endpointInfo(renamed, this.#options.directory.network(renamed.network)),
      );
    });
  }

  forget(request: ForgetRequest): Promise<ForgetReport> {
    return this.#change(() => this.#options.forgetting.forget(request));
  }

  ipamStatus(): Promise<readonly PoolInfo[]> {
    const { addresses, mesh, peers } = this.#options;
    const words = {
      ...{ self: mesh.self.id, now: addresses.now() },
      nameOf: (host: PeerId) => peers.nameOf(host),
      stateOf: (host: PeerId) =>
        host === mesh.self.id ? ('alive' as const) : (mesh.member(host)?.state ?? 'unknown'),
    };
    return Promise.resolve(
      addresses.pools().map(({ pool, holding }) => poolInfo(pool, holding, words)),
    );
  }

  /** Between changes, so that none is seen half done. */
  ipamAudit(): Promise<AuditReport> {
    return this.#options.serial.run(() => this.#options.audit());
  }

  ipamPlan(): Promise<IpamPlan> {
    return Promise.resolve(this.#options.repairs.plan());
  }

  /** Decided as any change; what the hosts then do is waited for outside, or this one could not. */
  async ipamRepair(plan: string): Promise<RepairReport> {
    const { repairs } = this.#options;
    await this.#change(() => {
      repairs.decide(plan);
      return Promise.resolve();
    });
    return repairs.settled();
  }

  addName(request: NameRequest): Promise<NameInfo> {
    return this.#change(() => Promise.resolve(this.#options.names.add(request)));
  }

  removeName(request: NameRemoval): Promise<readonly NameInfo[]> {
    return this.#change(() => Promise.resolve(this.#options.names.remove(request)));
  }

  listNames(): Promise<readonly NameInfo[]> {
    return Promise.resolve(this.#options.names.list());
  }

  addVtep(name: string, address: string): Promise<ForeignVtep> {
    return this.#changeNoted(() => {
      const { networks, directory, peers } = this.#options;
      const { name: network, encap } = networks.require(name);
      if (encap === sealed.name) {
        throw new AppError(
          'E_ENCAP_UNKNOWN',
          `Network ${network} is sealed, and VTEPs outside the mesh speak plain VXLAN; add it to a network of --encap vxlan.`,
        );
      }
      const vtep = parseVtep(address, this.#options.defaultVxlanPort);
      const peer = peers.nameAt(vtep.address);
      if (peer !== undefined || vtep.address === this.#options.mesh.self.address.address) {
        throw new AppError(
          'E_VTEP_EXISTS',
          `${vtep.address} is host ${peer ?? this.#options.mesh.self.name} of the mesh, which is a VTEP of every network already; name a VTEP outside the mesh.`,
        );
      }
      directory.putVtep({ network, ...vtep });
      return Promise.resolve({ network, address: formatSocketAddress(vtep) });
    });
  }

  removeVtep(name: string, address: string): Promise<void> {
    return this.#changeNoted(() => {
      const { networks, directory } = this.#options;
      const network = networks.require(name).name;
      const vtep = parseVtep(address, this.#options.defaultVxlanPort);
      if (!directory.vteps(network).some((known) => known.address === vtep.address)) {
        throw new AppError(
          'E_VTEP_MISSING',
          `Network ${network} has no foreign VTEP ${vtep.address}; "weft vtep ls ${network}" lists them.`,
        );
      }
      directory.removeVtep(network, vtep.address);
      return Promise.resolve();
    });
  }

  listVteps(name: string): Promise<readonly VtepInfo[]> {
    const { networks, directory, dataPlane } = this.#options;
    const network = networks.require(name).name;
    const active = this.#vtepInfos(dataPlane.counters()).filter((vtep) => vtep.network === network);
    const idle = directory
      .vteps(network)
      .map(idleVtepInfo)
      .filter(({ address }) => !active.some((vtep) => vtep.address === address));
    return Promise.resolve([...active, ...idle]);
  }

  links(host?: string): Promise<readonly LinkDetail[]> {
    return Promise.resolve().then(() => this.#options.linkViews.links(host));
  }

  events(request: EventsRequest): Promise<readonly LinkEvent[]> {
    return this.#options.linkViews.events(request);
  }

  async metrics(): Promise<MetricsText> {
    return { text: metricsText(await this.status(), await this.links()) };
  }

  fdb(name: string): Promise<readonly FdbInfo[]> {
    const { networks, dataPlane, directory, peers } = this.#options;
    const { vni } = networks.require(name);
    const endpoints = new Map(directory.endpoints(name).map((each) => [each.mac, each]));
    const names = {
      counters: dataPlane.counters(),
      endpointOf: (mac: Mac) => endpoints.get(mac),
      memberAt: (place: string) => peers.atVtep(place),
      hostName: (host: PeerId) => peers.nameOf(host),
    };
    return Promise.resolve(dataPlane.fdb(vni).map((entry) => fdbInfo(entry, names)));
  }

  version(): Promise<VersionInfo> {
    const { version: node } = process;
    return Promise.resolve({ version: packageVersion, node, protocol: { ...PROTOCOL } });
  }

  /** One change at a time, answered when it is on disk. */
  #change<T>(make: () => Promise<T>): Promise<T> {
    return this.#options.serial.run(async () => {
      const result = await make();
      await this.#options.state.settled();
      // A bridge may have come or gone with it. Nobody waits for that.
      void this.#options.nameService.refresh();
      return result;
    });
  }

  /**
   * As `#change`, where other hosts hear of it before it is on this host's disk: a disk that takes not
   * even a note refuses the change before anybody hears.
   */
  #changeNoted<T>(make: () => Promise<T>): Promise<T> {
    const { state } = this.#options;
    return this.#change(async () => {
      await state.begin(NOTE, {});
      try {
        return await make();
      } finally {
        state.end(NOTE);
      }
    });
  }

  /** Tries each address of a target in turn. */
  async #join(
    target: string,
  ): Promise<{ target: string; peer: string } | { target: string; error: AppError }> {
    try {
      const addresses = await resolveTarget(target, this.#options.defaultPort);
      let last: JoinOutcome | undefined;
      for (const address of addresses) {
        [last] = await this.#options.mesh.join([address]);
        if (last?.ok) return { target, peer: last.name };
      }
      if (last?.ok === false) return { target, error: last.error };
      throw new AppError('E_JOIN_UNRESOLVED', `The name "${target}" has no address.`);
    } catch (error) {
      if (isAppError(error)) return { target, error };
      throw error;
    }
  }

  async #warnings(views: readonly LinkDetail[]): Promise<string[]> {
    const { directory, keys, moving, peers, state, sysctl } = this.#options;
    const failure = state.failure;
    const isFiltered = await sysctl.filtersBridgedFrames();
    return [
      ...(this.#options.isOpen ? [OPEN_MESH_WARNING] : []),
      ...(keys.hindrance === undefined ? [] : [keys.hindrance]),
      ...this.#plainWarnings(),
      ...this.#trustWarnings(views),
      ...this.#relayWarnings(views),
      ...(failure === undefined
        ? []
        : [`The state directory can't be written (${failure}): a restart would forget changes.`]),
      ...(isFiltered ? [FILTERED_WARNING] : []),
      ...this.#options.addresses.losses,
      ...(moving.hindrance === undefined ? [] : [moving.hindrance]),
      ...this.#options.nameService.warnings(),
      ...this.#options.networkMtus.warnings(),
      ...this.#foreignWarnings(),
      ...describeConflicts(directory, (host) => peers.nameOf(host)),
    ];
  }

  #plainWarnings(): string[] {
    const plain = this.#options.directory.networks().filter(({ encap }) => encap !== sealed.name);
    const names = plain.map(({ name }) => name).sort();
    if (names.length === 0) return [];
    const [what, whose] = names.length === 1 ? ['Network', 'its'] : ['Networks', 'their'];
    return [
      `${what} ${names.join(', ')}: plain VXLAN, not encrypted; whoever is on the way between the hosts reads ${whose} frames, and whoever reaches their VXLAN port can send some.`,
    ];
  }

  #linksStatus(views: readonly LinkDetail[]): ReturnType<Links['status']> {
    const { peers, counters } = this.#options.links.status();
    const plain = new Map(
      views.flatMap(({ peer, trust }) => (trust?.isPlain ? [[peer, trust.why]] : [])),
    );
    const withReasons = peers.map((each) => {
      const why = plain.get(each.peer);
      return why === undefined ? each : { ...each, plain: why };
    });
    return { peers: withReasons, counters };
  }

  /** Hosts to which frames of sealed networks go in the clear. */
  #trustWarnings(views: readonly LinkDetail[]): string[] {
    const plain = views.filter(({ trust }) => trust?.isPlain === true);
    return plain.map(
      ({ peer, trust }) =>
        `Frames of sealed networks go to ${peer} in the clear: ${trust?.why} (--trusted-subnet).`,
    );
  }

  /** Hosts that plain networks do not reach, though they share some. */
  #relayWarnings(views: readonly LinkDetail[]): string[] {
    const cut = views.filter(
      ({ state, kind, encapsulations }) =>
        state === 'alive' && kind === 'relay' && encapsulations.includes('vxlan'),
    );
    return cut.map(
      ({ peer }) =>
        `Host ${peer} is reached by a relay, which can't carry plain VXLAN: networks of --encap vxlan do not reach it; let it be reached directly, or make them anew with --encap sealed.`,
    );
  }

  /** Hosts that sealed networks do not reach, while there are such networks. */
  #foreignWarnings(): string[] {
    const { directory, mesh, state } = this.#options;
    if (!directory.networks().some(({ encap }) => encap === sealed.name)) return [];
    const own = state.keyring.meshId;
    const hosts = mesh.members().filter((member) => isActive(member));
    const foreign = hosts.filter((member) => memberMeta(member)?.mesh !== own);
    return foreign.map(
      ({ name }) =>
        `Host ${name} has not joined by a token of this mesh: sealed networks do not reach it; "weft token" there or here, "weft join" on the other.`,
    );
  }

  #pathMtuStatus(): PathMtuStatus {
    const { pathMtus, peers } = this.#options;
    const paths = pathMtus.status().map(({ peer, mtu, phase, ceiling, roundTrip }) => ({
      ...{ peer: peers.nameOf(peer), phase, interfaceMtu: ceiling },
      ...(mtu !== undefined && { mtu }),
      ...(roundTrip !== undefined && { roundTripMs: Math.round(roundTrip * 1000) / 1000 }),
    }));
    return { paths, counters: { ...pathMtus.counters() } };
  }

  /** What the network has less than it was made with, and why. */
  #mtuLimit(network: NetworkDefinition): Pick<NetworkInfo, 'mtuLimit'> {
    const { networkMtus, peers } = this.#options;
    const limit = networkMtus.limit(network);
    if (limit === undefined) return {};
    const { mtu, from, to, pathMtu } = limit;
    return { mtuLimit: { mtu, from: peers.nameOf(from), to: peers.nameOf(to), pathMtu } };
  }

  #memberCounts(): Status['gossip']['members'] {
    const states = this.#options.mesh.members().map(({ state }) => state);
    const count = (wanted: string): number => states.filter((state) => state === wanted).length;
    const counts = Object.fromEntries(MEMBER_STATES.map((state) => [state, count(state)]));
    const { alive = 0, suspect = 0, dead = 0, left = 0 } = counts;
    return { alive: alive + 1, suspect, dead, left };
  }

  readonly #networkName = (vni: Vni): string =>
    this.#options.fabric.get(vni)?.network ?? `VNI ${vni}`;

  #vtepInfos(counters: DataPlaneCounters): VtepInfo[] {
    const { peers } = this.#options;
    const names = {
      networkName: this.#networkName,
      memberAt: (place: string) => peers.atVtep(place),
    };
    return counters.vteps.map((vtep) => vtepInfo(vtep, names));
  }

  #endpointInfo(endpoint: Endpoint, network: NetworkDefinition | undefined): EndpointInfo {
    const { peers, reconciler } = this.#options;
    return endpointInfo(endpoint, {
      mtu: network === undefined ? 0 : reconciler.mtuOf(network),
      hostName: (host) => peers.nameOf(host),
    });
  }
}
