import type { Mac } from '../base/types.ts';
import { readU16, readU32, writeU16, writeU32 } from './bytes.ts';
import { ETHER_TYPE } from './ethernet.ts';
import { after, endOf, type Field } from './field.ts';
import { MAC_BYTES, readMac, writeMac } from './mac.ts';

/**
 * ARP for IPv4 over Ethernet (RFC 826). Big-endian.
 *
 *   0                   16                 32
 *   |  hardware: 1      |  protocol: 0800  |
 *   |  6      |  4      |  operation       |
 *   |  sender MAC (48)  |  sender IPv4 (32)   |
 *   |  target MAC (48)  |  target IPv4 (32)   |   28 bytes in all
 *
 * `isArp` checks length and kind once; after it no accessor can fail.
 */
const HARDWARE: Field = { at: 0, bytes: 2 };
const PROTOCOL = after(HARDWARE, 2);
const HARDWARE_BYTES = after(PROTOCOL, 1);
const PROTOCOL_BYTES = after(HARDWARE_BYTES, 1);
const OPERATION = after(PROTOCOL_BYTES, 2);
const SENDER_MAC = after(OPERATION, MAC_BYTES);
const SENDER_IP = after(SENDER_MAC, 4);
const TARGET_MAC = after(SENDER_IP, MAC_BYTES);
const TARGET_IP = after(TARGET_MAC, 4);

export const ARP_BYTES = endOf(TARGET_IP);
export const ARP_OPERATION = { request: 1, reply: 2 } as const;

const HARDWARE_ETHERNET = 1;

/** Whether `buf[at, end)` holds ARP for IPv4 over Ethernet, of whatever operation. */
export function isArp(buf: Uint8Array, at: number, end: number): boolean {
  return (
    end - at >= ARP_BYTES &&
    readU16(buf, at + HARDWARE.at) === HARDWARE_ETHERNET &&
    readU16(buf, at + PROTOCOL.at) === ETHER_TYPE.ipv4 &&
    buf[at + HARDWARE_BYTES.at] === SENDER_MAC.bytes &&
    buf[at + PROTOCOL_BYTES.at] === SENDER_IP.bytes
  );
}

export function arpOperation(buf: Uint8Array, at: number): number {
  return readU16(buf, at + OPERATION.at);
}

export function arpSenderMac(buf: Uint8Array, at: number): Mac {
  return readMac(buf, at + SENDER_MAC.at);
}

/** Unsigned 32 bits, first byte highest. */
export function arpSenderIp(buf: Uint8Array, at: number): number {
  return readU32(buf, at + SENDER_IP.at);
}

export function arpTargetIp(buf: Uint8Array, at: number): number {
  return readU32(buf, at + TARGET_IP.at);
}

export interface ArpPacket {
  readonly operation: number;
  readonly senderMac: Mac;
  readonly senderIp: number;
  /** Zero in a request. */
  readonly targetMac: Mac;
  readonly targetIp: number;
}

/** Writes a packet to `buf[at, at + ARP_BYTES)`; returns the offset behind it. */
export function writeArp(buf: Uint8Array, at: number, packet: ArpPacket): number {
  writeU16(buf, at + HARDWARE.at, HARDWARE_ETHERNET);
  writeU16(buf, at + PROTOCOL.at, ETHER_TYPE.ipv4);
  buf[at + HARDWARE_BYTES.at] = SENDER_MAC.bytes;
  buf[at + PROTOCOL_BYTES.at] = SENDER_IP.bytes;
  writeU16(buf, at + OPERATION.at, packet.operation);
  writeMac(buf, at + SENDER_MAC.at, packet.senderMac);
  writeU32(buf, at + SENDER_IP.at, packet.senderIp);
  writeMac(buf, at + TARGET_MAC.at, packet.targetMac);
  writeU32(buf, at + TARGET_IP.at, packet.targetIp);
  return at + ARP_BYTES;
}
