import { z } from 'zod';
import type { PeerId } from '../base/types.ts';

/**
 * The rows of the replicated tables, as they travel between hosts (CBOR) and lie on disk. A row that
 * does not have this shape is refused on receipt; unknown keys are kept out, so that a newer version
 * may add some.
 */
const networkRecord = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  vni: z.int().min(1).max(0xffffff),
  subnet: z.string().max(64),
  mtu: z.int().min(552).max(65535),
  encap: z.literal('vxlan'),
  /** Name of the host where it was created. */
  createdBy: z.string().max(255),
  /** ISO 8601, by that host's wall clock. */
  createdAt: z.string().max(40),
});

const endpointRecord = z.object({
  network: z.string().max(64),
  host: z.string().regex(/^[0-9a-f]{32}$/),
  mac: z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/),
  /** CIDR: the address with its subnet's prefix length. */
  address: z.string().max(64),
  ifname: z.string().min(1).max(15),
  /** Path of the network namespace on its host. */
  sandbox: z.string().max(4096),
});

const vtepRecord = z.object({
  network: z.string().max(64),
  address: z.string().max(64),
  port: z.int().min(1).max(65535),
});

/** Keyed by network name. */
export type NetworkRecord = Readonly<z.infer<typeof networkRecord>>;
/** Keyed by endpoint id. */
export type EndpointRecord = Readonly<z.infer<typeof endpointRecord>> & { readonly host: PeerId };
/** Keyed by `NETWORK ADDRESS`. */
export type VtepRecord = Readonly<z.infer<typeof vtepRecord>>;

/** Narrows a decoded value to a row of the table, or undefined if it is none. */
export const parseNetworkRecord = (value: unknown): NetworkRecord | undefined =>
  networkRecord.safeParse(value).data;
export const parseEndpointRecord = (value: unknown): EndpointRecord | undefined =>
  endpointRecord.safeParse(value).data as EndpointRecord | undefined;
export const parseVtepRecord = (value: unknown): VtepRecord | undefined =>
  vtepRecord.safeParse(value).data;
