import { z } from 'zod';
import { CANONICAL_DNS_NAME, MAX_NAME_CHARACTERS } from '../base/dns-name.ts';
import type { PeerId, Vni } from '../base/types.ts';
import { MAX_PORTS, MAX_ROUTES, PORT_PROTOCOLS, type Endpoint } from '../network/endpoint.ts';
import { MAX_ENDPOINT_NAMES } from '../network/endpoint-names.ts';
import { MAX_VOTERS } from '../ipam/pool.ts';
import { KEYS_NOTICE_BYTES } from '../link/keyring.ts';
import {
  LEASE_SECONDS,
  MAX_RESERVED,
  NETWORK_EDGES,
  type NetworkDefinition,
} from '../network/network.ts';

/**
 * The rows of the replicated tables, as they travel between hosts (CBOR) and lie on disk. A row that
 * does not have this shape is refused on receipt; keys that a newer version adds are left out.
 */
const peerId = z.string().regex(/^[0-9a-f]{32}$/) as unknown as z.ZodType<PeerId>;
const dnsName = z.string().max(MAX_NAME_CHARACTERS).regex(CANONICAL_DNS_NAME);

const networkId = z.string().regex(/^[0-9a-f]{32}$/);
/** Of what stands beside something of IPv4. */
const ipv6Text = z.string().max(64).regex(/:/);

/** Without the id, which is the key: two meshes may have made networks of one name. */
const networkRecord = z.object({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
  vni: z.int().min(1).max(0xffffff) as unknown as z.ZodType<Vni>,
  subnet: z.string().max(64),
  subnet6: ipv6Text.exactOptional(),
  mtu: z.int().min(552).max(65535),
  encap: z.string().max(16),
  createdBy: peerId,
  createdAt: z.string().max(40),
  origin: z.enum(['docker']).exactOptional(),
  edge: z.enum(NETWORK_EDGES).exactOptional(),
  isolated: z.literal(true).exactOptional(),
  addressing: z
    .object({
      founders: z.array(peerId).min(1).max(MAX_VOTERS),
      leaseSeconds: z.int().min(LEASE_SECONDS.min).max(LEASE_SECONDS.max),
      range: z.string().max(64).exactOptional(),
      range6: z.string().max(64).exactOptional(),
      gateway: z.string().max(64).exactOptional(),
      gateway6: z.string().max(64).exactOptional(),
      reserved: z.array(z.string().max(64)).max(MAX_RESERVED).exactOptional(),
    })
    .exactOptional(),
  mergedInto: networkId.exactOptional(),
  mergePlan: z.string().max(64).exactOptional(),
});

const udpPort = z.int().min(1).max(65535);
const publishedPort = z.object({
  protocol: z.enum(PORT_PROTOCOLS),
  hostAddress: z.string().max(64).exactOptional(),
  hostPort: udpPort,
  port: udpPort,
});

const endpointRoute = z.object({
  destination: z.string().max(64),
  via: z.string().max(64).exactOptional(),
});

const rateLimit = z.object({ rate: z.int().min(1), burst: z.int().min(1) });

/** Keyed by `HOST ENDPOINT`. */
const endpointRecord = z.object({
  /** The network's id. */
  network: z.string().max(64),
  host: peerId,
  /** A 48-bit integer. */
  mac: z.number().int().min(1).max(0xffff_ffff_ffff) as unknown as z.ZodType<Endpoint['mac']>,
  address: z.string().max(64),
  address6: ipv6Text.exactOptional(),
  ifname: z.string().min(1).max(15),
  sandbox: z.object({ path: z.string().max(4096), inode: z.string().max(64) }),
  routeMetric: z.int().min(0).max(0xffff_ffff).exactOptional(),
  routes: z.array(endpointRoute).max(MAX_ROUTES).exactOptional(),
  ports: z.array(publishedPort).max(MAX_PORTS).exactOptional(),
  bandwidth: z
    .object({ ingress: rateLimit.exactOptional(), egress: rateLimit.exactOptional() })
    .exactOptional(),
  origin: z.string().max(300).exactOptional(),
  since: z.int().min(0).exactOptional(),
  names: z.array(dnsName).max(MAX_ENDPOINT_NAMES).exactOptional(),
  epoch: z.int().min(0).exactOptional(),
  epoch6: z.int().min(0).exactOptional(),
});

/** Keyed by `NETWORK ADDRESS`. */
const vtepRecord = z.object({
  /** The network's id. */
  network: z.string().max(64),
  address: z.string().max(64),
  port: z.int().min(1).max(65535),
});

/** Keyed by `NETWORK HOST`: container engines of that host have the network in their lists. */
const useRecord = z.object({
  network: z.string().max(64),
  host: peerId,
  /** Of the cluster's use: what the cluster calls the network. */
  clusterId: z.string().max(128).exactOptional(),
});
/** Keyed by `NETWORK ADDRESS`: a cluster of engines has given the address out, and `host` holds it. */
const clusterHoldRecord = z.object({
  network: networkId,
  address: z.string().max(64),
  host: peerId,
});
/** Keyed by the endpoint's id: it must get other addresses than these. */
const moveRecord = z.object({
  from: z.string().max(64),
  from6: z.string().max(64).exactOptional(),
});
/** What `weft dns add` has told, keyed by `HOST NETWORK NAME ADDRESS` (the network may be empty). */
const nameRecord = z.object({
  name: dnsName,
  address: z.string().max(64),
  /** Absent: for endpoints of every network. */
  network: z.string().max(64).exactOptional(),
  /** It goes when this host is forgotten, and is silent while it is away. */
  host: peerId,
});

/** What a host's paths leave for a network, if less than the network was made with; keyed by `NETWORK HOST`. */
const mtuRecord = z.object({
  /** The network's id. */
  network: z.string().max(64),
  host: peerId,
  mtu: z.int().min(1).max(65535),
  /** The host to which the narrowest path leads, and that path's MTU. */
  peer: peerId,
  path: z.int().min(1).max(65535),
});

/** Tags of hosts, one after another. */
const TAG_BYTES = 8;
const MAX_BROKEN = 480;

/** Keyed by a host's id: the hosts that it can't reach directly, by their tags. */
const brokenRecord = z.object({
  tags: z
    .instanceof(Uint8Array)
    .refine(
      ({ length }) => length % TAG_BYTES === 0 && length <= MAX_BROKEN * TAG_BYTES,
    ) as unknown as z.ZodType<Uint8Array>,
});

const keysNotice = z
  .instanceof(Uint8Array)
  .refine((notice) => notice.length === KEYS_NOTICE_BYTES) as unknown as z.ZodType<Uint8Array>;
const memberMeta = z.object({
  version: z.string().max(32),
  vxlanPort: z.int().min(1).max(65535),
  /** The host completes partial checksums. Hosts that do not say so get whole ones. */
  partialChecksums: z.boolean().default(false),
  /** Whose keys the host has (`src/link/keyring.ts`). */
  mesh: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .exactOptional(),
  /** What it has of them (`KeysNotice`). */
  keys: keysNotice.exactOptional(),
  /** The host gives out addresses of both subnets of a network (docs/adr/0028). */
  dualStack: z.boolean().default(false),
  /** Where else the host may be reached (`src/link/candidates.ts`). Absent: it answers no probes of paths. */
  paths: (z.instanceof(Uint8Array) as unknown as z.ZodType<Uint8Array>).exactOptional(),
});

export type NetworkRecord = Omit<NetworkDefinition, 'id'>;
export type EndpointRecord = Omit<Endpoint, 'id'>;
export type UseRecord = Readonly<z.infer<typeof useRecord>>;
export type ClusterHoldRecord = Readonly<z.infer<typeof clusterHoldRecord>>;
export type VtepRecord = Readonly<z.infer<typeof vtepRecord>>;
export type MoveRecord = Readonly<z.infer<typeof moveRecord>>;
export type MtuRecord = Readonly<z.infer<typeof mtuRecord>>;
export type NameRecord = Readonly<z.infer<typeof nameRecord>>;
export type BrokenRecord = Readonly<z.infer<typeof brokenRecord>>;
/** What a host says of itself beside what gossip knows. */
export type MemberMeta = Readonly<z.infer<typeof memberMeta>>;

/** Narrows a decoded value to a row of the table, or undefined if it is none. */
export const parseNetworkRecord = (value: unknown): NetworkRecord | undefined =>
  networkRecord.safeParse(value).data;
export const parseEndpointRecord = (value: unknown): EndpointRecord | undefined =>
  endpointRecord.safeParse(value).data;
export const parseVtepRecord = (value: unknown): VtepRecord | undefined =>
  vtepRecord.safeParse(value).data;
export const parseUseRecord = (value: unknown): UseRecord | undefined =>
  useRecord.safeParse(value).data;
export const parseClusterHoldRecord = (value: unknown): ClusterHoldRecord | undefined =>
  clusterHoldRecord.safeParse(value).data;
export const parseMoveRecord = (value: unknown): MoveRecord | undefined =>
  moveRecord.safeParse(value).data;
export const parseNameRecord = (value: unknown): NameRecord | undefined =>
  nameRecord.safeParse(value).data;
export const parseMtuRecord = (value: unknown): MtuRecord | undefined =>
  mtuRecord.safeParse(value).data;
export const parseBrokenRecord = (value: unknown): BrokenRecord | undefined =>
  brokenRecord.safeParse(value).data;
export const parseMemberMeta = (value: unknown): MemberMeta | undefined =>
  memberMeta.safeParse(value).data;

/** The tags of a row, and the row of tags; more than fit are left out. */
export function brokenTags({ tags }: BrokenRecord): bigint[] {
  const bytes = Buffer.from(tags.buffer, tags.byteOffset, tags.length);
  return Array.from({ length: tags.length / TAG_BYTES }, (_, index) =>
    bytes.readBigUInt64BE(index * TAG_BYTES),
  );
}

export function brokenRow(tags: readonly bigint[]): BrokenRecord {
  const bytes = Buffer.alloc(Math.min(tags.length, MAX_BROKEN) * TAG_BYTES);
  for (const [index, tag] of tags.slice(0, MAX_BROKEN).entries()) {
    bytes.writeBigUInt64BE(tag, index * TAG_BYTES);
  }
  return { tags: Uint8Array.from(bytes) };
}
