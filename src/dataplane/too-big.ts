import { writeU16, writeU32 } from '../wire/bytes.ts';
import { addToSum, checksum, foldSum, pseudoHeaderSum6 } from '../wire/checksum.ts';
import { ETHER_TYPE, HEADER_BYTES, readOuterType } from '../wire/ethernet.ts';
import {
  IP_PROTOCOL,
  IPV4_HEADER_BYTES,
  IPV4_SOURCE_AT,
  ipv4HeaderBytes,
  ipv4Protocol,
  isIpv4,
} from '../wire/ipv4.ts';
import { IPV6_ADDRESS_BYTES, IPV6_HEADER_BYTES, IPV6_SOURCE_AT } from '../wire/ipv6.ts';

/**
 * Tells a station that its packet is longer than its network takes: "fragmentation needed" of IPv4
 * (RFC 792, RFC 1191 §4) and "packet too big" of IPv6 (RFC 4443 §3.2). As Linux does where it bridges into
 * a tunnel, the message comes from the address that the packet was sent to, as there is no router with an
 * address of its own. native/core/too-big.cpp does the same; a test compares the two byte by byte.
 */

/** Messages are no longer than every host takes: with so much of the packet (RFC 1812 §4.3.2.3, RFC 4443). */
const MAX_IPV4_ERROR = 576;
const MAX_IPV6_ERROR = 1280;
export const MAX_TOO_BIG_BYTES = HEADER_BYTES + MAX_IPV6_ERROR;
/** Messages a second of one network, at most: RFC 4443 §2.4 (f), RFC 1812 §4.3.2.8. */
export const TOO_BIG_RATE = 1000;

const MAC_BYTES = 6;
const ICMP_BYTES = 8;
const TTL = 64;
/** RFC 1812 §4.3.2.5: internetwork control. */
const CONTROL_TOS = 0xc0;
const DONT_FRAGMENT = 0x40;
const FRAGMENT_OFFSET = 0x1f;
const FIRST_INFORMATIONAL = 128;
const REDIRECT = 137;

/**
 * Writes the message about the frame in `buf[start, end)`, at least an Ethernet header, which may be cut
 * short behind its headers.
 * @param answer  room for `MAX_TOO_BIG_BYTES`; the message is written to its beginning
 * @returns its bytes, or 0 where no message may be sent: to and about groups, fragments behind the first,
 *   and errors (RFC 1122 §3.2.2, RFC 4443 §2.4)
 */
export function writeTooBig(
  buf: Buffer,
  start: number,
  end: number,
  mtu: number,
  answer: Buffer,
): number {
  const type = readOuterType(buf, start);
  const at = start + HEADER_BYTES;
  const isV4 = type === ETHER_TYPE.ipv4;
  if (isV4 ? !mayAnswer4(buf, at, end) : type !== ETHER_TYPE.ipv6 || !mayAnswer6(buf, at, end)) {
    return 0;
  }
  swapAddresses(buf, start, MAC_BYTES, answer, 0);
  writeU16(answer, 2 * MAC_BYTES, type);
  return (
    HEADER_BYTES + (isV4 ? write4(buf, at, end, mtu, answer) : write6(buf, at, end, mtu, answer))
  );
}

function mayAnswer4(buf: Buffer, at: number, end: number): boolean {
  if (!isIpv4(buf, at, end)) return false;
  const payloadAt = at + ipv4HeaderBytes(buf, at);
  if (end < payloadAt + ICMP_BYTES) return false;
  if ((buf[at + 6]! & FRAGMENT_OFFSET) !== 0 || buf[at + 7] !== 0) return false;
  if (ipv4Protocol(buf, at) === IP_PROTOCOL.icmp && !isQuestion(buf[payloadAt]!)) return false;
  return [at + IPV4_SOURCE_AT, at + IPV4_SOURCE_AT + 4].every((each) => isStation4(buf[each]!));
}

/** Messages that ask or answer, and tell of no error: echo, timestamps, information, masks. */
const isQuestion = (type: number): boolean =>
  type === 0 || type === 8 || (type >= 13 && type <= 18);

/** By its first byte, neither this network or host nor a group or the reserved (RFC 1122 §3.2.1.3). */
const isStation4 = (first: number): boolean => first !== 0 && first !== 127 && first < 224;

function mayAnswer6(buf: Buffer, at: number, end: number): boolean {
  if (end - at < IPV6_HEADER_BYTES + ICMP_BYTES || buf[at]! >>> 4 !== 6) return false;
  const type = buf[at + IPV6_HEADER_BYTES]!;
  const isIcmp = buf[at + 6] === IP_PROTOCOL.icmpv6;
  if (isIcmp && (type < FIRST_INFORMATIONAL || type === REDIRECT)) return false;
  const sourceAt = at + IPV6_SOURCE_AT;
  return isStation6(buf, sourceAt) && isStation6(buf, sourceAt + IPV6_ADDRESS_BYTES);
}

function isStation6(buf: Buffer, at: number): boolean {
  if (buf[at] === 0xff) return false;
  for (let offset = 0; offset < IPV6_ADDRESS_BYTES; offset++)
    if (buf[at + offset] !== 0) return true;
  return false;
}

function swapAddresses(from: Buffer, at: number, bytes: number, to: Buffer, toAt: number): void {
  from.copy(to, toAt, at + bytes, at + 2 * bytes);
  from.copy(to, toAt + bytes, at, at + bytes);
}

function write4(buf: Buffer, at: number, end: number, mtu: number, answer: Buffer): number {
  const quoted = Math.min(end - at, MAX_IPV4_ERROR - IPV4_HEADER_BYTES - ICMP_BYTES);
  const total = IPV4_HEADER_BYTES + ICMP_BYTES + quoted;
  const ip = HEADER_BYTES;
  const icmp = ip + IPV4_HEADER_BYTES;
  answer.fill(0, ip, icmp + ICMP_BYTES);
  answer[ip] = 0x45;
  answer[ip + 1] = CONTROL_TOS;
  writeU16(answer, ip + 2, total);
  answer[ip + 6] = DONT_FRAGMENT;
  answer[ip + 8] = TTL;
  answer[ip + 9] = IP_PROTOCOL.icmp;
  swapAddresses(buf, at + IPV4_SOURCE_AT, 4, answer, ip + IPV4_SOURCE_AT);
  writeU16(answer, ip + 10, checksum(answer, ip, icmp));
  answer[icmp] = 3;
  answer[icmp + 1] = 4;
  writeU16(answer, icmp + 6, mtu);
  buf.copy(answer, icmp + ICMP_BYTES, at, at + quoted);
  writeU16(answer, icmp + 2, checksum(answer, icmp, ip + total));
  return total;
}

function write6(buf: Buffer, at: number, end: number, mtu: number, answer: Buffer): number {
  const quoted = Math.min(end - at, MAX_IPV6_ERROR - IPV6_HEADER_BYTES - ICMP_BYTES);
  const payload = ICMP_BYTES + quoted;
  const ip = HEADER_BYTES;
  const icmp = ip + IPV6_HEADER_BYTES;
  answer.fill(0, ip, icmp + ICMP_BYTES);
  answer[ip] = 0x60;
  writeU16(answer, ip + 4, payload);
  answer[ip + 6] = IP_PROTOCOL.icmpv6;
  answer[ip + 7] = TTL;
  swapAddresses(buf, at + IPV6_SOURCE_AT, IPV6_ADDRESS_BYTES, answer, ip + IPV6_SOURCE_AT);
  answer[icmp] = 2;
  writeU32(answer, icmp + 4, mtu);
  buf.copy(answer, icmp + ICMP_BYTES, at, at + quoted);
  const pseudo = pseudoHeaderSum6(answer, ip + IPV6_SOURCE_AT, IP_PROTOCOL.icmpv6, payload);
  writeU16(answer, icmp + 2, foldSum(addToSum(answer, icmp, icmp + payload, pseudo)));
  return IPV6_HEADER_BYTES + payload;
}
