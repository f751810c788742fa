/** What an event happens to; `what` is the value it was scheduled with. */
export interface Target {
  fire(what: unknown): void;
}

const FIRST_CAPACITY = 1024;
/** Children of a node: a flat heap touches less memory than a binary one. */
const ARITY = 4;

/**
 * Things to happen, by virtual time, and in order of arrival where that is equal. A heap in typed
 * arrays: an event costs no object, closure or comparison of objects.
 */
export class EventQueue {
  /** The heap: when, and in which slot of `#targets` and `#whats`. */
  #due = new Float64Array(FIRST_CAPACITY);
  #arrival = new Float64Array(FIRST_CAPACITY);
  #slot = new Int32Array(FIRST_CAPACITY);
  readonly #targets: (Target | undefined)[] = [];
  readonly #whats: unknown[] = [];
  readonly #free: number[] = [];
  #size = 0;
  #arrivals = 0;

  get size(): number {
    return this.#size;
  }

  /** Events that were ever pushed. */
  get arrivals(): number {
    return this.#arrivals;
  }

  /** When the first event is due; Infinity if there is none. */
  get nextDue(): number {
    return this.#size === 0 ? Infinity : (this.#due[0] as number);
  }

  push(due: number, target: Target, what: unknown): void {
    if (this.#size === this.#due.length) this.#grow();
    const slot = this.#free.pop() ?? this.#targets.length;
    this.#targets[slot] = target;
    this.#whats[slot] = what;
    this.#rise(this.#size++, due, this.#arrivals++, slot);
  }

  /** Takes the first event out and lets it happen; false if there is none. */
  fire(): boolean {
    if (this.#size === 0) return false;
    const slot = this.#slot[0] as number;
    const [target, what] = [this.#targets[slot], this.#whats[slot]];
    this.#targets[slot] = this.#whats[slot] = undefined;
    this.#free.push(slot);
    const last = --this.#size;
    if (last > 0) {
      const [due, arrival] = [this.#due[last] as number, this.#arrival[last] as number];
      this.#sink(due, arrival, this.#slot[last] as number);
    }
    target?.fire(what);
    return true;
  }

  #rise(from: number, due: number, arrival: number, slot: number): void {
    let at = from;
    while (at > 0) {
      const parent = Math.floor((at - 1) / ARITY);
      if (!this.#isAfter(parent, due, arrival)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#place(at, due, arrival, slot);
  }

  #sink(due: number, arrival: number, slot: number): void {
    let at = 0;
    for (;;) {
      const child = this.#firstChild(at);
      if (child < 0 || this.#isAfter(child, due, arrival)) break;
      this.#move(child, at);
      at = child;
    }
    this.#place(at, due, arrival, slot);
  }

  /** The child of `at` that is due first, or -1. */
  #firstChild(at: number): number {
    const begin = ARITY * at + 1;
    const end = Math.min(begin + ARITY, this.#size);
    let first = begin < end ? begin : -1;
    for (let child = begin + 1; child < end; child++) {
      const [due, arrival] = [this.#due[child] as number, this.#arrival[child] as number];
      if (this.#isAfter(first, due, arrival)) first = child;
    }
    return first;
  }

  /** Whether the event at `at` is due after one of `due` and `arrival`. */
  #isAfter(at: number, due: number, arrival: number): boolean {
    const own = this.#due[at] as number;
    return own > due || (own === due && (this.#arrival[at] as number) > arrival);
  }

  #move(from: number, to: number): void {
    this.#place(
      to,
      this.#due[from] as number,
      this.#arrival[from] as number,
      this.#slot[from] as number,
    );
  }

  #place(at: number, due: number, arrival: number, slot: number): void {
    this.#due[at] = due;
    this.#arrival[at] = arrival;
    this.#slot[at] = slot;
  }

  #grow(): void {
    const capacity = 2 * this.#due.length;
    const [due, arrival, slot] = [this.#due, this.#arrival, this.#slot];
    this.#due = new Float64Array(capacity);
    this.#due.set(due);
    this.#arrival = new Float64Array(capacity);
    this.#arrival.set(arrival);
    this.#slot = new Int32Array(capacity);
    this.#slot.set(slot);
  }
}
