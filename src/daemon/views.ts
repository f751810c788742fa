import type {
  EndpointInfo,
  FdbInfo,
  NetworkInfo,
  PeerInfo,
  PortInfo,
  Traffic,
  VtepInfo,
} from '../api/control.ts';
import { formatSocketAddress, type Mac, type PeerId, type Vni } from '../base/types.ts';
import type {
  DataPlaneCounters,
  FdbEntry,
  PortCounters,
  TrafficCounters,
  VtepCounters,
} from '../dataplane/dataplane.ts';
import type { Member, MemberRecord } from '../gossip/member.ts';
import type { Endpoint } from '../network/endpoint.ts';
import type { NetworkDefinition } from '../network/network.ts';
import { formatMac } from '../wire/mac.ts';
import { memberKey, memberMeta } from './peers.ts';
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
  const key = memberKey(member);
  return {
    ...{ name: member.name, id: member.id, state: member.state, self: since.isSelf },
    ...{ address: formatSocketAddress(member.address), incarnation: member.incarnation },
    ...{ vxlanPort: meta?.vxlanPort ?? 0, version: meta?.version ?? 'unknown' },
    since: new Date(since.wall).toISOString(),
    ...(key && { key: Buffer.from(key).toString('base64') }),
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
    mtu,
    encap,
    edge,
    addressing: { range, gateway, reserved } = {},
  } = network;
  return {
    ...{ name, id, vni, subnet, mtu, endpoints, encap: encap === 'sealed' ? 'sealed' : 'vxlan' },
    ...(edge && { edge }),
    ...(range === undefined ? {} : { ipRange: range }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(reserved === undefined ? {} : { reserved }),
  };
}

export function endpointInfo(
  endpoint: Endpoint,
  { mtu, hostName }: { readonly mtu: number; readonly hostName: (host: PeerId) => string },
): EndpointInfo {
  const { id, network, address, mac, ifname, host, sandbox, names, ports, origin } = endpoint;
  return {
    ...{ endpoint: id, network, address, ifname, mtu },
    ...{ mac: formatMac(mac), host: hostName(host), sandbox: sandbox.path },
    ...(names && { names }),
    ...(ports && { ports }),
    ...(origin !== undefined && { origin }),
  };
}

/** What names a VTEP's role: members by address, foreign ones by row. */
export interface VtepNames {
  readonly networkName: (vni: Vni) => string;
  readonly peerAt: (address: string) => string | undefined;
}

export function vtepInfo(counters: VtepCounters, { networkName, peerAt }: VtepNames): VtepInfo {
  const peer = peerAt(counters.vtep.address);
  return {
    network: networkName(counters.vni),
    address: formatSocketAddress(counters.vtep),
    ...(peer === undefined ? { origin: 'foreign' } : { origin: 'member', peer }),
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
}

export function fdbInfo(entry: FdbEntry, { counters, endpointOf, hostName }: FdbNames): FdbInfo {
  const { target } = entry;
  const endpoint = entry.origin === 'static' ? endpointOf(entry.mac) : undefined;
  const place =
    target.kind === 'vtep'
      ? `vtep ${formatSocketAddress(target.vtep)}`
      : `port ${counters.ports.find(({ port }) => port === target.port)?.device ?? target.port}`;
  return {
    ...{ mac: formatMac(entry.mac), origin: entry.origin, target: place },
    ageSeconds: Math.floor(entry.age / 1000),
    ...(endpoint && {
      ...{ endpoint: endpoint.id, address: endpoint.address, host: hostName(endpoint.host) },
    }),
  };
}
