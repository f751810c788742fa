import {
  ARP_OPERATION,
  arpOperation,
  arpSenderIp,
  arpSenderMac,
  arpTargetIp,
  isArp,
} from './arp.ts';
import { formatAddress, readAddress } from './cidr.ts';
import {
  ETHER_TYPE,
  HEADER_BYTES,
  payloadOffset,
  readDestination,
  readPayloadType,
  readSource,
  readVlanId,
} from './ethernet.ts';
import {
  IP_PROTOCOL,
  IPV4_DESTINATION_AT,
  IPV4_SOURCE_AT,
  ipv4HeaderBytes,
  ipv4Protocol,
  isIpv4,
  isIpv4Fragment,
} from './ipv4.ts';
import {
  IPV6_DESTINATION_AT,
  IPV6_SOURCE_AT,
  isIpv6,
  isIpv6Cut,
  isIpv6Fragment,
  walkedPayloadOffset,
  walkedProtocol,
  walkIpv6,
} from './ipv6.ts';
import { formatMac } from './mac.ts';
import { TCP_HEADER_BYTES, tcpDestinationPort, tcpFlags, tcpSourcePort } from './tcp.ts';
import { UDP_HEADER_BYTES, udpDestinationPort, udpSourcePort } from './udp.ts';

/**
 * One line on the frame `buf[frameAt, end)`, much as tcpdump says it, for debugging and failed tests.
 * Any bytes will do; what is cut off or unknown is left out or given as a number. Allocates.
 */
export function describeFrame(buf: Uint8Array, frameAt: number, end: number): string {
  const bytes = `length ${end - frameAt}`;
  if (end - frameAt < HEADER_BYTES) return `short frame, ${bytes}`;
  const at = payloadOffset(buf, frameAt, end);
  const vlan = readVlanId(buf, frameAt, end);
  const macs = `${formatMac(readSource(buf, frameAt))} > ${formatMac(readDestination(buf, frameAt))}`;
  const tag = vlan < 0 ? '' : ` vlan ${vlan},`;
  return `${macs},${tag} ${describePayload(buf, at, end)}, ${bytes}`;
}

function describePayload(buf: Uint8Array, at: number, end: number): string {
  const type = readPayloadType(buf, at);
  if (type === ETHER_TYPE.arp && isArp(buf, at, end)) return describeArp(buf, at);
  if (type === ETHER_TYPE.ipv4 && isIpv4(buf, at, end)) return describeIpv4(buf, at, end);
  if (type === ETHER_TYPE.ipv6 && isIpv6(buf, at, end)) return describeIpv6(buf, at, end);
  return `type 0x${type.toString(16).padStart(4, '0')}`;
}

function formatIpv4(value: number): string {
  return formatAddress({ family: 4, value: BigInt(value) });
}

function describeArp(buf: Uint8Array, at: number): string {
  const sender = formatIpv4(arpSenderIp(buf, at));
  const operation = arpOperation(buf, at);
  if (operation === ARP_OPERATION.request) {
    return `ARP who-has ${formatIpv4(arpTargetIp(buf, at))} tell ${sender}`;
  }
  if (operation === ARP_OPERATION.reply) {
    return `ARP ${sender} is-at ${formatMac(arpSenderMac(buf, at))}`;
  }
  return `ARP operation ${operation}`;
}

function describeIpv4(buf: Uint8Array, at: number, end: number): string {
  const source = formatAddress(readAddress(buf, at + IPV4_SOURCE_AT, 4));
  const destination = formatAddress(readAddress(buf, at + IPV4_DESTINATION_AT, 4));
  const transport: Transport = {
    protocol: ipv4Protocol(buf, at),
    at: at + ipv4HeaderBytes(buf, at),
    isFragment: isIpv4Fragment(buf, at),
  };
  return `IPv4 ${describeTransport(buf, end, source, destination, transport)}`;
}

function describeIpv6(buf: Uint8Array, at: number, end: number): string {
  const source = formatAddress(readAddress(buf, at + IPV6_SOURCE_AT, 6));
  const destination = formatAddress(readAddress(buf, at + IPV6_DESTINATION_AT, 6));
  const walk = walkIpv6(buf, at, end);
  if (isIpv6Cut(walk)) return `IPv6 ${source} > ${destination} cut`;
  const transport: Transport = {
    protocol: walkedProtocol(walk),
    at: walkedPayloadOffset(at, walk),
    isFragment: isIpv6Fragment(walk),
  };
  return `IPv6 ${describeTransport(buf, end, source, destination, transport)}`;
}

interface Transport {
  readonly protocol: number;
  readonly at: number;
  readonly isFragment: boolean;
}

const PROTOCOL_NAMES = new Map<number, string>([
  [IP_PROTOCOL.icmp, 'ICMP'],
  [IP_PROTOCOL.tcp, 'TCP'],
  [IP_PROTOCOL.udp, 'UDP'],
  [IP_PROTOCOL.icmpv6, 'ICMPv6'],
  [IP_PROTOCOL.sctp, 'SCTP'],
]);

function describeTransport(
  buf: Uint8Array,
  end: number,
  source: string,
  destination: string,
  { protocol, at, isFragment }: Transport,
): string {
  const name = PROTOCOL_NAMES.get(protocol) ?? `protocol ${protocol}`;
  const room = end - at;
  if (isFragment) return `${source} > ${destination} ${name} fragment`;
  if (protocol === IP_PROTOCOL.udp && room >= UDP_HEADER_BYTES) {
    return `${source}.${udpSourcePort(buf, at)} > ${destination}.${udpDestinationPort(buf, at)} UDP`;
  }
  if (protocol === IP_PROTOCOL.tcp && room >= TCP_HEADER_BYTES) {
    const ports = `${source}.${tcpSourcePort(buf, at)} > ${destination}.${tcpDestinationPort(buf, at)}`;
    return `${ports} TCP [${tcpFlags(buf, at)}]`;
  }
  return `${source} > ${destination} ${name}`;
}
