import type { Mac } from '../base/types.ts';
import { readU32 } from '../wire/bytes.ts';
import { arpSenderIp, arpTargetIp, isArp } from '../wire/arp.ts';
import {
  ETHER_TYPE,
  HEADER_BYTES,
  readDestination,
  readOuterType,
  readSource,
} from '../wire/ethernet.ts';
import { IPV6_ADDRESS_BYTES } from '../wire/ipv6.ts';
import { isNeighbourMessage, solicitedAt } from '../wire/nd.ts';
import type { Gateway } from './dataplane.ts';

const IPV4_BYTES = 4;

/**
 * Tells the frames that belong to a network's gateway, which every host has for itself (docs/adr/0026):
 * those to or from its MAC, and ARP and neighbour discovery that speak of its addresses.
 * native/core/gateway.cpp does the same. Tagged frames, and messages behind IPv6 extension headers, are
 * known by their MACs alone.
 */
export class GatewayFilter {
  readonly #mac: Mac;
  readonly #v4: readonly number[];
  readonly #v6: readonly Uint8Array[];

  constructor({ mac, addresses }: Gateway) {
    this.#mac = mac;
    const isV4 = ({ length }: Uint8Array): boolean => length === IPV4_BYTES;
    this.#v4 = addresses.filter(isV4).map((address) => readU32(address, 0));
    this.#v6 = addresses.filter((address) => !isV4(address));
  }

  /** Whether the frame in `buf[start, end)`, at least a header long, is the gateway's. */
  concerns(buf: Uint8Array, start: number, end: number): boolean {
    if (readDestination(buf, start) === this.#mac || readSource(buf, start) === this.#mac)
      return true;
    const type = readOuterType(buf, start);
    const at = start + HEADER_BYTES;
    if (type === ETHER_TYPE.arp) {
      return (
        isArp(buf, at, end) &&
        (this.#v4.includes(arpSenderIp(buf, at)) || this.#v4.includes(arpTargetIp(buf, at)))
      );
    }
    return (
      type === ETHER_TYPE.ipv6 &&
      this.#v6.length > 0 &&
      isNeighbourMessage(buf, at, end) &&
      this.#v6.some((address) => isAt(buf, solicitedAt(at), address))
    );
  }
}

function isAt(buf: Uint8Array, at: number, address: Uint8Array): boolean {
  for (let index = 0; index < IPV6_ADDRESS_BYTES; index++) {
    if (buf[at + index] !== address[index]) return false;
  }
  return true;
}
