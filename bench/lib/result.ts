/** What a run of the bench produces: every raw sample, and how samples become a figure. */
import { ratiosByRound, median, summarize, type Summary } from './statistics.ts';

/** One figure that a probe yields. */
export interface Column {
  /** Unique over all probes, e.g. `tcp1.gbps`. */
  readonly key: string;
  /** Heading in the table, with the unit. */
  readonly title: string;
  readonly better: 'higher' | 'lower';
  /** Decimal places in the table. */
  readonly digits: number;
  /** Shown with its spread and its ratio to the base contender, and as a panel of the plot. */
  readonly isHeadline: boolean;
}

/** What one probe measured of one contender in one round. */
export interface Sample {
  readonly round: number;
  readonly contender: string;
  readonly probe: string;
  /** By column key; empty if the probe failed. */
  readonly values: Readonly<Record<string, number>>;
  /** Share of the machine (0 to 1) that others used meanwhile. */
  readonly foreignShare: number;
  readonly failure?: string;
}

/** A contender that did not run, and why. */
export interface Absence {
  readonly contender: string;
  readonly reason: string;
  /** The machine can't run it, which is no fault of the run. */
  readonly isUnavailable: boolean;
}

/** One cell of the result: a column of a contender over all rounds. */
export interface Figure extends Summary {
  /** Median of the ratios to the base contender in the same round. */
  readonly ratio: number | undefined;
  /** Some sample behind it was taken while others used the machine. */
  readonly isDisturbed: boolean;
}

/** Above this share of the machine, load that is not ours marks the row: 5 % of two processors is a tenth of one. */
export const FOREIGN_LIMIT = 0.05;

/** The contender to which all others are compared, unless the run names another. */
export const BASE_CONTENDER = 'kernel-vxlan';

function valuesByRound(
  samples: readonly Sample[],
  contender: string,
  key: string,
): Map<number, number> {
  return new Map(
    samples.flatMap((sample) => {
      const value = sample.contender === contender ? sample.values[key] : undefined;
      return value === undefined ? [] : [[sample.round, value] as const];
    }),
  );
}

/** undefined if no round yielded a value. */
export function figureOf(
  samples: readonly Sample[],
  contender: string,
  key: string,
  base = BASE_CONTENDER,
): Figure | undefined {
  const own = valuesByRound(samples, contender, key);
  const summary = summarize([...own.values()]);
  if (summary === undefined) return undefined;
  const ratios = ratiosByRound(own, valuesByRound(samples, base, key));
  return {
    ...summary,
    ratio: ratios.length === 0 ? undefined : median(ratios),
    isDisturbed: samples.some(
      (sample) =>
        sample.contender === contender &&
        sample.values[key] !== undefined &&
        sample.foreignShare > FOREIGN_LIMIT,
    ),
  };
}
