import type { Mac } from '../base/types.ts';
import { writeU16, writeU32 } from './bytes.ts';
import { addToSum, foldSum, pseudoHeaderSum6 } from './checksum.ts';
import { after, endOf, type Field } from './field.ts';
import {
  IPV6_ADDRESS_BYTES,
  IPV6_DESTINATION_AT,
  IPV6_HEADER_BYTES,
  IPV6_SOURCE_AT,
  ipv6HopLimit,
  ipv6NextHeader,
  ipv6PayloadLength,
  isIpv6,
  writeIpv6,
} from './ipv6.ts';
import { MAC_BYTES, readMac, writeMac, ZERO_MAC } from './mac.ts';

/**
 * IPv6 neighbour discovery: solicitations and advertisements (RFC 4861 §4.3, §4.4). Big-endian.
 *
 *   0        8        16                 32
 *   |  type  | code 0 |     checksum     |   135 solicitation, 136 advertisement
 *   |R S O|           reserved           |   the three flags: advertisement only
 *   |          target (128 bits)         |   24 bytes in all, then options:
 *   |  type  | units  | link address (48)|   units of 8 bytes; type 1 the source's, 2 the target's
 *
 * `isSolicitation` checks lengths and form once; after it no accessor can fail.
 */
const TYPE: Field = { at: 0, bytes: 1 };
const CODE = after(TYPE, 1);
const CHECKSUM = after(CODE, 2);
const FLAGS = after(CHECKSUM, 4);
const TARGET = after(FLAGS, IPV6_ADDRESS_BYTES);

const OPTION_TYPE: Field = { at: 0, bytes: 1 };
const OPTION_UNITS = after(OPTION_TYPE, 1);
const OPTION_MAC = after(OPTION_UNITS, MAC_BYTES);
const OPTION_UNIT_BYTES = 8;
const OPTION = { sourceMac: 1, targetMac: 2 } as const;

const ICMPV6 = 58;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
/** Proof that no router passed the message on (RFC 4861 §7.1.1). */
const HOP_LIMIT = 255;
const MULTICAST = 0xff;
/** `ff02::1:ff00:0/104`: the first 13 bytes of the group that listens for a target (RFC 4291 §2.7.1). */
const SOLICITED_NODE = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff];

export const ND_FLAG = { router: 0x80, solicited: 0x40, override: 0x20 } as const;
/** IPv6 header, advertisement and its one option. */
export const ADVERTISEMENT_BYTES = IPV6_HEADER_BYTES + endOf(TARGET) + OPTION_UNIT_BYTES;

const messageAt = (ipAt: number): number => ipAt + IPV6_HEADER_BYTES;
const messageEnd = (buf: Uint8Array, ipAt: number): number =>
  messageAt(ipAt) + ipv6PayloadLength(buf, ipAt);

/** Whether `buf[ipAt, end)` is a whole solicitation that RFC 4861 §7.1.1 tells a host to heed. */
export function isSolicitation(buf: Uint8Array, ipAt: number, end: number): boolean {
  if (!isIpv6(buf, ipAt, end) || ipv6NextHeader(buf, ipAt) !== ICMPV6) return false;
  const at = messageAt(ipAt);
  const last = messageEnd(buf, ipAt);
  return (
    last <= end &&
    last - at >= endOf(TARGET) &&
    ipv6HopLimit(buf, ipAt) === HOP_LIMIT &&
    buf[at + TYPE.at] === SOLICITATION &&
    buf[at + CODE.at] === 0 &&
    buf[at + TARGET.at] !== MULTICAST &&
    hasWholeOptions(buf, at + endOf(TARGET), last) &&
    messageSum(buf, ipAt, at, last) === 0
  );
}

/** Whether `buf[ipAt, end)` is a solicitation or advertisement as far as its target, whatever else it is. */
export function isNeighbourMessage(buf: Uint8Array, ipAt: number, end: number): boolean {
  if (!isIpv6(buf, ipAt, end) || ipv6NextHeader(buf, ipAt) !== ICMPV6) return false;
  const at = messageAt(ipAt);
  const type = buf[at + TYPE.at];
  return end - at >= endOf(TARGET) && (type === SOLICITATION || type === ADVERTISEMENT);
}

function hasWholeOptions(buf: Uint8Array, from: number, end: number): boolean {
  let at = from;
  while (at + OPTION_UNIT_BYTES <= end && buf[at + OPTION_UNITS.at] !== 0) {
    at += buf[at + OPTION_UNITS.at]! * OPTION_UNIT_BYTES;
  }
  return at === end;
}

function messageSum(buf: Uint8Array, ipAt: number, at: number, end: number): number {
  const pseudo = pseudoHeaderSum6(buf, ipAt + IPV6_SOURCE_AT, ICMPV6, end - at);
  return foldSum(addToSum(buf, at, end, pseudo));
}

/** Offset of the 16 bytes of the address that is asked for. */
export function solicitedAt(ipAt: number): number {
  return messageAt(ipAt) + TARGET.at;
}

/** Whether the sender has an address: without one, it asks whether the target is free (RFC 4862 §5.4). */
export function hasSender(buf: Uint8Array, ipAt: number): boolean {
  if (buf[ipAt + IPV6_SOURCE_AT] === MULTICAST) return false;
  for (let at = 0; at < IPV6_ADDRESS_BYTES; at++) {
    if (buf[ipAt + IPV6_SOURCE_AT + at] !== 0) return true;
  }
  return false;
}

/** Whether it is sent to the group of its target, as a first question is. */
export function isToSolicitedNode(buf: Uint8Array, ipAt: number): boolean {
  const [to, target] = [ipAt + IPV6_DESTINATION_AT, solicitedAt(ipAt)];
  for (let at = 0; at < IPV6_ADDRESS_BYTES; at++) {
    const wanted = at < SOLICITED_NODE.length ? SOLICITED_NODE[at] : buf[target + at];
    if (buf[to + at] !== wanted) return false;
  }
  return true;
}

/** The sender's MAC as it says itself, or zero if it does not. */
export function solicitationMac(buf: Uint8Array, ipAt: number): Mac {
  const end = messageEnd(buf, ipAt);
  let at = messageAt(ipAt) + endOf(TARGET);
  while (at < end) {
    if (buf[at] === OPTION.sourceMac) return readMac(buf, at + OPTION_MAC.at);
    at += buf[at + OPTION_UNITS.at]! * OPTION_UNIT_BYTES;
  }
  return ZERO_MAC;
}

export interface Advertisement {
  /** The asker, 16 bytes. */
  readonly destination: Uint8Array;
  /** Who has been asked for, 16 bytes: the sender too. */
  readonly target: Uint8Array;
  readonly mac: Mac;
  /** Of `ND_FLAG`. */
  readonly flags: number;
}

/** Writes IPv6 header and advertisement to `buf[ipAt, ipAt + ADVERTISEMENT_BYTES)`; returns the offset behind. */
export function writeAdvertisement(
  buf: Uint8Array,
  ipAt: number,
  { destination, target, mac, flags }: Advertisement,
): number {
  const payloadBytes = ADVERTISEMENT_BYTES - IPV6_HEADER_BYTES;
  const header = { source: target, destination, nextHeader: ICMPV6, payloadBytes };
  const at = writeIpv6(buf, ipAt, { ...header, hopLimit: HOP_LIMIT });
  const optionAt = at + endOf(TARGET);
  const end = at + payloadBytes;
  buf[at + TYPE.at] = ADVERTISEMENT;
  buf[at + CODE.at] = 0;
  writeU16(buf, at + CHECKSUM.at, 0);
  writeU32(buf, at + FLAGS.at, 0);
  buf[at + FLAGS.at] = flags;
  buf.set(target, at + TARGET.at);
  buf[optionAt + OPTION_TYPE.at] = OPTION.targetMac;
  buf[optionAt + OPTION_UNITS.at] = 1;
  writeMac(buf, optionAt + OPTION_MAC.at, mac);
  writeU16(buf, at + CHECKSUM.at, messageSum(buf, ipAt, at, end));
  return end;
}
