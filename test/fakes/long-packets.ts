import { HEADER_BYTES } from '../../src/wire/ethernet.ts';

export interface PacketSpec {
  /** Of the IP packet. */
  readonly bytes: number;
  /** Default 17, UDP. */
  readonly protocol?: number;
  readonly icmpType?: number;
}

const MACS = Buffer.from('020000000002020000000001', 'hex');

/** An untagged frame with an IPv4 packet that may not be fragmented. Its checksums are none. */
export function packet4({
  bytes,
  protocol = 17,
  icmpType = 8,
  fragment = 0x4000,
  from = [10, 7, 0, 1],
  to = [10, 7, 0, 2],
  macs = MACS,
}: PacketSpec & {
  readonly fragment?: number;
  readonly from?: readonly number[];
  readonly to?: readonly number[];
  readonly macs?: Buffer;
}): Buffer {
  const ip = Buffer.alloc(bytes, 0x61);
  ip.fill(0, 0, 28);
  ip[0] = 0x45;
  ip.writeUInt16BE(bytes, 2);
  ip.writeUInt16BE(fragment, 6);
  ip[8] = 64;
  ip[9] = protocol;
  Buffer.from([...from, ...to]).copy(ip, 12);
  if (protocol === 1) ip[20] = icmpType;
  return Buffer.concat([macs, Buffer.from('0800', 'hex'), ip]);
}

/** The same of IPv6; addresses by their first byte. */
export function packet6({
  bytes,
  protocol = 17,
  icmpType = 128,
  from = 0xfd,
  to = 0xfd,
}: PacketSpec & { readonly from?: number; readonly to?: number }): Buffer {
  const ip = Buffer.alloc(bytes, 0x61);
  ip.fill(0, 0, 48);
  ip[0] = 0x60;
  ip.writeUInt16BE(bytes - 40, 4);
  ip[6] = protocol;
  ip[7] = 64;
  ip[8] = from;
  ip[24] = to;
  if (from !== 0) ip[23] = 1;
  ip[39] = 2;
  if (protocol === 58) ip[40] = icmpType;
  const frame = Buffer.concat([MACS, Buffer.from('86dd', 'hex'), ip]);
  return frame.subarray(0, HEADER_BYTES + bytes);
}
