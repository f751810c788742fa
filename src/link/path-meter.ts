/** Weights of a new round trip, as RFC 6298 §2 has them. */
const RTT_WEIGHT = 1 / 8;
const JITTER_WEIGHT = 1 / 4;
/** Probes that loss is counted over. */
const WINDOW = 32;
/** Round trips of which the least counts: so many at least, and all of the time that such a path takes for them. */
const RECENT = 8;
/** In milliseconds: eight probes of a path that is not in use, to a host that frames are sent to. */
const RECENT_MS = 16_000;

/** Round trip, jitter and loss of one path, by its probes. */
export class PathMeter {
  #rtt: number | undefined;
  #jitter = 0;
  readonly #outcomes: boolean[] = [];
  readonly #recent: { readonly rtt: number; readonly at: number }[] = [];

  /** Smoothed, in milliseconds; undefined before the first answer. */
  get rtt(): number | undefined {
    return this.#rtt;
  }

  /**
   * The least of late: what the path takes, without the waits of two busy hosts. Paths are probed at
   * different rates, so it is of one stretch of time for all: the path in use would else be measured under
   * its load, and another before that began.
   */
  get leastRtt(): number | undefined {
    if (this.#recent.length === 0) return undefined;
    return Math.min(...this.#recent.map(({ rtt }) => rtt));
  }

  /** Whether there are enough of them for one path to be called shorter than another. */
  get isMeasured(): boolean {
    return this.#recent.length >= RECENT;
  }

  /** Mean deviation from the smoothed round trip, in milliseconds. */
  get jitter(): number {
    return this.#jitter;
  }

  /** Of the last probes, the part that was not answered: 0 to 1. */
  get loss(): number {
    return lossOf(this.#outcomes);
  }

  /** The same up to the last answer: what has been missed since is another matter. */
  get lossBefore(): number {
    return lossOf(this.#outcomes.slice(0, this.#outcomes.lastIndexOf(true) + 1));
  }

  /** @param now  in milliseconds, of any clock that does not go back */
  answered(rtt: number, now: number): void {
    this.#note(true);
    this.#recent.push({ rtt, at: now });
    const oldest = now - RECENT_MS;
    while (this.#recent.length > RECENT && (this.#recent[0]?.at ?? now) <= oldest) {
      this.#recent.shift();
    }
    if (this.#rtt === undefined) {
      this.#rtt = rtt;
      this.#jitter = rtt / 2;
      return;
    }
    this.#jitter += JITTER_WEIGHT * (Math.abs(rtt - this.#rtt) - this.#jitter);
    this.#rtt += RTT_WEIGHT * (rtt - this.#rtt);
  }

  missed(): void {
    this.#note(false);
  }

  /** What was measured before an outage says nothing of the time after it. */
  restart(): void {
    this.#rtt = undefined;
    this.#recent.length = 0;
    this.#outcomes.length = 0;
  }

  #note(isAnswered: boolean): void {
    this.#outcomes.push(isAnswered);
    if (this.#outcomes.length > WINDOW) this.#outcomes.shift();
  }
}

function lossOf(outcomes: readonly boolean[]): number {
  const { length } = outcomes;
  return length === 0 ? 0 : outcomes.filter((isAnswered) => !isAnswered).length / length;
}
