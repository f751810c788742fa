/**
 * Local health (Lifeguard §IV.A): how much this host should doubt itself before it doubts others. The
 * score rises when it alone seems to be missing messages and falls with every answered probe; its own
 * probe interval and timeout are stretched by (score + 1).
 */
export class Awareness {
  readonly #max: number;
  #score = 0;

  /** `max` 0 switches the stretching off. */
  constructor(max: number) {
    this.#max = max;
  }

  get score(): number {
    return this.#score;
  }

  /** Positive: evidence of trouble here. Negative: evidence of health. */
  note(delta: number): void {
    this.#score = Math.min(this.#max, Math.max(0, this.#score + delta));
  }

  stretch(span: number): number {
    return span * (this.#score + 1);
  }
}
