import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { AppError } from '../base/errors.ts';
import { asPeerId, type PeerId, type SocketAddress } from '../base/types.ts';

/** A row of a replicated table, as gossip encodes it. */
export interface StoredRow {
  readonly table: string;
  readonly key: string;
  readonly bytes: Uint8Array;
}

/*
 * Keys of the one LMDB database. Rows sort by table, so that a scan reads them in order.
 *   ['meta', 'id']           this host's PeerId, as text
 *   ['meta', 'incarnation']  the last incarnation announced, as decimal text
 *   ['meta', 'peers']        JSON array of socket addresses to rejoin
 *   ['row', table, key]      an encoded row
 */
const ID = ['meta', 'id'];
const INCARNATION = ['meta', 'incarnation'];
const PEERS = ['meta', 'peers'];

/**
 * What a daemon must remember over a crash: who it is, whom it knows, and every row of the replicated
 * tables. Writes are transactions of LMDB: after a crash each is there whole or not at all.
 */
export class State {
  readonly id: PeerId;
  readonly #db: RootDatabase<Buffer, string[]>;

  private constructor(db: RootDatabase<Buffer, string[]>) {
    this.#db = db;
    this.id = asPeerId(this.#text(ID) ?? randomBytes(16).toString('hex'));
    this.#db.putSync(ID, Buffer.from(this.id));
  }

  /** Opens or creates the state in `directory`; E_STATE if the disk or its permissions refuse. */
  static open(directory: string): State {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      return new State(open({ path: join(directory, 'state.mdb'), encoding: 'binary' }));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new AppError(
        'E_STATE',
        `The state directory ${directory} can't be used (${why}); make it writable for this user or name another with --state-dir.`,
        { cause },
      );
    }
  }

  /**
   * An incarnation above every one announced before, stored before it is returned: what this host
   * says after a restart wins over what was said about it meanwhile.
   */
  nextIncarnation(): number {
    const next = Number(this.#text(INCARNATION) ?? '0') + 1;
    this.noteIncarnation(next);
    return next;
  }

  /** Remembers an incarnation that a refutation has raised. */
  noteIncarnation(incarnation: number): void {
    this.#db.putSync(INCARNATION, Buffer.from(String(incarnation)));
  }

  get peers(): readonly SocketAddress[] {
    return JSON.parse(this.#text(PEERS) ?? '[]') as SocketAddress[];
  }

  setPeers(peers: readonly SocketAddress[]): void {
    const text = JSON.stringify(peers);
    if (text !== this.#text(PEERS)) this.#db.putSync(PEERS, Buffer.from(text));
  }

  /** Every stored row, table by table. */
  *rows(): Generator<StoredRow> {
    for (const { key, value } of this.#db.getRange({ start: ['row'], end: ['row\uffff'] })) {
      const [, table = '', name = ''] = key;
      yield { table, key: name, bytes: value };
    }
  }

  /** Writes rows in one transaction; on return they are committed. */
  putRows(rows: readonly StoredRow[]): void {
    this.#db.transactionSync(() => {
      for (const { table, key, bytes } of rows) {
        this.#db.putSync(['row', table, key], Buffer.from(bytes));
      }
    });
  }

  removeRow(table: string, key: string): void {
    this.#db.removeSync(['row', table, key]);
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  #text(key: string[]): string | undefined {
    return this.#db.get(key)?.toString();
  }
}
