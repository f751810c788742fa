const WORD_BITS = 32;

/**
 * Which counters of one key were seen (RFC 6479): a ring of words, cleared word by word as the greatest
 * counter moves on, never shifted. A counter is new once, in any order, as long as it is less than `width`
 * below the greatest.
 */
export class ReplayWindow {
  readonly #width: number;
  readonly #words: Uint32Array;
  #greatest = -1;

  /** @param width  counters that may come late, a multiple of 32 */
  constructor(width: number) {
    this.#width = width;
    // One word is always being cleared.
    this.#words = new Uint32Array(width / WORD_BITS + 1);
  }

  /** Whether `counter`, 0 to 2^53 - 1, would be new. Changes nothing. */
  isNew(counter: number): boolean {
    if (counter > this.#greatest) return true;
    if (this.#greatest - counter >= this.#width) return false;
    return (this.#words[this.#wordOf(counter)]! & bitOf(counter)) === 0;
  }

  /** Notes a counter that was new and whose message was authentic. */
  note(counter: number): void {
    if (counter > this.#greatest) this.#advance(counter);
    const at = this.#wordOf(counter);
    this.#words[at] = this.#words[at]! | bitOf(counter);
  }

  /** Clears the words that the window enters. */
  #advance(counter: number): void {
    const last = Math.floor(counter / WORD_BITS);
    const entered = last - Math.floor(this.#greatest / WORD_BITS);
    const { length } = this.#words;
    for (let step = Math.min(entered, length); step > 0; step--) {
      this.#words[(last - step + 1) % length] = 0;
    }
    this.#greatest = counter;
  }

  #wordOf(counter: number): number {
    return Math.floor(counter / WORD_BITS) % this.#words.length;
  }
}

function bitOf(counter: number): number {
  return 1 << (counter % WORD_BITS);
}
