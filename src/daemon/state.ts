import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { AppError } from '../base/errors.ts';
import { asPeerId, type PeerId, type SocketAddress } from '../base/types.ts';
import { checkStateFile } from './state-file.ts';

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

/** A change on its way to the disk; without bytes, a removal. */
interface Write {
  readonly key: string[];
  readonly bytes?: Buffer;
}

const sentenceOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/**
 * Why a write was refused. lmdb hides the reason in a promise of its own, which rejects as well and
 * would end the process if nobody heard it.
 */
async function reasonOf(error: unknown): Promise<string> {
  if (!(error instanceof Error) || !('commitError' in error)) return sentenceOf(error);
  try {
    await error.commitError;
    return error.message;
  } catch (cause) {
    return sentenceOf(cause);
  }
}

/**
 * What a daemon must remember over a crash: who it is, whom it knows, and every row of the replicated
 * tables. Writes are transactions of LMDB: after a crash each is there whole or not at all. Rows are
 * written in batches off the event loop, since a mesh that heals can bring thousands at once. What the
 * disk refuses is kept and written with the next change, once there is room again.
 */
export class State {
  readonly id: PeerId;
  readonly #db: RootDatabase<Buffer, string[]>;
  readonly #pending = new Set<Promise<void>>();
  /** What was last noted under a meta key: every member event notes, few of them change anything. */
  readonly #noted = new Map<string[], string>();
  /** The last write of a key that the disk has refused. */
  readonly #refused = new Map<string, Write>();
  #why = '';

  private constructor(db: RootDatabase<Buffer, string[]>) {
    this.#db = db;
    this.id = asPeerId(this.#text(ID) ?? randomBytes(16).toString('hex'));
    this.#db.putSync(ID, Buffer.from(this.id));
  }

  /** Opens or creates the state in `directory`; E_STATE if the disk or its permissions refuse. */
  static open(directory: string): State {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const path = join(directory, 'state.mdb');
      checkStateFile(path);
      // With batching by event turn, lmdb makes one more promise that rejects where nobody can hear it.
      return new State(open({ path, encoding: 'binary', eventTurnBatching: false }));
    } catch (cause) {
      if (cause instanceof AppError) throw cause;
      throw new AppError(
        'E_STATE',
        `The state directory ${directory} can't be used (${sentenceOf(cause)}); make room there, make it writable for this user or name another with --state-dir.`,
        { cause },
      );
    }
  }

  /**
   * An incarnation above every one announced before, stored before it is returned: what this host
   * says after a restart wins over what was said about it meanwhile. E_STATE if it can't be stored.
   */
  nextIncarnation(): number {
    const next = Number(this.#text(INCARNATION) ?? '0') + 1;
    try {
      this.#db.putSync(INCARNATION, Buffer.from(String(next)));
    } catch (cause) {
      throw this.#unwritable(sentenceOf(cause), cause);
    }
    return next;
  }

  /** Remembers an incarnation that a refutation has raised. */
  noteIncarnation(incarnation: number): void {
    this.#note(INCARNATION, String(incarnation));
  }

  get peers(): readonly SocketAddress[] {
    return JSON.parse(this.#text(PEERS) ?? '[]') as SocketAddress[];
  }

  setPeers(peers: readonly SocketAddress[]): void {
    this.#note(PEERS, JSON.stringify(peers));
  }

  /** Every stored row as it was saved, table by table. */
  *rows(): Generator<Uint8Array> {
    for (const { value } of this.#db.getRange({ start: ['row'], end: ['row\uffff'] })) yield value;
  }

  /** Queues a row for the next transaction; `settled` tells when it is on disk. */
  save(table: string, key: string, bytes: Uint8Array): void {
    this.#write({ key: ['row', table, key], bytes: Buffer.from(bytes) });
  }

  /** Queues the removal of a row. */
  drop(table: string, key: string): void {
    this.#write({ key: ['row', table, key] });
  }

  /** Why something is not on disk; undefined while writing works. */
  get failure(): string | undefined {
    return this.#refused.size === 0 ? undefined : this.#why;
  }

  /**
   * Settles when everything queued so far is on disk, and what was refused before as well; E_STATE if
   * the disk refuses it.
   */
  async settled(): Promise<void> {
    this.#retry();
    await Promise.all(this.#pending);
    if (this.failure !== undefined) throw this.#unwritable(this.failure);
  }

  /** What the disk still refuses is lost. */
  async close(): Promise<void> {
    this.#retry();
    await Promise.all(this.#pending);
    await this.#db.close();
  }

  #unwritable(why: string, cause?: unknown): AppError {
    return new AppError(
      'E_STATE',
      `The state directory can't be written (${why}); make room or mend its permissions, or a restart will forget this change.`,
      { cause },
    );
  }

  #retry(): void {
    for (const write of [...this.#refused.values()]) this.#write(write);
  }

  #write(write: Write): void {
    const { key, bytes } = write;
    const name = JSON.stringify(key);
    this.#refused.delete(name);
    const done = bytes === undefined ? this.#db.remove(key) : this.#db.put(key, bytes);
    const tracked = done
      .then(
        () => undefined,
        async (error: unknown) => {
          this.#refused.set(name, write);
          this.#why = await reasonOf(error);
        },
      )
      .then(() => void this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }

  #note(key: string[], text: string): void {
    if (this.#noted.get(key) === text) return;
    this.#noted.set(key, text);
    this.#write({ key, bytes: Buffer.from(text) });
  }

  #text(key: string[]): string | undefined {
    return this.#db.get(key)?.toString();
  }
}
