import { randomHex, type Rng } from '../base/rng.ts';
import type { Millis, PeerId } from '../base/types.ts';
import { allocate, claim, give, given, type Giving } from './acquire.ts';
import { tend } from './care.ts';
import { forget } from './forget.ts';
import { Holding, type PoolSpec, type PoolStore } from './holding.ts';
import type { GivenAddress, Outcome, PoolId, Reply, Request, UnknownPool } from './message.ts';
import type { RenewReply } from './acceptor.ts';
import { ownerOf, type PoolValue, type RevocationKind } from './pool.ts';
import { renew } from './renew.ts';
import { guarded, Tasks, type Task } from './tasks.ts';

/** What the machine wants done, in this order. */
export type Effect =
  /** Ask a host; `answered` with the same number ends it, after `CALL_TIMEOUT_MS` at the latest. */
  | { readonly kind: 'call'; readonly call: number; readonly to: PeerId; readonly request: Request }
  /** Call `expired` with the number after that time. */
  | { readonly kind: 'timer'; readonly wake: number; readonly ms: number }
  /** An operation that was begun has ended. */
  | { readonly kind: 'ended'; readonly ticket: number; readonly outcome: Outcome }
  /** This host was told that it had lost addresses. */
  | { readonly kind: 'revoked'; readonly pool: PoolId; readonly why: RevocationKind }
  /** Hosts lost everything, this one perhaps among them: rows of their endpoints may be void now. */
  | { readonly kind: 'emptied'; readonly pool: PoolId };

/** How long a host waits for a reply. */
export const CALL_TIMEOUT_MS = 1_000;
/** An operation gives up after this. */
export const OPERATION_MS = 4_000;
/** The wake numbers of the timers that look after all pools: the regular one, and the one for news. */
const TEND = 0;
const NUDGE = -1;
/** A third of a lease passes between two rounds, at most this. */
const TEND_MAX_MS = 30_000;
const NUDGE_MS = 100;
/** After a round that could not finish; doubled with each, until the regular round comes sooner. */
const RETRY_MS = 1_000;
const MAX_DOUBLINGS = 6;

/** What gossip knows of the hosts. */
export interface Members {
  isAlive(host: PeerId): boolean;
  /** This host and all others that are alive, in order of their ids. */
  alive(): readonly PeerId[];
  /** How long a host has been dead or gone; 0 while it is alive, Infinity if it is not known. */
  awayMs(host: PeerId): number;
}

export interface IpamOptions {
  readonly self: PeerId;
  readonly store: PoolStore;
  readonly members: Members;
  readonly rng: Rng;
  /** Whether some endpoint of the mesh, as far as is known here, has the address. */
  readonly isTaken: (pool: PoolId, offset: bigint, mover?: string) => boolean;
  /** How long a host's endpoints keep their addresses without it. */
  readonly endpointLeaseMs: number;
}

/**
 * The address space of one host as a pure machine: inputs with their time, effects out; the store is
 * called in between, since what it keeps must be safe before an effect.
 *
 *   attach ──> allocate/claim ──┐                  ┌── Holding per pool: vote, lease, book
 *   call   ──> receive ─────────┤  (input, now)    ├── Tasks: decide, renew, acquire, tend, forget
 *   reply  ──> answered ────────┤   ──> Effect[]   │
 *   timer  ──> expired  ────────┘                  └── PoolStore
 */
export class Ipam {
  readonly options: IpamOptions;
  readonly nonce: string;
  readonly #tasks: Tasks;
  readonly #holdings = new Map<PoolId, Holding>();
  #effects: Effect[] = [];
  #now: Millis;
  #tickets = 0;
  #isNudged = false;
  /** When the next regular round is due; a timer that comes earlier was for a longer lease. */
  #tendAt = Infinity;
  #isRenewing = false;

  constructor(options: IpamOptions, now: Millis) {
    this.options = options;
    this.nonce = randomHex(options.rng, 8);
    this.#now = now;
    this.#tasks = new Tasks(options.self, {
      askSelf: (request) => this.#reply(options.self, request),
      call: (call, to, request) => this.#push({ kind: 'call', call, to, request }),
      timer: (wake, ms) => this.#push({ kind: 'timer', wake, ms }),
    });
  }

  get self(): PeerId {
    return this.options.self;
  }

  get rng(): Rng {
    return this.options.rng;
  }

  now(): Millis {
    return this.#now;
  }

  holdings(): readonly Holding[] {
    return [...this.#holdings.values()];
  }

  holding(pool: PoolId): Holding | undefined {
    return this.#holdings.get(pool);
  }

  /** A network's row has come; `held` are the addresses of this host's endpoints. Again: does nothing. */
  addPool(spec: PoolSpec, held: Iterable<bigint>, now: Millis): Effect[] {
    return this.#handle(now, () => {
      if (this.#holdings.has(spec.id)) return;
      const { self, store, members, isTaken, endpointLeaseMs } = this.options;
      const holding = new Holding({
        ...{ self, spec, store, endpointLeaseMs, now },
        isAlive: (host) => members.isAlive(host),
        isTaken: (offset, mover) => isTaken(spec.id, offset, mover),
      });
      for (const offset of held) holding.book.hold(offset);
      this.#holdings.set(spec.id, holding);
      this.#soon();
      this.#tendLater();
    });
  }

  /** The network is gone, and with it all that this host had promised for it. */
  removePool(pool: PoolId): void {
    if (this.#holdings.delete(pool)) this.options.store.drop(pool);
  }

  /** A host of the mesh asks. The effects are to be performed after the reply was sent. */
  receive(from: PeerId, request: Request, now: Millis): { reply: Reply; effects: Effect[] } {
    let reply: Reply = { kind: 'unknown' };
    const effects = this.#handle(now, () => {
      reply = this.#reply(from, request);
    });
    return { reply, effects };
  }

  answered(call: number, reply: Reply | undefined, now: Millis): Effect[] {
    return this.#handle(now, () => this.#tasks.answered(call, reply));
  }

  expired(wake: number, now: Millis): Effect[] {
    return this.#handle(now, () => {
      if (wake === NUDGE) this.#isNudged = false;
      else if (wake !== TEND) {
        this.#tasks.expired(wake);
        return;
      } else if (now < this.#tendAt) return;
      else this.#tendAt = Infinity;
      this.#tendAll();
      this.#tendLater();
    });
  }

  /** Members have come or gone: look after the pools soon. */
  nudge(now: Millis): Effect[] {
    return this.#handle(now, () => this.#soon());
  }

  /**
   * Gives out an address at once, if this host has one that it may give; otherwise `allocate` finds one
   * elsewhere. The address is held until `release`.
   */
  take(pool: PoolId, now: Millis): GivenAddress | undefined {
    this.#now = now;
    const holding = this.#holdings.get(pool);
    const offset = holding?.take(now);
    return holding && offset !== undefined ? given(this, holding, offset) : undefined;
  }

  /**
   * Begins to get an address, `wanted` or any; an `ended` effect tells the outcome. `mover` is an endpoint
   * that has the wanted one already and may have it again: it is not in its own way.
   */
  allocate(
    pool: PoolId,
    wanted: bigint | undefined,
    now: Millis,
    mover?: string,
  ): { ticket: number; effects: Effect[] } {
    return this.#begin(now, pool, (holding) =>
      wanted === undefined
        ? allocate(this, holding, now + OPERATION_MS)
        : claim(this, holding, { offset: wanted, mover }, now + OPERATION_MS),
    );
  }

  /** Begins to take from a host all that it has in a pool. */
  forget(
    pool: PoolId,
    host: PeerId,
    isForced: boolean,
    now: Millis,
  ): { ticket: number; effects: Effect[] } {
    return this.#begin(now, pool, (holding) => forget(this, holding, host, isForced));
  }

  /** An endpoint has gone: its address rests, and then is free. */
  release(pool: PoolId, offset: bigint, now: Millis): void {
    this.#holdings.get(pool)?.book.release(offset, now);
  }

  /** The clock has jumped, e.g. as the machine slept: no lease can be trusted. */
  dropLeases(now: Millis): Effect[] {
    return this.#handle(now, () => {
      for (const holding of this.#holdings.values()) holding.dropLease();
      this.#soon();
    });
  }

  /** For tasks: takes a decided value and tells whoever waits for one. */
  learn(holding: Holding, value: PoolValue): void {
    const before = holding.chosen;
    const news = holding.learn(value, this.#now);
    if (news === undefined) return;
    const pool = holding.spec.id;
    if (news === 'revoked') {
      const why = value.revoked.get(this.self)?.kind ?? 'lapsed';
      this.#push({ kind: 'revoked', pool, why });
    }
    if (areMoreEmptied(before, value)) this.#push({ kind: 'emptied', pool });
    this.#tasks.changed(pool);
  }

  #begin(
    now: Millis,
    pool: PoolId,
    make: (holding: Holding) => Task<Outcome>,
  ): { ticket: number; effects: Effect[] } {
    const ticket = ++this.#tickets;
    const effects = this.#handle(now, () => {
      const holding = this.#holdings.get(pool);
      const end = (outcome: Outcome): void => this.#push({ kind: 'ended', ticket, outcome });
      if (holding === undefined) end({ kind: 'no-pool' });
      else
        this.#tasks.start(
          guarded(make(holding), (error): Outcome => ({ kind: 'disk', error })),
          end,
        );
    });
    return { ticket, effects };
  }

  #handle(now: Millis, action: () => void): Effect[] {
    this.#now = now;
    action();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #push(effect: Effect): void {
    this.#effects.push(effect);
  }

  #soon(): void {
    if (this.#isNudged) return;
    this.#isNudged = true;
    this.#push({ kind: 'timer', wake: NUDGE, ms: NUDGE_MS * this.rng.next() });
  }

  #tendLater(): void {
    const thirds = this.holdings().map(({ chosen }) => chosen.leaseMs / 3);
    const ms = Math.min(TEND_MAX_MS, ...thirds) * (0.75 + this.rng.next() / 4);
    if (this.#now + ms >= this.#tendAt) return;
    this.#tendAt = this.#now + ms;
    // A little late, so that a timer that is a rounding error early is none.
    this.#push({ kind: 'timer', wake: TEND, ms: ms + 1 });
  }

  /** Renews every lease, and then looks after each pool. */
  #tendAll(): void {
    if (this.#isRenewing) return;
    this.#isRenewing = true;
    const renewing = guarded(renew(this, this.holdings()), () => new Map<Holding, number>());
    this.#tasks.start(renewing, () => {
      this.#isRenewing = false;
      for (const holding of this.#holdings.values()) {
        if (holding.isTending) continue;
        this.#tasks.start(
          guarded(tend(this, holding), () => false),
          (isDone) => this.#tended(holding, isDone),
        );
      }
    });
  }

  /** What could not be finished is tried again soon, and ever later while it can't. */
  #tended(holding: Holding, isDone: boolean): void {
    holding.setbacks = isDone ? 0 : holding.setbacks + 1;
    if (isDone) return;
    const ms = RETRY_MS * 2 ** Math.min(holding.setbacks - 1, MAX_DOUBLINGS);
    if (ms < TEND_MAX_MS) this.#push({ kind: 'timer', wake: NUDGE, ms });
  }

  /** What the disk stops is tried again with the next round. */
  #background(task: Task<void>): void {
    this.#tasks.start(
      guarded(task, () => undefined),
      () => undefined,
    );
  }

  #reply(from: PeerId, request: Request): Reply {
    if (request.kind === 'renew') {
      const renewals = request.leases.map(({ pool, version, epoch }): RenewReply | UnknownPool => {
        const acceptor = this.#holdings.get(pool)?.acceptor;
        return acceptor?.renew(from, version, epoch, this.#now) ?? { kind: 'unknown' };
      });
      return { kind: 'renewals', renewals };
    }
    const holding = this.#holdings.get(request.pool);
    if (holding === undefined) return { kind: 'unknown' };
    const { acceptor } = holding;
    switch (request.kind) {
      case 'prepare':
        return acceptor.prepare(request.version, request.ballot, request.intent, this.#now);
      case 'accept':
        return acceptor.accept(request.ballot, request.value, this.#now);
      case 'learn':
        this.learn(holding, request.value);
        return { kind: 'learned' };
      case 'space':
        return this.#give(holding, { to: from, wanted: request.wanted });
    }
  }

  #give(holding: Holding, giving: Giving): Reply {
    const { wanted } = giving;
    if (typeof wanted === 'bigint' && wanted >= holding.chosen.size) return { kind: 'unknown' };
    if (typeof wanted === 'bigint' && ownerOf(holding.chosen, wanted) !== this.self) {
      return { kind: 'newer', value: holding.chosen };
    }
    const { reply, task } = give(this, holding, giving);
    if (task !== undefined) this.#background(task);
    return reply;
  }
}

/** Whether hosts have lost everything between the two. */
const areMoreEmptied = (before: PoolValue, { revoked }: PoolValue): boolean =>
  [...revoked].some(([id, { emptied }]) => emptied > (before.revoked.get(id)?.emptied ?? 0));
