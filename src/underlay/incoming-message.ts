import { NAMED_PIECES } from './piece.ts';

/** Pieces after which an acknowledgement goes out though nothing is missing; the first gets one at once. */
const ACKNOWLEDGE_EVERY = 4;

/** The receiving half of one message. Holds what has arrived, never what was merely announced. */
export class IncomingMessage {
  readonly #pieces = new Map<number, Buffer>();
  #last: number | undefined;
  #missing = 0;
  #unacknowledged = ACKNOWLEDGE_EVERY - 1;

  /** Index of the first piece that is not here. */
  get missing(): number {
    return this.#missing;
  }

  get isWhole(): boolean {
    return this.#last !== undefined && this.#missing > this.#last;
  }

  /**
   * Keeps a copy of the piece.
   * @returns whether the sender should hear of it now; `contradiction` for a piece of another message
   */
  add(index: number, last: number, bytes: Buffer): 'acknowledge' | 'wait' | 'contradiction' {
    this.#last ??= last;
    if (last !== this.#last) return 'contradiction';
    const isNew = index >= this.#missing && !this.#pieces.has(index);
    if (isNew) this.#pieces.set(index, Buffer.from(bytes));
    while (this.#pieces.has(this.#missing)) this.#missing++;
    const isInOrder = isNew && this.#missing === index + 1;
    if (isInOrder && !this.isWhole && ++this.#unacknowledged < ACKNOWLEDGE_EVERY) return 'wait';
    this.#unacknowledged = 0;
    return 'acknowledge';
  }

  acknowledgement(): { readonly missing: number; readonly later: bigint } {
    let later = 0n;
    for (let bit = 0; bit < NAMED_PIECES; bit++) {
      if (this.#pieces.has(this.#missing + 1 + bit)) later |= 1n << BigInt(bit);
    }
    return { missing: this.#missing, later };
  }

  /** The message; once it is whole. Lets go of the pieces. */
  take(): Buffer {
    const pieces = Array.from({ length: this.#missing }, (_, index) => this.#pieces.get(index));
    const message = Buffer.concat(pieces.filter((piece) => piece !== undefined));
    this.#pieces.clear();
    return message;
  }
}
