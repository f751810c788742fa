import type { SocketAddress } from '../base/types.ts';
import { encodeClaim, SIGNED_MAX } from './cargo.ts';
import type { MemberRecord } from './member.ts';
import type { MemberDigest } from './member-digest.ts';
import type { Parcel } from './parcel.ts';
import type { Reconciliation } from './reconcile.ts';
import { encodeMembers, type Purpose, type SyncAcceptance } from './sync-message.ts';

/** Exchanges of one sync: enough for 10^6 rows. */
const ROUNDS_MAX = 8192;
/** Members asked for at a time: the answer has room for them, and for what it corrects. */
const WANTED_MAX = SIGNED_MAX / 2;
/** Exchanges in a row that bring no row either way: an honest sync has at most 6. */
const FRUITLESS_MAX = 8;

/** Syncs with one host that follow each other until it is equal: what changes meanwhile waits for its turn. */
const SEQUELS_MAX = 3;

/** One sync as the host sees it that began it: exchanges with one other, until both hold the same. */
export class Session {
  readonly to: SocketAddress;
  readonly purpose: Purpose;
  readonly salt: number;
  /** Reading of the hybrid clock when it began: all rows held then take part. */
  readonly began: number;
  /** How many syncs with the same host led to this one. */
  readonly sequel: number;
  /** This host knew nobody when the first answer came, so what it is told is no news to anybody. */
  isNewcomer = false;
  /** The rows' part, once this sync is the one that may move them. */
  rows: Reconciliation | undefined;
  #claims: Uint8Array[] = [];
  #wanted: number[] = [];
  #rounds = 0;
  #fruitless = 0;
  #hasMoved = false;

  constructor(settings: {
    readonly to: SocketAddress;
    readonly purpose: Purpose;
    readonly salt: number;
    readonly began: number;
    readonly sequel: number;
  }) {
    this.to = settings.to;
    this.purpose = settings.purpose;
    this.salt = settings.salt;
    this.began = settings.began;
    this.sequel = settings.sequel;
  }

  get isFirst(): boolean {
    return this.#rounds === 0;
  }

  /** Nothing is left to ask or to tell. */
  get isDone(): boolean {
    const isTold = this.#claims.length === 0 && this.#wanted.length === 0;
    return isTold && this.rows?.isDone !== false;
  }

  /** Rows have moved, and the other has not said that it holds the same now, so that it is worth asking once more whether both hold the same. */
  get wantsSequel(): boolean {
    const isOpen = this.#hasMoved && this.rows?.isEqual !== true;
    return isOpen && this.sequel < SEQUELS_MAX && !this.isFruitless;
  }

  /** It has gone on for too long, or too long without moving a row: the other side is wrong or lies. */
  get isFruitless(): boolean {
    return this.#rounds >= ROUNDS_MAX || this.#fruitless >= FRUITLESS_MAX;
  }

  /**
   * Takes in the members' part of an answer whose claims have been merged.
   * @param newRows  how many rows the answer brought that were news
   */
  accept(answer: SyncAcceptance, members: MemberDigest, newRows: number): void {
    const { isFirst } = this;
    this.#rounds++;
    this.#fruitless = newRows > 0 ? 0 : this.#fruitless + 1;
    this.#hasMoved ||= newRows > 0;
    this.#claims.push(...members.corrections(answer.claims));
    if (isFirst && answer.known.length > 0) this.#compare(answer.known, answer.self, members);
    this.rows?.accept(answer.ranges, answer.postponed, newRows);
  }

  /** Fills the next request. Returns how many rows it sends. */
  fill(parcel: Parcel): number {
    const claims = this.#claims;
    const sent = claims.findIndex((claim) => !parcel.addSigned(claim));
    this.#claims = sent < 0 ? [] : claims.slice(sent);
    const wanted = this.#wanted.slice(0, WANTED_MAX);
    if (wanted.length > 0 && parcel.add(encodeMembers({ wanted }))) {
      // The list only shrinks from here on, so that this comes to an end.
      this.#fruitless = 0;
      this.#wanted = this.#wanted.slice(WANTED_MAX);
    }
    const rows = this.rows?.fill(parcel) ?? 0;
    if (rows > 0) this.#fruitless = 0;
    this.#hasMoved ||= rows > 0;
    return rows;
  }

  /** Whom the other lacks is told, whom this host lacks is asked for. */
  #compare(theirs: readonly number[], peer: MemberRecord, members: MemberDigest): void {
    const extra = members.known(this.salt);
    this.#wanted = theirs.filter((digest) => !extra.delete(digest));
    for (const record of extra.values()) {
      const isToldAnyway = record.id === peer.id || record.id === members.self;
      if (!isToldAnyway) this.#claims.push(encodeClaim({ record }));
    }
  }
}
