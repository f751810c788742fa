import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
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
/** Less than any write needs. */
const FULL_BELOW_BYTES = 4096;

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

/** LMDB in one file: each write, or batch of writes made in one moment, is a transaction. */
export class LmdbStore implements Store {
  readonly #path: string;
  readonly #db: RootDatabase<Buffer, string[]>;
  readonly #inode: number;
  /** What the file had when last looked at; LMDB's files never get shorter. */
  #bytes = 0;

  /** Throws what lmdb or the file system throw; the file must have been checked (`checkStateFile`). */
  constructor(path: string) {
    this.#path = path;
    this.#db = open({
      path,
      encoding: 'binary',
      // With it, lmdb makes one more promise that rejects where nobody can hear it.
      eventTurnBatching: false,
      // With it, a write settles before it is flushed, and a power cut could take back what was answered.
      overlappingSync: false,
    });
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
    return this.#commit(() => this.#db.put([...key], Buffer.from(bytes)));
  }

  remove(key: Key): Promise<void> {
    return this.#commit(() => this.#db.remove([...key]));
  }

  putNow(key: Key, bytes: Uint8Array): void {
    this.#checkFile();
    this.#db.putSync([...key], Buffer.from(bytes));
  }

  async close(): Promise<void> {
    try {
      this.#checkFile();
    } catch {
      // Closing reads the file as well. The kernel closes it with the process.
      return;
    }
    await this.#db.close();
  }

  async #commit(write: () => Promise<boolean>): Promise<void> {
    this.#checkFile();
    try {
      await write();
    } catch (error) {
      const reason = await reasonOf(error);
      throw new Error(this.#isDiskFull() ? NO_SPACE : reason, { cause: error });
    }
  }

  /** LMDB calls it an input/output error if a part of what it writes still fits. */
  #isDiskFull(): boolean {
    const { bavail, bsize } = statfsSync(dirname(this.#path));
    return bavail * bsize < FULL_BELOW_BYTES;
  }

  /**
   * LMDB maps its file: to touch it after somebody cut it short would end the process with SIGBUS,
   * and a write after somebody removed it would be answered and lost.
   */
  #checkFile(): void {
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
