import { ETHER_TYPE, HEADER_BYTES, readOuterType, TAG_BYTES } from '../../wire/ethernet.ts';

/** Room for the longest frame of a network, as a device is read: payload, header, one 802.1Q tag. */
export function frameRoom(mtu: number): number {
  return mtu + HEADER_BYTES + TAG_BYTES;
}

/**
 * Longest frame that a network with `mtu` carries. A tag is allowed on top, as Linux's bridges do:
 * the MTU speaks of the payload, and a tagged sender is not told that its packets must be smaller.
 */
export function maxFrameBytes(mtu: number, buffer: Buffer, start: number): number {
  const isTagged = readOuterType(buffer, start) === ETHER_TYPE.customerTag;
  return isTagged ? frameRoom(mtu) : mtu + HEADER_BYTES;
}
