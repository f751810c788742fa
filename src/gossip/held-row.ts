import type { PeerId } from '../base/types.ts';
import { decodeCbor } from './cbor.ts';
import type { Leafed } from './hash-tree.ts';
import { hashWords } from '../base/hash.ts';
import type { Stamp } from './hybrid-clock.ts';
import type { Row, TableOptions } from './replica.ts';

/** One table's rows, tombstones included, and its rules if this host defines it. */
export interface HeldTable {
  readonly name: string;
  readonly rows: Map<string, HeldRow>;
  options: TableOptions | undefined;
}

/** Who wrote rows, and how many of them are kept. One object an author, shared by its rows. */
export interface Author {
  readonly id: PeerId;
  readonly key: Uint8Array;
  rows: number;
}

/**
 * A row as a replica keeps it: itself the stamp of its version, and an item of the hash tree. The value
 * stays CBOR, in a string with one character a byte, and so does the signature: a Uint8Array would cost 200
 * bytes more a row.
 */
export class HeldRow implements Stamp, Leafed<HeldRow> {
  readonly table: HeldTable;
  readonly key: string;
  readonly author: Author;
  readonly millis: number;
  readonly count: number;
  readonly position: number;
  readonly low: number;
  readonly high: number;
  next: HeldRow | undefined = undefined;
  readonly #bytes: string | undefined;
  readonly #signature: string;
  #decoded: unknown = undefined;

  constructor(table: HeldTable, author: Author, { key, stamp, value, signature }: Row) {
    const bytes = value && latin1(value);
    const version = `${stamp.millis} ${stamp.count} ${author.id} ${bytes ?? ''}`;
    const name = `${table.name} ${key}`;
    this.table = table;
    this.key = key;
    this.author = author;
    this.millis = stamp.millis;
    this.count = stamp.count;
    [this.position, this.low, this.high] = [
      ...hashWords(name, 1),
      ...hashWords(`${name} ${version}`, 2),
    ] as [number, number, number];
    this.#bytes = bytes;
    this.#signature = latin1(signature);
  }

  get isTombstone(): boolean {
    return this.#bytes === undefined;
  }

  /** Fresh at every call. */
  get row(): Row {
    const { table, key, author, millis, count } = this;
    return {
      ...{ table: table.name, key, stamp: { millis, count } },
      ...{ author: author.id, authorKey: author.key },
      signature: Buffer.from(this.#signature, 'latin1'),
      value: this.#bytes === undefined ? undefined : Buffer.from(this.#bytes, 'latin1'),
    };
  }

  /** As the table wants it; `undefined` for a tombstone, or if the table is not defined on this host. */
  get value(): unknown {
    if (this.#decoded !== undefined || this.#bytes === undefined) return this.#decoded;
    return readValue(this.table.options, this.key, Buffer.from(this.#bytes, 'latin1'));
  }

  /** Keeps what `value` returns, for faster reading: as large again as the row. */
  keepDecoded(value: unknown): void {
    this.#decoded = value;
  }

  get isDecoded(): boolean {
    return this.#decoded !== undefined;
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** The decoded value if the table's rules allow it; `undefined` if it has none. */
export function readValue(
  options: TableOptions | undefined,
  key: string,
  bytes: Uint8Array,
): unknown {
  if (options === undefined) return undefined;
  const decoded = decodeCbor(bytes);
  return decoded && options.validate(decoded.value, key);
}
