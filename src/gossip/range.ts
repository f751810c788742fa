import { weft } from './generated/wire.js';
import { DIGEST_BYTES, FAN_OUT, isNode, ROOT, ROOT_DIGEST_BYTES } from './hash-tree.ts';
import type { Stamp } from './hybrid-clock.ts';
import { AFTER_ALL, type Recent } from './recent.ts';

const proto = weft.gossip;

/** What one side of a sync says or asks about one node of the hash tree; the meanings are in wire.proto. */
export type Range =
  | { readonly node: number; readonly kind: 'digests'; readonly digests: Buffer }
  | { readonly node: number; readonly kind: 'versions'; readonly versions: readonly number[] }
  | { readonly node: number; readonly kind: 'wanted'; readonly wanted: readonly number[] }
  | { readonly node: number; readonly kind: 'everything' }
  | ({ readonly node: number; readonly kind: 'difference' } & Difference)
  | ({ readonly node: number; readonly kind: 'recent'; readonly root: Buffer } & Recent);

export interface Difference {
  /** The recipient's versions that the sender lacks. */
  readonly lacking: readonly number[];
  /** The sender's versions that the recipient lacks. */
  readonly labels: readonly Label[];
}

/**
 * One version, told so that two of the same row can be matched and the later one be known:
 *
 *   0           32        48                 96        112
 *   | digest    | tag     | millis           | count   |
 */
export interface Label {
  readonly digest: number;
  /** Low 16 bits of the row's position. Two rows of one node that share them wait for a later sync. */
  readonly tag: number;
  readonly stamp: Stamp;
}

const LABEL_BYTES = 14;
const LABEL = { digest: 0, tag: 4, millis: 6, count: 12 } as const;

/** More ranges in one message are not read: 64 KiB can then always name those that were postponed. */
export const RANGES_MAX = 16_384;

export function packDigests(digests: Iterable<number>): Buffer {
  const numbers = [...digests];
  const bytes = Buffer.alloc(numbers.length * DIGEST_BYTES);
  for (const [index, digest] of numbers.entries())
    bytes.writeUInt32BE(digest, index * DIGEST_BYTES);
  return bytes;
}

/** Undefined if the bytes are not whole digests. */
export function unpackDigests(bytes: Uint8Array): number[] | undefined {
  if (bytes.length % DIGEST_BYTES !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / DIGEST_BYTES }, (_, index) =>
    view.getUint32(index * DIGEST_BYTES),
  );
}

function packLabels(labels: readonly Label[]): Buffer {
  const bytes = Buffer.alloc(labels.length * LABEL_BYTES);
  for (const [index, { digest, tag, stamp }] of labels.entries()) {
    const at = index * LABEL_BYTES;
    bytes.writeUInt32BE(digest, at + LABEL.digest);
    bytes.writeUInt16BE(tag, at + LABEL.tag);
    bytes.writeUIntBE(stamp.millis, at + LABEL.millis, 6);
    bytes.writeUInt16BE(stamp.count, at + LABEL.count);
  }
  return bytes;
}

function unpackLabels(packed: Uint8Array): Label[] | undefined {
  if (packed.length % LABEL_BYTES !== 0) return undefined;
  const bytes = Buffer.from(packed);
  return Array.from({ length: bytes.length / LABEL_BYTES }, (_, index) => {
    const at = index * LABEL_BYTES;
    return {
      digest: bytes.readUInt32BE(at + LABEL.digest),
      tag: bytes.readUInt16BE(at + LABEL.tag),
      stamp: {
        millis: bytes.readUIntBE(at + LABEL.millis, 6),
        count: bytes.readUInt16BE(at + LABEL.count),
      },
    };
  });
}

const FLOOR_BYTES = 8;
/** No host lists more of its latest rows. */
const LISTED_MAX = 64;

function packFloor({ millis, count }: Stamp): Buffer {
  const bytes = Buffer.alloc(FLOOR_BYTES);
  bytes.writeUIntBE(millis, 0, 6);
  bytes.writeUInt16BE(count, 6);
  return bytes;
}

/** Without a root. */
export function recentMessage({ floor, versions }: Recent): weft.gossip.Recent.$Properties {
  return {
    ...(floor === AFTER_ALL ? {} : { floor: packFloor(floor) }),
    ...(versions.length === 0 ? {} : { versions: packDigests(versions) }),
  };
}

/** Undefined if it is none; the root is not looked at. */
export function recentFrom({
  floor,
  versions,
}: weft.gossip.Recent.$Properties): Recent | undefined {
  const listed = unpackDigests(versions ?? new Uint8Array());
  if (listed === undefined || listed.length > LISTED_MAX) return undefined;
  if (!floor || floor.length === 0) return { floor: AFTER_ALL, versions: listed };
  if (floor.length !== FLOOR_BYTES) return undefined;
  const bytes = Buffer.from(floor);
  const stamp = { millis: bytes.readUIntBE(0, 6), count: bytes.readUInt16BE(6) };
  return { floor: stamp, versions: listed };
}

function rangeMessage(range: Range): weft.gossip.Range.$Properties {
  const { node } = range;
  switch (range.kind) {
    case 'digests':
      return { node, digests: range.digests };
    case 'versions':
      return { node, versions: packDigests(range.versions) };
    case 'wanted':
      return { node, wanted: packDigests(range.wanted) };
    case 'everything':
      return { node, everything: true };
    case 'difference': {
      const { lacking, labels } = range;
      return { node, difference: { lacking: packDigests(lacking), labels: packLabels(labels) } };
    }
    case 'recent':
      return { node, recent: { ...recentMessage(range), root: range.root } };
  }
}

/** A range as a piece of a request or an answer: the field has one number in both. */
export function encodeRange(range: Range): Uint8Array {
  return proto.SyncRequest.encode({ ranges: [rangeMessage(range)] }).finish();
}

/** The numbers of nodes whose ranges had no room in an answer, as a piece of it. */
export function encodePostponed(nodes: readonly number[]): Uint8Array {
  return proto.SyncAnswer.encode({ postponed: [...nodes] }).finish();
}

function rangeFrom(message: weft.gossip.Range.$Properties): Range | undefined {
  const { node = 0, digests, versions, wanted, everything, difference, recent } = message;
  if (node === null || !isNode(node)) return undefined;
  if (digests) return digestsFrom(node, digests);
  if (versions) {
    const list = unpackDigests(versions);
    return list && { node, kind: 'versions', versions: list };
  }
  if (wanted) {
    const list = unpackDigests(wanted);
    return list && { node, kind: 'wanted', wanted: list };
  }
  if (difference) return differenceFrom(node, difference);
  if (recent) return recentRangeFrom(node, recent);
  return everything ? { node, kind: 'everything' } : undefined;
}

function digestsFrom(node: number, digests: Uint8Array): Range | undefined {
  const isWhole = digests.length === FAN_OUT * DIGEST_BYTES;
  return isWhole && isNode(node * FAN_OUT)
    ? { node, kind: 'digests', digests: Buffer.from(digests) }
    : undefined;
}

function recentRangeFrom(node: number, message: weft.gossip.Recent.$Properties): Range | undefined {
  const recent = recentFrom(message);
  const root = Buffer.from(message.root ?? new Uint8Array());
  const isWhole = node === ROOT && root.length === ROOT_DIGEST_BYTES;
  return recent && isWhole ? { node, kind: 'recent', root, ...recent } : undefined;
}

function differenceFrom(
  node: number,
  message: weft.gossip.Difference.$Properties,
): Range | undefined {
  const lacking = unpackDigests(message.lacking ?? new Uint8Array());
  const labels = unpackLabels(message.labels ?? new Uint8Array());
  return lacking && labels && { node, kind: 'difference', lacking, labels };
}

export interface Ranges {
  readonly ranges: readonly Range[];
  readonly malformedRanges: number;
}

export function rangesFrom(messages: readonly weft.gossip.Range.$Properties[]): Ranges {
  const ranges = messages
    .slice(0, RANGES_MAX)
    .map(rangeFrom)
    .filter((range) => range !== undefined);
  return { ranges, malformedRanges: messages.length - ranges.length };
}
