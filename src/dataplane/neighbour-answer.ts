import type { Mac } from '../base/types.ts';
import {
  ARP_BYTES,
  ARP_OPERATION,
  arpOperation,
  arpSenderIp,
  arpSenderMac,
  arpTargetIp,
  isArp,
  writeArp,
} from '../wire/arp.ts';
import {
  ETHER_TYPE,
  HEADER_BYTES,
  readOuterType,
  readSource,
  writeEthernet,
} from '../wire/ethernet.ts';
import { IPV6_ADDRESS_BYTES, IPV6_SOURCE_AT } from '../wire/ipv6.ts';
import { ZERO_MAC } from '../wire/mac.ts';
import {
  ADVERTISEMENT_BYTES,
  hasSender,
  isSolicitation,
  isToSolicitedNode,
  ND_FLAG,
  solicitationMac,
  solicitedAt,
  writeAdvertisement,
} from '../wire/nd.ts';

/**
 * Answers for endpoints on other hosts, so that their neighbours' questions need not be flooded
 * (docs/adr/0018). native/core/neighbour-answer.cpp does the same; a test compares the two byte by byte.
 *
 * A frame is answered if it is untagged, was sent to a group by the station that it names as its
 * sender, and asks for the MAC of another station's address that the table has. What is left to the
 * stations themselves: whether an address is free (ARP probes and solicitations without a sender:
 * RFC 5227 §2.1.1, RFC 4862 §5.4), announcements, and questions to one station whether it still lives.
 */

/** Who has an address, or zero: only of an endpoint for which the data plane may speak. */
export interface NeighbourSource {
  /** Of an address as an unsigned integer. */
  neighbour4(address: number): Mac;
  /** Of the 16 bytes at `at`. */
  neighbour6(buf: Uint8Array, at: number): Mac;
}

export const ARP_ANSWER_BYTES = HEADER_BYTES + ARP_BYTES;
export const ND_ANSWER_BYTES = HEADER_BYTES + ADVERTISEMENT_BYTES;

/**
 * Answers the frame in `buf[start, end)`, which is sent to a group and at least a header long.
 * @param answer  room for `ND_ANSWER_BYTES`; the answer is written to its beginning
 * @returns `ARP_ANSWER_BYTES` or `ND_ANSWER_BYTES`, or 0 if the frame goes the normal way
 */
export function answerNeighbour(
  buf: Buffer,
  start: number,
  end: number,
  source: NeighbourSource,
  answer: Buffer,
): number {
  const type = readOuterType(buf, start);
  if (type === ETHER_TYPE.arp) return answerArp(buf, start, end, source, answer);
  if (type === ETHER_TYPE.ipv6) return answerSolicitation(buf, start, end, source, answer);
  return 0;
}

function answerArp(
  buf: Buffer,
  start: number,
  end: number,
  source: NeighbourSource,
  answer: Buffer,
): number {
  const at = start + HEADER_BYTES;
  if (!isArp(buf, at, end) || arpOperation(buf, at) !== ARP_OPERATION.request) return 0;
  const asker = readSource(buf, start);
  const [askerIp, wanted] = [arpSenderIp(buf, at), arpTargetIp(buf, at)];
  if (arpSenderMac(buf, at) !== asker || askerIp === 0 || askerIp === wanted) return 0;
  const mac = source.neighbour4(wanted);
  if (mac === ZERO_MAC || mac === asker) return 0;
  const header = { destination: asker, source: mac, etherType: ETHER_TYPE.arp };
  const sender = { senderMac: mac, senderIp: wanted };
  const target = { targetMac: asker, targetIp: askerIp };
  return writeArp(answer, writeEthernet(answer, 0, header), {
    ...{ operation: ARP_OPERATION.reply, ...sender, ...target },
  });
}

/** Solicited and overriding, as the station itself would; not a router, as no row says that one is. */
const FLAGS = ND_FLAG.solicited | ND_FLAG.override;

function answerSolicitation(
  buf: Buffer,
  start: number,
  end: number,
  source: NeighbourSource,
  answer: Buffer,
): number {
  const ipAt = start + HEADER_BYTES;
  if (!isSolicitation(buf, ipAt, end) || !hasSender(buf, ipAt)) return 0;
  const asker = readSource(buf, start);
  if (!isToSolicitedNode(buf, ipAt) || solicitationMac(buf, ipAt) !== asker) return 0;
  const targetAt = solicitedAt(ipAt);
  const mac = source.neighbour6(buf, targetAt);
  if (mac === ZERO_MAC || mac === asker) return 0;
  const header = { destination: asker, source: mac, etherType: ETHER_TYPE.ipv6 };
  const askerAt = ipAt + IPV6_SOURCE_AT;
  return writeAdvertisement(answer, writeEthernet(answer, 0, header), {
    destination: buf.subarray(askerAt, askerAt + IPV6_ADDRESS_BYTES),
    target: buf.subarray(targetAt, targetAt + IPV6_ADDRESS_BYTES),
    ...{ mac, flags: FLAGS },
  });
}
