import { writeU16 } from './bytes.ts';
import { checksum } from './checksum.ts';
import { IP_PROTOCOL } from './ipv4.ts';
import { TCP_CHECKSUM_AT, TCP_HEADER_BYTES } from './tcp.ts';
import { visitTransport } from './transport.ts';
import { UDP_HEADER_BYTES, udpLength } from './udp.ts';

const UDP_CHECKSUM_AT = 6;
/** A UDP checksum that comes out as 0 is sent so: 0 means none (RFC 768). */
const UDP_ZERO = 0xffff;

/**
 * Completes the TCP or UDP checksum of the frame `buf[frameAt, end)`, whose field holds the folded sum of
 * the pseudo header (Linux's CHECKSUM_PARTIAL). What is neither, a fragment, or contradicts its length is
 * left as it is. O(n). The frame has an Ethernet header.
 */
export function completeTransportChecksum(buf: Uint8Array, frameAt: number, end: number): void {
  visitTransport(buf, frameAt, end, complete, undefined);
}

function complete(buf: Uint8Array, at: number, end: number, protocol: number): void {
  if (protocol === IP_PROTOCOL.tcp && end - at >= TCP_HEADER_BYTES) {
    writeU16(buf, at + TCP_CHECKSUM_AT, checksum(buf, at, end));
  } else if (protocol === IP_PROTOCOL.udp && end - at >= UDP_HEADER_BYTES) {
    if (udpLength(buf, at) !== end - at) return;
    const sum = checksum(buf, at, end);
    writeU16(buf, at + UDP_CHECKSUM_AT, sum === 0 ? UDP_ZERO : sum);
  }
}
