import type { PeerId } from '../base/types.ts';
import { Presence } from './presence.ts';
import type { Row } from './replica.ts';
import { SIGNATURE_BYTES } from './signatures.ts';

/** Rows of this table are a host's notes to itself: saved as others are, never sent, never taken. */
export const LOCAL_TABLE = 'local';

const KEYS = { until: 'shared-until', presence: 'present' } as const;

/** What to do with a row that is unknown here and older than the sender's last contact with the mesh. */
export type Verdict = 'take' | 'leave' | 'bury';

/** From one note on disk to the next while nothing changes. */
const SAVE_EVERY_MS = 60_000;

interface ContactSettings {
  /** How long tombstones are kept, in ms. */
  readonly retention: number;
  /** Wall time at which this host started, in ms since the Unix epoch. */
  readonly started: number;
}

/** This host. */
interface Writer {
  readonly id: PeerId;
  readonly key: Uint8Array;
}

/** Nobody is shown a note, so none is signed. */
const UNSIGNED = new Uint8Array(SIGNATURE_BYTES);

function noteRow(key: string, millis: number, writer: Writer, value?: Uint8Array): Row {
  return {
    ...{ table: LOCAL_TABLE, key, stamp: { millis, count: 0 }, value },
    ...{ author: writer.id, authorKey: writer.key, signature: UNSIGNED },
  };
}

/**
 * Up to when this host is known to have held the same rows as another, by the hybrid clock: the beginning
 * of its last sync that came to its end. Whoever was away for longer than tombstones are kept may hold
 * rows that were deleted long ago; by this reading the others tell them from new ones (see ADR 15).
 * All times are ms since the Unix epoch.
 */
export class Contact {
  readonly #retention: number;
  readonly #started: number;
  readonly #presence: Presence;
  #until: number | undefined;
  #savedAt = -Infinity;

  constructor({ retention, started }: ContactSettings) {
    this.#retention = retention;
    this.#started = started;
    this.#presence = new Presence(started);
  }

  /** Undefined for a host that has never synced. */
  get until(): number | undefined {
    return this.#until;
  }

  /** Takes back a row that was saved before a restart. */
  load({ key, stamp, value }: Row): void {
    if (key === KEYS.until) this.#until = stamp.millis;
    else if (key === KEYS.presence) this.#presence.load(value);
  }

  /** The reading as a row to be saved. */
  untilRow(writer: Writer): Row {
    return noteRow(KEYS.until, this.#until ?? 0, writer);
  }

  /** When this host ran, as a row to be saved. */
  presenceRow(writer: Writer, wall: number): Row {
    return noteRow(KEYS.presence, wall, writer, this.#presence.encode(wall));
  }

  /**
   * A sync that began at `began` has ended. Rows that come from a host without contact make this host
   * no better: it takes over that host's reading, until it has itself been up for as long as tombstones
   * are kept.
   * @returns whether to save the reading: it is new, and `hasChanged` or the last time is long ago
   */
  note(began: number, peer: number | undefined, wall: number, hasChanged: boolean): boolean {
    const isPeerOld = peer !== undefined && this.#isOld(peer, wall);
    const isYoung = wall - this.#started < this.#retention;
    const until = Math.max(this.#until ?? 0, isPeerOld && isYoung ? peer : began);
    if (until === this.#until) return false;
    this.#until = until;
    if (!hasChanged && wall - this.#savedAt < SAVE_EVERY_MS) return false;
    this.#savedAt = wall;
    return true;
  }

  /**
   * How to judge rows that a host whose reading is `peer` offers, that are older than the reading and
   * unknown here.
   * @param isAlone  no other member is known whom this host could ask
   */
  judge(peer: number | undefined, wall: number, isAlone: boolean): Verdict {
    if (peer === undefined || !this.#isOld(peer, wall)) return 'take';
    const isInTouch = this.#until !== undefined && !this.#isOld(this.#until, wall);
    if (isInTouch || this.#presence.covers(peer)) return 'bury';
    return this.#until === undefined && !isAlone ? 'leave' : 'take';
  }

  /** Half the retention: well before the first tombstone of that time is forgotten, whatever the clocks. */
  #isOld(until: number, wall: number): boolean {
    return until + this.#retention / 2 < wall;
  }
}
