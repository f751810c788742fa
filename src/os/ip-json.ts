/** A network interface as the kernel has it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** `veth`, `bridge`, `tun`, …; empty for a physical device, `loopback` for lo. */
  readonly kind: string;
  readonly mac: string;
  readonly mtu: number;
  /** Administratively up. */
  readonly isUp: boolean;
  /** The bridge that it is a port of. */
  readonly master?: string;
  /** Such a port of a bridge passes frames to no other one; absent: it does. */
  readonly isIsolated?: true;
  /** Index of a veth's other end, counted in that end's namespace. */
  readonly peerIndex?: number;
  readonly alias?: string;
  /** Of a bridge. */
  readonly bridge?: BridgeSettings;
  readonly addresses: readonly LinkAddress[];
}

export interface BridgeSettings {
  readonly stp: boolean;
  readonly multicastSnooping: boolean;
}

export interface LinkAddress {
  readonly address: string;
  readonly prefixLength: number;
  /** `global`, `link`, `host`. */
  readonly scope: string;
}

export interface Route {
  /** CIDR, an address, or `default`. */
  readonly destination: string;
  readonly device?: string;
  readonly gateway?: string;
  /** The source address that the kernel would choose. */
  readonly source?: string;
  /** Only if this very route has one. */
  readonly mtu?: number;
}

export interface Neighbour {
  readonly address: string;
  readonly device: string;
  readonly mac?: string;
  readonly state: readonly string[];
}

// What ip(8) prints, as far as Weft reads it. It is the host's own tool: its shape is not checked.

interface RawLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly address?: string;
  readonly mtu: number;
  readonly flags: readonly string[];
  readonly master?: string;
  /** Of a link in another namespace, or of one in this. */
  readonly link_index?: number;
  readonly link?: string;
  readonly ifalias?: string;
  readonly link_type: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: { readonly stp_state?: number; readonly mcast_snooping?: number };
    readonly info_slave_data?: { readonly isolated?: boolean };
  };
  readonly addr_info?: readonly {
    readonly local?: string;
    readonly prefixlen?: number;
    readonly scope?: string;
  }[];
}

interface RawRoute {
  readonly dst: string;
  readonly dev?: string;
  readonly gateway?: string;
  readonly prefsrc?: string;
  readonly metrics?: readonly { readonly mtu?: number }[];
}

interface RawNeighbour {
  readonly dst: string;
  readonly dev: string;
  readonly lladdr?: string;
  readonly state?: readonly string[];
}

/** With `exactOptionalPropertyTypes` an absent value must be an absent key. */
function given<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}

function kindOf(raw: RawLink): string {
  return raw.linkinfo?.info_kind ?? (raw.link_type === 'loopback' ? 'loopback' : '');
}

function bridgeOf(raw: RawLink): BridgeSettings | undefined {
  const data = raw.linkinfo?.info_data;
  return raw.linkinfo?.info_kind === 'bridge' && data !== undefined
    ? { stp: data.stp_state !== 0, multicastSnooping: data.mcast_snooping !== 0 }
    : undefined;
}

function readLink(raw: RawLink, indexOf: ReadonlyMap<string, number>): Link {
  const peer = kindOf(raw) === 'veth' ? indexOf.get(raw.link ?? '') : undefined;
  return {
    index: raw.ifindex,
    name: raw.ifname,
    kind: kindOf(raw),
    mac: raw.address ?? '',
    mtu: raw.mtu,
    isUp: raw.flags.includes('UP'),
    ...given('master', raw.master),
    ...(raw.linkinfo?.info_slave_data?.isolated === true && { isIsolated: true }),
    ...given('peerIndex', raw.link_index ?? peer),
    ...given('alias', raw.ifalias),
    ...given('bridge', bridgeOf(raw)),
    addresses: (raw.addr_info ?? []).map(({ local = '', prefixlen = 0, scope = '' }) => ({
      ...{ address: local, prefixLength: prefixlen, scope },
    })),
  };
}

/** Reads `ip -json -details address show`. */
export function readLinks(json: unknown): Link[] {
  // A link that is deleted while ip(8) reads leaves an empty object behind.
  const whole = (json as readonly RawLink[]).filter((raw) => raw.ifname);
  const indexOf = new Map(whole.map(({ ifname, ifindex }) => [ifname, ifindex]));
  return whole.map((raw) => readLink(raw, indexOf));
}

/** Reads `ip -json -details route show` and `route get`. */
export function readRoutes(json: unknown): Route[] {
  return (json as readonly RawRoute[]).map((raw) => ({
    destination: raw.dst,
    ...given('device', raw.dev),
    ...given('gateway', raw.gateway),
    ...given('source', raw.prefsrc),
    ...given('mtu', raw.metrics?.find((metric) => metric.mtu !== undefined)?.mtu),
  }));
}

/** Reads `ip -json -details neighbour show`. */
export function readNeighbours(json: unknown): Neighbour[] {
  return (json as readonly RawNeighbour[]).map((raw) => ({
    address: raw.dst,
    device: raw.dev,
    ...given('mac', raw.lladdr),
    state: raw.state ?? [],
  }));
}
