import type { AppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import type { AcceptReply, Ballot, Intent, PrepareReply, RenewReply } from './acceptor.ts';
import type { PoolValue } from './pool.ts';

/** A pool is named by the id of its network: 32 hex digits. */
export type PoolId = string;

/** What one host asks another. Each has one reply, given at once. */
export type Request =
  | {
      readonly kind: 'prepare';
      readonly pool: PoolId;
      readonly version: number;
      readonly ballot: Ballot;
      readonly intent: Intent;
    }
  | {
      readonly kind: 'accept';
      readonly pool: PoolId;
      readonly ballot: Ballot;
      readonly value: PoolValue;
    }
  /** A value that has been decided. */
  | { readonly kind: 'learn'; readonly pool: PoolId; readonly value: PoolValue }
  /** All leases that the sender has of the recipient. */
  | { readonly kind: 'renew'; readonly leases: readonly LeaseRequest[] }
  /** Some space of the recipient's: a share, or one address. */
  | { readonly kind: 'space'; readonly pool: PoolId; readonly wanted: Wanted };

export interface LeaseRequest {
  readonly pool: PoolId;
  readonly version: number;
  readonly epoch: number;
}

/** `share`: if there is plenty; `any`: if there is anything; or the address at that offset. */
export type Wanted = 'share' | 'any' | bigint;

export type Reply =
  | PrepareReply
  | AcceptReply
  | { readonly kind: 'learned' }
  /** In the order of the request. */
  | { readonly kind: 'renewals'; readonly renewals: readonly (RenewReply | UnknownPool)[] }
  /** The donor has begun to give; the register will tell. */
  | { readonly kind: 'coming' }
  | { readonly kind: 'refused'; readonly why: SpaceRefusal }
  | UnknownPool;

/** The recipient has not heard of the pool's network, or it is gone. */
export interface UnknownPool {
  readonly kind: 'unknown';
}

/** The donor has nothing to give; an endpoint has the address; the donor gives something else just now. */
export type SpaceRefusal = 'nothing-free' | 'in-use' | 'busy';

/** How a task has ended. */
export type Outcome = GivenAddress | { readonly kind: 'done' } | Failure;

/** An address of this host's, and the epoch that its endpoint's row tells. */
export interface GivenAddress {
  readonly kind: 'address';
  readonly offset: bigint;
  readonly epoch: number;
}

export type Failure =
  /** The pool's network is not known here. */
  | { readonly kind: 'no-pool' }
  /** Too few voters answer for a lease or a decision. */
  | { readonly kind: 'no-majority'; readonly reached: number; readonly of: number }
  /** Everything is in use; `away` lists free space of hosts that don't answer. */
  | {
      readonly kind: 'exhausted';
      readonly cooling: number;
      readonly away: readonly { readonly host: PeerId; readonly free: bigint }[];
    }
  /** An endpoint has the address. */
  | { readonly kind: 'in-use'; readonly owner: PeerId }
  /**
   * The address belongs to a host that does not answer; it may be asked for again after that time, if
   * enough voters answer by then.
   */
  | {
      readonly kind: 'owner-away';
      readonly owner: PeerId;
      readonly forMs: number | undefined;
      readonly voters?: { readonly reached: number; readonly of: number };
    }
  /** The host to be forgotten is alive. */
  | { readonly kind: 'alive' }
  /** The host to be forgotten was back in between, or that was not known here. */
  | { readonly kind: 'came-back' }
  /** Another change was in the way for too long. */
  | { readonly kind: 'busy' }
  /** This host's disk refused to keep what was to be promised. */
  | { readonly kind: 'disk'; readonly error: AppError };
