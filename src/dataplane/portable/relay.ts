import type { SocketAddress } from '../../base/types.ts';
import { DROP } from '../counters.ts';
import type { RelayHop } from '../dataplane.ts';
import {
  isRelayable,
  RELAY_HEADER_BYTES,
  relayTagHigh,
  relayTagLow,
  takeHop,
} from '../relay-header.ts';
import { canonicalAddress, canonicalVtep } from '../vtep-address.ts';

/** Sends a datagram, which nobody else uses, from the mesh port: a drop counter, or -1. */
export type SendMesh = (bytes: Buffer, to: SocketAddress) => number;

const HALF = 32n;

/** Passes on what is for hosts that the sender can't reach. */
export class Relay {
  readonly counters = { datagrams: 0, bytes: 0 };
  readonly #drops: Float64Array;
  readonly #send: SendMesh;
  /** By the halves of the tag. */
  readonly #hops = new Map<number, Map<number, RelayHop>>();
  #peers: ReadonlySet<string> = new Set();

  /** `drops` is the data plane's own array of drop counters. */
  constructor(drops: Float64Array, send: SendMesh) {
    this.#drops = drops;
    this.#send = send;
  }

  setPeers(addresses: ReadonlySet<string>): void {
    this.#peers = new Set([...addresses].map(canonicalAddress));
  }

  setRoute(tag: bigint, next: RelayHop | undefined): void {
    const [high, low] = [Number(tag >> HALF), Number(BigInt.asUintN(32, tag))];
    const hops = this.#hops.get(high) ?? new Map<number, RelayHop>();
    if (next === undefined) hops.delete(low);
    else hops.set(low, { to: canonicalVtep(next.to), isLast: next.isLast });
    if (hops.size === 0) this.#hops.delete(high);
    else this.#hops.set(high, hops);
  }

  /** Takes one relayed datagram, which belongs to it from now on. */
  receive(datagram: Buffer, address: string, port: number): void {
    const refusal = this.#pass(datagram, address, port);
    if (refusal >= 0) this.#drops[refusal]!++;
  }

  #pass(datagram: Buffer, address: string, port: number): number {
    if (!this.#peers.has(address)) return DROP.relay_stranger;
    if (!isRelayable(datagram)) return DROP.relay_malformed;
    const hop = this.#hops.get(relayTagHigh(datagram))?.get(relayTagLow(datagram));
    if (hop === undefined) return DROP.relay_unknown;
    if (hop.to.address === address && hop.to.port === port) return DROP.relay_loop;
    if (!hop.isLast && !takeHop(datagram)) return DROP.relay_hop_limit;
    const bytes = hop.isLast ? datagram.subarray(RELAY_HEADER_BYTES) : datagram;
    const refusal = this.#send(bytes, hop.to);
    if (refusal >= 0) return refusal;
    this.counters.datagrams++;
    this.counters.bytes += bytes.length;
    return refusal;
  }
}
