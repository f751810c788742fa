import type { PeerId } from '../base/types.ts';
import { formatAddress, readAddress } from '../wire/cidr.ts';

/** Unique local addresses with random bits (RFC 4193 §3.1); none is ever on a wire. */
const PREFIX = 'fd';
/** Digits of an id that fit behind the prefix. */
const ID_DIGITS = 30;
/** Digits of an id that name a host in headers. */
const TAG_DIGITS = 16;

/**
 * What a host goes by in the data plane, wherever it is reached: an IPv6 address in its one textual form,
 * `fd` and the first 15 bytes of the host's id. Two hosts behind one address of a NAT, or with one private
 * address in two places, have different ones.
 */
export function locatorOf(id: PeerId): string {
  return formatAddress(readAddress(Buffer.from(PREFIX + id.slice(0, ID_DIGITS), 'hex'), 0, 6));
}

/** What a host goes by in the headers of relays and probes: the first 8 bytes of its id. */
export function tagOf(id: PeerId): bigint {
  return BigInt(`0x${id.slice(0, TAG_DIGITS)}`);
}
