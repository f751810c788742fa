/**
 * Several values a key, of which most have one: a set is made only for the second, so that 100,000 keys
 * cost no 100,000 sets.
 */
export class MultiMap<K, V extends object> {
  readonly #values = new Map<K, V | Set<V>>();

  get size(): number {
    return this.#values.size;
  }

  add(key: K, value: V): void {
    const present = this.#values.get(key);
    if (present === undefined) this.#values.set(key, value);
    else if (present instanceof Set) present.add(value);
    else if (present !== value) this.#values.set(key, new Set([present, value]));
  }

  remove(key: K, value: V): void {
    const present = this.#values.get(key);
    if (present === value) this.#values.delete(key);
    if (!(present instanceof Set)) return;
    present.delete(value);
    const [last, ...others] = present.size === 1 ? present : [];
    if (last !== undefined && others.length === 0) this.#values.set(key, last);
  }

  get(key: K): Iterable<V> {
    const present = this.#values.get(key);
    if (present === undefined) return [];
    return present instanceof Set ? present : [present];
  }
}
