import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { AppError } from '../base/errors.ts';
import { asPeerId, type PeerId, type SocketAddress } from '../base/types.ts';

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
 * tables. Writes are transactions of LMDB: after a crash each is there whole or not at all. Rows are
 * written in batches off the event loop, since a mesh that heals can bring thousands at once.
 */
export class State {
  readonly id: PeerId;
  readonly #db: RootDatabase<Buffer, string[]>;
  readonly #pending = new Set<Promise<void>>();
  #failure: string | undefined;

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

  /** Every stored row as it was saved, table by table. */
  *rows(): Generator<Uint8Array> {
    for (const { value } of this.#db.getRange({ start: ['row'], end: ['row\uffff'] })) yield value;
  }

  /** Queues a row for the next transaction; `settled` tells when it is on disk. */
  save(table: string, key: string, bytes: Uint8Array): void {
    this.#track(this.#db.put(['row', table, key], Buffer.from(bytes)));
  }

  /** Queues the removal of a row. */
  drop(table: string, key: string): void {
    this.#track(this.#db.remove(['row', table, key]));
  }

  /** Why the last write failed; undefined while writing works. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Settles when everything queued so far is on disk; E_STATE if the disk refused it. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
    if (this.#failure === undefined) return;
    throw new AppError(
      'E_STATE',
      `The state directory can't be written (${this.#failure}); make room or mend its permissions, or this would be forgotten at the next restart.`,
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#pending);
    await this.#db.close();
  }

  #track(write: Promise<boolean>): void {
    const tracked = write
      .then(
        () => (this.#failure = undefined),
        (error: unknown) =>
          (this.#failure = error instanceof Error ? error.message : String(error)),
      )
      .then(() => void this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }

  #text(key: string[]): string | undefined {
    return this.#db.get(key)?.toString();
  }
}
