import { DROP_REASONS, type DropReason } from './drop-reason.ts';
import type { TrafficCounters } from './dataplane.ts';

/** Where the index of a reason may stand: there is none. */
export const NO_DROP = -1;

/** Index of each reason in the array of drop counters: its place in `DROP_REASONS`. */
export const DROP = Object.fromEntries(
  DROP_REASONS.map((reason, index) => [reason, index]),
) as Readonly<Record<DropReason, number>>;

/** One double for each reason: exact up to 2^53 drops. */
export function createDropCounters(): Float64Array {
  return new Float64Array(DROP_REASONS.length);
}

export function dropsByReason(counts: Float64Array): Record<DropReason, number> {
  return Object.fromEntries(
    DROP_REASONS.map((reason, index) => [reason, counts[index]!]),
  ) as Record<DropReason, number>;
}

/** Frames and bytes of one port or VTEP; doubles in one array, so that counting never allocates. */
const RX_FRAMES = 0;
const RX_BYTES = 1;
const TX_FRAMES = 2;
const TX_BYTES = 3;

export function createTraffic(): Float64Array {
  return new Float64Array(TX_BYTES + 1);
}

export function countReceived(traffic: Float64Array, bytes: number): void {
  traffic[RX_FRAMES]!++;
  traffic[RX_BYTES]! += bytes;
}

export function countSent(traffic: Float64Array, bytes: number): void {
  traffic[TX_FRAMES]!++;
  traffic[TX_BYTES]! += bytes;
}

export function readTraffic(traffic: Float64Array): TrafficCounters {
  return {
    rxFrames: traffic[RX_FRAMES]!,
    rxBytes: traffic[RX_BYTES]!,
    txFrames: traffic[TX_FRAMES]!,
    txBytes: traffic[TX_BYTES]!,
  };
}
