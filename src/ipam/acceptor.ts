import type { Millis, PeerId } from '../base/types.ts';
import { revocable } from './change.ts';
import { epochOf, isVoter, type PoolValue, type RevocationKind } from './pool.ts';

/** Of two ballots the higher round wins, of equal rounds the higher proposer. */
export interface Ballot {
  readonly round: number;
  /** A host, and a number of its own for each run: no two runs make the same ballot. */
  readonly proposer: string;
}

export const NO_BALLOT: Ballot = { round: 0, proposer: '' };

export function compareBallots(one: Ballot, other: Ballot): number {
  if (one.round !== other.round) return one.round - other.round;
  return one.proposer < other.proposer ? -1 : Number(one.proposer > other.proposer);
}

export interface Accepted {
  readonly ballot: Ballot;
  readonly value: PoolValue;
}

/** What an acceptor must remember over a crash. */
export interface AcceptorState {
  /** The newest value that this host knows to be decided. */
  readonly chosen: PoolValue;
  /** For the version after `chosen`. */
  readonly promised: Ballot;
  readonly accepted: Accepted | undefined;
}

/** What a proposer is about to do that a voter may have to refuse. */
export type Intent =
  | { readonly kind: 'plain' }
  | { readonly kind: 'revoke'; readonly host: PeerId; readonly why: RevocationKind }
  | { readonly kind: 'remove-voter'; readonly host: PeerId };

export interface Objection {
  /** `leased`: the host's lease runs; `alive`: it answers; `settling`: the voters changed just now. */
  readonly why: 'leased' | 'alive' | 'settling';
  /** When the objection ends, if nothing happens until then; from now. */
  readonly forMs: number;
}

export type PrepareReply =
  | { readonly kind: 'promise'; readonly accepted?: Accepted; readonly objection?: Objection }
  | Unfit;
export type AcceptReply =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'objection'; readonly objection: Objection }
  | Unfit;
export type RenewReply = { readonly kind: 'renewed' } | { readonly kind: 'pending' } | Unfit;
/** The request is for another version, or a ballot that has been overtaken. */
export type Unfit =
  | { readonly kind: 'newer'; readonly value: PoolValue }
  | { readonly kind: 'behind'; readonly version: number }
  | { readonly kind: 'outbid'; readonly round: number };

/** How long no lease is granted to a host that is about to be revoked: one round of messages. */
const REVOKING_MS = 5_000;

export interface AcceptorOptions {
  readonly self: PeerId;
  readonly state: AcceptorState;
  readonly now: Millis;
  /** Called before anything that the state promises leaves this host; what it throws stops the answer. */
  readonly save: (state: AcceptorState) => void;
  /** Whether gossip holds a host for alive. */
  readonly isAlive: (host: PeerId) => boolean;
  /** How long a host's endpoints keep their addresses without it. */
  readonly endpointLeaseMs: number;
}

/**
 * One voter's part for one pool: single-decree Paxos for the version after `chosen`, and the leases.
 *
 *   chosen k ──prepare──> promised ──accept──> accepted k+1 ──learn──> chosen k+1
 *
 * A lease is the promise not to accept, for `leaseMs` from its receipt, a value that revokes the host.
 * After a start, and after becoming a voter, nobody is revoked for that long, since leases that others
 * granted meanwhile, or this host before its crash, may still run.
 */
export class Acceptor {
  readonly #options: AcceptorOptions;
  #state: AcceptorState;
  /** When the last renewal of a host came. */
  readonly #heard = new Map<PeerId, Millis>();
  /** Until when a host gets no lease, since it is about to be revoked. */
  readonly #pending = new Map<PeerId, Millis>();
  /** Since when this host has been a voter without a break, as far as it knows. */
  #voterSince: Millis;
  /** Since when it has known the present voters. */
  #votersKnown: Millis;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#state = options.state;
    this.#voterSince = options.now;
    this.#votersKnown = options.now;
  }

  get chosen(): PoolValue {
    return this.#state.chosen;
  }

  get state(): AcceptorState {
    return this.#state;
  }

  prepare(version: number, ballot: Ballot, intent: Intent, now: Millis): PrepareReply {
    const unfit = this.#unfit(version, ballot);
    if (unfit !== undefined) return unfit;
    this.#store({ ...this.#state, promised: ballot });
    const { accepted } = this.#state;
    const objection = this.#objectionTo(intent, now);
    if (intent.kind === 'revoke' && objection === undefined && this.#canLose(intent)) {
      this.#hold(intent.host, REVOKING_MS, now);
    }
    return {
      kind: 'promise',
      ...(accepted === undefined ? {} : { accepted }),
      ...(objection === undefined ? {} : { objection }),
    };
  }

  accept(ballot: Ballot, value: PoolValue, now: Millis): AcceptReply {
    const unfit = this.#unfit(value.version, ballot);
    if (unfit !== undefined) return unfit;
    const objection = this.#hindrance(value, now);
    if (objection !== undefined) return { kind: 'objection', objection };
    this.#store({ ...this.#state, promised: ballot, accepted: { ballot, value } });
    return { kind: 'accepted' };
  }

  /** Takes a decided value; true if it was news. */
  learn(value: PoolValue, now: Millis): boolean {
    const { chosen } = this.#state;
    if (!supersedes(value, chosen)) return false;
    this.#store({ chosen: value, promised: NO_BALLOT, accepted: undefined });
    // What was about to be decided is, or never will be: nobody accepts for an older version any more.
    this.#pending.clear();
    const { self } = this.#options;
    if (sinceOf(value, self) !== sinceOf(chosen, self)) this.#voterSince = now;
    if (value.votersVersion !== chosen.votersVersion) this.#votersKnown = now;
    return true;
  }

  /** Grants `host` a lease for the present voters and epoch, and for nothing else. */
  renew(host: PeerId, version: number, epoch: number, now: Millis): RenewReply {
    const { chosen, accepted } = this.#state;
    if (version < chosen.version) return { kind: 'newer', value: chosen };
    if (version > chosen.version) return { kind: 'behind', version: chosen.version };
    const isRevoking = accepted !== undefined && epochOf(accepted.value, host) !== epoch;
    const isVotersChange =
      accepted !== undefined && accepted.value.votersVersion !== chosen.votersVersion;
    if (isRevoking || isVotersChange || (this.#pending.get(host) ?? 0) > now) {
      return { kind: 'pending' };
    }
    if (epoch !== epochOf(chosen, host)) return { kind: 'newer', value: chosen };
    this.#heard.set(host, now);
    return { kind: 'renewed' };
  }

  /** Until when this voter has promised `host` not to revoke it; 0 if it has not. */
  promisedUntil(host: PeerId): number {
    const { leaseMs } = this.chosen;
    const heard = this.#heard.get(host);
    return Math.max(heard === undefined ? 0 : heard + leaseMs, this.#voterSince + leaseMs);
  }

  /** A host heard from counts from then, any other from when this voter began. */
  #lastHeard(host: PeerId): number {
    return this.#heard.get(host) ?? this.#voterSince;
  }

  #unfit(version: number, ballot: Ballot): Unfit | undefined {
    const { chosen, promised } = this.#state;
    if (version <= chosen.version) return { kind: 'newer', value: chosen };
    if (version > chosen.version + 1 || !isVoter(chosen, this.#options.self)) {
      return { kind: 'behind', version: chosen.version };
    }
    if (compareBallots(ballot, promised) < 0) return { kind: 'outbid', round: promised.round };
    return undefined;
  }

  /** Told before a value is made, so that one that can't be accepted is never made. */
  #objectionTo(intent: Intent, now: Millis): Objection | undefined {
    const { isAlive, endpointLeaseMs } = this.#options;
    switch (intent.kind) {
      case 'plain':
        return undefined;
      case 'remove-voter':
        return isAlive(intent.host) ? { why: 'alive', forMs: 0 } : this.#settling(now);
      case 'revoke': {
        const { host, why } = intent;
        if (isAlive(host)) return { why: 'alive', forMs: 0 };
        if (why === 'forgotten') return undefined;
        const expires = this.#lastHeard(host) + endpointLeaseMs;
        if (why === 'expired' && expires > now) return { why: 'leased', forMs: expires - now };
        return this.#leased(host, now);
      }
    }
  }

  /** A host that is forgotten twice has nothing left to lose, and may be back. */
  #canLose({ host, why }: Extract<Intent, { kind: 'revoke' }>): boolean {
    return revocable(this.chosen, host, why).length > 0;
  }

  /** What a value does that this voter has promised not to let happen. */
  #hindrance(value: PoolValue, now: Millis): Objection | undefined {
    const { chosen } = this.#state;
    const isRemoval = chosen.voters.some(({ id }) => !isVoter(value, id));
    const settling = isRemoval ? this.#settling(now) : undefined;
    if (settling !== undefined) return settling;
    for (const [host, { kind, epoch }] of value.revoked) {
      if (epoch === epochOf(chosen, host)) continue;
      // An operator's word ends a lease. It is about one session: the next begins with a decision.
      if (kind === 'forgotten' && host !== this.#options.self) continue;
      const leased = this.#leased(host, now);
      if (leased === undefined) continue;
      // Some other voter has accepted this value, and the pool stands still until it is decided.
      this.#hold(host, chosen.leaseMs, now);
      return leased;
    }
    return undefined;
  }

  #hold(host: PeerId, spanMs: number, now: Millis): void {
    this.#pending.set(host, (now + spanMs) as Millis);
  }

  #leased(host: PeerId, now: Millis): Objection | undefined {
    const until = host === this.#options.self ? Infinity : this.promisedUntil(host);
    if (until <= now) return undefined;
    return { why: 'leased', forMs: Math.min(until - now, this.chosen.leaseMs) };
  }

  /** Leases that the voters before the last change granted may still run. */
  #settling(now: Millis): Objection | undefined {
    const until = this.#votersKnown + this.chosen.leaseMs;
    return until <= now ? undefined : { why: 'settling', forMs: until - now };
  }

  #store(state: AcceptorState): void {
    this.#options.save(state);
    this.#state = state;
  }
}

const sinceOf = ({ voters }: PoolValue, host: PeerId): number | undefined =>
  voters.find(({ id }) => id === host)?.since;

/**
 * The later version wins. Two different values of one version there are only where an operator has
 * forced one: the decided one wins, of two forced ones that of the lower host.
 */
function supersedes(value: PoolValue, known: PoolValue): boolean {
  if (value.version !== known.version) return value.version > known.version;
  if (value.isForced !== known.isForced) return known.isForced;
  return value.isForced && (value.voters[0]?.id ?? '') < (known.voters[0]?.id ?? '');
}
