import { COMMON_MTUS, type PathMtuConfig } from './pmtu-config.ts';

/**
 * Phases of RFC 8899 §5.2; DISABLED is a path of which there is no machine.
 *
 *   base ------> searching ------> complete ----(raise)----> searching
 *     \               ^  |            |  ^
 *      \              |  +--(silence) |  +---(confirmed)---+
 *       +--> error <--+     |         +--(confirm)---------+
 *              ^------------+                    lost, smaller ones not: black hole -> searching
 *
 * base: nothing has been answered yet. error: nothing is answered any more, and the MTU stays what it
 * was, as silence tells nothing of sizes; or not even the floor gets through, which then is the MTU.
 */
export type PathMtuPhase = 'base' | 'searching' | 'complete' | 'error';

/** Why a path's MTU is another: `black-hole` is one that shrank while it was in use. */
export type PathMtuReason = 'first' | 'raised' | 'black-hole' | 'interface';

export type PathMtuEffect =
  | {
      readonly kind: 'probe';
      /** Bytes of the whole IP packet; `SMALLEST_PROBE`: as few as can be. */
      readonly size: number;
      readonly token: string;
    }
  | {
      readonly kind: 'changed';
      readonly mtu: number;
      readonly previous: number | undefined;
      readonly reason: PathMtuReason;
    };

/** Its answer tells "the large ones are lost" from "all are lost". */
export const SMALLEST_PROBE = 0;

/** Sizes that one burst divides what is left into, where no common size lies. */
const SPLITS = 8;
/** Whose answers may still come; older ones are forgotten. */
const MOST_PROBES = 256;
/** Of those that wait for a second try. */
const RETRIED = 2;

export interface PathMtuOptions {
  readonly config: PathMtuConfig;
  /** The greatest IP packet that this host's own interface takes (MAX_PLPMTU). */
  readonly ceiling: number;
  /** A text that nobody can guess, another one each time. */
  readonly token: () => string;
}

interface Probe {
  readonly size: number;
  readonly burst: number;
}

interface Search {
  readonly goal: 'base' | 'confirm' | 'raise';
  /** The greatest size that is looked at. */
  top: number;
  /** The greatest that got through. */
  low: number;
  readonly start: number;
  readonly failed: Set<number>;
  readonly losses: Map<number, number>;
  readonly probes: Map<string, Probe>;
  burst: number;
  sentAt: number;
  due: number;
  /** Something of this burst was answered. */
  isAnswered: boolean;
  /** Bursts in a row of which nothing was. */
  silent: number;
  hasLowered: boolean;
  /** Not even the floor gets through, though smaller packets do. */
  isTooNarrow: boolean;
}

/**
 * The MTU of one path in one direction, by probes that are answered (DPLPMTUD, RFC 8899; RFC 4821). A
 * burst holds probes of several sizes and a smallest one. A size that is lost `maxProbes` times, while
 * something smaller arrived of the same burst, is too large: loss of all, or a slow answer, says nothing.
 *
 * Pure: instants come in (milliseconds of any origin), effects go out; who drives it calls `expire` when
 * `nextDue` has come. Nothing depends on ICMP, so nobody off the path can lower the MTU.
 */
export class PathMtu {
  readonly #config: PathMtuConfig;
  readonly #token: () => string;
  #ceiling: number;
  #mtu: number | undefined;
  #phase: PathMtuPhase = 'base';
  #search: Search | undefined;
  #confirmedAt = -Infinity;
  #confirmAt = Infinity;
  #raiseAt = Infinity;
  #raiseWait: number;
  /** Bytes sent since the MTU was last confirmed. */
  #unconfirmed = 0;
  #smoothed: number | undefined;
  #variation = 0;

  constructor({ config, ceiling, token }: PathMtuOptions) {
    this.#config = config;
    this.#token = token;
    this.#ceiling = Math.max(ceiling, config.floor);
    this.#raiseWait = config.raiseFirst;
  }

  /** What gets through for all that is known; undefined before anything is. */
  get mtu(): number | undefined {
    return this.#mtu;
  }

  get phase(): PathMtuPhase {
    return this.#phase;
  }

  get ceiling(): number {
    return this.#ceiling;
  }

  /** Whether a search goes on that may yet end with another MTU. */
  get isSearching(): boolean {
    return this.#phase === 'searching' || (this.#phase === 'base' && !this.#isSilent());
  }

  /** Whether answers are waited for. */
  get isBusy(): boolean {
    return this.#search !== undefined;
  }

  /** Smoothed round trip in milliseconds, once there was one. */
  get roundTrip(): number | undefined {
    return this.#smoothed;
  }

  get nextDue(): number {
    return this.#search?.due ?? Math.min(this.#confirmAt, this.#raiseAt);
  }

  start(now: number): PathMtuEffect[] {
    return this.#begin('base', this.#ceiling, now);
  }

  /** A probe of `size` has arrived at the other end whole, as its answer says. */
  acked(token: string, now: number): PathMtuEffect[] {
    const search = this.#search;
    const probe = search?.probes.get(token);
    if (search === undefined || probe === undefined) return [];
    search.probes.delete(token);
    if (probe.burst === search.burst) {
      this.#measure(now - search.sentAt);
      search.isAnswered = true;
    }
    const wasSilent = this.#isSilent();
    search.silent = 0;
    if (probe.size > search.low) this.#rise(search, probe.size);
    if (this.#isFound(search)) return this.#finish(search, now);
    if (wasSilent) return this.#sendBurst(search, now);
    search.due = Math.min(search.due, search.sentAt + this.#wait());
    return this.#outstanding(search).length === 0 && probe.size > 0
      ? this.#sendBurst(search, now)
      : [];
  }

  expire(now: number): PathMtuEffect[] {
    const search = this.#search;
    if (search !== undefined) return now < search.due ? [] : this.#endBurst(search, now);
    if (now >= this.#confirmAt) return this.#begin('confirm', this.#mtu ?? this.#ceiling, now);
    if (now >= this.#raiseAt) return this.#begin('raise', this.#ceiling, now);
    return [];
  }

  /** Frames of so many bytes went this way: what may have been lost must be looked after. */
  sent(bytes: number, now: number): void {
    this.#unconfirmed += bytes;
    if (bytes > 0 && this.#isSilent() && this.#search !== undefined) {
      this.#search.due = Math.min(this.#search.due, now + this.#config.waitMost);
    }
    // A packet of full size may have been among them.
    if (this.#unconfirmed >= (this.#mtu ?? Infinity)) {
      const soon = Math.max(now, this.#confirmedAt + this.#config.confirmEvery);
      this.#confirmAt = Math.min(this.#confirmAt, soon);
    }
  }

  /** The interface takes other packets than before. */
  setCeiling(ceiling: number, now: number): PathMtuEffect[] {
    const next = Math.max(ceiling, this.#config.floor);
    if (next === this.#ceiling) return [];
    this.#ceiling = next;
    if (this.#mtu === undefined) return this.start(now);
    if (this.#mtu <= next) {
      this.#raiseWait = this.#config.raiseFirst;
      this.#raiseAt = now;
      return [];
    }
    return [this.#change(next, 'interface'), ...this.#begin('base', next, now)];
  }

  #isSilent(): boolean {
    return (this.#search?.silent ?? 0) >= this.#config.silentBursts;
  }

  #begin(goal: Search['goal'], top: number, now: number): PathMtuEffect[] {
    const low = goal === 'raise' ? (this.#mtu ?? 0) : 0;
    if (goal === 'confirm') this.#unconfirmed = 0;
    if (goal !== 'confirm') this.#phase = this.#mtu === undefined ? 'base' : 'searching';
    this.#search = {
      ...{ goal, top, low, start: low, burst: 0, sentAt: now, due: now },
      ...{ failed: new Set(), losses: new Map(), probes: new Map() },
      ...{ isAnswered: false, silent: 0, hasLowered: false, isTooNarrow: false },
    };
    return this.#sendBurst(this.#search, now);
  }

  /** The least size that is known to be too large. */
  #high(search: Search): number {
    return Math.min(search.top + 1, ...search.failed);
  }

  #rise(search: Search, size: number): void {
    search.low = size;
    for (const each of search.failed) if (each <= size) search.failed.delete(each);
    for (const each of search.losses.keys()) if (each <= size) search.losses.delete(each);
  }

  #isFound(search: Search): boolean {
    return search.low + 1 >= this.#high(search);
  }

  #sendBurst(search: Search, now: number): PathMtuEffect[] {
    const sizes = this.#isSilent() ? [] : this.#choose(search);
    search.burst++;
    search.sentAt = now;
    search.isAnswered = false;
    const wait = this.#wait() * 2 ** search.silent;
    const most = this.#isSilent() ? this.#config.silentWaitMost : this.#config.waitMost;
    search.due = now + Math.min(wait, most);
    return [SMALLEST_PROBE, ...sizes].map((size) => {
      const token = this.#token();
      this.#remember(search, token, size);
      return { kind: 'probe', size, token };
    });
  }

  #remember(search: Search, token: string, size: number): void {
    search.probes.set(token, { size, burst: search.burst });
    const [oldest] = search.probes.keys();
    if (search.probes.size > MOST_PROBES && oldest !== undefined) search.probes.delete(oldest);
  }

  /** First the size that would end the search; then all common ones below; then even parts of the rest. */
  #choose(search: Search): number[] {
    const { low, top, start, losses, failed } = search;
    const high = this.#high(search);
    const isOpen = (size: number): boolean => size > low && size < high;
    if (search.burst === 0 || (low === start && losses.size === 0 && failed.size === 0)) {
      return [search.goal === 'raise' ? this.#nextAbove(low, top) : top];
    }
    const waiting = [...losses.keys()].filter(isOpen).sort((a, b) => a - b);
    const retried = waiting.slice(0, RETRIED);
    if (losses.has(top) && isOpen(top) && !retried.includes(top)) retried.push(top);
    if (isOnlyTry(search)) return retried;
    const common = [...COMMON_MTUS, top].filter((size) => isOpen(size) && !losses.has(size));
    const fresh = common.filter((size) => size >= this.#config.floor);
    const sizes = new Set([...retried, ...fresh]);
    return sizes.size > 0 ? [...sizes] : split(low, high);
  }

  #nextAbove(size: number, top: number): number {
    return COMMON_MTUS.find((each) => each > size && each < top) ?? top;
  }

  /** Sizes of the latest burst without an answer that would tell something. */
  #outstanding(search: Search): number[] {
    return [...search.probes.values()]
      .filter(({ size, burst }) => burst === search.burst && size > search.low)
      .map(({ size }) => size);
  }

  #endBurst(search: Search, now: number): PathMtuEffect[] {
    if (!search.isAnswered) {
      search.silent++;
      if (this.#isSilent()) this.#fallSilent(search);
      return this.#sendBurst(search, now);
    }
    search.silent = 0;
    for (const size of this.#outstanding(search)) this.#lose(search, size);
    const lowered = this.#judge(search);
    if (this.#isFound(search) || hasGivenUp(search)) {
      return [...lowered, ...this.#finish(search, now)];
    }
    return [...lowered, ...this.#sendBurst(search, now)];
  }

  /** What was lost with all the rest tells nothing: the search begins anew when something is answered. */
  #fallSilent(search: Search): void {
    this.#phase = 'error';
    search.losses.clear();
    search.failed.clear();
    search.low = search.start;
  }

  #lose(search: Search, size: number): void {
    const losses = (search.losses.get(size) ?? 0) + 1;
    search.losses.set(size, losses);
    const most = isOnlyTry(search) ? this.#config.raiseProbes : this.#config.maxProbes;
    if (losses < most) return;
    search.losses.delete(size);
    search.failed.add(size);
    for (const each of search.losses.keys()) if (each > size) search.losses.delete(each);
  }

  /** Lowers the MTU as soon as it is known to be too large and what gets through is known too. */
  #judge(search: Search): PathMtuEffect[] {
    const { floor } = this.#config;
    const high = this.#high(search);
    if (high <= floor) {
      search.isTooNarrow = true;
      search.low = floor;
      search.failed.clear();
      search.top = floor;
    }
    if (this.#mtu === undefined || high > this.#mtu || search.low < floor) return [];
    if (search.low >= this.#mtu) return [];
    search.hasLowered = true;
    this.#phase = 'searching';
    return [this.#change(search.low, 'black-hole')];
  }

  #finish(search: Search, now: number): PathMtuEffect[] {
    this.#search = undefined;
    this.#phase = search.isTooNarrow ? 'error' : 'complete';
    this.#confirmedAt = now;
    const { goal, low } = search;
    const before = this.#mtu;
    const changed =
      low >= this.#config.floor && low !== before
        ? [this.#change(low, before === undefined ? 'first' : 'raised')]
        : [];
    this.#schedule(now, goal, search.hasLowered || changed.length > 0);
    return changed;
  }

  #schedule(now: number, goal: Search['goal'], hasChanged: boolean): void {
    const { raiseFirst, raiseMost, raiseProbes } = this.#config;
    const mtu = this.#mtu ?? this.#ceiling;
    this.#confirmAt = now + this.#idleTime(mtu);
    if (mtu >= this.#ceiling) {
      this.#raiseAt = Infinity;
    } else if (goal !== 'confirm' || hasChanged || this.#raiseAt === Infinity) {
      const most = Math.max(
        raiseMost,
        raiseProbes * this.#idleTime(this.#nextAbove(mtu, this.#ceiling)),
      );
      this.#raiseWait = hasChanged ? raiseFirst : Math.min(this.#raiseWait * 2, most);
      this.#raiseAt = now + this.#raiseWait;
    }
  }

  /** After which a probe of that size may be sent again for `idleBytesPerSecond`. */
  #idleTime(size: number): number {
    return (size / this.#config.idleBytesPerSecond) * 1000;
  }

  #change(mtu: number, reason: PathMtuReason): PathMtuEffect {
    const previous = this.#mtu;
    this.#mtu = mtu;
    return { kind: 'changed', mtu, previous, reason };
  }

  /** RFC 6298 §2. */
  #measure(sample: number): void {
    if (this.#smoothed === undefined) {
      this.#smoothed = sample;
      this.#variation = sample / 2;
      return;
    }
    this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.#smoothed - sample);
    this.#smoothed = 0.875 * this.#smoothed + 0.125 * sample;
  }

  #wait(): number {
    const { waitFirst, waitLeast, waitMost } = this.#config;
    if (this.#smoothed === undefined) return waitFirst;
    return Math.min(waitMost, Math.max(waitLeast, this.#smoothed + 4 * this.#variation));
  }
}

/** A larger size is tried and nothing larger has been answered: one size, few times. */
const isOnlyTry = ({ goal, low, start }: Search): boolean => goal === 'raise' && low === start;

const hasGivenUp = (search: Search): boolean => isOnlyTry(search) && search.failed.size > 0;

/** Up to `SPLITS` sizes between two, at even distances. */
function split(low: number, high: number): number[] {
  const count = Math.min(SPLITS, high - low - 1);
  const step = (high - low) / (count + 1);
  return Array.from({ length: count }, (_, index) => Math.round(low + step * (index + 1)));
}
