import { rmSync, statfsSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { open, type RootDatabase, type RootDatabaseOptionsWithPath } from 'lmdb';
import { errnoOf } from '../base/errors.ts';

/** Sorts word by word, so that all keys with one first word lie together. */
export type Key = readonly string[];

/**
 * Where a daemon's memory lies: keys and bytes, each change whole on the disk or not there at all. The
 * seam at which tests stop a daemon in the middle of what it does.
 */
export interface Store {
  get(key: Key): Buffer | undefined;
  /** The values whose keys begin with `word`, in the order of their keys. */
  list(word: string): Iterable<Buffer>;
  /**
   * Settles once the bytes are on the disk, flushed; rejects with an Error that says why not. Changes
   * reach the disk in the order of the calls.
   */
  put(key: Key, bytes: Uint8Array): Promise<void>;
  /** As `put`. */
  remove(key: Key): Promise<void>;
  /** As `put`, but on the disk when it returns. Not for a key that a `put` may still be busy with. */
  putNow(key: Key, bytes: Uint8Array): void;
  close(): Promise<void>;
}

export const sentenceOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

const NO_SPACE = 'No space left on device';
const PAGE_BYTES = 4096;
/** Of a transaction whatever it writes: the root pages, the list of free pages and what they displace. */
const BASE_PAGES = 16;
/** So that what has to be free on the disk for a transaction stays small. */
const MAX_WRITES = 256;
const TRIAL_BYTES = 64 * 1024;

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

const sizeOf = (key: Key): number => key.reduce((sum, word) => sum + word.length, 0);

/** A change that waits for its turn, and who waits for it. */
interface Waiting {
  /** Of key and value. */
  readonly size: number;
  readonly write: () => Promise<boolean>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * LMDB in one file: the writes that wait while a transaction is under way make the next one.
 *
 * lmdb 3.5 does not bear a disk that refuses (ADR 62): it writes past the end of its message when a page
 * is refused, and keeps its lock, and this process in it, when a transaction begins after one that could
 * not be closed. So it is kept from such a disk: before each transaction the disk is asked whether it
 * takes writes, after one that was refused a file is written for trial, and there is only one at a time,
 * so that none begins after the one that broke.
 */
export class LmdbStore implements Store {
  readonly #path: string;
  readonly #db: RootDatabase<Buffer, string[]>;
  readonly #inode: number;
  /** What the file had when last looked at; LMDB's files never get shorter. */
  #bytes = 0;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  /** Why nothing can be read or written any more. */
  #broken: string | undefined;
  /** The disk has refused a transaction, and not passed a trial since. */
  #isDoubted = false;

  /** Throws what lmdb or the file system throw; the file must have been checked (`checkStateFile`). */
  constructor(path: string) {
    this.#path = path;
    // lmdb's declarations lack the last one.
    const options: RootDatabaseOptionsWithPath & { readonly txnStartThreshold: number } = {
      path,
      encoding: 'binary',
      // With it, lmdb makes one more promise that rejects where nobody can hear it.
      eventTurnBatching: false,
      // With it, a write settles before it is flushed, and a power cut could take back what was answered.
      overlappingSync: false,
      // All writes of one moment in one transaction, however many.
      txnStartThreshold: Number.MAX_SAFE_INTEGER,
    };
    this.#db = open(options);
    const { ino, size } = statSync(path);
    this.#inode = ino;
    this.#bytes = size;
  }

  get(key: Key): Buffer | undefined {
    this.#checkFile();
    return this.#db.get([...key]);
  }

  *list(word: string): Generator<Buffer> {
    this.#checkFile();
    for (const { value } of this.#db.getRange({ start: [word], end: [`${word}\uffff`] })) {
      yield value;
    }
  }

  put(key: Key, bytes: Uint8Array): Promise<void> {
    const write = (): Promise<boolean> => this.#db.put([...key], Buffer.from(bytes));
    return this.#commit({ size: sizeOf(key) + bytes.length, write });
  }

  remove(key: Key): Promise<void> {
    return this.#commit({ size: sizeOf(key), write: () => this.#db.remove([...key]) });
  }

  putNow(key: Key, bytes: Uint8Array): void {
    this.#checkFile();
    this.#checkDisk(1, sizeOf(key) + bytes.length);
    try {
      this.#db.putSync([...key], Buffer.from(bytes));
    } catch (error) {
      throw this.#refusal(sentenceOf(error), error);
    }
  }

  async close(): Promise<void> {
    await this.#writing;
    try {
      this.#checkFile();
    } catch {
      // Closing reads the file as well. The kernel closes it with the process.
      return;
    }
    await this.#db.close();
  }

  #commit(change: Pick<Waiting, 'size' | 'write'>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...change, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_WRITES);
      const refusal = await this.#writeTogether(batch);
      for (const { resolve, reject } of batch) {
        if (refusal === undefined) resolve();
        else reject(refusal);
      }
    }
    this.#writing = undefined;
  }

  /** Why the disk has refused them all; undefined if it has not. */
  async #writeTogether(batch: readonly Waiting[]): Promise<Error | undefined> {
    try {
      this.#checkFile();
      this.#checkDisk(
        batch.length,
        batch.reduce((sum, { size }) => sum + size, 0),
      );
    } catch (error) {
      return new Error(sentenceOf(error), { cause: error });
    }
    try {
      await Promise.all(batch.map(({ write }) => write()));
      return undefined;
    } catch (error) {
      return this.#refusal(await reasonOf(error), error);
    }
  }

  #refusal(reason: string, cause: unknown): Error {
    this.#isDoubted = true;
    if (!this.#hasGivenUp()) return new Error(reason, { cause });
    this.#broken ??= `${reason}, in the middle of a change of ${this.#path}, which can't be used until this daemon is started again`;
    return new Error(this.#broken, { cause });
  }

  /** LMDB has not been able to close a transaction (MDB_PANIC of lmdb.h): it lets nobody read either then. */
  #hasGivenUp(): boolean {
    if (this.#broken !== undefined) return true;
    try {
      this.#checkFile();
    } catch {
      return false;
    }
    try {
      this.#db.resetReadTxn();
      this.#db.get(['meta']);
      return false;
    } catch {
      return true;
    }
  }

  /** Throws what the disk would refuse a transaction for: it is full, or has become read-only. */
  #checkDisk(writes: number, bytes: number): void {
    const { bfree, bavail, bsize } = statfsSync(dirname(this.#path));
    const free = (process.geteuid?.() === 0 ? bfree : bavail) * bsize;
    // Each change may touch a page of its own, and a long value has pages of its own.
    if (free < (BASE_PAGES + writes) * PAGE_BYTES + 2 * bytes) throw new Error(NO_SPACE);
    const now = new Date();
    utimesSync(this.#path, now, now);
    if (!this.#isDoubted) return;
    const trial = `${this.#path}-trial`;
    try {
      writeFileSync(trial, Buffer.alloc(TRIAL_BYTES));
    } finally {
      rmSync(trial, { force: true });
    }
    this.#isDoubted = false;
  }

  /**
   * LMDB maps its file: to touch it after somebody cut it short would end the process with SIGBUS,
   * and a write after somebody removed it would be answered and lost.
   */
  #checkFile(): void {
    if (this.#broken !== undefined) throw new Error(this.#broken);
    const { ino, size } = this.#stat();
    if (ino !== this.#inode) throw new Error(`${this.#path} was removed or replaced`);
    if (size < this.#bytes) {
      throw new Error(`${this.#path} was cut from ${this.#bytes} bytes to ${size}`);
    }
    this.#bytes = size;
  }

  #stat(): { readonly ino: number; readonly size: number } {
    try {
      return statSync(this.#path);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return { ino: 0, size: 0 };
      throw error;
    }
  }
}
