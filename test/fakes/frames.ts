import type { Mac } from '../../src/base/types.ts';
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
