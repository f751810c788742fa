import type { Clock } from '../base/clock.ts';
import { DEFAULT_MESH_PORT, DEFAULT_VXLAN_PORT } from '../base/defaults.ts';
import type { Logger } from '../base/log.ts';
import { packageVersion } from '../base/package-root.ts';
import type { Rng } from '../base/rng.ts';
import { formatSocketAddress, type SocketAddress } from '../base/types.ts';
import type { DataPlane } from '../dataplane/dataplane.ts';
import { openDataPlane, type DataPlaneFactories } from '../dataplane/select.ts';
import type { IpFamily } from '../encap/mtu.ts';
import type { SealingCipher } from '../encap/sealed.ts';
import { createEncapsulations } from '../encap/registry.ts';
import { presets } from '../gossip/config.ts';
import { Mesh } from '../gossip/driver.ts';
import { Auditor } from '../network/audit.ts';
import { JOIN_SERVICE, JoinHost } from '../link/invitation.ts';
import { meshIdOf } from '../link/mesh-secret.ts';
import { Bridges } from '../network/bridge.ts';
import { Edges } from '../network/edge.ts';
import { Sandboxes } from '../network/sandbox.ts';
import { Shaping } from '../network/shaping.ts';
import type { Ip } from '../os/ip.ts';
import type { Netns } from '../os/netns.ts';
import type { Nft } from '../os/nft.ts';
import type { ProbePort } from '../os/port-probe.ts';
import type { Sysctl } from '../os/sysctl.ts';
import type { Tc } from '../os/tc.ts';
import { defaultAdvertise, findLocalAddress } from '../os/underlay.ts';
import { ContainerNames } from '../plugin/docker/container-names.ts';
import { DockerDriver } from '../plugin/docker/driver.ts';
import { UnixEngineApi } from '../plugin/docker/engine-api.ts';
import type { TapDevice } from '../tun/device.ts';
import type { StreamTransport } from '../underlay/stream.ts';
import { CniPlugin } from '../plugin/cni/plugin.ts';
import { familyOf } from '../wire/cidr.ts';
import { cniHolders, DaemonCniHost } from './cni-host.ts';
import { DaemonControl, OPEN_MESH_WARNING } from './control.ts';
import { Zone } from '../dns/zone.ts';
import { Addresses } from './addresses.ts';
import { Directory } from './directory.ts';
import { EndpointFeed } from './endpoint-feed.ts';
import { Engines } from './engines.ts';
import { Exposure } from './exposure.ts';
import { Fabric } from './fabric.ts';
import { Forgetting } from './forgetting.ts';
import { auditAddresses } from './ipam-audit.ts';
import { Journal } from './journal.ts';
import { Joining } from './joining.ts';
import { Links } from './links.ts';
import { splitChannel } from './mesh-channels.ts';
import { Moving } from './moving.ts';
import { NameRows } from './name-rows.ts';
import { NameService, type DnsSeam } from './name-service.ts';
import { Networks } from './networks.ts';
import type { DaemonOptions } from './options.ts';
import { encodeMemberMeta, memberVtep, peerCapabilities, Peers } from './peers.ts';
import { Reconciler } from './reconciler.ts';
import {
  parseEndpointRecord,
  parseMoveRecord,
  parseNameRecord,
  parseNetworkRecord,
  parseUseRecord,
  parseVtepRecord,
} from './records.ts';
import { Repairs } from './repairs.ts';
import { Reservations } from './reservations.ts';
import { SeedBook } from './seeds.ts';
import { Serial } from './serial.ts';
import type { RunningDaemon } from './service.ts';
import type { State } from './state.ts';
import { resolveTarget } from './targets.ts';
import { Tokens } from './tokens.ts';
import { Workloads } from './workloads.ts';
import { feedZone } from './zone-feed.ts';

const MS_PER_HOUR = 3_600_000;

/** All hosts of a mesh have the same; hosts with different ones ignore each other. */
const MESH_LABEL = 'weft';

/** What the daemon is made on top of: the real things, or a test's. */
export interface Seams {
  readonly ip: Ip;
  readonly netns: Netns;
  readonly sysctl: Sysctl;
  readonly nft: Nft;
  readonly tc: Tc;
  readonly probePort: ProbePort;
  readonly dns: DnsSeam;
  /** Ciphers that this processor has in hardware. */
  readonly fastCiphers: () => readonly SealingCipher[];
  readonly openState: (directory: string) => State;
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
  const state = openState(options.stateDir);
  try {
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

async function assemble(
  options: DaemonOptions,
  deps: DaemonDeps,
  opened: Opened,
): Promise<RunningDaemon> {
  const { clock, rng, log } = deps;
  const { state, plane, streams } = opened;
  const { ip, netns, sysctl, nft, tc, probePort, openTap } = deps.seams;
  const host = state.id;
  const advertise = await advertised(options, ip, plane.meshAddress.port);

  const channels = splitChannel(plane.control);
  const memberMeta = (): Uint8Array =>
    encodeMemberMeta({
      version: packageVersion,
      vxlanPort: plane.vxlanAddress.port,
      partialChecksums: plane.capabilities.takesPartialChecksums,
      key: state.identity.publicKey,
      mesh: meshIdOf(state.meshSecret),
      dualStack: true,
    });
  const mesh = new Mesh({
    self: {
      ...{ id: host, name: options.name, address: advertise },
      meta: memberMeta(),
    },
    ...{ incarnation: state.nextIncarnation(), label: MESH_LABEL, config: presets.lan, seeds: [] },
    ...{ datagrams: channels.gossip, streams, clock, rng, log, rows: state },
  });
  const tables = {
    networks: mesh.table('networks', { validate: parseNetworkRecord }),
    endpoints: mesh.table('endpoints', { validate: parseEndpointRecord }),
    vteps: mesh.table('vteps', { validate: parseVtepRecord }),
    uses: mesh.table('uses', { validate: parseUseRecord }),
    moves: mesh.table('moves', { validate: parseMoveRecord }),
    names: mesh.table('names', { validate: parseNameRecord }),
  };
  mesh.load(state.rows());

  const directory = new Directory(tables);
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
  const links = new Links({
    ...{ channel: channels.handshakes, sealing: plane.sealing, state, members: mesh },
    sealedPeers: () => fabric.sealedPeers(),
    ...{ ciphers: deps.seams.fastCiphers(), rekeySeconds: options.linkRekeySeconds },
    ...{ clock, rng, log },
  });
  const tokens = new Tokens({ state, wallNow: () => clock.wallNow() });
  const joinHost = new JoinHost({
    ...{ identity: state.identity, secret: () => state.meshSecret, invitations: tokens },
  });
  mesh.serve(JOIN_SERVICE, (_sender, question) => joinHost.answer(question, clock.now()));
  const joining = new Joining({
    ...{ mesh, state },
    secretChanged: () => {
      mesh.setMeta(memberMeta());
      links.secretChanged();
    },
  });
  const feed = new EndpointFeed(host, directory, fabric);
  const reconciler = new Reconciler({
    ...{ self: host, directory, fabric, feed, auditor, ip, netns, serial, clock, log },
    edges: new Edges({ ip, nft, sysctl }),
  });
  const reservations = new Reservations(state);
  const networks = new Networks({
    ...{ self: host, directory, encapsulations: createEncapsulations(), rng },
    alive: () => peers.ids().filter((id) => peers.isAlive(id)),
    singleStack: () => peers.singleStack(),
    leaseSeconds: options.ipamLeaseSeconds,
    unsealed:
      plane.sealing === undefined
        ? `The ${plane.description.kind} data plane of this host can't seal frames; create the network on a host with the native one, or run "weft up --data-plane native".`
        : undefined,
    holders: (pool) => cniHolders(reservations.ofPool(pool)),
    routes: () => ip.routes(),
    underlay: () => underlayOf(ip, mesh.self.address),
    wallNow: () => clock.wallNow(),
  });
  const addresses = new Addresses({
    ...{ mesh, state, directory, reservations, clock, rng, log },
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
    ...{ sandboxes, ip, netns, probePort, state, serial, rng, clock },
    hostName: (id) => peers.nameOf(id),
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
    forgetting: new Forgetting({ addresses, directory, peers, names }),
    ...{
      workloads,
      fabric,
      links,
      joining,
      tokens,
      reconciler,
      state,
      serial,
      sysctl,
      startedAt: clock.wallNow(),
    },
    ...{ defaultPort: DEFAULT_MESH_PORT, defaultVxlanPort: DEFAULT_VXLAN_PORT },
  });

  const cni = new DaemonCniHost({
    ...{ self: host, control, directory, workloads, addresses, peers, nameService, state, serial },
    ...{ engines, reservations, clock },
  });

  const stopListening = [
    mesh.onMember(({ member, isForgotten }) => {
      plane.setPeer(member.address.address, peerCapabilities(member));
      feed.setMember(member.id, isForgotten ? undefined : memberVtep(member));
      links.memberChanged(member.id);
      addresses.membersChanged();
      state.setPeers(peers.addresses());
      state.noteIncarnation(mesh.self.incarnation);
    }),
    directory.onVtep((change) => feed.changeForeign(change)),
    tables.uses.onChange(({ value, previous, origin }) => {
      if (origin === 'remote' && value === undefined && previous) engines.collect(previous.network);
      reconciler.request();
    }),
    directory.onNetworks(() => {
      addresses.networksChanged();
      nameService.changed();
      reconciler.request();
      moving.request();
    }),
    tables.moves.onChange(() => moving.request()),
    directory.onEndpoint((change) => {
      feed.changeEndpoint(change);
      addresses.endpointChanged(change);
      const isOurs = [change.previous, change.value].some((row) => row?.host === host);
      if (isOurs) nameService.changed();
      if (change.origin === 'remote' && isOurs) reconciler.request();
    }),
  ];
  const containerNames = new ContainerNames({
    ...{ engine: new UnixEngineApi(options.dockerSocket), plumbing: engines, clock, log },
  });
  const docker = new DockerDriver({
    ...{ control, plumbing: engines, scope: options.dockerScope, clock, log },
    called: () => containerNames.wake(),
  });
  await journal.recover(directory, log, (id) => sandboxes.detach({ id }));
  await exposure.adopt();
  addresses.start();
  await reconciler.start();
  moving.request();
  await docker.start();
  if (options.dockerPlugin !== undefined) containerNames.start();
  await nameService.start();
  const seeds = new SeedBook({
    ...{ mesh, clock, log },
    resolve: (target) => resolveTarget(target, DEFAULT_MESH_PORT),
  });
  mesh.start();
  seeds.start(state.peers, options.join);
  log.warn({}, OPEN_MESH_WARNING);

  return {
    control,
    docker,
    faces: [new CniPlugin(cni, log)],
    readyLine: `weft ready: host ${options.name} at ${formatSocketAddress(mesh.self.address)}, ${plane.description.kind} data plane, control socket ${options.socket}`,
    async close() {
      // First, or leaving would make this host forget the peers that the next start calls.
      for (const stop of stopListening) stop();
      seeds.stop();
      links.stop();
      docker.stop();
      containerNames.stop();
      reconciler.stop();
      await nameService.stop();
      addresses.stop();
      moving.stop();
      await serial.run(() => mesh.leave());
      state.noteIncarnation(mesh.self.incarnation);
      mesh.stop();
      await close(opened);
    },
  };
}
