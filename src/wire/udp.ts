import { readU16, writeU16 } from './bytes.ts';
import { addToSum, foldSum } from './checksum.ts';
import { after, endOf, type Field } from './field.ts';

/**
 * UDP header (RFC 768). Big-endian.
 *
 *   0                16               32
 *   |  source port   | destination port |
 *   |    length      |    checksum      |   length: header and payload; checksum 0: none
 *
 * The caller checks that `UDP_HEADER_BYTES` are there; after it no accessor can fail.
 */
const SOURCE_PORT: Field = { at: 0, bytes: 2 };
const DESTINATION_PORT = after(SOURCE_PORT, 2);
const LENGTH = after(DESTINATION_PORT, 2);
const CHECKSUM = after(LENGTH, 2);

export const UDP_HEADER_BYTES = endOf(CHECKSUM);

export function udpSourcePort(buf: Uint8Array, at: number): number {
  return readU16(buf, at + SOURCE_PORT.at);
}

export function udpDestinationPort(buf: Uint8Array, at: number): number {
  return readU16(buf, at + DESTINATION_PORT.at);
}

/** Header and payload as the header claims it; may exceed what is there. */
export function udpLength(buf: Uint8Array, at: number): number {
  return readU16(buf, at + LENGTH.at);
}

export interface UdpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly payloadBytes: number;
}

/** Writes a header with checksum 0; returns the payload's offset. `writeUdpChecksum` may follow. */
export function writeUdp(buf: Uint8Array, at: number, header: UdpHeader): number {
  writeU16(buf, at + SOURCE_PORT.at, header.sourcePort);
  writeU16(buf, at + DESTINATION_PORT.at, header.destinationPort);
  writeU16(buf, at + LENGTH.at, UDP_HEADER_BYTES + header.payloadBytes);
  writeU16(buf, at + CHECKSUM.at, 0);
  return at + UDP_HEADER_BYTES;
}

/**
 * Computes the checksum over header and payload, which stand in place. A sum of 0 is sent as all ones.
 * @param pseudoSum  from `pseudoHeaderSum4` or `pseudoHeaderSum6`, over `udpLength` bytes
 */
export function writeUdpChecksum(buf: Uint8Array, at: number, pseudoSum: number): void {
  writeU16(buf, at + CHECKSUM.at, 0);
  const sum = foldSum(addToSum(buf, at, at + udpLength(buf, at), pseudoSum));
  writeU16(buf, at + CHECKSUM.at, sum === 0 ? 0xffff : sum);
}
