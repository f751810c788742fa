import type { NftCommand, NftObject } from '../os/nft.ts';
import { bareAddress, formatCidr, parseCidr, subnetOf, familyOf } from '../wire/cidr.ts';
import type { PublishedPort } from './endpoint.ts';
import type { HostPort } from './host-routes.ts';
import type { NetworkEdge } from './network.ts';

/**
 * Weft's one table of nftables, `inet weft`, as a function of what this host carries (docs/adr/0027):
 *
 *   raw          nobody reaches 127.0.0.0/8 from a bridge, though the bridges route it
 *   prerouting   published ports -> endpoint; for what comes from outside and from containers, not to the host's own address on a network
 *   output       the same for the host itself, without redirects to the containers
 *   forward      TCP's segments fit the way in both directions; within a network; out of a routed one; in by published ports and answers; no more
 *   input        a gateway, and the host's own address on a network, answer that network only
 *   postrouting  masquerade of what leaves, and of what is turned around
 */

/** A network that this host carries, as far as its edge is concerned. */
export interface EdgeNetwork {
  readonly bridge: string;
  /** Absent of a plain wire. */
  readonly edge?: NetworkEdge;
  /** Whether its endpoints are kept from each other; absent: they are not. */
  readonly isIsolated?: boolean;
  /** CIDRs: address of the gateway with the subnet's prefix length. */
  readonly gateways: readonly string[];
  readonly published: readonly PublishedEndpoint[];
  /** The host's own interface on it, `weft-h…`; absent: it has none. */
  readonly exposed?: HostPort;
}

/** An endpoint of this host with ports; addresses without prefix length. */
export interface PublishedEndpoint {
  readonly addresses: readonly string[];
  readonly ports: readonly PublishedPort[];
}

/** Interfaces of the host that forward only because Weft has told them to, by address family. */
export interface OpenedInterfaces {
  readonly 4: readonly string[];
  readonly 6: readonly string[];
}

export interface EdgeState {
  readonly networks: readonly EdgeNetwork[];
  readonly opened: OpenedInterfaces;
}

export const NFT_TABLE = 'weft';
/** Every bridge of Weft's, and nothing else of the host. */
const BRIDGES = 'weft-*';
/** The host's own interfaces on its networks. */
const HOST_PORTS = 'weft-h*';
const OPENED_SETS = { 4: 'opened4', 6: 'opened6' } as const;
/** Names that mean every interface: of IPv6, where the kernel forwards on all or on none. */
const EVERY_INTERFACE = 'all';

const place = { family: 'inet', table: NFT_TABLE } as const;
const FAMILIES = [4, 6] as const;
type Family = (typeof FAMILIES)[number];
type Expression = Readonly<Record<string, unknown>>;

const ipOf = { 4: 'ip', 6: 'ip6' } as const;

const match = (left: Expression, op: string, right: unknown): Expression => ({
  match: { op, left, right },
});
const meta = (key: string): Expression => ({ meta: { key } });
const field = (protocol: string, name: string): Expression => ({
  payload: { protocol, field: name },
});
const from = (name: string): Expression => match(meta('iifname'), '==', name);
const notFrom = (name: string): Expression => match(meta('iifname'), '!=', name);
const to = (name: string): Expression => match(meta('oifname'), '==', name);
const notTo = (name: string): Expression => match(meta('oifname'), '!=', name);
const ofFamily = (family: Family): Expression => match(meta('nfproto'), '==', `ipv${family}`);
const isTranslated = match({ ct: { key: 'status' } }, 'in', 'dnat');
const isAnswer = match({ ct: { key: 'state' } }, 'in', ['established', 'related']);
const accept = { accept: null };
const drop = { drop: null };
const reject = { reject: { type: 'icmpx', expr: 'admin-prohibited' } };
const masquerade = { masquerade: null };
const isSyn = match(field('tcp', 'flags'), 'in', 'syn');
/** Never raises it. The kernel takes the lesser of the routes there and back. */
const clampSegments: Expression = {
  mangle: {
    key: { 'tcp option': { name: 'maxseg', field: 'size' } },
    value: { rt: { key: 'mtu' } },
  },
};

function within(what: 'saddr' | 'daddr', cidr: string): Expression {
  const parsed = parseCidr(cidr);
  const [addr, len] = [bareAddress(cidr), parsed?.prefixLength];
  return match(field(ipOf[familyOf(cidr)], what), '==', { prefix: { addr, len } });
}

function rule(chain: string, ...expr: readonly Expression[]): NftObject {
  return { rule: { ...place, chain, expr } };
}

function chain(name: string, type: 'filter' | 'nat', hook: string, prio: number): NftObject {
  return { chain: { ...place, name, type, hook, prio, policy: 'accept' } };
}

/** One rule for each family that both the host's address and the endpoint have. */
function publishRules(chainName: string, { addresses, ports }: PublishedEndpoint): NftObject[] {
  return ports.flatMap(({ protocol, hostAddress, hostPort, port }) =>
    addresses
      .filter((address) => hostAddress === undefined || familyOf(hostAddress) === familyOf(address))
      .map((address) => {
        const family = familyOf(address);
        const where =
          hostAddress === undefined
            ? [
                match({ fib: { result: 'type', flags: ['daddr'] } }, '==', 'local'),
                ofFamily(family),
              ]
            : [match(field(ipOf[family], 'daddr'), '==', hostAddress)];
        const portMatch = match(field(protocol, 'dport'), '==', hostPort);
        const dnat = { dnat: { family: ipOf[family], addr: address, port } };
        return rule(chainName, ...where, portMatch, dnat);
      }),
  );
}

const isOnAny = (networks: readonly EdgeNetwork[]): boolean =>
  networks.some(({ exposed }) => exposed !== undefined);

/** Nothing is passed on from the host's own interface, or to it, though forwarding be switched on for all of them. */
function guardRules(networks: readonly EdgeNetwork[]): NftObject[] {
  return isOnAny(networks)
    ? [from(HOST_PORTS), to(HOST_PORTS)].map((way) => rule('forward', way, drop))
    : [];
}

/** The host's addresses on a network answer nobody on another. */
function inputRules({ bridge, gateways, exposed }: EdgeNetwork): NftObject[] {
  const answer = (cidr: string, ...own: readonly string[]): NftObject => {
    const address = match(field(ipOf[familyOf(cidr)], 'daddr'), '==', bareAddress(cidr));
    return rule('input', from(BRIDGES), ...own.map(notFrom), address, drop);
  };
  return [
    ...gateways.map((cidr) => answer(cidr, bridge)),
    ...(exposed?.addresses ?? []).map((cidr) => answer(cidr, bridge, exposed?.ifname ?? '')),
  ];
}

function forwardRules({ networks, opened }: EdgeState): NftObject[] {
  const internal = networks.filter(({ edge }) => edge === 'internal');
  const guarded = FAMILIES.filter((family) => opened[family].length > 0);
  return [
    ...guardRules(networks),
    // Not everybody hears of it when packets are too long, and networks may be narrower than they were.
    ...[from(BRIDGES), to(BRIDGES)].map((way) => rule('forward', way, isSyn, clampSegments)),
    // Within one network: what is turned around, and what br_netfilter shows of bridged frames.
    ...networks.flatMap(({ bridge, isIsolated }) =>
      isIsolated === true
        ? // Nothing is turned around but for a published port. What comes bridged, the ports keep apart.
          [isTranslated, isAnswer].map((which) =>
            rule('forward', from(bridge), to(bridge), which, accept),
          )
        : [rule('forward', from(bridge), to(bridge), accept)],
    ),
    rule('forward', from(BRIDGES), to(BRIDGES), reject),
    ...internal.map(({ bridge }) => rule('forward', from(bridge), reject)),
    ...internal.map(({ bridge }) => rule('forward', to(bridge), drop)),
    rule('forward', to(BRIDGES), isAnswer, accept),
    rule('forward', to(BRIDGES), isTranslated, accept),
    rule('forward', to(BRIDGES), drop),
    // What Weft has opened for its networks stays closed for everybody else.
    ...guarded.map((family) =>
      rule('forward', ofFamily(family), ...fromOpened(opened, family), notTo(BRIDGES), drop),
    ),
  ];
}

function fromOpened(opened: OpenedInterfaces, family: Family): Expression[] {
  return opened[family].includes(EVERY_INTERFACE)
    ? [notFrom(BRIDGES)]
    : [from(`@${OPENED_SETS[family]}`)];
}

function postroutingRules(networks: readonly EdgeNetwork[]): NftObject[] {
  return networks
    .filter(({ edge }) => edge === 'routed')
    .flatMap(({ bridge, gateways }) =>
      gateways.flatMap((cidr) => {
        const source = within('saddr', subnetText(cidr));
        return [
          // What the host says to its own gateway's address does not leave, and is known by its source.
          rule('postrouting', source, notTo(BRIDGES), notTo('lo'), masquerade),
          // To a published port of the same network: the answer must come back through the host.
          rule('postrouting', source, to(bridge), isTranslated, masquerade),
        ];
      }),
    );
}

function subnetText(cidr: string): string {
  const parsed = parseCidr(cidr);
  return parsed === undefined ? cidr : formatCidr(subnetOf(parsed));
}

/** The objects of the table; the same state gives the same text. */
export function edgeTable(state: EdgeState): NftObject[] {
  const { networks, opened } = state;
  // Chains of type nat would have the kernel track each connection of the host.
  if (networks.every(({ edge }) => edge === undefined)) {
    return [chain('forward', 'filter', 'forward', 0), ...guardRules(networks)];
  }
  const published = networks.flatMap((network) => network.published);
  const loopback = { prefix: { addr: '127.0.0.0', len: 8 } };
  return [
    ...FAMILIES.map((family) => {
      const elem = [...opened[family]].sort();
      return {
        set: {
          ...place,
          name: OPENED_SETS[family],
          type: 'ifname',
          ...(elem.length > 0 && { elem }),
        },
      };
    }),
    chain('raw', 'filter', 'prerouting', -300),
    chain('prerouting', 'nat', 'prerouting', -100),
    chain('output', 'nat', 'output', -100),
    chain('quiet', 'filter', 'output', 0),
    chain('input', 'filter', 'input', 0),
    chain('forward', 'filter', 'forward', 0),
    chain('postrouting', 'nat', 'postrouting', 100),
    rule('raw', from(BRIDGES), match(field('ip', 'daddr'), '==', loopback), drop),
    // A port of the host's own interface would lead to where nothing is passed on: what listens there answers.
    ...(isOnAny(networks) ? [rule('prerouting', from(HOST_PORTS), accept)] : []),
    ...published.flatMap((endpoint) => publishRules('prerouting', endpoint)),
    ...published.flatMap((endpoint) => publishRules('output', endpoint)),
    // Containers need not know that a neighbour is nearer than the gateway.
    rule('quiet', to(BRIDGES), match(field('icmp', 'type'), '==', 'redirect'), drop),
    rule('quiet', to(BRIDGES), match(field('icmpv6', 'type'), '==', 'nd-redirect'), drop),
    ...networks.flatMap(inputRules),
    ...forwardRules(state),
    ...postroutingRules(networks),
    // The host to a published port of its own by 127.0.0.1.
    rule('postrouting', match(field('ip', 'saddr'), '==', loopback), to(BRIDGES), masquerade),
  ];
}

const TABLE: NftObject = { table: { family: 'inet', name: NFT_TABLE } };
/** Adding first makes the deletion right whether or not there is a table. */
const REMOVAL: readonly NftCommand[] = [{ add: TABLE }, { delete: TABLE }];

/** Replaces whatever is in the table, in one transaction. */
export function replaceTable(objects: readonly NftObject[]): NftCommand[] {
  return [...REMOVAL, { add: TABLE }, ...objects.map((add) => ({ add }))];
}

export function removeTable(): readonly NftCommand[] {
  return REMOVAL;
}

/** Reads from a listing which interfaces an earlier daemon has opened. */
export function readOpened(listing: readonly NftObject[]): OpenedInterfaces {
  const elements = (family: Family): readonly string[] => {
    for (const { set } of listing) {
      const { name, elem } = (set ?? {}) as { name?: string; elem?: readonly string[] };
      if (name === OPENED_SETS[family]) return elem ?? [];
    }
    return [];
  };
  return { 4: elements(4), 6: elements(6) };
}
