import { readI32 } from './bytes.ts';
import { ETHER_TYPE, HEADER_BYTES, payloadOffset, readPayloadType } from './ethernet.ts';
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
  IPV6_HEADER_BYTES,
  IPV6_SOURCE_AT,
  isIpv6,
  isIpv6Cut,
  isIpv6Fragment,
  walkedPayloadOffset,
  walkedProtocol,
  walkIpv6,
} from './ipv6.ts';

/**
 * A hash of what makes a flow, so that one flow keeps one path (and its order) while many spread:
 *
 *   IPv4, IPv6 with TCP, UDP, SCTP   addresses, protocol, both ports
 *   IP fragments, other protocols    addresses, protocol: all fragments of a datagram stay together
 *   anything else, broken IP         both MACs, EtherType
 *
 * Words are mixed as MurmurHash3's 32-bit form does it, with its finaliser: each output bit depends on
 * each input bit, so any bits of the result can be used. It isn't keyed: a tenant can choose flows that
 * collide, which costs only that tenant's own spread. Not symmetric: the two directions differ.
 */
const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;
const SEED = 0;

function mix(hash: number, word: number): number {
  const scrambled = Math.imul(word, C1);
  const turned = hash ^ Math.imul((scrambled << 15) | (scrambled >>> 17), C2);
  return (Math.imul((turned << 13) | (turned >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  let mixed = hash;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 1;
}

/** Both ports as one word: TCP, UDP and SCTP all begin with them. */
const PORTS_BYTES = 4;
const WORD_BYTES = 4;

function hasPorts(protocol: number): boolean {
  return (
    protocol === IP_PROTOCOL.tcp || protocol === IP_PROTOCOL.udp || protocol === IP_PROTOCOL.sctp
  );
}

function mixPorts(hash: number, buf: Uint8Array, at: number, end: number): number {
  return at + PORTS_BYTES <= end ? mix(hash, readI32(buf, at)) : hash;
}

function mixIpv4(buf: Uint8Array, at: number, end: number): number {
  const protocol = ipv4Protocol(buf, at);
  let mixed = mix(SEED, readI32(buf, at + IPV4_SOURCE_AT));
  mixed = mix(mixed, readI32(buf, at + IPV4_DESTINATION_AT));
  mixed = mix(mixed, protocol);
  return hasPorts(protocol) && !isIpv4Fragment(buf, at)
    ? mixPorts(mixed, buf, at + ipv4HeaderBytes(buf, at), end)
    : mixed;
}

function mixIpv6(buf: Uint8Array, at: number, end: number): number {
  const walk = walkIpv6(buf, at, end);
  const protocol = walkedProtocol(walk);
  let mixed = SEED;
  for (let word = IPV6_SOURCE_AT; word < IPV6_HEADER_BYTES; word += WORD_BYTES) {
    mixed = mix(mixed, readI32(buf, at + word));
  }
  mixed = mix(mixed, protocol);
  return hasPorts(protocol) && !isIpv6Fragment(walk) && !isIpv6Cut(walk)
    ? mixPorts(mixed, buf, walkedPayloadOffset(at, walk), end)
    : mixed;
}

function mixMacs(buf: Uint8Array, frameAt: number, etherType: number): number {
  let mixed = mix(SEED, readI32(buf, frameAt));
  mixed = mix(mixed, readI32(buf, frameAt + WORD_BYTES));
  mixed = mix(mixed, readI32(buf, frameAt + 2 * WORD_BYTES));
  return mix(mixed, etherType);
}

/**
 * Hashes the flow of the frame `buf[frameAt, end)`: 31 bits, unsigned, which V8 holds
 * without allocating. Never throws; a frame shorter than an Ethernet header hashes to 0.
 */
export function flowHash(buf: Uint8Array, frameAt: number, end: number): number {
  if (end - frameAt < HEADER_BYTES) return 0;
  const at = payloadOffset(buf, frameAt, end);
  const etherType = readPayloadType(buf, at);
  if (etherType === ETHER_TYPE.ipv4 && isIpv4(buf, at, end)) return finish(mixIpv4(buf, at, end));
  if (etherType === ETHER_TYPE.ipv6 && isIpv6(buf, at, end)) return finish(mixIpv6(buf, at, end));
  return finish(mixMacs(buf, frameAt, etherType));
}
