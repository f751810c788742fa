import { AppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import { encodeCbor } from './cbor.ts';
import type { Counters } from './counters.ts';
import { HashTree } from './hash-tree.ts';
import { HeldRow, readValue, type Author, type HeldTable } from './held-row.ts';
import { compareStamps, HybridClock, type Stamp } from './hybrid-clock.ts';
import { RecentRows } from './recent.ts';
import { isSignedRow, signRow, type Signatures, type UnsignedRow } from './signatures.ts';

/** One version of one row. Immutable. */
export interface Row {
  readonly table: string;
  readonly key: string;
  readonly stamp: Stamp;
  /** Who wrote this version: the host with `authorKey`. */
  readonly author: PeerId;
  readonly authorKey: Uint8Array;
  /** By that key, over all but it (`rowBytes`). */
  readonly signature: Uint8Array;
  /** CBOR; `undefined` is a tombstone: the remembered deletion. */
  readonly value: Uint8Array | undefined;
}

/** A change that was accepted, of this host's or another's making. */
export interface RowChange {
  readonly row: Row;
  readonly previous: Row | undefined;
  /** Decoded values; `undefined` where there is none, or the table is not defined on this host. */
  readonly value: unknown;
  readonly previousValue: unknown;
  readonly origin: 'local' | 'remote';
}

export interface TableOptions {
  /** Longest CBOR value in bytes. */
  readonly valueBytes: number;
  /** The value as the table wants it, or `undefined` if it is not one. Must be a pure function. */
  readonly validate: (value: unknown, key: string) => unknown;
  /**
   * The host that alone writes the row of this key; others may delete it while that host is not active.
   * Undefined, or an answer of undefined: any member writes it. Pure.
   */
  readonly owner?: (key: string) => PeerId | undefined;
}

export const MAX_KEY_BYTES = 256;
/** Longest value in any table, defined here or not. */
export const MAX_VALUE_BYTES = 65_536;

const TABLE_NAME = /^[a-z][a-z0-9-]{0,31}$/;

export function isTableName(name: string): boolean {
  return TABLE_NAME.test(name);
}

/** A tombstone sorts before any value. */
function compareValues(one: Uint8Array | undefined, other: Uint8Array | undefined): number {
  if (one === undefined || other === undefined)
    return Number(one !== undefined) - Number(other !== undefined);
  return Buffer.compare(one, other);
}

/**
 * Order of two versions of one row: by stamp, then author, then value. It is total: whatever the order
 * in which versions arrive, every replica keeps the same one. A deletion loses only a tie.
 */
export function compareRows(one: Row, other: Row): number {
  const byStamp = compareStamps(one.stamp, other.stamp);
  if (byStamp !== 0) return byStamp;
  if (one.author !== other.author) return one.author < other.author ? -1 : 1;
  return compareValues(one.value, other.value);
}

/** Whether `row` wins over the version held. Most rows that come again differ in nothing: no copy is made. */
function isLater(row: Row, held: HeldRow): boolean {
  const byStamp = compareStamps(row.stamp, held);
  return byStamp === 0 ? compareRows(row, held.row) > 0 : byStamp > 0;
}

interface ReplicaSettings {
  readonly clockAheadMax: number;
  readonly tombstoneRetention: number;
  readonly rowsMax: number;
  readonly rowsPerAuthorMax: number;
}

/** What a replica goes by when it decides who may write what. */
export interface Trust {
  readonly signatures: Signatures;
  /** Whether the host is held to live: then nobody else deletes its rows. */
  readonly isActive: (id: PeerId) => boolean;
}

/** Rows whose decoded value is kept beside the bytes; the others are decoded each time they are read. */
const DECODED_MAX = 16_384;

/**
 * All tables' rows: last writer wins per key, by the hybrid clock. Each version is signed by its author, and
 * where a key belongs to one host only that host's count. Tables that this host does not define are kept and
 * passed on unread, so that hosts of different versions can share a mesh.
 */
export class Replica {
  /** Digests of all rows, kept as they change. For reading. */
  readonly tree = new HashTree<HeldRow>();
  /** The latest of them. For reading. */
  readonly recent = new RecentRows(this.tree);
  readonly #settings: ReplicaSettings;
  readonly #counters: Counters;
  readonly #trust: Trust;
  readonly #self: PeerId;
  readonly #clock: HybridClock;
  readonly #tables = new Map<string, HeldTable>();
  readonly #authors = new Map<PeerId, Author>();
  #decoded = 0;

  constructor(settings: ReplicaSettings, counters: Counters, trust: Trust) {
    this.#settings = settings;
    this.#counters = counters;
    this.#trust = trust;
    this.#self = trust.signatures.idOf(trust.signatures.publicKey);
    this.#clock = new HybridClock(settings.clockAheadMax);
  }

  /** Rows kept, tombstones included. */
  get size(): number {
    return this.tree.size;
  }

  /** Names a table's limits. Rows already there that do not pass are dropped and counted. */
  define(name: string, options: TableOptions): void {
    const table = this.#tableOf(name);
    table.options = options;
    this.#tables.set(name, table);
    for (const held of [...table.rows.values()]) {
      const judged = this.#judge(held.row);
      this.#drop(held);
      if (judged !== undefined) this.#hold(held, judged.value);
    }
  }

  /** The row, unless the key is absent or deleted. */
  get(table: string, key: string): HeldRow | undefined {
    const held = this.#find(table, key);
    return held?.isTombstone === false ? held : undefined;
  }

  /** Keys that have a value, in no particular order. */
  *entries(table: string): Generator<HeldRow> {
    for (const held of this.#tables.get(table)?.rows.values() ?? []) {
      if (!held.isTombstone) yield held;
    }
  }

  /** Every row of every table, tombstones included. */
  *all(): Generator<Row> {
    for (const { rows } of this.#tables.values()) for (const { row } of rows.values()) yield row;
  }

  /**
   * Makes this host's next version of a row, stamped, checked and signed, and changes nothing else: `merge`
   * applies it. `undefined` deletes. Returns `undefined` if that would change nothing.
   * @throws AppError E_USAGE if the key or the value is not what the table allows, or the quota is full
   */
  prepare(table: string, key: string, value: unknown, wall: number): Row | undefined {
    const held = this.#find(table, key);
    const current = held?.isTombstone === false ? held.row : undefined;
    if (value === undefined && current === undefined) return undefined;
    const bytes = value === undefined ? undefined : this.#encode(table, key, value);
    const isSame = current !== undefined && compareValues(current.value, bytes) === 0;
    if (isSame && current.author === this.#self) return undefined;
    if (held === undefined) this.#checkQuota(this.#self);
    return this.#sign({ table, key, stamp: this.#clock.tick(wall, held), value: bytes });
  }

  /**
   * What this host has to say to a version of a row of its own that came from elsewhere, if anything: it has the
   * last word. A later deletion, by a host that held this one dead, is answered with what is held here; an
   * old version that is unknown here (deleted so long ago that it is forgotten) with its deletion. The answer
   * is an update to be merged.
   */
  refutation(row: Row, wall: number): Row | undefined {
    if (this.#ownerOf(row) !== this.#self) return undefined;
    const { table, key, stamp } = row;
    const held = this.#find(table, key);
    const isForeign = row.author !== this.#self;
    if (isForeign ? !this.#isDeletionOf(row, held) : !this.#isForgotten(row, held, wall)) {
      return undefined;
    }
    if (!isSignedRow(row, this.#trust.signatures)) return undefined;
    return this.#sign({ table, key, stamp: this.#clock.tick(wall, stamp), value: held?.row.value });
  }

  /**
   * The host that should hear of a version that is refused here: a living one whose row another has deleted. Only
   * its own last word ends that everywhere.
   */
  ownerToAsk(row: Row): PeerId | undefined {
    const owner = this.#ownerOf(row);
    const isOthers = owner !== undefined && owner !== this.#self && owner !== row.author;
    return isOthers && row.value === undefined && this.#trust.isActive(owner) ? owner : undefined;
  }

  /** Whether it is a deletion that would replace what is held. */
  #isDeletionOf(row: Row, held: HeldRow | undefined): boolean {
    return row.value === undefined && (held === undefined || isLater(row, held));
  }

  /** Whether the row is one that nobody remembers to have been deleted. */
  #isForgotten({ value, stamp }: Row, held: HeldRow | undefined, wall: number): boolean {
    const isOld = stamp.millis + this.#settings.tombstoneRetention / 2 < wall;
    return value !== undefined && held === undefined && isOld;
  }

  #sign(row: UnsignedRow): Row {
    return signRow(row, this.#trust.signatures);
  }

  /** Whether any version of the row is here, a tombstone included. */
  has(table: string, key: string): boolean {
    return this.#find(table, key) !== undefined;
  }

  /** A reading of the hybrid clock in ms: later than every row held, earlier than every row to be written. */
  reading(wall: number): number {
    return this.#clock.tick(wall).millis;
  }

  /**
   * The deletion, made now, of a row that is offered and not held; undefined if that is not for this host to
   * do: the row is of a host that lives, or half of what this host may write is written.
   */
  burial(row: Row, wall: number): Row | undefined {
    const { table, key, stamp } = row;
    const mine = this.#authors.get(this.#self)?.rows ?? 0;
    const owner = this.#ownerOf(row);
    const isMine = owner === undefined || owner === this.#self || !this.#trust.isActive(owner);
    if (!isMine || mine >= this.#settings.rowsPerAuthorMax / 2) return undefined;
    return this.#sign({ table, key, stamp: this.#clock.tick(wall, stamp), value: undefined });
  }

  /** Takes a version in if it is news; returns the change, or `undefined` if nothing changed. */
  merge(row: Row, wall: number, origin: RowChange['origin']): RowChange | undefined {
    if (!this.#clock.believes(row.stamp, wall)) {
      this.#counters.add('rowFuture');
      return undefined;
    }
    const held = this.#find(row.table, row.key);
    if (held !== undefined && !isLater(row, held)) return undefined;
    if (held === undefined && !this.#admits(row, wall, origin)) return undefined;
    const judged = this.#judge(row);
    if (judged === undefined) return undefined;
    if (origin === 'remote' && !this.#isAuthentic(row)) return undefined;
    const [previous, previousValue] = [held?.row, held?.value];
    this.#clock.observe(row.stamp, wall);
    if (held !== undefined) this.#drop(held);
    this.#hold(new HeldRow(this.#tableOf(row.table), this.#authorOf(row), row), judged.value);
    this.#counters.add('rowsAccepted');
    return { row, previous, value: judged.value, previousValue, origin };
  }

  /** Forgets tombstones older than the retention and returns them. */
  collect(wall: number): Row[] {
    const old: HeldRow[] = [];
    for (const { rows } of this.#tables.values()) {
      for (const held of rows.values()) {
        if (held.isTombstone && this.#isExpired(held, wall)) old.push(held);
      }
    }
    for (const held of old) this.#drop(held);
    return old.map(({ row }) => row);
  }

  #find(table: string, key: string): HeldRow | undefined {
    return this.#tables.get(table)?.rows.get(key);
  }

  /** Whether a tombstone of this stamp is old enough to be forgotten. */
  #isExpired(stamp: Stamp, wall: number): boolean {
    return stamp.millis + this.#settings.tombstoneRetention < wall;
  }

  /**
   * Whether a row of an unknown key may come in. There are quotas, and an expired tombstone is no news,
   * except this host's own from before a restart: maybe nobody has heard of it yet.
   */
  #admits(row: Row, wall: number, origin: RowChange['origin']): boolean {
    const isNews = row.value !== undefined || !this.#isExpired(row.stamp, wall);
    if (!isNews && origin === 'remote') return false;
    const full = this.#fullQuota(row.author);
    if (full !== undefined) this.#counters.add(full);
    return full === undefined;
  }

  #fullQuota(author: PeerId): 'rowQuota' | 'rowAuthorQuota' | undefined {
    if (this.size >= this.#settings.rowsMax) return 'rowQuota';
    const rows = this.#authors.get(author)?.rows ?? 0;
    return rows >= this.#settings.rowsPerAuthorMax ? 'rowAuthorQuota' : undefined;
  }

  #checkQuota(author: PeerId): void {
    const full = this.#fullQuota(author);
    if (full === undefined) return;
    const { rowsMax, rowsPerAuthorMax } = this.#settings;
    const [whose, most] =
      full === 'rowQuota' ? ['The mesh', rowsMax] : ['This host', rowsPerAuthorMax];
    throw new AppError(
      'E_USAGE',
      `${whose} has ${most} rows in its tables, deleted ones included, which is the most allowed; delete some and wait until they are forgotten.`,
    );
  }

  /** Checks a row's value by its table's rules; `undefined` if it fails (and then it is counted). */
  #judge({ table, key, value }: Row): { readonly value: unknown } | undefined {
    const options = this.#tables.get(table)?.options;
    if (value === undefined) return { value: undefined };
    if (value.length > (options?.valueBytes ?? MAX_VALUE_BYTES)) {
      this.#counters.add('rowTooLarge');
      return undefined;
    }
    if (options === undefined) return { value: undefined };
    const read = readValue(options, key, value);
    if (read !== undefined) return { value: read };
    this.#counters.add('rowInvalid');
    return undefined;
  }

  #encode(table: string, key: string, value: unknown): Uint8Array {
    const options = this.#tables.get(table)?.options;
    const keyBytes = Buffer.byteLength(key);
    if (keyBytes === 0 || keyBytes > MAX_KEY_BYTES) {
      throw new AppError(
        'E_USAGE',
        `A key in table ${table} takes ${keyBytes} bytes; use 1 to ${MAX_KEY_BYTES}.`,
      );
    }
    const bytes = encodeCbor(value);
    const most = options?.valueBytes ?? MAX_VALUE_BYTES;
    if (bytes === undefined || bytes.length > most) {
      throw new AppError(
        'E_USAGE',
        `The value of "${key}" in table ${table} takes ${bytes?.length ?? 'no plain CBOR'} bytes; use plain data of at most ${most} bytes.`,
      );
    }
    if (options && readValue(options, key, bytes) === undefined) {
      throw new AppError(
        'E_USAGE',
        `The value of "${key}" does not fit the schema of table ${table}; nothing was changed.`,
      );
    }
    return bytes;
  }

  #tableOf(name: string): HeldTable {
    return this.#tables.get(name) ?? { name, rows: new Map(), options: undefined };
  }

  #authorOf({ author: id, authorKey }: Row): Author {
    return this.#authors.get(id) ?? { id, key: authorKey, rows: 0 };
  }

  #ownerOf({ table, key }: Pick<Row, 'table' | 'key'>): PeerId | undefined {
    return this.#tables.get(table)?.options?.owner?.(key);
  }

  /** Whether the author may write the row and has signed it; what fails is counted. */
  #isAuthentic(row: Row): boolean {
    const refusal = !this.#mayWrite(row)
      ? 'rowForeign'
      : isSignedRow(row, this.#trust.signatures)
        ? undefined
        : 'rowForged';
    if (refusal !== undefined) this.#counters.add(refusal);
    return refusal === undefined;
  }

  #mayWrite(row: Row): boolean {
    const owner = this.#ownerOf(row);
    if (owner === undefined || owner === row.author) return true;
    return row.value === undefined && owner !== this.#self && !this.#trust.isActive(owner);
  }

  #hold(held: HeldRow, value: unknown): void {
    const { table, key, author } = held;
    this.#tables.set(table.name, table);
    table.rows.set(key, held);
    this.#authors.set(author.id, author);
    author.rows++;
    this.tree.add(held);
    this.recent.add(held);
    const keeps = value !== undefined && this.#decoded < DECODED_MAX;
    held.keepDecoded(keeps ? value : undefined);
    if (keeps) this.#decoded++;
  }

  #drop(held: HeldRow): void {
    const { table, key, author } = held;
    table.rows.delete(key);
    this.tree.delete(held);
    this.recent.delete(held);
    if (held.isDecoded) this.#decoded--;
    if (--author.rows === 0) this.#authors.delete(author.id);
    if (table.rows.size === 0 && table.options === undefined) this.#tables.delete(table.name);
  }
}
