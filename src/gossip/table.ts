import { Listeners } from '../base/events.ts';
import type { PeerId } from '../base/types.ts';
import type { Replica, RowChange } from './replica.ts';

/** One change of one key, after it was saved. */
export interface TableChange<T> {
  readonly key: string;
  /** `undefined`: deleted. */
  readonly value: T | undefined;
  /** What was there before; `undefined` if nothing was. */
  readonly previous: T | undefined;
  /** Whether this host made the change. */
  readonly origin: 'local' | 'remote';
  /** The host that made it. */
  readonly author: PeerId;
}

export interface TableEntry<T> {
  readonly key: string;
  readonly value: T;
  readonly author: PeerId;
}

/** What a table writes through: stamps, saves, applies and broadcasts; `undefined` deletes. */
export type WriteRow = (table: string, key: string, value: unknown) => boolean;

/**
 * One keyed table that every host of the mesh holds whole; per key the last writer wins, by the hybrid
 * clock. Values are plain data (what CBOR holds without tags) and must not be changed once put or got.
 */
export class Table<T> {
  readonly name: string;
  readonly #replica: Replica;
  readonly #write: WriteRow;
  readonly #listeners = new Listeners<TableChange<T>>();

  constructor(name: string, replica: Replica, write: WriteRow) {
    this.name = name;
    this.#replica = replica;
    this.#write = write;
  }

  /**
   * Writes a value, saves it, and then tells listeners and the mesh. False if that very value by this
   * host was there already.
   * @throws AppError E_USAGE if the key or value is not what the table allows; whatever the store
   *   throws if saving fails. Nothing has changed then.
   */
  put(key: string, value: T): boolean {
    return this.#write(this.name, key, value);
  }

  /** Deletes a key; false if it was not there. */
  remove(key: string): boolean {
    return this.#write(this.name, key, undefined);
  }

  get(key: string): T | undefined {
    return this.#replica.get(this.name, key)?.value as T | undefined;
  }

  /** Who wrote the key's present value. */
  author(key: string): PeerId | undefined {
    return this.#replica.get(this.name, key)?.row.author;
  }

  /** A snapshot, in no particular order. O(size). */
  entries(): TableEntry<T>[] {
    return Array.from(this.#replica.entries(this.name), ({ row, value }) => ({
      key: row.key,
      value: value as T,
      author: row.author,
    }));
  }

  /** Adds a listener for changes of every origin, and returns the call that removes it. */
  onChange(listener: (change: TableChange<T>) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** For the driver: a change of this table has been applied and saved. */
  emit({ row, value, previousValue, origin }: RowChange): void {
    const previous = previousValue as T | undefined;
    // A tombstone that overtakes the row it deletes changes nothing that anybody could see.
    if (value === undefined && previous === undefined) return;
    this.#listeners.emit({
      key: row.key,
      value: value as T | undefined,
      previous,
      origin,
      author: row.author,
    });
  }
}
