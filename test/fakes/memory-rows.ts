import type { RowChange, Rows } from '../../src/daemon/directory.ts';

/** A table's rows in memory, which counts how often all of them were asked for. */
export class MemoryRows<T> implements Rows<T> {
  walks = 0;
  readonly #rows = new Map<string, T>();
  readonly #listeners: ((change: RowChange<T>) => void)[] = [];

  get(key: string): T | undefined {
    return this.#rows.get(key);
  }

  put(key: string, value: T): void {
    const previous = this.#rows.get(key);
    this.#rows.set(key, value);
    this.#tell({ key, value, previous });
  }

  remove(key: string): void {
    const previous = this.#rows.get(key);
    if (this.#rows.delete(key)) this.#tell({ key, value: undefined, previous });
  }

  entries(): { key: string; value: T }[] {
    this.walks++;
    return Array.from(this.#rows, ([key, value]) => ({ key, value }));
  }

  onChange(listener: (change: RowChange<T>) => void): void {
    this.#listeners.push(listener);
  }

  #tell(change: RowChange<T>): void {
    for (const listener of this.#listeners) listener(change);
  }
}

export const memoryRows = <T>(): MemoryRows<T> => new MemoryRows<T>();
