import { asMac, type Mac } from '../../src/base/types.ts';
import { ARP_BYTES, ARP_OPERATION, writeArp } from '../../src/wire/arp.ts';
import { pseudoHeaderSum4 } from '../../src/wire/checksum.ts';
import {
  ETHER_TYPE,
  HEADER_BYTES,
  writeEthernet,
  type EthernetHeader,
} from '../../src/wire/ethernet.ts';
import { IP_PROTOCOL, IPV4_HEADER_BYTES, writeIpv4 } from '../../src/wire/ipv4.ts';
import { IPV6_HEADER_BYTES, writeIpv6 } from '../../src/wire/ipv6.ts';
import { BROADCAST_MAC, ZERO_MAC } from '../../src/wire/mac.ts';
import { UDP_HEADER_BYTES, writeUdp, writeUdpChecksum } from '../../src/wire/udp.ts';
import { slowChecksum } from '../model/checksum.ts';

/** Frames that a kernel would take: right lengths and checksums. */

/** Addresses as unsigned 32-bit integers. */
export interface UdpFlow {
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

type Macs = Omit<EthernetHeader, 'etherType'>;

export function udpFrame(macs: Macs, flow: UdpFlow, payload: Uint8Array): Buffer {
  const udpBytes = UDP_HEADER_BYTES + payload.length;
  const frame = Buffer.alloc(HEADER_BYTES + IPV4_HEADER_BYTES + udpBytes);
  const ipAt = writeEthernet(frame, 0, { ...macs, etherType: ETHER_TYPE.ipv4 });
  const header = { ...flow, protocol: IP_PROTOCOL.udp, payloadBytes: udpBytes };
  const udpAt = writeIpv4(frame, ipAt, header);
  frame.set(payload, writeUdp(frame, udpAt, { ...flow, payloadBytes: payload.length }));
  const pseudo = pseudoHeaderSum4(flow.source, flow.destination, IP_PROTOCOL.udp, udpBytes);
  writeUdpChecksum(frame, udpAt, pseudo);
  return frame;
}

/** Ethernet and IPv6 around bytes that begin with whatever `nextHeader` says. */
export function ipv6Frame(
  macs: Macs,
  addresses: { readonly source: Uint8Array; readonly destination: Uint8Array },
  nextHeader: number,
  payload: Uint8Array,
): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + IPV6_HEADER_BYTES + payload.length);
  const ipAt = writeEthernet(frame, 0, { ...macs, etherType: ETHER_TYPE.ipv6 });
  const header = { ...addresses, nextHeader, payloadBytes: payload.length };
  frame.set(payload, writeIpv6(frame, ipAt, header));
  return frame;
}

export function arpRequestFrame(senderMac: Mac, senderIp: number, targetIp: number): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + ARP_BYTES);
  const header = { destination: BROADCAST_MAC, source: senderMac, etherType: ETHER_TYPE.arp };
  const request = { operation: ARP_OPERATION.request, senderMac, senderIp };
  const at = writeEthernet(frame, 0, header);
  writeArp(frame, at, { ...request, targetMac: ZERO_MAC, targetIp });
  return frame;
}

/** Puts 802.1Q tags (identifier and control information) between a frame's addresses and its type. */
export function withTags(frame: Buffer, ...tags: readonly (readonly [number, number])[]): Buffer {
  const typeAt = HEADER_BYTES - 2;
  const inserted = Buffer.from(
    tags.flatMap(([identifier, control]) => [
      ...[identifier >>> 8, identifier & 0xff],
      ...[control >>> 8, control & 0xff],
    ]),
  );
  return Buffer.concat([frame.subarray(0, typeAt), inserted, frame.subarray(typeAt)]);
}

const ICMPV6 = 58;
const MULTICAST_MAC_BASE = 0x33_33_00_00_00_00;

export interface SolicitationSpec {
  readonly mac: Mac;
  /** 16 bytes; `::` asks whether the target is free. */
  readonly source: Uint8Array;
  readonly target: Uint8Array;
  /** Hex; a source link-layer address unless told otherwise. */
  readonly options?: string;
  readonly hopLimit?: number;
}

/** The group of an address (RFC 4291 §2.7.1). */
export function solicitedNode(target: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from('ff0200000000000000000001ff', 'hex'), target.subarray(13)]);
}

/** A neighbour solicitation to its target's group, written by hand (RFC 4861 §4.3). */
export function solicitationFrame(spec: SolicitationSpec): Buffer {
  const { mac, source, target, hopLimit = 255 } = spec;
  const options = spec.options ?? `0101${mac.toString(16).padStart(12, '0')}`;
  const message = Buffer.concat([
    Buffer.from('8700000000000000', 'hex'),
    target,
    Buffer.from(options, 'hex'),
  ]);
  const group = solicitedNode(target);
  const destination = asMac(MULTICAST_MAC_BASE + group.readUInt32BE(12));
  const addresses = { source, destination: group };
  const frame = ipv6Frame({ source: mac, destination }, addresses, ICMPV6, message);
  frame[HEADER_BYTES + 7] = hopLimit;
  writeIcmpv6Checksum(frame);
  return frame;
}

/** Puts the right checksum into an untagged ICMPv6 frame that ends with its message. */
export function writeIcmpv6Checksum(frame: Buffer): void {
  const at = HEADER_BYTES + IPV6_HEADER_BYTES;
  frame.writeUInt16BE(0, at + 2);
  const pseudo = Buffer.concat([
    frame.subarray(HEADER_BYTES + 8, at),
    Buffer.from([0, 0, 0, frame.length - at, 0, 0, 0, ICMPV6]),
  ]);
  frame.writeUInt16BE(slowChecksum(Buffer.concat([pseudo, frame.subarray(at)])), at + 2);
}
