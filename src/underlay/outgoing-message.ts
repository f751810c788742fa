import { asMillis, type Millis } from '../base/types.ts';
import { lastPiece, NAMED_PIECES } from './piece.ts';

/** Pieces under way at first, and after a silence. No less than what a receiver waits for (`ACKNOWLEDGE_EVERY`). */
const LEAST_WINDOW = 8;
const MOST_WINDOW = 128;
const FIRST_TIMEOUT = 250;
const LEAST_TIMEOUT = 30;
const MOST_TIMEOUT = 2000;
/** A piece is lost if so many that were sent after it have arrived (RFC 9002 §6.1.1). */
const REORDERING = 3;

interface Sent {
  at: number;
  /** Of all sendings of the message, which this was. */
  order: number;
  times: number;
}

/**
 * The sending half of one message: which piece goes when, by what the receiver acknowledged. Slow start and
 * halving (RFC 5681 §3.1), timeout by smoothed round trips (RFC 6298). Pure: time comes in, indices go out.
 */
export class OutgoingMessage {
  readonly #last: number;
  /** Pieces under way: sent and neither acknowledged nor given up as lost. */
  readonly #underWay = new Map<number, Sent>();
  readonly #sendings = new Map<number, number>();
  readonly #arrived = new Set<number>();
  readonly #lost = new Set<number>();
  #next = 0;
  #sentAgain = 0;
  #order = 0;
  #newest = -1;
  /** The window is made smaller by the loss of what was sent from here on: once a round trip. */
  #recovered = 0;
  #window: number;
  #threshold = MOST_WINDOW;
  #timeout = FIRST_TIMEOUT;
  #roundTrip: { mean: number; deviation: number } | undefined;
  #lastHeard: number;

  /**
   * `bytes`: length of the message. `isTrusted`: false where the receiver's address is not proven yet: then
   * one piece goes at a time until it has answered, so that a forged address draws little upon its owner.
   */
  constructor(bytes: number, isTrusted: boolean, now: Millis) {
    this.#last = lastPiece(bytes);
    this.#window = isTrusted ? LEAST_WINDOW : 1;
    this.#lastHeard = now;
  }

  get isDone(): boolean {
    return this.#arrived.size > this.#last;
  }

  /** Whether the receiver has acknowledged anything. */
  get isHeard(): boolean {
    return this.#arrived.size > 0;
  }

  /** When the receiver was last heard of; before that, when the message began. */
  get lastHeard(): Millis {
    return asMillis(this.#lastHeard);
  }

  /** Pieces that were sent once more. */
  get sentAgain(): number {
    return this.#sentAgain;
  }

  /** When `due` has to be asked again if nothing comes until then. */
  get nextDue(): Millis | undefined {
    if (this.isDone) return undefined;
    const sent = [...this.#underWay.values()].map(({ at }) => at);
    return sent.length === 0 ? undefined : asMillis(Math.min(...sent) + this.#timeout);
  }

  /** The pieces to be sent now. */
  due(now: Millis): number[] {
    this.#expire(now);
    const indices: number[] = [];
    while (this.#underWay.size < this.#window) {
      const index = this.#take();
      if (index === undefined) break;
      indices.push(index);
      this.#underWay.set(index, { at: now, order: this.#order++, times: this.#times(index) });
    }
    return indices;
  }

  acknowledged(missing: number, later: bigint, now: Millis): void {
    let isNews = false;
    for (const index of this.#named(missing, later)) {
      if (this.#arrived.has(index)) continue;
      isNews = true;
      this.#arrive(index, now);
    }
    if (!isNews) return;
    this.#lastHeard = now;
    this.#declareLost();
  }

  /** The answer has begun to come: the request is there as a whole. */
  acknowledgedWhole(now: Millis): void {
    this.acknowledged(this.#last + 1, 0n, now);
  }

  #times(index: number): number {
    const times = (this.#sendings.get(index) ?? 0) + 1;
    this.#sendings.set(index, times);
    if (times > 1) this.#sentAgain++;
    return times;
  }

  #take(): number | undefined {
    for (const index of this.#lost) {
      this.#lost.delete(index);
      return index;
    }
    return this.#next <= this.#last ? this.#next++ : undefined;
  }

  *#named(missing: number, later: bigint): Iterable<number> {
    // What was never sent can't have arrived, whatever a receiver says.
    const end = Math.min(missing, this.#next);
    for (const index of [...this.#underWay.keys(), ...this.#lost]) if (index < end) yield index;
    for (let bit = 0; bit < NAMED_PIECES; bit++) {
      const index = missing + 1 + bit;
      if (((later >> BigInt(bit)) & 1n) === 1n && index < this.#next) yield index;
    }
  }

  #arrive(index: number, now: Millis): void {
    const sent = this.#underWay.get(index);
    this.#underWay.delete(index);
    this.#lost.delete(index);
    this.#sendings.delete(index);
    this.#arrived.add(index);
    this.#window = Math.max(this.#window, LEAST_WINDOW);
    this.#window += this.#window < this.#threshold ? 1 : 1 / this.#window;
    this.#window = Math.min(this.#window, MOST_WINDOW);
    if (sent === undefined) return;
    this.#newest = Math.max(this.#newest, sent.order);
    // Of a piece that was sent twice nobody knows which sending is acknowledged (Karn's algorithm).
    if (sent.times === 1) this.#measure(now - sent.at);
  }

  #measure(span: number): void {
    const known = this.#roundTrip;
    this.#roundTrip = known
      ? {
          deviation: 0.75 * known.deviation + 0.25 * Math.abs(known.mean - span),
          mean: 0.875 * known.mean + 0.125 * span,
        }
      : { mean: span, deviation: span / 2 };
    const { mean, deviation } = this.#roundTrip;
    this.#timeout = Math.min(MOST_TIMEOUT, Math.max(LEAST_TIMEOUT, mean + 4 * deviation));
  }

  #declareLost(): void {
    const lost = [...this.#underWay].filter(([, { order }]) => order + REORDERING <= this.#newest);
    for (const [index] of lost) this.#lose(index);
    if (!lost.some(([, { order }]) => order >= this.#recovered)) return;
    this.#recovered = this.#order;
    this.#threshold = Math.max(LEAST_WINDOW, Math.floor(this.#window / 2));
    this.#window = this.#threshold;
  }

  #expire(now: Millis): void {
    const late = [...this.#underWay].filter(([, { at }]) => at + this.#timeout <= now);
    if (late.length === 0) return;
    for (const [index] of late) this.#lose(index);
    this.#recovered = this.#order;
    this.#threshold = Math.max(LEAST_WINDOW, Math.floor(this.#window / 2));
    this.#window = Math.min(this.#window, LEAST_WINDOW);
    this.#timeout = Math.min(MOST_TIMEOUT, this.#timeout * 2);
  }

  #lose(index: number): void {
    this.#underWay.delete(index);
    this.#lost.add(index);
  }
}
