import { ETHER_TYPE, payloadOffset, readPayloadType } from './ethernet.ts';
import { ipv4HeaderBytes, ipv4Protocol, ipv4TotalLength, isIpv4, isIpv4Fragment } from './ipv4.ts';
import {
  IPV6_HEADER_BYTES,
  ipv6PayloadLength,
  isIpv6,
  isIpv6Cut,
  isIpv6Fragment,
  walkedPayloadOffset,
  walkedProtocol,
  walkIpv6,
} from './ipv6.ts';

/** Is given what an IP packet carries: `buf[at, end)`, of that protocol. */
export type VisitTransport<T> = (
  buf: Uint8Array,
  at: number,
  end: number,
  protocol: number,
  isIpv6: boolean,
  more: T,
) => void;

/**
 * Calls `visit` with what the IP packet of the frame `buf[frameAt, end)` carries, and with `more`, if there
 * is one that is whole and no fragment. Allocates nothing. The frame has an Ethernet header.
 */
export function visitTransport<T>(
  buf: Uint8Array,
  frameAt: number,
  end: number,
  visit: VisitTransport<T>,
  more: T,
): void {
  const at = payloadOffset(buf, frameAt, end);
  const etherType = readPayloadType(buf, at);
  if (etherType === ETHER_TYPE.ipv4 && isIpv4(buf, at, end)) {
    const packetEnd = at + ipv4TotalLength(buf, at);
    if (packetEnd > end || isIpv4Fragment(buf, at)) return;
    visit(buf, at + ipv4HeaderBytes(buf, at), packetEnd, ipv4Protocol(buf, at), false, more);
  } else if (etherType === ETHER_TYPE.ipv6 && isIpv6(buf, at, end)) {
    const packetEnd = at + IPV6_HEADER_BYTES + ipv6PayloadLength(buf, at);
    if (packetEnd > end) return;
    const walk = walkIpv6(buf, at, packetEnd);
    if (isIpv6Fragment(walk) || isIpv6Cut(walk)) return;
    visit(buf, walkedPayloadOffset(at, walk), packetEnd, walkedProtocol(walk), true, more);
  }
}
