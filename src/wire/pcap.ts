import { after, endOf, type Field } from './field.ts';

/**
 * The classic pcap file (draft-ietf-opsawg-pcap), which tcpdump and Wireshark open. Little-endian, with
 * nanosecond stamps.
 *
 *   file:    | magic a1b23c4d | 2 | 4 | 0 (32) | 0 (32) | snap length | link type 1 |
 *   record:  | seconds | nanoseconds | bytes kept | bytes of the frame | frame ... |
 */
const MAGIC_NANOSECONDS = 0xa1b23c4d;
const VERSION_MAJOR = 2;
const VERSION_MINOR = 4;
const LINK_TYPE_ETHERNET = 1;

const MAGIC: Field = { at: 0, bytes: 4 };
const MAJOR = after(MAGIC, 2);
const MINOR = after(MAJOR, 2);
const ZONE_AND_ACCURACY = after(MINOR, 8);
const SNAP = after(ZONE_AND_ACCURACY, 4);
const LINK_TYPE = after(SNAP, 4);

const SECONDS: Field = { at: 0, bytes: 4 };
const NANOSECONDS = after(SECONDS, 4);
const KEPT = after(NANOSECONDS, 4);
const ORIGINAL = after(KEPT, 4);

/** Longest frame that a record keeps; the rest is cut, and the record says so. */
export const SNAP_BYTES = 2 ** 18;

/** The head of a file of Ethernet frames; records follow it. */
export function pcapFileHeader(): Buffer {
  const header = Buffer.alloc(endOf(LINK_TYPE));
  header.writeUInt32LE(MAGIC_NANOSECONDS, MAGIC.at);
  header.writeUInt16LE(VERSION_MAJOR, MAJOR.at);
  header.writeUInt16LE(VERSION_MINOR, MINOR.at);
  header.writeUInt32LE(SNAP_BYTES, SNAP.at);
  header.writeUInt32LE(LINK_TYPE_ETHERNET, LINK_TYPE.at);
  return header;
}

/**
 * A record of `frame`, which is copied.
 * @param wallMs  milliseconds since the Unix epoch, with fractions
 */
export function pcapRecord(frame: Uint8Array, wallMs: number): Buffer {
  const kept = Math.min(frame.length, SNAP_BYTES);
  const record = Buffer.alloc(endOf(ORIGINAL) + kept);
  record.writeUInt32LE(Math.floor(wallMs / 1e3), SECONDS.at);
  record.writeUInt32LE(Math.floor((wallMs % 1e3) * 1e6), NANOSECONDS.at);
  record.writeUInt32LE(kept, KEPT.at);
  record.writeUInt32LE(frame.length, ORIGINAL.at);
  record.set(frame.subarray(0, kept), endOf(ORIGINAL));
  return record;
}
