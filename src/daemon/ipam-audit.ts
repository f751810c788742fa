import type { AuditFinding, AuditReport } from '../api/control.ts';
import { isAppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import type { Holding } from '../ipam/holding.ts';
import { isVoid, ownerOf, windowsOf } from '../ipam/pool.ts';
import { contains } from '../ipam/range.ts';
import { addressesOf, givenTo, isEngineManaged, type Endpoint } from '../network/endpoint.ts';
import { bridgeName, hostEndName, parseMark } from '../network/names.ts';
import { subnetsOf, type AddressPool } from '../network/subnets.ts';
import type { Ip } from '../os/ip.ts';
import type { Link, LinkAddress } from '../os/ip-json.ts';
import type { Netns } from '../os/netns.ts';
import { bareAddress, familyOf } from '../wire/cidr.ts';
import type { Addresses } from './addresses.ts';
import { isInside, sharedAddresses } from './conflicts.ts';
import type { Directory } from './directory.ts';
import { offsetOf } from './pool-spec.ts';

export interface AuditOptions {
  readonly self: PeerId;
  readonly directory: Directory;
  readonly addresses: Pick<Addresses, 'pools' | 'now'>;
  readonly ip: Pick<Ip, 'links'>;
  readonly netns: Pick<Netns, 'open'>;
  readonly nameOf: (host: PeerId) => string;
  readonly isAlive: (host: PeerId) => boolean;
}

/** The links of this host, and for each of its endpoints those in its sandbox. */
interface Seen {
  readonly links: readonly Link[];
  readonly inside: ReadonlyMap<string, readonly Link[] | undefined>;
}

/**
 * Compares the tables, who owns which addresses, and the interfaces that really exist on this host. It
 * changes nothing: what can be repaired the reconciler repairs, and this tells what it could not.
 */
export async function auditAddresses(options: AuditOptions): Promise<AuditReport> {
  const { addresses, directory, self } = options;
  const seen = await look(options);
  const pools = addresses.pools();
  const findings = [
    ...pools.flatMap(({ pool, holding }) => auditPool(pool, holding, options)),
    ...directory.endpointsOf(self).flatMap((endpoint) => auditInterface(endpoint, seen, options)),
    ...auditLinks(seen.links, options),
  ];
  return { findings, isClean: findings.every(({ severity }) => severity === 'note') };
}

async function look({ self, directory, ip, netns }: AuditOptions): Promise<Seen> {
  const inside = new Map<string, readonly Link[] | undefined>();
  for (const { id, sandbox } of directory.endpointsOf(self)) {
    if (isEngineManaged({ sandbox })) continue;
    try {
      const open = await netns.open(sandbox);
      try {
        inside.set(id, await ip.links(open.handle));
      } finally {
        await open.close();
      }
    } catch (error) {
      if (!isAppError(error)) throw error;
      inside.set(id, undefined);
    }
  }
  return { links: await ip.links(), inside };
}

const error = (code: AuditFinding['code'], sentence: string): AuditFinding => ({
  ...{ code, severity: 'error', sentence },
});
const warning = (code: AuditFinding['code'], sentence: string): AuditFinding => ({
  ...{ code, severity: 'warning', sentence },
});

/** What rows, shares and leases of one pool disagree on. */
function auditPool(pool: AddressPool, holding: Holding, options: AuditOptions): AuditFinding[] {
  const { addresses, directory, nameOf } = options;
  const { name } = pool;
  const endpoints = directory.endpoints(name);
  const isOfFamily = (address: string): boolean => familyOf(address) === familyOf(pool.subnet);
  const shared = sharedAddresses(endpoints).filter(({ address }) => isOfFamily(address));
  const twice = shared.map(({ address, holders: group }) => {
    const holders = group.map(({ id, host }) => `${id} on ${nameOf(host)}`).join(' and ');
    return error(
      'address-twice',
      `Address ${bareAddress(address)} of network ${name} is held by endpoint ${holders}; see "weft ipam plan".`,
    );
  });
  const isLeased = holding.isLeased(addresses.now());
  const lapsed = isLeased
    ? []
    : [
        warning(
          'lease-lapsed',
          `This host has no lease on the addresses of network ${name} and gives out none; see "weft ipam status" for which voters don't answer.`,
        ),
      ];
  return [
    ...endpoints.flatMap((endpoint) => auditRow(endpoint, pool, holding, options)),
    ...twice,
    ...lapsed,
    ...unreachable(pool, holding, options),
  ];
}

/** An endpoint's row beside the pool's value. */
function auditRow(
  endpoint: Endpoint,
  pool: AddressPool,
  { chosen, spec }: Holding,
  { nameOf }: AuditOptions,
): AuditFinding[] {
  const { id, host } = endpoint;
  const given = givenTo(endpoint).find((each) => familyOf(each.address) === familyOf(pool.subnet));
  if (given === undefined) return [];
  const { epoch = 0 } = given;
  const address = bareAddress(given.address);
  const offset = offsetOf(pool, address);
  const who = `Address ${address} of endpoint ${id} on ${nameOf(host)}`;
  if (offset === undefined) {
    const what = `${who} is outside ${pool.subnet}, the subnet of network ${pool.name}`;
    return [error('address-outside', `${what}; detach it there and attach it again.`)];
  }
  if (contains(spec.excluded, offset)) {
    const what = `${who} is the gateway or reserved in network ${pool.name}`;
    return [error('address-reserved', `${what}; detach it there and attach it again.`)];
  }
  if (isVoid(chosen, host, epoch)) {
    const what = `${who} was given out before that host lost all its addresses`;
    return [warning('address-void', `${what}; the row goes by itself within seconds.`)];
  }
  const owner = ownerOf(chosen, offset);
  if (owner !== host) {
    const what = `${who} lies in a range of network ${pool.name} that ${nameOf(owner)} owns`;
    return [error('address-not-owned', `${what}; detach it there and attach it again.`)];
  }
  if (contains(windowsOf(chosen, host), offset)) return [];
  const what = `${who} lies where its host may not give out addresses of network ${pool.name}`;
  return [error('address-not-open', `${what}; detach it there and attach it again.`)];
}

function unreachable(
  { name }: AddressPool,
  { chosen }: Holding,
  { self, nameOf, isAlive }: AuditOptions,
): AuditFinding[] {
  const owners = new Set(chosen.shares.map(({ owner }) => owner));
  const away = [...owners].filter((owner) => owner !== self && !isAlive(owner)).map(nameOf);
  if (away.length === 0) return [];
  const sentence = `Addresses of network ${name} are out of reach with ${away.join(', ')}; the free ones return when their leases have ended, all of them with "weft forget".`;
  return [{ code: 'space-unreachable', severity: 'note', sentence }];
}

/**
 * A row of this host beside the interfaces that really exist. Of what a container engine cares for only
 * the host's end is looked at.
 */
function auditInterface(
  endpoint: Endpoint,
  { links, inside }: Seen,
  options: AuditOptions,
): AuditFinding[] {
  const { directory } = options;
  const { id, network, ifname, sandbox } = endpoint;
  const addresses = addressesOf(endpoint);
  const what = `Endpoint ${id} of network ${network} (${addresses.join(', ')})`;
  const remedy = 'if the daemon does not repair it within 10 s, detach it and attach it again';
  const there = inside.get(id);
  const link = there?.find(({ name }) => name === ifname);
  const hostEnd = links.find(({ name }) => name === hostEndName(id));
  const isInsideWrong = link === undefined && !isEngineManaged(endpoint);
  if (isInsideWrong || hostEnd === undefined) {
    return [
      error(
        'interface-missing',
        `${what} has no interface ${ifname} in ${sandbox.path}; ${remedy}.`,
      ),
    ];
  }
  const found = (link?.addresses ?? []).filter(({ scope }) => scope !== 'link');
  const present = found.map((each) => `${each.address}/${each.prefixLength}`);
  const has = addresses.every((address) => present.includes(address));
  const others = present.join(', ') || 'none';
  const vni = directory.network(network)?.vni;
  const bridge = vni === undefined ? undefined : bridgeName(vni);
  return [
    ...(has || link === undefined
      ? []
      : [
          error(
            'interface-address',
            `${what} has other addresses on ${ifname} in ${sandbox.path}: ${others}; ${remedy}.`,
          ),
        ]),
    ...(has ? found.flatMap((each) => auditExtra(each, endpoint, options)) : []),
    ...(hostEnd.master === bridge
      ? []
      : [
          error(
            'interface-bridge',
            `${what} is on bridge ${hostEnd.master ?? 'none'} instead of ${bridge ?? 'none'}; ${remedy}.`,
          ),
        ]),
  ];
}

/**
 * An address beside the endpoint's own. One of the network's is another's, or will be: Weft gave it to
 * nobody here. What lies elsewhere, such as an address that a VPN in the container has added, does no harm.
 */
function auditExtra(
  { address, prefixLength }: LinkAddress,
  endpoint: Endpoint,
  { directory }: AuditOptions,
): AuditFinding[] {
  if (addressesOf(endpoint).some((own) => bareAddress(own) === address)) return [];
  const { id, ifname, sandbox, network: name } = endpoint;
  const network = directory.network(name);
  const given = `${address}/${prefixLength}`;
  const subnet = network && subnetsOf(network).find((each) => isInside(given, each));
  if (subnet === undefined) return [];
  return [
    error(
      'interface-address-extra',
      `Endpoint ${id} of network ${name} has ${given} on ${ifname} in ${sandbox.path} beside its own address, which ${subnet} may give to another endpoint; remove it there with "ip address del ${given} dev ${ifname}".`,
    ),
  ];
}

/** Links that bear this host's mark, and that no row speaks of. */
function auditLinks(links: readonly Link[], { self, directory }: AuditOptions): AuditFinding[] {
  return links.flatMap(({ name, alias }) => {
    const mark = parseMark(alias);
    if (mark?.host !== self) return [];
    const isKnown =
      mark.endpoint === undefined
        ? directory.hasEndpoints({ network: mark.network, host: self }) ||
          directory.isUsed({ network: mark.network, host: self })
        : directory.endpoint(mark.endpoint)?.host === self;
    if (isKnown) return [];
    const what = mark.endpoint === undefined ? 'bridge' : 'interface';
    return [
      warning(
        'interface-unknown',
        `The ${what} ${name} of network ${mark.network} belongs to no endpoint of this host; the daemon removes it within 10 s, or "ip link del ${name}" does.`,
      ),
    ];
  });
}
