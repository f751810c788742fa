import { fold, ROOT, type HashTree } from './hash-tree.ts';
import type { HeldRow } from './held-row.ts';
import { compareStamps, type Stamp } from './hybrid-clock.ts';

/**
 * A host's latest rows: all that it has later than `floor`, by the digests of their versions. Whatever
 * another host has that is later and not listed, the first one lacks.
 */
export interface Recent {
  readonly floor: Stamp;
  readonly versions: readonly number[];
}

const BEFORE_ALL: Stamp = { millis: 0, count: 0 };
/** Nothing is later. */
export const AFTER_ALL: Stamp = { millis: 2 ** 48 - 1, count: 2 ** 16 - 1 };

/** Rows kept in order once there were twice as many. */
const KEPT = 64;
/** Rows listed at least, so that a row which a slow clock has stamped is among them. */
const LISTED_LEAST = 4;
const LISTED_MOST = 16;
/** What was written so shortly before two hosts were equal may not have reached either. */
const MARGIN_MS = 10_000;

/** The latest rows of a replica in the order of their stamps, kept as they change. */
export class RecentRows {
  readonly #tree: HashTree<HeldRow>;
  /** Earliest first. */
  #rows: HeldRow[] = [];
  /** All rows later than this are in the list. */
  #floor: Stamp = BEFORE_ALL;

  constructor(tree: HashTree<HeldRow>) {
    this.#tree = tree;
  }

  add(row: HeldRow): void {
    if (compareStamps(row, this.#floor) <= 0) return;
    this.#rows.splice(this.#after(row), 0, row);
    if (this.#rows.length > 2 * KEPT) this.#trim();
  }

  delete(row: HeldRow): void {
    if (compareStamps(row, this.#floor) <= 0) return;
    const at = this.#rows.lastIndexOf(row);
    if (at >= 0) this.#rows.splice(at, 1);
  }

  /** All rows later than `floor`, earliest first. O(replica) if there are many. */
  above(floor: Stamp): HeldRow[] {
    if (compareStamps(floor, this.#floor) >= 0) return this.#rows.slice(this.#after(floor));
    const rows = [...this.#tree.under(ROOT)].filter((row) => compareStamps(row, floor) > 0);
    return rows.sort(compareStamps);
  }

  /** Whether `above(floor)` looks at every row. */
  isDeep(floor: Stamp): boolean {
    return compareStamps(floor, this.#floor) < 0;
  }

  /**
   * The rows since this host was last known to be equal to another, within bounds.
   * @param since  reading of the hybrid clock then, in ms; undefined: never
   */
  describe(since: number | undefined, salt: number): Recent {
    if (this.#rows.length < LISTED_LEAST) this.#refill();
    const rows = this.#rows;
    const start = { millis: Math.max(0, (since ?? 0) - MARGIN_MS), count: 0 };
    const later = rows.length - this.#after(start);
    const listed = Math.min(LISTED_MOST, Math.max(LISTED_LEAST, later));
    const floor = rows.at(-listed - 1) ?? this.#floor;
    return {
      floor: { millis: floor.millis, count: floor.count },
      versions: rows.slice(this.#after(floor)).map((row) => versionOf(row, salt)),
    };
  }

  /** Place of the first row that is later than `stamp`. */
  #after(stamp: Stamp): number {
    let [low, high] = [0, this.#rows.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const row = this.#rows[middle];
      if (row !== undefined && compareStamps(row, stamp) > 0) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Rows were collected; there may be others. */
  #refill(): void {
    if (compareStamps(this.#floor, BEFORE_ALL) === 0) return;
    this.#rows = this.above(BEFORE_ALL);
    this.#floor = BEFORE_ALL;
    if (this.#rows.length > KEPT) this.#trim();
  }

  #trim(): void {
    const { millis, count } = this.#rows.at(-KEPT - 1) ?? BEFORE_ALL;
    this.#floor = { millis, count };
    this.#rows = this.#rows.slice(this.#after(this.#floor));
  }
}

/** A row's version as 4 bytes. */
export const versionOf = ({ low, high }: HeldRow, salt: number): number => fold(low, high, salt);

/** What both lists of latest rows tell: what the other side lacks, and what this side does. */
export interface RecentDifference {
  /** Earliest first. */
  readonly theyLack: readonly HeldRow[];
  readonly weLack: readonly number[];
}

/** Compares another host's latest rows with all that are here. */
export function compareRecent(own: RecentRows, theirs: Recent, salt: number): RecentDifference {
  const listed = new Set(theirs.versions);
  const theyLack = own.above(theirs.floor).filter((row) => !listed.delete(versionOf(row, salt)));
  return { theyLack, weLack: [...listed] };
}
