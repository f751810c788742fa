import { createHash } from 'node:crypto';
import { AppError } from '../base/errors.ts';
import { asMac, type Mac, type PeerId, type Vni } from '../base/types.ts';

/** Linux's IFNAMSIZ less the closing zero. */
const MAX_IFNAME_BYTES = 15;
/** `lo` is always taken; the others mean every interface in /proc/sys/net. */
const RESERVED_IFNAMES = ['lo', 'all', 'default'];

/** The bridge of a network on every host, e.g. `weft-4711`: at most 13 bytes. */
export function bridgeName(vni: Vni): string {
  return `weft-${vni}`;
}

/** The TAP device between a network's bridge and the data plane, e.g. `wtap-4711`: at most 13 bytes. */
export function tapName(vni: Vni): string {
  return `wtap-${vni}`;
}

/** The host's end of an endpoint's veth pair: `wv` and the first 12 characters of its id. */
export function hostEndName(endpointId: string): string {
  return `wv${endpointId.slice(0, 12)}`;
}

/** The interface by which a host itself is on a network, e.g. `weft-h4711`: at most 14 bytes. */
export function hostPortName(vni: Vni): string {
  return `weft-h${vni}`;
}

/** What holds up frames of an endpoint whose rate is limited: `wi` and the same characters. */
export function shaperName(endpointId: string): string {
  return `wi${endpointId.slice(0, 12)}`;
}

/** The other end of it, as long as a container engine has not yet moved and renamed it. */
export function engineEndName(endpointId: string): string {
  return `wc${endpointId.slice(0, 12)}`;
}

/**
 * The MAC of a network's bridge on one host: fixed, so that it does not change with the ports that come
 * and go, and different on each host, so that an address put on the bridge by hand works.
 */
export function bridgeMac(host: PeerId, vni: Vni): Mac {
  const digest = createHash('sha256').update(`${host} bridge ${vni}`).digest();
  // 02: locally administered, unicast (IEEE 802).
  return asMac(0x02 * 2 ** 40 + digest.readUIntBE(0, 5));
}

/**
 * The MAC of a network's gateway: the same on every host, so that a container's neighbour entry for it is
 * right wherever the container runs (docs/adr/0026).
 */
export function gatewayMac(vni: Vni): Mac {
  // 02: locally administered, unicast; then "WE".
  return asMac(0x02_57_45 * 2 ** 24 + vni);
}

/** Rejects with E_IFNAME_INVALID what the kernel, or a line of `ip -batch`, would not take as one name. */
export function checkIfname(ifname: string): void {
  const isPlain = /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(ifname);
  if (isPlain && ifname.length <= MAX_IFNAME_BYTES && !RESERVED_IFNAMES.includes(ifname)) return;
  throw new AppError(
    'E_IFNAME_INVALID',
    `"${ifname}" is no name for an interface; give 1 to ${MAX_IFNAME_BYTES} letters, digits, dots, dashes or underscores that start with a letter or digit, and not ${RESERVED_IFNAMES.join(', ')}.`,
  );
}

/** What a link's alias says of it: shown by `ip link`, and how a host finds the links that it made. */
export interface LinkMark {
  readonly host: string;
  readonly network: string;
  /** Of an endpoint's host end, or of what limits its rate; absent on a bridge. */
  readonly endpoint?: string;
}

/** `weft:HOST:NETWORK` or `weft:HOST:NETWORK:ENDPOINT`; no part can contain a colon or a blank. */
export function formatMark({ host, network, endpoint }: LinkMark): string {
  return ['weft', host, network, ...(endpoint === undefined ? [] : [endpoint])].join(':');
}

/** Undefined if the alias is not one of ours. */
export function parseMark(alias: string | undefined): LinkMark | undefined {
  const match = /^weft:([^:]+):([^:]+)(?::([^:]+))?$/.exec(alias ?? '');
  if (match === null) return undefined;
  const [, host = '', network = '', endpoint] = match;
  return { host, network, ...(endpoint === undefined ? {} : { endpoint }) };
}
