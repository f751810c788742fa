import type { IperfReport } from '../lib/lab.ts';
import { median } from '../lib/statistics.ts';

/** One second of a TCP flow. */
export interface Second {
  /** Since the flow began. */
  readonly start: number;
  readonly end: number;
  readonly bitsPerSecond: number;
}

/** Slow start is no dip. */
const WARM_UP_SECONDS = 1;
/** After what was done, it has this long to show. */
const SHOWS_WITHIN = 2;

interface IperfIntervals {
  readonly intervals: readonly {
    readonly sum: {
      readonly start: number;
      readonly end: number;
      readonly bits_per_second: number;
    };
  }[];
}

/** iperf3's reports, one a second. */
export function secondsOf({ raw }: IperfReport): Second[] {
  return (raw as IperfIntervals).intervals.map(
    ({ sum: { start, end, bits_per_second: rate } }) => ({
      ...{ start, end, bitsPerSecond: rate },
    }),
  );
}

export interface Dips {
  /** Of the median second, 0 to 1: how much less the worst second at one of the events carried. */
  readonly atEvents: number;
  /** The same of all other seconds: what the machine does by itself. */
  readonly elsewhere: number;
}

/** @param events seconds since the flow began */
export function dipsOf(seconds: readonly Second[], events: readonly number[]): Dips {
  const settled = seconds.filter(({ start, end }) => start >= WARM_UP_SECONDS && end - start > 0.5);
  const usual = median(settled.map(({ bitsPerSecond }) => bitsPerSecond));
  const isAtEvent = ({ start, end }: Second): boolean =>
    events.some((at) => start < at + SHOWS_WITHIN && end > at);
  const worst = (some: readonly Second[]): number =>
    some.reduce((most, { bitsPerSecond }) => Math.max(most, 1 - bitsPerSecond / usual), 0);
  return {
    atEvents: worst(settled.filter(isAtEvent)),
    elsewhere: worst(settled.filter((second) => !isAtEvent(second))),
  };
}
