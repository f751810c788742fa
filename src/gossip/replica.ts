import { AppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import type { Counters } from './counters.ts';
import { compareStamps, HybridClock, type Stamp } from './hybrid-clock.ts';

/** One version of one row. Immutable. */
export interface Row {
  readonly table: string;
  readonly key: string;
  readonly stamp: Stamp;
  /** Who wrote this version. */
  readonly author: PeerId;
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

interface Held {
  readonly row: Row;
  /** Decoded and validated if the table is defined here. */
  readonly value: unknown;
}

interface ReplicaSettings {
  readonly clockAheadMax: number;
  readonly tombstoneRetention: number;
  readonly rowsMax: number;
}

/**
 * All tables' rows: last writer wins per key, by the hybrid clock. Tables that this host does not define are
 * kept and passed on unread, so that hosts of different versions can share a mesh.
 */
export class Replica {
  readonly #settings: ReplicaSettings;
  readonly #counters: Counters;
  readonly #clock: HybridClock;
  readonly #tables = new Map<string, Map<string, Held>>();
  readonly #options = new Map<string, TableOptions>();
  #size = 0;

  constructor(settings: ReplicaSettings, counters: Counters) {
    this.#settings = settings;
    this.#counters = counters;
    this.#clock = new HybridClock(settings.clockAheadMax);
  }

  /** Rows kept, tombstones included. */
  get size(): number {
    return this.#size;
  }

  /** Names a table's limits. Rows already there that do not pass are dropped and counted. */
  define(table: string, options: TableOptions): void {
    this.#options.set(table, options);
    for (const { row } of [...(this.#tables.get(table)?.values() ?? [])]) {
      const judged = this.#judge(row);
      if (judged === undefined) this.#drop(row);
      else this.#hold(row, judged.value);
    }
  }

  /** The decoded value, unless the key is absent or deleted. */
  get(table: string, key: string): Held | undefined {
    const held = this.#tables.get(table)?.get(key);
    return held?.row.value === undefined ? undefined : held;
  }

  /** Keys that have a value, in no particular order. */
  *entries(table: string): Generator<Held> {
    for (const held of this.#tables.get(table)?.values() ?? []) {
      if (held.row.value !== undefined) yield held;
    }
  }

  /** Every row of every table, tombstones included. */
  *all(): Generator<Row> {
    for (const table of this.#tables.values()) for (const { row } of table.values()) yield row;
  }

  /**
   * Makes the next version of a row, stamped and checked, and changes nothing else: `merge` applies it.
   * `undefined` deletes. Returns `undefined` if that would change nothing.
   * @throws AppError E_USAGE if the key or the value is not what the table allows
   */
  prepare(
    table: string,
    key: string,
    value: unknown,
    author: PeerId,
    wall: number,
  ): Row | undefined {
    const current = this.get(table, key)?.row;
    if (value === undefined && current === undefined) return undefined;
    const bytes = value === undefined ? undefined : this.#encode(table, key, value);
    const isSame = current !== undefined && compareValues(current.value, bytes) === 0;
    if (isSame && current.author === author) return undefined;
    return { table, key, stamp: this.#clock.tick(wall), author, value: bytes };
  }

  /** Takes a version in if it is news; returns the change, or `undefined` if nothing changed. */
  merge(row: Row, wall: number, origin: RowChange['origin']): RowChange | undefined {
    if (!this.#clock.observe(row.stamp, wall)) {
      this.#counters.add('rowFuture');
      return undefined;
    }
    const held = this.#tables.get(row.table)?.get(row.key);
    if (held !== undefined && compareRows(row, held.row) <= 0) return undefined;
    if (held === undefined && !this.#admits(row, wall)) return undefined;
    const judged = this.#judge(row);
    if (judged === undefined) return undefined;
    this.#hold(row, judged.value);
    this.#counters.add('rowsAccepted');
    return {
      row,
      previous: held?.row,
      value: judged.value,
      previousValue: held?.value,
      origin,
    };
  }

  /** Forgets tombstones older than the retention and returns them. */
  collect(wall: number): Row[] {
    const old = [...this.all()].filter((row) => this.#isExpired(row, wall));
    for (const row of old) this.#drop(row);
    return old;
  }

  #isExpired(row: Row, wall: number): boolean {
    return row.value === undefined && row.stamp.millis + this.#settings.tombstoneRetention < wall;
  }

  /** Whether a row of an unknown key may come in: an expired tombstone is no news, and there is a quota. */
  #admits(row: Row, wall: number): boolean {
    if (this.#isExpired(row, wall)) return false;
    if (this.#size < this.#settings.rowsMax) return true;
    this.#counters.add('rowQuota');
    return false;
  }

  /** Checks a row's value by its table's rules; `undefined` if it fails (and then it is counted). */
  #judge(row: Row): { readonly value: unknown } | undefined {
    const options = this.#options.get(row.table);
    if (row.value === undefined) return { value: undefined };
    if (row.value.length > (options?.valueBytes ?? MAX_VALUE_BYTES)) {
      this.#counters.add('rowTooLarge');
      return undefined;
    }
    if (options === undefined) return { value: undefined };
    const decoded = decodeCbor(row.value);
    const value = decoded && options.validate(decoded.value, row.key);
    if (value !== undefined) return { value };
    this.#counters.add('rowInvalid');
    return undefined;
  }

  #encode(table: string, key: string, value: unknown): Uint8Array {
    const options = this.#options.get(table);
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
    if (options && options.validate(decodeCbor(bytes)?.value, key) === undefined) {
      throw new AppError(
        'E_USAGE',
        `The value of "${key}" does not fit the schema of table ${table}; nothing was changed.`,
      );
    }
    return bytes;
  }

  #hold(row: Row, value: unknown): void {
    let rows = this.#tables.get(row.table);
    if (rows === undefined) this.#tables.set(row.table, (rows = new Map<string, Held>()));
    if (!rows.has(row.key)) this.#size++;
    rows.set(row.key, { row, value });
  }

  #drop({ table, key }: Row): void {
    if (this.#tables.get(table)?.delete(key)) this.#size--;
  }
}
