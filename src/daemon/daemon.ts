import type { Clock } from '../base/clock.ts';
import { DEFAULT_MESH_PORT, DEFAULT_VXLAN_PORT } from '../base/defaults.ts';
import type { Logger } from '../base/log.ts';
import { packageVersion } from '../base/package-root.ts';
import type { Rng } from '../base/rng.ts';
import { asMillis, formatSocketAddress, type SocketAddress } from '../base/types.ts';
import type { DataPlane } from '../dataplane/dataplane.ts';
import { RELAY_HEADER_BYTES } from '../dataplane/relay-header.ts';
import { openDataPlane, type DataPlaneFactories } from '../dataplane/select.ts';
import type { IpFamily } from '../encap/mtu.ts';
import type { SealingCipher } from '../encap/sealed.ts';
import { createEncapsulations } from '../encap/registry.ts';
import { presets } from '../gossip/config.ts';
import { Mesh } from '../gossip/driver.ts';
import { isActive, isSameAddress, type Member } from '../gossip/member.ts';
import { Auditor } from '../network/audit.ts';
import { Envelope, ENVELOPE_BYTES } from '../link/envelope.ts';
import { JoinHost } from '../link/invitation.ts';
import { HostSignatures } from '../link/host-signatures.ts';
import { askForKeyring, KeyringHost } from '../link/key-exchange.ts';
import { locatorOf } from '../link/locator.ts';
import { RELAYED_BYTES } from '../link/relayed.ts';
import { BARE_KIND, MeshStreams } from '../link/mesh-streams.ts';
import { PathMtuProber } from '../link/pmtu-prober.ts';
import { Bridges } from '../network/bridge.ts';
import { Edges } from '../network/edge.ts';
import { HostRoutes } from '../network/host-routes.ts';
import { Sandboxes } from '../network/sandbox.ts';
import { Shaping } from '../network/shaping.ts';
import type { Ip } from '../os/ip.ts';
import type { Netns } from '../os/netns.ts';
import type { Nft } from '../os/nft.ts';
import type { PolicyRouting } from '../os/policy-routing.ts';
import type { ProbePort } from '../os/port-probe.ts';
import type { Sysctl } from '../os/sysctl.ts';
import type { Tc } from '../os/tc.ts';
import { defaultAdvertise, findLocalAddress } from '../os/underlay.ts';
import { ContainerNames } from '../plugin/docker/container-names.ts';
import { DockerDriver } from '../plugin/docker/driver.ts';
import { UnixEngineApi } from '../plugin/docker/engine-api.ts';
import type { TapDevice } from '../tun/device.ts';
import { DatagramStreamTransport } from '../underlay/stream-datagrams.ts';
import { FallbackStreams } from '../underlay/stream-fallback.ts';
import type { StreamTransport } from '../underlay/stream.ts';
import { CniPlugin } from '../plugin/cni/plugin.ts';
import { familyOf } from '../wire/cidr.ts';
import { cniHolders, DaemonCniHost } from './cni-host.ts';
import { ClusterHolds } from './cluster-holds.ts';
import { Cluster } from './cluster.ts';
import { DaemonControl, OPEN_MESH_WARNING } from './control.ts';
import { Zone } from '../dns/zone.ts';
import { Addresses } from './addresses.ts';
import { Directory } from './directory.ts';
import { EndpointFeed, type MemberVtep } from './endpoint-feed.ts';
import { Engines } from './engines.ts';
import { Exposure } from './exposure.ts';
import { Fabric } from './fabric.ts';
import { Forgetting } from './forgetting.ts';
import { auditAddresses } from './ipam-audit.ts';
import { Journal } from './journal.ts';
import { Joining } from './joining.ts';
import { Keys } from './keys.ts';
import { Links } from './links.ts';
import { LinkEvents } from './link-events.ts';
import { LinkViews } from './link-views.ts';
import { checkMeshKey, readMeshKey } from './mesh-key-file.ts';
import { MeshChannels } from './mesh-channels.ts';
import { Moving } from './moving.ts';
import { NameRows } from './name-rows.ts';
import { NameService, type DnsSeam } from './name-service.ts';
import { describePathMtu, NetworkMtus } from './network-mtus.ts';
import { Networks } from './networks.ts';
import type { DaemonOptions, MetricsAddress } from './options.ts';
import { sentBytes } from './path-traffic.ts';
import { OwnAddresses } from './own-addresses.ts';
import { PathKeeper } from './path-keeper.ts';
import { encodeMemberMeta, keyMembers, memberVtep, peerCapabilities, Peers } from './peers.ts';
import { brokenOwner, endpointOwner, networkHostOwner, ownTable } from './row-owners.ts';
import { Reconciler } from './reconciler.ts';
import {
  parseBrokenRecord,
  parseEndpointRecord,
  parseMoveRecord,
  parseMtuRecord,
  parseNameRecord,
  parseNetworkRecord,
  parseClusterHoldRecord,
  parseUseRecord,
  parseVtepRecord,
} from './records.ts';
import { Repairs } from './repairs.ts';
import { RoutedControl } from './routed-control.ts';
import { Reservations } from './reservations.ts';
import { SeedBook } from './seeds.ts';
import { Serial } from './serial.ts';
import type { RunningDaemon } from './service.ts';
import type { State } from './state.ts';
import { resolveTarget } from './targets.ts';
import { Tokens } from './tokens.ts';
import { TrustedPaths } from './trusted-paths.ts';
import { Workloads } from './workloads.ts';
import { feedZone } from './zone-feed.ts';

/** How long a host that is asked for keys may take. */
const ASK_FOR_KEYS_WITHIN = asMillis(5_000);
const MS_PER_HOUR = 3_600_000;

/** All hosts of an open mesh have the same; hosts with different ones ignore each other. */
const MESH_LABEL = 'weft';
/** In a sealed mesh the keys tell who belongs to it. */
const SEALED_LABEL = '';

/** What the daemon is made on top of: the real things, or a test's. */
export interface Seams {
  readonly ip: Ip;
  readonly netns: Netns;
  readonly sysctl: Sysctl;
  readonly nft: Nft;
  readonly policyRouting: PolicyRouting;
  readonly tc: Tc;
  readonly probePort: ProbePort;
  readonly dns: DnsSeam;
  /** Ciphers that this processor has in hardware. */
  readonly fastCiphers: () => readonly SealingCipher[];
  readonly openState: (directory: string, firstKey?: Uint8Array) => State;
  readonly dataPlanes: DataPlaneFactories;
  readonly openStreams: (wanted: {
    readonly addresses: readonly string[];
    readonly port: number;
  }) => Promise<StreamTransport>;
  /** Opens a TAP device that is up, as a data plane of this kind with so many threads takes it. */
  readonly openTap: (
    kind: DataPlane['description']['kind'],
    name: string,
    mtu: number,
    threads: number,
  ) => TapDevice;
}

export interface DaemonDeps {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  readonly seams: Seams;
}

/** What holds resources; closed in the opposite order. */
interface Opened {
  readonly state: State;
  readonly plane: DataPlane;
  readonly planeReason: string;
  readonly streams: StreamTransport;
}

/**
 * The composition root: constructs every part, hands each its collaborators, and starts them. Rejects
 * with an AppError if a port, the state directory or a device can't be had; nothing stays open then.
 */
export async function startDaemon(
  options: DaemonOptions,
  deps: DaemonDeps,
): Promise<RunningDaemon> {
  const opened = await open(options, deps);
  try {
    return await assemble(options, deps, opened);
  } catch (error) {
    await close(opened);
    throw error;
  }
}

async function open(options: DaemonOptions, deps: DaemonDeps): Promise<Opened> {
  const { addresses, port } = options.listen;
  const { openState, dataPlanes, openStreams } = deps.seams;
  const { meshKeyFile } = options;
  const firstKey = meshKeyFile === undefined ? undefined : readMeshKey(meshKeyFile);
  const state = openState(options.stateDir, firstKey);
  try {
    if (firstKey !== undefined) checkMeshKey(firstKey, state.keyring, meshKeyFile ?? '');
    const { plane, reason } = await openDataPlane(
      options.dataPlane,
      {
        ...{ addresses, meshPort: port, vxlanPort: options.vxlanPort },
        threads: options.threads,
        ...{ unknownUnicastRate: options.unknownUnicastRate, fastPath: options.fastPath },
      },
      dataPlanes,
    );
    try {
      const streams = await openStreams({ addresses, port: plane.meshAddress.port });
      return { state, plane, planeReason: reason, streams };
    } catch (error) {
      await plane.close();
      throw error;
    }
  } catch (error) {
    await state.close();
    throw error;
  }
}

async function close({ state, plane, streams }: Opened): Promise<void> {
  await streams.close();
  await plane.close();
  await state.close();
}

/** What the other hosts are told to send to. */
async function advertised(
  options: DaemonOptions,
  ip: Ip,
  meshPort: number,
): Promise<SocketAddress> {
  const { advertise, listen } = options;
  const bound = listen.addresses.find((address) => address !== '0.0.0.0' && address !== '::');
  const families = listen.addresses.map(familyOf);
  const address = advertise?.address ?? bound ?? (await defaultAdvertise(ip, families)).address;
  return { address, port: advertise?.port ?? meshPort };
}

/** The underlay's MTU; the advertised address may be a NAT's, then the default interface counts. */
async function underlayOf(
  ip: Ip,
  { address }: SocketAddress,
): Promise<{ readonly mtu: number; readonly family: IpFamily }> {
  const { mtu } = (await findLocalAddress(ip, address)) ?? (await defaultAdvertise(ip));
  return { mtu, family: familyOf(address) };
}

const metricsUrl = ({ host, port }: MetricsAddress): string =>
  `http://${formatSocketAddress({ address: host, port })}/metrics`;

async function assemble(
  options: DaemonOptions,
  deps: DaemonDeps,
  opened: Opened,
): Promise<RunningDaemon> {
  const { clock, rng, log } = deps;
  const { state, plane } = opened;
  const { ip, netns, sysctl, nft, policyRouting, tc, probePort, openTap } = deps.seams;
  const host = state.id;
  const advertise = await advertised(options, ip, plane.meshAddress.port);

  const isOpen = options.gossip === 'open';
  const keys: Keys = new Keys({
    ...{ state, clock, rng, log },
    members: () => keyMembers(mesh),
    unopened: () => {
      const { envelopeForeign = 0, envelopeRetired = 0 } = envelope?.counters() ?? {};
      return envelopeForeign + envelopeRetired;
    },
    ask: ({ address, publicKey }) =>
      askForKeyring(
        { identity: state.identity, publicKey, meshId: state.keyring.meshId },
        (question) => streams.askBare(BARE_KIND.keyring, address, question, ASK_FOR_KEYS_WITHIN),
      ),
  });
  const envelope = isOpen ? undefined : new Envelope({ self: host, keys: keys.inUse });
  const routed = new RoutedControl({ self: host, control: plane.control, plane });
  const own = new OwnAddresses({
    ...{ ip, listen: options.listen.addresses, port: plane.meshAddress.port, clock, log },
  });
  await own.refresh();
  const channels = new MeshChannels({ control: routed, envelope, gate: plane, clock });
  let [announced, seen]: [SocketAddress, readonly SocketAddress[]] = [advertise, []];
  const memberMeta = (): Uint8Array =>
    encodeMemberMeta({
      version: packageVersion,
      vxlanPort: plane.vxlanAddress.port,
      partialChecksums: plane.capabilities.takesPartialChecksums,
      mesh: state.keyring.meshId,
      keys: keys.notice(),
      dualStack: true,
      paths: own.candidates(announced, seen),
    });
  const exchanges = new DatagramStreamTransport(channels.of('exchanges'), { clock });
  const streams = new MeshStreams({
    inner: new FallbackStreams({
      ...{ tcp: opened.streams, datagrams: exchanges, clock },
      mayFallBack: (to): boolean => paths.isInUse(to),
    }),
    ...{ envelope, clock },
  });
  const mesh = new Mesh({
    self: {
      ...{ id: host, name: options.name, address: advertise },
      meta: memberMeta(),
    },
    ...{
      signatures: new HostSignatures(state.signingKey),
      incarnation: state.nextIncarnation(),
      label: isOpen ? MESH_LABEL : SEALED_LABEL,
      config: presets.lan,
      seeds: [],
    },
    ...{ datagrams: channels.of('gossip'), streams, clock, rng, log, rows: state },
  });
  const tables = {
    networks: mesh.table('networks', { validate: parseNetworkRecord }),
    endpoints: mesh.table('endpoints', ownTable(parseEndpointRecord, endpointOwner)),
    vteps: mesh.table('vteps', { validate: parseVtepRecord }),
    uses: mesh.table('uses', ownTable(parseUseRecord, networkHostOwner)),
    clusterHolds: mesh.table('cluster-holds', { validate: parseClusterHoldRecord }),
    moves: mesh.table('moves', { validate: parseMoveRecord }),
    names: mesh.table('names', { validate: parseNameRecord }),
    mtus: mesh.table('mtus', ownTable(parseMtuRecord, networkHostOwner)),
    broken: mesh.table('broken', { validate: parseBrokenRecord, owner: brokenOwner }),
  };
  mesh.load(state.rows());

  const directory = new Directory(host, tables);
  const holds = new ClusterHolds(tables.clusterHolds);
  const peers = new Peers(mesh);
  const serial = new Serial();
  const bridges = new Bridges({ ip, sysctl, host });
  const shaping = new Shaping({ ip, tc, sysctl, host });
  const sandboxes = new Sandboxes({ ip, netns, sysctl, shaping, host });
  const auditor = new Auditor({ ip, bridges, sandboxes, shaping, host });
  const fabric = new Fabric({
    ...{ dataPlane: plane, bridges, log },
    onSealed: () => links.refresh(),
    openTap: (name, mtu) => openTap(plane.description.kind, name, mtu, options.threads),
  });
  const linkEvents = new LinkEvents({ wallNow: () => clock.wallNow(), log });
  const paths = new PathKeeper({
    ...{ self: host, members: mesh, plane, probes: channels.of('pathProbes') },
    ...{ broken: tables.broken, events: linkEvents, clock, rng },
    isExpelled: (id) => keys.keyring.isExpelled(id),
    isAgreed: (id, to) => trusted.isAgreed(id, to),
    pathChanged: (id) => links.pathChanged(id),
    found: (id, at) => mesh.found(id, at),
    sharedChanged: () => trusted.pathsChanged(),
    seenChanged: () => tellAddresses(),
  });
  const trusted: TrustedPaths = new TrustedPaths({
    ...{ self: host, identity: state.identity, subnets: options.trustedSubnet, members: mesh },
    isExpelled: (id) => keys.keyring.isExpelled(id),
    paths: () => paths,
    ownAddresses: () => own.addresses,
    ...{ plane, channel: channels.of('trust'), clock, rng },
  });
  routed.followPaths(paths);
  /** Behind a NAT, others reach this host where they see it; unless a person knows better. */
  const tellAddresses = (): void => {
    seen = paths.seenAddresses();
    announced = options.advertise === undefined ? (seen[0] ?? advertise) : advertise;
    if (!isSameAddress(announced, mesh.self.address)) mesh.setAddress(announced);
    mesh.setMeta(memberMeta());
    paths.setOwnAddresses(own.addresses);
  };
  const links: Links = new Links({
    ...{
      channel: channels.of('handshakes'),
      paths,
      events: linkEvents,
      sealing: trusted.guard(plane.sealing),
      gate: plane,
      state,
      keys,
      members: mesh,
    },
    sealedPeers: () => fabric.sealedPeers(),
    ...{ ciphers: deps.seams.fastCiphers(), rekeySeconds: options.linkRekeySeconds },
    ...{ clock, rng, log },
  });
  const tokens = new Tokens({ state, wallNow: () => clock.wallNow() });
  const joinHost = new JoinHost({
    ...{ identity: state.identity, keyring: () => state.keyring, invitations: tokens },
  });
  streams.serveBare(BARE_KIND.joining, (question) => joinHost.answer(question, clock.now()));
  const keyringHost = new KeyringHost({
    ...{ identity: state.identity, keyring: () => state.keyring },
    isKnown: (id) => keys.isKnown(id),
  });
  streams.serveBare(BARE_KIND.keyring, (question) => keyringHost.answer(question, clock.now()));
  const joining = new Joining({ mesh, state, streams });
  const feed = new EndpointFeed(host, directory, fabric);
  const encapsulations = createEncapsulations();
  const pathMtus: PathMtuProber = new PathMtuProber({
    // node:dgram has no way to forbid fragments, and a probe in fragments would tell lies.
    ...{
      channel: channels.of('mtuProbes'),
      overheadBytes: isOpen ? 0 : ENVELOPE_BYTES,
      relayBytes: RELAY_HEADER_BYTES + RELAYED_BYTES,
      isProbing: plane.description.kind === 'native',
    },
    paths: () =>
      networkMtus.sharing().flatMap((peer) => {
        const way = paths.pathTo(peer);
        return way === undefined ? [] : [{ ...way, peer }];
      }),
    traffic: () => sentBytes(plane.counters().vteps, mesh.members()),
    interfaceMtu: async () => (await underlayOf(ip, mesh.self.address)).mtu,
    changed: (change) =>
      linkEvents.add('mtu', ...describePathMtu(change, peers.nameOf(change.peer))),
    settled: () => networkMtus.refresh(),
    ...{ clock, rng },
  });
  const networkMtus: NetworkMtus = new NetworkMtus({
    ...{ self: host, rows: tables.mtus, directory, encapsulations, paths: pathMtus, log },
    alive: () =>
      mesh
        .members()
        .filter(isActive)
        .map(({ id, address }) => {
          const { to } = paths.pathTo(id) ?? { to: address };
          return { id, family: familyOf(to.address), announced: familyOf(address.address) };
        }),
    isGone: (id) => {
      const member = mesh.member(id);
      return member !== undefined && !isActive(member);
    },
    hostName: (id) => peers.nameOf(id),
    changed: () => reconciler.request(),
  });
  const pathsChanged = (): void => {
    pathMtus.refresh();
    networkMtus.refresh();
  };
  const reconciler: Reconciler = new Reconciler({
    ...{ self: host, directory, fabric, feed, auditor, ip, netns, serial, clock, log },
    edges: new Edges({ ip, nft, sysctl }),
    hostRoutes: new HostRoutes(policyRouting),
    ...{ sandboxes, mtuOf: (network) => networkMtus.effective(network) },
    engineSandbox: (id) => engines.sandboxOf(id),
  });
  const reservations = new Reservations(state);
  const networks = new Networks({
    ...{ self: host, directory, encapsulations, rng },
    alive: () => peers.ids().filter((id) => peers.isAlive(id)),
    singleStack: () => peers.singleStack(),
    leaseSeconds: options.ipamLeaseSeconds,
    holders: (pool) => cniHolders(reservations.ofPool(pool)),
    clusterHolds: holds,
    routes: () => ip.routes(),
    underlay: () => underlayOf(ip, mesh.self.address),
    wallNow: () => clock.wallNow(),
  });
  const addresses = new Addresses({
    ...{ mesh, state, directory, reservations, holds, clock, rng, log },
    hostName: (id) => peers.nameOf(id),
    endpointsLost: () => reconciler.request(),
    endpointLeaseMs: options.ipamEndpointLeaseHours * MS_PER_HOUR,
  });
  const names = new NameRows({
    ...{ self: host, rows: tables.names, directory, networks, peers },
  });
  const zone = new Zone((id) => peers.isAlive(id));
  feedZone(zone, { directory, names: tables.names }, options.dnsDomain);
  const nameService = new NameService({
    ...{ self: host, settings: options, seam: deps.seams.dns, zone, directory, fabric },
    ...{ clock, rng, log },
  });
  const journal = new Journal(state);
  const workloads = new Workloads({
    wallNow: () => clock.wallNow(),
    ...{ addresses, probePort },
    ...{ self: host, directory, journal, networks, reconciler, sandboxes, netns, rng },
    hostName: (id) => peers.nameOf(id),
    isAlive: (id) => peers.isAlive(id),
  });
  const engines = new Engines({
    ...{ self: host, directory, networks, names, addresses, reservations, journal, reconciler },
    ...{ sandboxes, ip, netns, probePort, state, serial, rng, clock, holds },
    hostName: (id) => peers.nameOf(id),
  });
  const cluster = new Cluster({
    ...{ self: host, directory, holds, networks, engines, addresses, reservations, reconciler },
    ...{ state, serial, clock, log },
  });
  const moving = new Moving({
    ...{ self: host, directory, moves: tables.moves, addresses, journal, reconciler, sandboxes },
    isFirst: () => peers.isFirstAlive(host),
    follow: (from, to) => engines.follow(from, to),
    ...{ serial, clock, rng, log },
  });
  const repairs = new Repairs({
    ...{ directory, moves: tables.moves, addresses, clock },
    nameOf: (id) => peers.nameOf(id),
  });
  const exposure = new Exposure({
    ...{ self: host, hostName: options.name, directory, networks, workloads, netns },
  });
  const control = new DaemonControl({
    exposure,
    ...{ dataPlane: plane, dataPlaneReason: opened.planeReason, mesh, peers, directory, networks },
    ...{ addresses, repairs, moving, names, nameService },
    audit: () =>
      auditAddresses({
        ...{ self: host, directory, addresses, ip, netns },
        nameOf: (id) => peers.nameOf(id),
        isAlive: (id) => peers.isAlive(id),
      }),
    forgetting: new Forgetting({ addresses, directory, peers, names, networkMtus }),
    ...{
      workloads,
      fabric,
      links,
      linkViews: new LinkViews({
        ...{ members: mesh, paths, links, events: linkEvents, fabric, dataPlane: plane, clock },
        trusted,
        pathMtu: (id) => pathMtus.pathMtu(id),
      }),
      trusted,
      joining,
      keys,
      isOpen,
      controlSent: () => channels.sent(),
      controlCounters: () => ({
        ...channels.counters(),
        ...routed.counters(),
        ...trusted.counters(),
        ...envelope?.counters(),
      }),
      tokens,
      networkMtus,
      pathMtus,
      reconciler,
      state,
      serial,
      sysctl,
      startedAt: clock.wallNow(),
    },
    metricsAt: options.metrics && metricsUrl(options.metrics),
    ...{ defaultPort: DEFAULT_MESH_PORT, defaultVxlanPort: DEFAULT_VXLAN_PORT },
  });

  const cni = new DaemonCniHost({
    ...{ self: host, control, directory, workloads, addresses, peers, nameService, state, serial },
    ...{ engines, reservations, clock },
    mtuOf: (network) => networkMtus.effective(network),
  });

  /** Nothing is sent to who is expelled. */
  const vtepOf = (member: Member): MemberVtep | undefined =>
    keys.keyring.isExpelled(member.id) ? undefined : memberVtep(member);
  const stopListening = [
    keys.onChange((change) => {
      mesh.setMeta(memberMeta());
      channels.keysChanged();
      links.keysChanged(change);
      for (const member of mesh.members()) feed.setMember(member.id, vtepOf(member));
    }),
    mesh.onMember(({ member, isForgotten }) => {
      for (const place of [member.address.address, locatorOf(member.id)]) {
        plane.setPeer(place, peerCapabilities(member));
      }
      paths.memberChanged(member.id);
      feed.setMember(member.id, isForgotten ? undefined : vtepOf(member));
      keys.membersChanged();
      links.memberChanged(member.id);
      addresses.membersChanged();
      nameService.membersChanged();
      pathsChanged();
      state.setPeers(peers.addresses());
      state.noteIncarnation(mesh.self.incarnation);
    }),
    linkEvents.onEvent(({ kind }) => {
      if (kind === 'path') pathsChanged();
    }),
    directory.onVtep((change) => feed.changeForeign(change)),
    tables.uses.onChange(({ value, previous, origin }) => {
      if (origin === 'remote' && value === undefined && previous) engines.collect(previous.network);
      reconciler.request();
    }),
    tables.clusterHolds.onChange(({ value, previous }) => {
      if (value === undefined && previous) cluster.dropped(previous);
    }),
    directory.onNetworks(() => {
      addresses.networksChanged();
      pathsChanged();
      nameService.changed();
      reconciler.request();
      moving.request();
    }),
    tables.moves.onChange(() => moving.request()),
    tables.broken.onChange(() => paths.brokenChanged()),
    mesh.onSilent((id) => paths.silent(id)),
    directory.onEndpoint((change) => {
      feed.changeEndpoint(change);
      addresses.endpointChanged(change);
      pathsChanged();
      const isOurs = [change.previous, change.value].some((row) => row?.host === host);
      if (isOurs) nameService.changed();
      if (change.origin === 'remote' && isOurs) reconciler.request();
    }),
  ];
  const containerNames = new ContainerNames({
    ...{ engine: new UnixEngineApi(options.dockerSocket), plumbing: engines, clock, log },
  });
  const docker = new DockerDriver({
    ...{ control, plumbing: engines, cluster, scope: options.dockerScope, clock, log },
    called: () => containerNames.wake(),
  });
  await journal.recover(directory, log, (id) => sandboxes.detach({ id }));
  await exposure.adopt();
  await cluster.recover();
  addresses.start();
  await reconciler.start();
  await pathMtus.start();
  moving.request();
  await docker.start();
  if (options.dockerPlugin !== undefined) containerNames.start();
  await nameService.start();
  const seeds = new SeedBook({
    ...{ mesh, clock, log },
    resolve: (target) => resolveTarget(target, DEFAULT_MESH_PORT),
  });
  mesh.start();
  keys.start();
  paths.setOwnAddresses(own.addresses);
  paths.start();
  own.watch(tellAddresses);
  seeds.start(state.peers, options.join);
  if (isOpen) log.warn({}, OPEN_MESH_WARNING);

  return {
    control,
    docker,
    faces: [new CniPlugin(cni, log)],
    readyLine: `weft ready: host ${options.name} at ${formatSocketAddress(mesh.self.address)}, ${plane.description.kind} data plane, control socket ${options.socket}`,
    async close() {
      // First, or leaving would make this host forget the peers that the next start calls.
      for (const stop of stopListening) stop();
      seeds.stop();
      keys.stop();
      own.stop();
      paths.stop();
      links.stop();
      trusted.stop();
      pathMtus.stop();
      networkMtus.stop();
      docker.stop();
      containerNames.stop();
      reconciler.stop();
      await nameService.stop();
      addresses.stop();
      moving.stop();
      await serial.run(() => mesh.leave());
      state.noteIncarnation(mesh.self.incarnation);
      mesh.stop();
      await exchanges.close();
      await close(opened);
    },
  };
}
