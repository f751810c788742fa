import type { Key, Store } from '../../src/daemon/store.ts';

/** Milliseconds, with a fraction. */
const now = (): number => performance.now();

/** A store that adds up the time in which at least one write had not yet reached the disk. */
export class TimedStore implements Store {
  readonly #store: Store;
  #waiting = 0;
  #since = 0;
  #spent = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Milliseconds so far. */
  get spent(): number {
    return this.#spent;
  }

  get(key: Key): Buffer | undefined {
    return this.#store.get(key);
  }

  list(word: string): Iterable<Buffer> {
    return this.#store.list(word);
  }

  put(key: Key, bytes: Uint8Array): Promise<void> {
    return this.#timed(() => this.#store.put(key, bytes));
  }

  remove(key: Key): Promise<void> {
    return this.#timed(() => this.#store.remove(key));
  }

  putNow(key: Key, bytes: Uint8Array): void {
    this.#begin();
    try {
      this.#store.putNow(key, bytes);
    } finally {
      this.#end();
    }
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #timed(write: () => Promise<void>): Promise<void> {
    // What the call does before it returns is this process's work, not the disk's.
    const written = write();
    this.#begin();
    try {
      await written;
    } finally {
      this.#end();
    }
  }

  #begin(): void {
    if (this.#waiting++ === 0) this.#since = now();
  }

  #end(): void {
    if (--this.#waiting === 0) this.#spent += now() - this.#since;
  }
}
