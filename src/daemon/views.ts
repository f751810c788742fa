import type {
  EndpointInfo,
  FdbInfo,
  NetworkInfo,
  PeerInfo,
  PortInfo,
  Traffic,
  VtepInfo,
} from '../api/control.ts';
import { formatSocketAddress, type Mac, type PeerId, type Vni, type Vtep } from '../base/types.ts';
import type {
  DataPlaneCounters,
  FdbEntry,
  PortCounters,
  TrafficCounters,
  VtepCounters,
} from '../dataplane/dataplane.ts';
import type { Member, MemberRecord } from '../gossip/member.ts';
import { isEngineManaged, type Endpoint } from '../network/endpoint.ts';
import type { NetworkDefinition } from '../network/network.ts';
import { formatMac } from '../wire/mac.ts';
import { memberMeta } from './peers.ts';
import type { VtepRecord } from './records.ts';

/** Turns what the daemon knows into what `Control` answers: plain JSON. */

const NO_TRAFFIC: Traffic = { rxFrames: 0, rxBytes: 0, txFrames: 0, txBytes: 0 };

const traffic = ({ rxFrames, rxBytes, txFrames, txBytes }: TrafficCounters): Traffic => ({
  ...{ rxFrames, rxBytes, txFrames, txBytes },
});

export function peerInfo(
  member: MemberRecord,
  since: { readonly wall: number; readonly isSelf: boolean },
): PeerInfo {
  const meta = memberMeta(member);
  return {
    ...{ name: member.name, id: member.id, state: member.state, self: since.isSelf },
    ...{ address: formatSocketAddress(member.address), incarnation: member.incarnation },
    ...{ vxlanPort: meta?.vxlanPort ?? 0, version: meta?.version ?? 'unknown' },
    since: new Date(since.wall).toISOString(),
    key: Buffer.from(member.key).toString('base64'),
  };
}

export const otherPeerInfo = (member: Member): PeerInfo =>
  peerInfo(member, { wall: member.sinceWall, isSelf: false });

export function networkInfo(network: NetworkDefinition, endpoints: number): NetworkInfo {
  const {
    name,
    id,
    vni,
    subnet,
    subnet6,
    mtu,
    encap,
    edge,
    isolated,
    addressing: { range, range6, gateway, gateway6, reserved } = {},
  } = network;
  return {
    ...{ name, id, vni, subnet, ...(subnet6 && { subnet6 }), mtu, endpoints },
    encap: encap === 'sealed' ? 'sealed' : 'vxlan',
    ...(edge && { edge }),
    ...(isolated === true && { isolated }),
    ...(range === undefined ? {} : { ipRange: range }),
    ...(range6 === undefined ? {} : { ipRange6: range6 }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(gateway6 === undefined ? {} : { gateway6 }),
    ...(reserved === undefined ? {} : { reserved }),
  };
}

/** As much of a container's id as its tools show. */
const CONTAINER_ID_LETTERS = 12;

/** Whose an endpoint is, in two words. */
export function ownerOf(endpoint: Endpoint): string {
  const { origin = '', sandbox } = endpoint;
  const [kind, ...words] = origin.split(' ');
  const last = words.at(-1);
  if (kind === 'cni' && last !== undefined) return `cni ${last.slice(0, CONTAINER_ID_LETTERS)}`;
  if (origin !== '') return origin;
  if (isEngineManaged(endpoint)) return 'docker';
  const pid = /^\/proc\/(\d+)\/ns\/net$/.exec(sandbox.path)?.[1];
  return pid === undefined ? `netns ${sandbox.path.replace(/^\/run\/netns\//, '')}` : `pid ${pid}`;
}

export function endpointInfo(
  endpoint: Endpoint,
  { mtu, hostName }: { readonly mtu: number; readonly hostName: (host: PeerId) => string },
): EndpointInfo {
  const { id, network, address, address6, mac, ifname, host, sandbox } = endpoint;
  const { names, ports, bandwidth, origin, since } = endpoint;
  return {
    ...{ endpoint: id, network, address, ...(address6 && { address6 }), ifname, mtu },
    ...{ mac: formatMac(mac), host: hostName(host), sandbox: sandbox.path },
    ...(names && { names }),
    ...(ports && { ports }),
    ...(bandwidth && { bandwidth }),
    ...(origin !== undefined && { origin }),
    owner: ownerOf(endpoint),
    ...(since !== undefined && { since: new Date(since).toISOString() }),
  };
}

/** What names a VTEP's role: members by address or locator, foreign ones by row. */
export interface VtepNames {
  readonly networkName: (vni: Vni) => string;
  readonly memberAt: (place: string) => MemberRecord | undefined;
}

/** Where a VTEP is, for people: a member that goes by its locator is at the address that it announces. */
function vtepPlace(vtep: Vtep, member: MemberRecord | undefined): string {
  const isLocator = member !== undefined && member.address.address !== vtep.address;
  return formatSocketAddress(isLocator ? member.address : vtep);
}

export function vtepInfo(counters: VtepCounters, { networkName, memberAt }: VtepNames): VtepInfo {
  const member = memberAt(counters.vtep.address);
  return {
    network: networkName(counters.vni),
    address: vtepPlace(counters.vtep, member),
    ...(member === undefined ? { origin: 'foreign' } : { origin: 'member', peer: member.name }),
    ...traffic(counters),
  };
}

/** A foreign VTEP of a network that this host does not carry: known, but never sent to from here. */
export const idleVtepInfo = ({ network, ...vtep }: VtepRecord): VtepInfo => ({
  ...{ network, address: formatSocketAddress(vtep), origin: 'foreign', ...NO_TRAFFIC },
});

export const portInfo = (counters: PortCounters, networkName: (vni: Vni) => string): PortInfo => ({
  ...{ network: networkName(counters.vni), device: counters.device, ...traffic(counters) },
});

/** What names the places and owners of MACs. */
export interface FdbNames {
  readonly counters: DataPlaneCounters;
  readonly endpointOf: (mac: Mac) => Endpoint | undefined;
  readonly hostName: (host: PeerId) => string;
  readonly memberAt: (place: string) => MemberRecord | undefined;
}

export function fdbInfo(entry: FdbEntry, names: FdbNames): FdbInfo {
  const { counters, endpointOf, hostName, memberAt } = names;
  const { target } = entry;
  const endpoint = entry.origin === 'static' ? endpointOf(entry.mac) : undefined;
  const place =
    target.kind === 'vtep'
      ? `vtep ${vtepPlace(target.vtep, memberAt(target.vtep.address))}`
      : `port ${counters.ports.find(({ port }) => port === target.port)?.device ?? target.port}`;
  return {
    ...{ mac: formatMac(entry.mac), origin: entry.origin, target: place },
    ageSeconds: Math.floor(entry.age / 1000),
    ...(endpoint && {
      ...{ endpoint: endpoint.id, address: endpoint.address, host: hostName(endpoint.host) },
      ...(endpoint.address6 && { address6: endpoint.address6 }),
    }),
  };
}
