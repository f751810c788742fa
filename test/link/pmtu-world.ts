import { randomHex, seededRng, type Rng } from '../../src/base/rng.ts';
import { PathMtu, SMALLEST_PROBE, type PathMtuEffect } from '../../src/link/pmtu.ts';
import { pathMtuConfig, type PathMtuConfig } from '../../src/link/pmtu-config.ts';

const SMALLEST_BYTES = 64;
const ANSWER_BYTES = 41;

type Changed = Extract<PathMtuEffect, { kind: 'changed' }>;

/** What a probe meets on its way. */
export interface Path {
  mtu: number;
  /** Share of datagrams that are lost, of each direction. */
  loss: number;
  /** There and back, in ms; `jitter` is added to it, evenly spread. */
  roundTrip: number;
  jitter: number;
}

interface Answer {
  readonly at: number;
  readonly token: string;
}

/** One machine on a path that a test changes, on a clock of its own. */
export class PmtuWorld {
  now = 0;
  /** Bytes of probes and answers. */
  bytes = 0;
  readonly path: Path;
  readonly changes: (Changed & { readonly at: number })[] = [];
  readonly machine: PathMtu;
  readonly #rng: Rng;
  #answers: Answer[] = [];

  constructor(seed: number, path: Partial<Path> = {}, config: Partial<PathMtuConfig> = {}) {
    this.#rng = seededRng(seed);
    this.path = { mtu: 1500, loss: 0, roundTrip: 1, jitter: 0, ...path };
    this.machine = new PathMtu({
      ...{ config: { ...pathMtuConfig(4), ...config }, ceiling: this.ceilingAtStart },
      token: () => randomHex(this.#rng, 16),
    });
  }

  /** Of the interface. */
  protected get ceilingAtStart(): number {
    return 1500;
  }

  start(): this {
    this.perform(this.machine.start(this.now));
    return this;
  }

  perform(effects: readonly PathMtuEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'probe') this.#send(effect.size, effect.token);
      else this.changes.push({ ...effect, at: this.now });
    }
  }

  /** Runs for `ms`; `bytesPerSecond` of frames are sent meanwhile. */
  run(ms: number, bytesPerSecond = 0): this {
    const end = this.now + ms;
    const step = 500;
    let nextTraffic = this.now + step;
    while (this.now < end) {
      const answer = this.#answers[0]?.at ?? Infinity;
      const traffic = bytesPerSecond === 0 ? Infinity : nextTraffic;
      this.now = Math.max(this.now, Math.min(answer, this.machine.nextDue, traffic, end));
      if (this.now >= traffic) {
        nextTraffic += step;
        this.machine.sent((bytesPerSecond * step) / 1000, this.now);
      } else if (this.now >= answer) {
        const [first] = this.#answers.splice(0, 1);
        this.perform(this.machine.acked(first?.token ?? '', this.now));
      } else {
        this.perform(this.machine.expire(this.now));
      }
    }
    return this;
  }

  #send(size: number, token: string): void {
    const bytes = size === SMALLEST_PROBE ? SMALLEST_BYTES : size;
    this.bytes += bytes;
    const { mtu, loss, roundTrip, jitter } = this.path;
    if (bytes > mtu || this.#rng.next() < loss) return;
    this.bytes += ANSWER_BYTES;
    if (this.#rng.next() < loss) return;
    const at = this.now + roundTrip + this.#rng.next() * jitter;
    this.#answers.push({ at, token });
    this.#answers.sort((a, b) => a.at - b.at);
  }
}

/** Behind an interface that takes jumbo frames. */
export class JumboWorld extends PmtuWorld {
  protected override get ceilingAtStart(): number {
    return 9000;
  }
}
