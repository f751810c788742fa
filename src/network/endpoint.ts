import { AppError } from '../base/errors.ts';
import type { Mac, PeerId } from '../base/types.ts';
import type { Sandbox } from '../os/netns.ts';
import {
  bareAddress,
  containsAddress,
  formatAddress,
  formatCidr,
  isHostAddress,
  lastAddress,
  parseAddress,
  parseCidr,
  type Cidr,
} from '../wire/cidr.ts';
import { formatMac, isStationMac, parseMac } from '../wire/mac.ts';

/** A workload's attachment to a network: one interface in one sandbox on one host. */
export interface Endpoint {
  /** Lower-case hex digits, at least 12. */
  readonly id: string;
  /** Name of its network. */
  readonly network: string;
  readonly host: PeerId;
  readonly mac: Mac;
  /** CIDR in canonical text: the address with the subnet's prefix length, e.g. `10.7.0.2/24`. */
  readonly address: string;
  /** Likewise, in a network with two subnets; absent of an endpoint that an older version made there. */
  readonly address6?: string;
  readonly ifname: string;
  readonly sandbox: Sandbox;
  /** Metric of the routes by this interface, in the sandbox; absent: it makes none. */
  readonly routeMetric?: number;
  /** Where those routes lead; absent: everywhere, by the network's gateway. */
  readonly routes?: readonly EndpointRoute[];
  /** What of the host's own ports leads to it. */
  readonly ports?: readonly PublishedPort[];
  /** Rates that its host holds it to; absent: none. */
  readonly bandwidth?: Bandwidth;
  /** What it is found by in DNS: lower-case names, at most 16; absent: none. */
  readonly names?: readonly string[];
  /** Whose it is, in the words of whoever made it. */
  readonly origin?: string;
  /** When it was attached, in milliseconds since the Unix epoch; absent: by an older version. */
  readonly since?: number;
  /** Its host's epoch in the pool when the address was given out; absent: 0. */
  readonly epoch?: number;
  readonly epoch6?: number;
}

/** What an endpoint's row says of its addresses. */
export type EndpointAddresses = Pick<Endpoint, 'address' | 'address6' | 'epoch' | 'epoch6'>;

/** One address as a pool has given it out. */
export interface GivenAddress {
  /** CIDR, as `Endpoint.address`. */
  readonly address: string;
  readonly epoch?: number;
}

/** CIDRs: one, or IPv4 and then IPv6. */
export function addressesOf({
  address,
  address6,
}: Pick<Endpoint, 'address' | 'address6'>): readonly string[] {
  return address6 === undefined ? [address] : [address, address6];
}

/** The addresses with their epochs, as `addressesOf` orders them. */
export function givenTo({
  address,
  address6,
  epoch,
  epoch6,
}: EndpointAddresses): readonly GivenAddress[] {
  const first = { address, ...(epoch === undefined ? {} : { epoch }) };
  if (address6 === undefined) return [first];
  return [first, { address: address6, ...(epoch6 === undefined ? {} : { epoch: epoch6 }) }];
}

/** Of what the pools of a network gave, in their order, what a row says. */
export function rowOfGiven(
  first: GivenAddress,
  second: GivenAddress | undefined,
): EndpointAddresses {
  return {
    ...first,
    ...(second && {
      address6: second.address,
      ...(second.epoch === undefined ? {} : { epoch6: second.epoch }),
    }),
  };
}

/**
 * A container engine moves the interface of such an endpoint into the sandbox, names it and gives it its
 * address: before the sandbox is there to be looked at, and whether or not Weft may look at all.
 */
export function isEngineManaged({ sandbox }: Pick<Endpoint, 'sandbox'>): boolean {
  return sandbox.inode === ENGINE_MANAGED_INODE;
}

/** The origin of the endpoints that this host itself is (`weft expose`). */
export const HOST_ORIGIN = 'host';

/** In place of a namespace's identity, which is not known. */
export const ENGINE_MANAGED_INODE = '';

export const PORT_PROTOCOLS = ['tcp', 'udp'] as const;
export type PortProtocol = (typeof PORT_PROTOCOLS)[number];

/** A port of the host that leads to one of an endpoint there. */
export interface PublishedPort {
  readonly protocol: PortProtocol;
  /** Address of the host, in canonical text; absent: each that it has. */
  readonly hostAddress?: string;
  readonly hostPort: number;
  readonly port: number;
}

export const MAX_PORTS = 256;

/** A route of a sandbox by an endpoint's interface. */
export interface EndpointRoute {
  /** CIDR without host bits, in canonical text. */
  readonly destination: string;
  /** An address of the network's subnet; absent: the network's gateway. */
  readonly via?: string;
}

/** `ingress` is what goes to the workload, `egress` what comes from it. */
export interface Bandwidth {
  readonly ingress?: RateLimit;
  readonly egress?: RateLimit;
}

/** As CNI counts: bits a second, and how many bits may go at once after a pause. */
export interface RateLimit {
  readonly rate: number;
  readonly burst: number;
}

export const MAX_ROUTES = 64;

/** The name of an endpoint's interface if the caller gives none. */
export const DEFAULT_IFNAME = 'eth0';

/**
 * Reads the address that an endpoint is to have in `subnet`, written bare or with the subnet's own prefix
 * length. Returns it as `Endpoint.address`. Rejects with E_ADDRESS_INVALID, E_ADDRESS_OUTSIDE.
 */
export function checkEndpointAddress(text: string, subnet: Cidr): string {
  const { prefixLength } = subnet;
  const suffix = `/${prefixLength}`;
  const address = parseAddress(text.endsWith(suffix) ? text.slice(0, -suffix.length) : text);
  if (address === undefined) throw new AppError('E_ADDRESS_INVALID', notAddress(text, subnet));
  if (isHostAddress(subnet, address)) return formatCidr({ address, prefixLength });
  const range = `${formatCidr(subnet)} (its last address is ${formatAddress(lastAddress(subnet))})`;
  throw new AppError(
    'E_ADDRESS_OUTSIDE',
    containsAddress(subnet, address)
      ? `Address ${text} is the first or last of ${range} and stands for all of it; give one between.`
      : `Address ${text} is outside the network's subnet ${range}; give one inside.`,
  );
}

function notAddress(text: string, subnet: Cidr): string {
  return parseCidr(text) === undefined
    ? `"${text}" is no IP address; give one of ${formatCidr(subnet)}.`
    : `"${text}" has another prefix length than the network's subnet; give the address alone, or with /${subnet.prefixLength}.`;
}

/** Reads the MAC that an endpoint is to have. Rejects with E_MAC_INVALID. */
export function checkEndpointMac(text: string): Mac {
  const mac = parseMac(text);
  if (mac !== undefined && isStationMac(mac)) return mac;
  throw new AppError(
    'E_MAC_INVALID',
    mac === undefined
      ? `"${text}" is no MAC address; give six pairs of hex digits, such as 02:00:5e:10:00:01.`
      : `MAC ${text} is zero or a group address, which no interface can have; give one whose first byte is even, such as 02:00:5e:10:00:01.`,
  );
}

/** Whatever the prefix lengths: two meshes that were joined may have had different ones. */
function isSame(one: string, other: string): boolean {
  return bareAddress(one) === bareAddress(other);
}

/**
 * Checks that an endpoint to be made collides with no other of its network, on whatever host. Rejects with
 * E_ADDRESS_TAKEN, E_MAC_TAKEN, in which `hostName` names the host. O(endpoints).
 */
export function checkEndpointFree(
  {
    id,
    network,
    address,
    address6,
    mac,
  }: Pick<Endpoint, 'id' | 'network'> & {
    readonly address: string | undefined;
    readonly address6?: string | undefined;
    readonly mac: Mac | undefined;
  },
  existing: Iterable<Endpoint>,
  hostName: (host: PeerId) => string = String,
): void {
  const wanted = [address, address6].flatMap((each) => each ?? []);
  for (const other of existing) {
    if (other.network !== network || other.id === id) continue;
    const taken = wanted.find((each) => addressesOf(other).some((held) => isSame(held, each)));
    const owner = `endpoint ${other.id} in ${other.sandbox.path} on host ${hostName(other.host)}`;
    if (taken !== undefined) {
      throw new AppError(
        'E_ADDRESS_TAKEN',
        `Address ${taken} of network ${network} belongs to ${owner}; give another, or detach that one first.`,
      );
    }
    if (mac !== undefined && other.mac === mac) {
      throw new AppError(
        'E_MAC_TAKEN',
        `MAC ${formatMac(mac)} belongs to ${owner}; give another, or none to have one chosen.`,
      );
    }
  }
}
