import { isIP } from 'node:net';
import type { PortRequest } from '../api/control.ts';
import { canonicalDnsName, DNS_NAME_RULE } from '../base/dns-name.ts';
import { DEFAULT_VXLAN_PORT } from '../base/defaults.ts';
import { parseHostPort } from '../base/host-port.ts';
import { formatSocketAddress, MAX_VNI } from '../base/types.ts';
import { UsageError } from './context.ts';

/*
 * Readers of flags and arguments: what can be told wrong without a daemon is told here, at once and
 * with exit status 2. What needs knowledge of the mesh is the daemon's to judge.
 */

/** VNI 0 is for frames without a network; the daemon takes none for a network. */
const MIN_VNI = 1;
/** Least datagram that every IPv4 host takes less its headers (RFC 791); the daemon knows the rest. */
const MIN_MTU = 552;
const MAX_MTU = 65535;
const MAX_PID = 2 ** 31 - 1;
const MAX_IFNAME_BYTES = 15;
const MAX_UDP_PORT = 65_535;

const isWithin = (text: string, low: number, high: number): boolean =>
  /^\d{1,10}$/.test(text) && Number(text) >= low && Number(text) <= high;

export function readVni(text: string): number {
  if (isWithin(text, MIN_VNI, MAX_VNI)) return Number(text);
  throw new UsageError(
    'E_VNI_RANGE',
    `The VNI "${text}" is out of range; give a whole number from ${MIN_VNI} to ${MAX_VNI}, or leave it out.`,
  );
}

export function readMtu(text: string): number {
  if (isWithin(text, MIN_MTU, MAX_MTU)) return Number(text);
  throw new UsageError(
    'E_MTU_RANGE',
    `The MTU "${text}" is out of range; give a whole number of bytes from ${MIN_MTU} to ${MAX_MTU}.`,
  );
}

export function readPid(text: string): number {
  if (isWithin(text, 1, MAX_PID)) return Number(text);
  throw new UsageError('E_USAGE', `"${text}" is no process id; give a whole number above 0.`);
}

/** A CIDR's form; whether it has host bits the daemon tells. */
export function readSubnet(text: string): string {
  const [address = '', prefix = '', ...more] = text.split('/');
  const family = isIP(address);
  const longest = family === 4 ? 32 : 128;
  if (family !== 0 && more.length === 0 && isWithin(prefix, 0, longest)) return text;
  throw new UsageError(
    'E_SUBNET_INVALID',
    `"${text}" is no subnet; write ADDRESS/PREFIX, e.g. 10.7.0.0/24.`,
  );
}

export function readIp(text: string): string {
  const [address = '', prefix, ...more] = text.split('/');
  const isPrefix = prefix === undefined || isWithin(prefix, 0, isIP(address) === 4 ? 32 : 128);
  if (isIP(address) !== 0 && isPrefix && more.length === 0) return text;
  throw new UsageError(
    'E_ADDRESS_INVALID',
    `"${text}" is no IP address; write e.g. 10.7.0.2, bare or with the prefix length of the network.`,
  );
}

export function readMac(text: string): string {
  const isMac = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text);
  const isGroup = isMac && (parseInt(text.slice(0, 2), 16) & 1) === 1;
  if (isMac && !isGroup && text !== '00:00:00:00:00:00') return text.toLowerCase();
  throw new UsageError(
    'E_MAC_INVALID',
    `"${text}" is no MAC of one interface; write six hex bytes, e.g. 02:00:5e:10:00:01, with an even first byte.`,
  );
}

export function readIfname(text: string): string {
  const bytes = Buffer.byteLength(text);
  const isName = bytes > 0 && !/[\s/:]/.test(text) && text !== '.' && text !== '..';
  if (isName && bytes <= MAX_IFNAME_BYTES) return text;
  throw new UsageError(
    'E_IFNAME_INVALID',
    `"${text}" is no interface name; it has 1 to ${MAX_IFNAME_BYTES} bytes and no slash, colon or space.`,
  );
}

export function readEncap(text: string): 'vxlan' | 'sealed' {
  if (text === 'vxlan' || text === 'sealed') return text;
  throw new UsageError(
    'E_ENCAP_UNKNOWN',
    `There is no encapsulation "${text}"; there are vxlan and sealed.`,
  );
}

/** The name of a thing: anything but nothing. Its rules are the daemon's. */
export function readName(text: string): string {
  if (text.trim() !== '') return text;
  throw new UsageError('E_NAME_INVALID', 'A name is empty; give one.');
}

/** `[ADDR:]HOSTPORT:PORT[/tcp|/udp]`; an IPv6 address stands in brackets, host port 0 means a free one. */
export function readPublish(text: string): PortRequest {
  const match =
    /^(?:(?:\[([0-9a-f:.]+)\]|([0-9.]+)):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp))?$/i.exec(text) ?? [];
  const [, v6, v4, hostPort = '', port = '', protocol = 'tcp'] = match;
  const hostAddress = v6 ?? v4;
  const isAddress = hostAddress === undefined || isIP(hostAddress) !== 0;
  if (isAddress && isWithin(hostPort, 0, MAX_UDP_PORT) && isWithin(port, 1, MAX_UDP_PORT)) {
    return {
      protocol: protocol.toLowerCase() === 'udp' ? 'udp' : 'tcp',
      ...(hostAddress === undefined ? {} : { hostAddress }),
      ...{ hostPort: Number(hostPort), port: Number(port) },
    };
  }
  throw new UsageError(
    'E_PORT_INVALID',
    `"${text}" is no port to publish; write HOSTPORT:PORT, such as 8080:80, 192.0.2.1:8080:80 or 53:53/udp, with ports from 1 to ${MAX_UDP_PORT}.`,
  );
}

/** A container's name or id as Docker has them. */
export function readContainer(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(text)) return text;
  throw new UsageError(
    'E_USAGE',
    `"${text}" is no container of Docker's; give its name or id as "docker ps" shows it.`,
  );
}

/** A name to be found by in DNS, in lower case. */
export function readDnsName(text: string): string {
  const name = canonicalDnsName(text);
  if (name !== undefined) return name;
  throw new UsageError('E_NAME_INVALID', `"${text}" is no DNS name; ${DNS_NAME_RULE}.`);
}

/** Collects names of an option or argument that may be repeated. */
export const collectDnsNames = (
  text: string,
  all: readonly string[] | undefined,
): readonly string[] => [...(all ?? []), readDnsName(text)];

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** `90s`, `30m`, `1h`, `7d`, in seconds. The range is the daemon's to judge. */
export function readSpan(text: string): number {
  const [, count = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (unit !== '') return Number(count) * SECONDS[unit as keyof typeof SECONDS];
  throw new UsageError(
    'E_USAGE',
    `"${text}" is no span of time; write a whole number and s, m, h or d, such as 30m.`,
  );
}

/** A whole number from 1. */
export function readCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError('E_USAGE', `"${text}" is not a whole number from 1.`);
}

/** A host to join: form only, no lookup. */
export function readTarget(text: string): string {
  const target = parseHostPort(text);
  if (target !== undefined && target.host !== '' && target.port !== 0) return text;
  throw new UsageError(
    'E_USAGE',
    `"${text}" names no host; write HOST, HOST:PORT or [IPV6]:PORT with a port from 1 to 65535.`,
  );
}

/** A foreign VTEP as `ADDRESS:PORT`, with VXLAN's own port where none is written. */
export function readVtep(text: string): string {
  const vtep = parseHostPort(text);
  if (vtep !== undefined && isIP(vtep.host) !== 0 && vtep.port !== 0) {
    return formatSocketAddress({ address: vtep.host, port: vtep.port ?? DEFAULT_VXLAN_PORT });
  }
  throw new UsageError(
    'E_ADDRESS_INVALID',
    `"${text}" is no VTEP; write an IP address and perhaps a port: 192.0.2.9, 192.0.2.9:4789 or [2001:db8::9]:4789.`,
  );
}
