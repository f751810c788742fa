import ipaddr from 'ipaddr.js';

/**
 * IP addresses and subnets of the control plane, on ipaddr.js. Addresses are integers with a family, so
 * that arithmetic and comparison are plain; text is always RFC 5952's one form. Not for the hot path.
 */
export interface IpAddress {
  readonly family: 4 | 6;
  /** First byte highest: below 2^32 or 2^128. */
  readonly value: bigint;
}

/** An address with a prefix length. Host bits may be set: `10.7.0.5/24` is an interface's address. */
export interface Cidr {
  readonly address: IpAddress;
  /** 0 to 32 or 128. */
  readonly prefixLength: number;
}

const ADDRESS_BITS = { 4: 32, 6: 128 } as const;
const BITS_PER_BYTE = 8;
/** The last prefix length at which a subnet has a network and a broadcast address (RFC 3021). */
const LONGEST_WITH_BROADCAST = 30;

/**
 * Reads IPv4 in four decimal parts without leading zeros, or IPv6 without a zone.
 * @returns undefined for anything else: inet_aton's forms (`10.1`, `0x0a000001`, octal) hide mistakes
 */
export function parseAddress(text: string): IpAddress | undefined {
  if (isIpv4Text(text)) return fromBytes(4, ipaddr.IPv4.parse(text).toByteArray());
  return text.includes(':') ? parseIpv6(text) : undefined;
}

function isIpv4Text(text: string): boolean {
  return (
    /^(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}$/.test(text) &&
    ipaddr.IPv4.isValidFourPartDecimal(text)
  );
}

/** A dotted tail becomes hex first: ipaddr.js takes `::192.0.2.1` for an IPv4-mapped address. */
function parseIpv6(text: string): IpAddress | undefined {
  const colon = text.lastIndexOf(':') + 1;
  const tail = text.slice(colon);
  if (tail.includes('.') && !isIpv4Text(tail)) return undefined;
  const hex = tail.includes('.') ? text.slice(0, colon) + dottedToHex(tail) : text;
  if (hex.includes('%') || !ipaddr.IPv6.isValid(hex)) return undefined;
  return fromBytes(6, ipaddr.IPv6.parse(hex).toByteArray());
}

function dottedToHex(dotted: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = ipaddr.IPv4.parse(dotted).toByteArray();
  return `${((a << BITS_PER_BYTE) | b).toString(16)}:${((c << BITS_PER_BYTE) | d).toString(16)}`;
}

function fromBytes(family: 4 | 6, bytes: readonly number[]): IpAddress {
  return { family, value: bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n) };
}

/** The address in network byte order: 4 or 16 bytes. */
export function addressBytes({ family, value }: IpAddress): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_BITS[family] / BITS_PER_BYTE);
  let rest = value;
  for (let at = bytes.length - 1; at >= 0; at--, rest >>= 8n) bytes[at] = Number(rest & 0xffn);
  return bytes;
}

/** The address that stands in `buf` at `at`, 4 or 16 bytes; the caller has checked the length. */
export function readAddress(buf: Uint8Array, at: number, family: 4 | 6): IpAddress {
  return fromBytes(family, [...buf.subarray(at, at + ADDRESS_BITS[family] / BITS_PER_BYTE)]);
}

/** RFC 5952: `10.7.0.5`, `2001:db8::1`; IPv4-mapped addresses keep their dots (`::ffff:192.0.2.1`). */
export function formatAddress(address: IpAddress): string {
  const bytes = [...addressBytes(address)];
  if (address.family === 4) return bytes.join('.');
  const parsed = new ipaddr.IPv6(bytes);
  return parsed.isIPv4MappedAddress()
    ? `::ffff:${parsed.toIPv4Address().toString()}`
    : parsed.toRFC5952String();
}

/** The one textual form of an address, or undefined if it is none. */
export function canonicalAddress(text: string): string | undefined {
  const address = parseAddress(text);
  return address && formatAddress(address);
}

/** Reads `ADDRESS/LENGTH`; host bits may be set (see `hasHostBits`). */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const address = parseAddress(match?.[1] ?? '');
  const prefixLength = Number(match?.[2]);
  if (address === undefined || prefixLength > ADDRESS_BITS[address.family]) return undefined;
  return { address, prefixLength };
}

/** The address in the text of a CIDR, or the text as it is if it has no prefix length. */
export const bareAddress = (cidr: string): string => cidr.split('/', 1)[0] ?? cidr;

/** Of an address or a CIDR in text that is known to be one. */
export const familyOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);

export function formatCidr({ address, prefixLength }: Cidr): string {
  return `${formatAddress(address)}/${prefixLength}`;
}

function hostMask({ address, prefixLength }: Cidr): bigint {
  return (1n << BigInt(ADDRESS_BITS[address.family] - prefixLength)) - 1n;
}

/** Whether bits beyond the prefix are set: then it isn't a subnet but an address in one. */
export function hasHostBits(cidr: Cidr): boolean {
  return (cidr.address.value & hostMask(cidr)) !== 0n;
}

/** The subnet that a CIDR lies in, with host bits cleared. */
export function subnetOf(cidr: Cidr): Cidr {
  return { address: firstAddress(cidr), prefixLength: cidr.prefixLength };
}

/** The subnet's first address: IPv4's network address, IPv6's subnet-router anycast (RFC 4291 §2.6.1). */
export function firstAddress(cidr: Cidr): IpAddress {
  const { family, value } = cidr.address;
  return { family, value: value & ~hostMask(cidr) };
}

/** The subnet's last address: IPv4's broadcast address up to /30. */
export function lastAddress(cidr: Cidr): IpAddress {
  const { family, value } = cidr.address;
  return { family, value: value | hostMask(cidr) };
}

/** Whether the address is of the subnet's family and lies in it. */
export function containsAddress(cidr: Cidr, address: IpAddress): boolean {
  const { family, value } = cidr.address;
  return family === address.family && ((value ^ address.value) & ~hostMask(cidr)) === 0n;
}

/**
 * Whether an endpoint may have the address: it lies in the subnet and is not the network's own. In IPv4
 * up to /30 first and last are taken; /31 and /32 have none (RFC 3021). In IPv6 up to /126 the first is
 * the routers' anycast address; /127 has none (RFC 6164).
 */
export function isHostAddress(cidr: Cidr, address: IpAddress): boolean {
  if (!containsAddress(cidr, address)) return false;
  const hostBits = ADDRESS_BITS[address.family] - cidr.prefixLength;
  if (hostBits < ADDRESS_BITS[4] - LONGEST_WITH_BROADCAST) return true;
  if (address.value === firstAddress(cidr).value) return false;
  return address.family === 6 || address.value !== lastAddress(cidr).value;
}

/** Whether two subnets have an address in common: then one of them contains the other. */
export function overlaps(one: Cidr, other: Cidr): boolean {
  return containsAddress(one, other.address) || containsAddress(other, one.address);
}
