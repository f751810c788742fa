import { AppError } from '../base/errors.ts';
import { familyOf } from '../wire/cidr.ts';
import type { Ip } from './ip.ts';
import type { Link, LinkAddress } from './ip-json.ts';

/** The local end of the underlay: an address of this host and the interface that carries it. */
export interface UnderlayAddress {
  readonly address: string;
  readonly ifname: string;
  /** Of the interface. */
  readonly mtu: number;
}

function globalAddress(
  link: Link,
  isListened: (address: string) => boolean,
  wanted?: string,
): LinkAddress | undefined {
  return link.addresses.find(
    ({ address, scope }) =>
      scope === 'global' && isListened(address) && (wanted === undefined || address === wanted),
  );
}

/** How names of Weft's own interfaces begin: what is behind them is carried, and carries nothing. */
const OVERLAY = 'weft-';

/** Every interface that may lead to other hosts: not loopback, and no bridge of containers or VMs. */
const isUnderlay = ({ isUp, kind, name }: Link): boolean =>
  isUp && kind !== 'bridge' && kind !== 'loopback' && !name.startsWith(OVERLAY);

/** Global addresses of this host that other hosts may reach it at, of these families; the default route's first. */
export async function underlayAddresses(
  ip: Ip,
  families: readonly (4 | 6)[] = [4, 6],
): Promise<string[]> {
  const [links, routes] = await Promise.all([ip.links(), ip.routes()]);
  const preferred = new Set(
    routes.filter(({ destination }) => destination === 'default').map(({ device }) => device),
  );
  const usable = links.filter((link) => preferred.has(link.name) || isUnderlay(link));
  return usable
    .sort((a, b) => Number(preferred.has(b.name)) - Number(preferred.has(a.name)))
    .flatMap(({ addresses }) => addresses)
    .filter(({ address, scope }) => scope === 'global' && families.includes(familyOf(address)))
    .map(({ address }) => address);
}

function at(link: Link, address: string): UnderlayAddress {
  return { address, ifname: link.name, mtu: link.mtu };
}

/** Finds the interface that has `address` (canonical text); undefined if none has. */
export async function findLocalAddress(
  ip: Ip,
  address: string,
): Promise<UnderlayAddress | undefined> {
  const link = (await ip.links()).find((each) =>
    each.addresses.some((candidate) => candidate.address === address),
  );
  return link && at(link, address);
}

/**
 * The address that other hosts most likely reach this one at: of the default route's interface, else the
 * first global address of an interface that is up and no bridge. Only one where the daemon listens:
 * `families` are those of its wildcard addresses. Rejects with E_ROUTE_MISSING.
 */
export async function defaultAdvertise(
  ip: Ip,
  families: readonly (4 | 6)[] = [4, 6],
): Promise<UnderlayAddress> {
  const [links, routes] = await Promise.all([ip.links(), ip.routes()]);
  const defaults = routes.filter(({ destination }) => destination === 'default');
  const preferred = defaults.map(({ device }) => links.find(({ name }) => name === device));
  const isListened = (address: string): boolean => families.includes(familyOf(address));
  const others = links.filter(isUnderlay);
  for (const link of [...preferred, ...others]) {
    if (link === undefined) continue;
    const wanted = defaults.find(({ device }) => device === link.name)?.source;
    const found = globalAddress(link, isListened, wanted) ?? globalAddress(link, isListened);
    if (found !== undefined) return at(link, found.address);
  }
  throw new AppError(
    'E_ROUTE_MISSING',
    `This host has no global ${families.map((family) => `IPv${family}`).join(' or ')} address on any interface; give the address that other hosts reach it at with --advertise.`,
  );
}
