interface Event {
  readonly due: number;
  readonly order: number;
  readonly run: () => void;
}

const isBefore = (one: Event, other: Event): boolean =>
  one.due < other.due || (one.due === other.due && one.order < other.order);

/** Things to happen, by virtual time, and in order of arrival where that is equal: a binary heap. */
export class EventQueue {
  readonly #heap: Event[] = [];
  #arrivals = 0;

  /** When the first event is due; Infinity if there is none. */
  get nextDue(): number {
    return this.#heap[0]?.due ?? Infinity;
  }

  push(due: number, run: () => void): void {
    this.#heap.push({ due, order: this.#arrivals++, run });
    let at = this.#heap.length - 1;
    while (at > 0 && this.#swapIfBefore(at, (at - 1) >> 1)) at = (at - 1) >> 1;
  }

  pop(): Event | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    this.#heap[0] = last;
    for (let at = 0; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const child = this.#isBefore(right, left) ? right : left;
      if (!this.#swapIfBefore(child, at)) return first;
      at = child;
    }
  }

  #isBefore(at: number, other: number): boolean {
    const [one, two] = [this.#heap[at], this.#heap[other]];
    return one !== undefined && two !== undefined && isBefore(one, two);
  }

  /** Exchanges the events at `at` and `parent` if the former is due first; true if it did. */
  #swapIfBefore(at: number, parent: number): boolean {
    const [one, two] = [this.#heap[at], this.#heap[parent]];
    if (one === undefined || two === undefined || !isBefore(one, two)) return false;
    this.#heap[at] = two;
    this.#heap[parent] = one;
    return true;
  }
}
