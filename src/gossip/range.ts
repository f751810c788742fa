import { weft } from './generated/wire.js';
import { DIGEST_BYTES, FAN_OUT, isNode } from './hash-tree.ts';

const proto = weft.gossip;

/** What one side of a sync says or asks about one node of the hash tree; the meanings are in wire.proto. */
export type Range =
  | { readonly node: number; readonly kind: 'digests'; readonly digests: Buffer }
  | { readonly node: number; readonly kind: 'versions'; readonly versions: readonly number[] }
  | { readonly node: number; readonly kind: 'wanted'; readonly wanted: readonly number[] }
  | { readonly node: number; readonly kind: 'everything' };

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
  const { node = 0, digests, versions, wanted, everything } = message;
  if (node === null || !isNode(node)) return undefined;
  if (digests) {
    const count = digests.length / DIGEST_BYTES;
    const isWhole = count === FAN_OUT || count === FAN_OUT ** 2;
    return isWhole && isNode(node * count)
      ? { node, kind: 'digests', digests: Buffer.from(digests) }
      : undefined;
  }
  if (versions) {
    const list = unpackDigests(versions);
    return list && { node, kind: 'versions', versions: list };
  }
  if (wanted) {
    const list = unpackDigests(wanted);
    return list && { node, kind: 'wanted', wanted: list };
  }
  return everything ? { node, kind: 'everything' } : undefined;
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
