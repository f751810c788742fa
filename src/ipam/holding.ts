import type { Millis, PeerId } from '../base/types.ts';
import { Acceptor, NO_BALLOT, type AcceptorState } from './acceptor.ts';
import { Book, type Outgoing } from './book.ts';
import type { PoolId } from './message.ts';
import {
  epochOf,
  foundPool,
  isIndispensable,
  majorityOf,
  ownedBy,
  windowsOf,
  type Founding,
  type PoolValue,
} from './pool.ts';
import { contains, intersect, subtract, type Range } from './range.ts';

/** What every host reads in a network's row. */
export interface PoolSpec extends Founding {
  readonly id: PoolId;
  /** Addresses that no endpoint may have: the subnet's own, the gateway, reserved ones. */
  readonly excluded: readonly Range[];
}

/** What a host must remember of a pool over a crash. */
export interface StoredPool {
  readonly acceptor: AcceptorState;
  readonly outgoing: readonly Outgoing[];
}

/** The seam to the disk. `save` returns when the pool is on it, or throws; nothing is promised before. */
export interface PoolStore {
  load(pool: PoolId): StoredPool | undefined;
  save(pool: PoolId, stored: StoredPool): void;
  drop(pool: PoolId): void;
}

export interface HoldingOptions {
  readonly self: PeerId;
  readonly spec: PoolSpec;
  readonly store: PoolStore;
  readonly isAlive: (host: PeerId) => boolean;
  /** Whether some endpoint that this host did not make has the address, `mover` not counted. */
  readonly isTaken: (offset: bigint, mover?: string) => boolean;
  readonly endpointLeaseMs: number;
  readonly now: Millis;
}

/**
 * A lease is counted from when it was asked for and ends a tenth early: clocks of two hosts may differ
 * by as much in speed, and still the voters wait longer than the host allocates.
 */
const LEASE_PART = 0.9;

/** One pool on one host: its vote, its lease, its addresses. */
export class Holding {
  readonly spec: PoolSpec;
  readonly acceptor: Acceptor;
  readonly book = new Book();
  /** A decision is under way: one at a time, or a host would outbid itself. */
  isDeciding = false;
  /** A task that looks after the pool is under way. */
  isTending = false;
  /** Rounds one after the other that could not do all they should. */
  setbacks = 0;
  /** A donation is under way. */
  isGiving = false;
  readonly #options: HoldingOptions;
  /** When each voter was asked for the renewal that it granted last; for one set of voters and epoch. */
  #grants = new Map<PeerId, Millis>();
  #grantsFor = '';
  #leaseUntil = -Infinity;
  #isInSession = false;
  #windows: {
    readonly value: PoolValue;
    readonly outgoing: readonly Outgoing[];
    readonly set: Range[];
  };

  constructor(options: HoldingOptions) {
    const { self, spec, store, now } = options;
    this.#options = options;
    this.spec = spec;
    const stored = store.load(spec.id);
    this.book.outgoing = stored?.outgoing ?? [];
    this.acceptor = new Acceptor({
      ...{ self, now },
      state: stored?.acceptor ?? {
        chosen: foundPool(spec),
        promised: NO_BALLOT,
        accepted: undefined,
      },
      save: (acceptor) => store.save(spec.id, { acceptor, outgoing: this.book.outgoing }),
      isAlive: options.isAlive,
      endpointLeaseMs: options.endpointLeaseMs,
    });
    this.book.settle(this.chosen);
    this.#windows = { value: this.chosen, outgoing: this.book.outgoing, set: this.#openWindows() };
  }

  get chosen(): PoolValue {
    return this.acceptor.chosen;
  }

  /** The parts of this host's windows that addresses are chosen from. */
  get windows(): readonly Range[] {
    const { value, outgoing } = this.#windows;
    if (value !== this.chosen || outgoing !== this.book.outgoing) {
      this.#windows = {
        value: this.chosen,
        outgoing: this.book.outgoing,
        set: this.#openWindows(),
      };
    }
    return this.#windows.set;
  }

  /** All that this host may allocate from, if somebody asks for the very address. */
  get ownWindows(): readonly Range[] {
    return windowsOf(this.chosen, this.#options.self);
  }

  #openWindows(): Range[] {
    return this.book.allowed(
      intersect(windowsOf(this.chosen, this.#options.self), [this.spec.auto]),
    );
  }

  /** Whether an endpoint, which may be `mover`, may have this address, as far as is known here. */
  isUsable(offset: bigint, mover?: string): boolean {
    return !contains(this.spec.excluded, offset) && !this.#options.isTaken(offset, mover);
  }

  /** Until when this host may allocate; Infinity while nothing can be decided without it. */
  get leaseUntil(): number {
    const { self } = this.#options;
    const { accepted, chosen } = this.acceptor.state;
    const isSafe =
      isIndispensable(chosen, self) &&
      (accepted === undefined || isIndispensable(accepted.value, self));
    return isSafe ? Infinity : this.#leaseUntil;
  }

  /** Whether the voters, as far as they matter, have promised this host not to revoke it. */
  isLeased(now: Millis): boolean {
    return now < this.leaseUntil;
  }

  /**
   * Whether a decision of this host's own has come after its last start or lapse: then no older one, made
   * while it was away, can take away what it gives out from now on.
   */
  get isInSession(): boolean {
    return this.leaseUntil === Infinity || this.#isInSession;
  }

  /** The beginning of a session was decided. */
  began(now: Millis): void {
    this.#isInSession = this.isLeased(now);
  }

  /** A voter has granted what was asked for at `askedAt`, with the value that was `chosen` then. */
  granted(voter: PeerId, value: PoolValue, askedAt: Millis, now: Millis): void {
    if (value.version !== this.chosen.version) return;
    if (now >= this.#leaseUntil) this.#isInSession = false;
    const { self } = this.#options;
    const grantsFor = `${value.votersVersion} ${epochOf(value, self)}`;
    if (grantsFor !== this.#grantsFor) this.#grants = new Map();
    this.#grantsFor = grantsFor;
    this.#grants.set(voter, askedAt);
    const asked = value.voters
      .map(({ id }) => (id === self ? Infinity : (this.#grants.get(id) ?? -Infinity)))
      .sort((a, b) => b - a);
    const since = asked[majorityOf(value) - 1] ?? -Infinity;
    this.#leaseUntil = Math.max(this.#leaseUntil, since + LEASE_PART * value.leaseMs);
  }

  /** Whatever lease there was no longer holds: the clock has jumped. */
  dropLease(): void {
    this.#grants = new Map();
    this.#leaseUntil = -Infinity;
    this.#isInSession = false;
  }

  /** Takes a decided value; what this host lost of `epoch` by it, if anything. */
  learn(value: PoolValue, now: Millis): 'news' | 'revoked' | undefined {
    const { self } = this.#options;
    const before = this.chosen;
    if (!this.acceptor.learn(value, now)) return undefined;
    this.book.settle(value);
    if (epochOf(before, self) === epochOf(value, self)) return 'news';
    this.dropLease();
    return 'revoked';
  }

  /** Everything of this host's that an endpoint could have now, in windows or not. */
  free(now: Millis): Range[] {
    const owned = intersect(ownedBy(this.chosen, this.#options.self), [this.spec.auto]);
    return subtract(this.book.free(owned, now), this.spec.excluded);
  }

  /** Own space that no window has been opened in. */
  closed(now: Millis): Range[] {
    return subtract(this.free(now), this.chosen.windows);
  }

  /** Stops using `ranges`, on disk, before they are offered in the version after the present one. */
  offer(ranges: readonly Range[]): void {
    const { store, spec } = this.#options;
    const version = this.chosen.version + 1;
    const isOffered = (range: Range): boolean =>
      this.book.outgoing.some(
        (offer) =>
          offer.version === version &&
          offer.range.start <= range.start &&
          range.end <= offer.range.end,
      );
    const fresh = ranges.filter((range) => !isOffered(range));
    if (fresh.length === 0) return;
    const outgoing = [...this.book.outgoing, ...fresh.map((range) => ({ range, version }))];
    store.save(spec.id, { acceptor: this.acceptor.state, outgoing });
    this.book.outgoing = outgoing;
  }

  /** Gives out an address of this host's choice, if it may and there is one. */
  take(now: Millis): bigint | undefined {
    if (!this.isLeased(now) || !this.isInSession) return undefined;
    const offset = this.book.pick(this.windows, (each) => this.isUsable(each), now);
    if (offset !== undefined) this.book.hold(offset);
    return offset;
  }

  /** Gives out the very address, if this host may and nobody has it but `mover`. */
  takeThis(offset: bigint, now: Millis, mover?: string): boolean {
    if (!this.isLeased(now) || !this.isInSession) return false;
    if (!this.book.isFree(this.ownWindows, offset) || !this.isUsable(offset, mover)) return false;
    this.book.hold(offset);
    return true;
  }
}
