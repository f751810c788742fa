import { readU16 } from './bytes.ts';
import { after, endOf, type Field } from './field.ts';

/**
 * The TCP header (RFC 9293 §3.1). Big-endian.
 *
 *   0                16                  32
 *   |  source port   |  destination port |
 *   |          sequence number           |
 *   |       acknowledgement number       |
 *   | offset | flags |     window       |
 *   |    checksum    |     urgent       |   options ...
 *
 * The caller checks that `TCP_HEADER_BYTES` are there; after it no accessor can fail.
 */
const SOURCE_PORT: Field = { at: 0, bytes: 2 };
const DESTINATION_PORT = after(SOURCE_PORT, 2);
const SEQUENCE = after(DESTINATION_PORT, 4);
const ACKNOWLEDGEMENT = after(SEQUENCE, 4);
const OFFSET = after(ACKNOWLEDGEMENT, 1);
const FLAGS = after(OFFSET, 1);
const WINDOW = after(FLAGS, 2);
const CHECKSUM = after(WINDOW, 2);
const URGENT = after(CHECKSUM, 2);

/** Without options. */
export const TCP_HEADER_BYTES = endOf(URGENT);
/** From the start of the header. */
export const TCP_CHECKSUM_AT = CHECKSUM.at;

const SYN = 0x02;

/** Bit 0 first, as tcpdump abbreviates them: FIN, SYN, RST, PSH, ACK. */
const FLAG_LETTERS = ['F', 'S', 'R', 'P', '.'] as const;

export function tcpSourcePort(buf: Uint8Array, at: number): number {
  return readU16(buf, at + SOURCE_PORT.at);
}

export function tcpDestinationPort(buf: Uint8Array, at: number): number {
  return readU16(buf, at + DESTINATION_PORT.at);
}

/** Whether it opens a connection. */
export function isTcpSyn(buf: Uint8Array, at: number): boolean {
  return (buf[at + FLAGS.at]! & SYN) !== 0;
}

/** Bytes of the header with its options, as it says: 0 to 60. */
export function tcpHeaderBytes(buf: Uint8Array, at: number): number {
  return (buf[at + OFFSET.at]! >> 4) * 4;
}

/** Flags as letters, e.g. `S.` for SYN with ACK. */
export function tcpFlags(buf: Uint8Array, at: number): string {
  const flags = buf[at + FLAGS.at]!;
  return FLAG_LETTERS.filter((_, bit) => (flags & (1 << bit)) !== 0).join('');
}
