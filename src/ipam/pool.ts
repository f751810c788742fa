import assert from 'node:assert/strict';
import type { PeerId } from '../base/types.ts';
import { intersect, unite, type Range } from './range.ts';

/**
 * Who owns what of one network's addresses: the value that the pool's voters agree on. Immutable; each
 * change makes the next version, decided by a majority of the voters of the version before (ADR 16).
 *
 *   offset  0           .auto            .size
 *           |  a   |    a   |   b  |  c  |  a  |      shares: every offset has one owner
 *                  |ww|     |w|    |www|              windows: where owners may allocate
 */
export interface PoolValue {
  /** 0 for the one that every host derives from the network's row; rises by one with each change. */
  readonly version: number;
  /** Addresses in the subnet, the unusable ones among them. */
  readonly size: bigint;
  /** How long a lease lasts; the same for all hosts, so it travels with the value. */
  readonly leaseMs: number;
  readonly voters: readonly Voter[];
  /** The version in which the voters last changed. */
  readonly votersVersion: number;
  /** Rising; the first starts at 0, neighbours have different owners. */
  readonly shares: readonly Share[];
  /**
   * A set. An owner allocates only inside, so a reclaim may take the rest of its share without knowing
   * its endpoints.
   */
  readonly windows: readonly Range[];
  /** Hosts that something was taken from: how often, and why the last time. */
  readonly revoked: ReadonlyMap<PeerId, Revocation>;
  /**
   * How often each host began to allocate, after a start or after its lease had lapsed. Each time takes
   * a decision, so that none is still open then that was made while the host was away.
   */
  readonly sessions: ReadonlyMap<PeerId, number>;
  /** Made by one host alone, against the rules, on an operator's word that the others are lost. */
  readonly isForced: boolean;
}

export interface Voter {
  readonly id: PeerId;
  /** The version that made it a voter. */
  readonly since: number;
}

export interface Share {
  readonly start: bigint;
  readonly owner: PeerId;
}

/**
 * Why a host lost addresses: its lease lapsed (free space only); it was away longer than its endpoints
 * keep their addresses; an operator said that it will not come back.
 */
export const REVOCATIONS = ['lapsed', 'expired', 'forgotten'] as const;
export type RevocationKind = (typeof REVOCATIONS)[number];

export interface Revocation {
  /** Rises with each; a lease holds for one epoch. */
  readonly epoch: number;
  readonly kind: RevocationKind;
  /** The epoch that began when it last lost everything, its endpoints' addresses too; 0 if it never did. */
  readonly emptied: number;
}

export const MAX_VOTERS = 5;
/** More ranges than this are refused: static claims have cut the pool to pieces. */
export const MAX_SHARES = 16_384;
/** Addresses in a window that is opened ahead of need. */
const WINDOW = 16n;
/** A small pool has smaller windows, so that each host can have one. */
const WINDOWS_PER_POOL = 16n;

export interface Founding {
  readonly size: bigint;
  /** Where addresses are chosen from; divided evenly. */
  readonly auto: Range;
  /** 1 to `MAX_VOTERS`, in the order that all hosts read in the network's row. */
  readonly founders: readonly PeerId[];
  readonly leaseMs: number;
}

/** Version 0, the same on every host that reads the same row. */
export function foundPool({ size, auto, founders, leaseMs }: Founding): PoolValue {
  const count = BigInt(founders.length);
  const length = auto.end - auto.start;
  const shares = founders.map((owner, index) => ({
    start: index === 0 ? 0n : auto.start + (length * BigInt(index)) / count,
    owner,
  }));
  const value: PoolValue = {
    ...{ version: 0, size, leaseMs, votersVersion: 0, isForced: false },
    voters: [...founders].sort().map((id) => ({ id, since: 0 })),
    shares: joinShares(shares, size),
    windows: [],
    revoked: new Map(),
    sessions: new Map(),
  };
  const windows = founders.flatMap((owner) =>
    firstWindow(value, intersect(ownedBy(value, owner), [auto])),
  );
  return checked({ ...value, windows: unite(windows) });
}

/** Leaves out shares of no length and those that go on with the owner before. */
function joinShares(shares: readonly Share[], size: bigint): Share[] {
  return shares
    .filter(({ start }, index) => start < (shares[index + 1]?.start ?? size))
    .filter(({ owner }, index, kept) => owner !== kept[index - 1]?.owner);
}

/** The set that a host owns. O(shares). */
export function ownedBy({ shares, size }: PoolValue, host: PeerId): Range[] {
  const owned: Range[] = [];
  for (let index = 0; index < shares.length; index++) {
    const share = shares[index] as Share;
    if (share.owner !== host) continue;
    owned.push({ start: share.start, end: shares[index + 1]?.start ?? size });
  }
  return owned;
}

/** The set that a host may allocate from. */
export const windowsOf = (value: PoolValue, host: PeerId): Range[] =>
  intersect(value.windows, ownedBy(value, host));

/** The owner of an offset below `size`. */
export function ownerOf({ shares }: PoolValue, offset: bigint): PeerId {
  const share = shares.findLast(({ start }) => start <= offset);
  assert(share !== undefined, 'the first share starts at 0');
  return share.owner;
}

export const ownersOf = ({ shares }: PoolValue): PeerId[] => [
  ...new Set(shares.map(({ owner }) => owner)),
];

export const isVoter = ({ voters }: PoolValue, host: PeerId): boolean =>
  voters.some(({ id }) => id === host);

export const majorityOf = ({ voters }: PoolValue): number => Math.floor(voters.length / 2) + 1;

export const epochOf = ({ revoked }: PoolValue, host: PeerId): number =>
  revoked.get(host)?.epoch ?? 0;

/**
 * Whether an endpoint's address is no longer its own: its host gave it out in `epoch`, and has lost
 * everything since. True for good once it is, so whoever knows any such value may say so.
 */
export const isVoid = ({ revoked }: PoolValue, host: PeerId, epoch: number): boolean =>
  epoch < (revoked.get(host)?.emptied ?? 0);

export const sessionOf = ({ sessions }: PoolValue, host: PeerId): number => sessions.get(host) ?? 0;

/** Whether no majority exists without this host: then nothing can be decided behind its back. */
export const isIndispensable = (value: PoolValue, host: PeerId): boolean =>
  isVoter(value, host) && majorityOf(value) === value.voters.length;

/** Addresses in one window: 16, in pools below 256 addresses a power of two less. */
export function windowSize({ size }: PoolValue): bigint {
  const share = size / WINDOWS_PER_POOL;
  if (share >= WINDOW) return WINDOW;
  return share < 1n ? 1n : 1n << BigInt(share.toString(2).length - 1);
}

/**
 * What a host that was given `set` may allocate from at once. With two voters or one it is all of it:
 * nobody can be revoked there, and a window could not be opened while the other voter is away.
 */
export function firstWindow(value: PoolValue, set: readonly Range[]): Range[] {
  if (majorityOf(value) === value.voters.length) return [...set];
  const unit = windowSize(value);
  const [first] = set;
  if (first === undefined) return [];
  const end = (first.start / unit + 1n) * unit;
  return [{ start: first.start, end: end < first.end ? end : first.end }];
}

/** Gives `range` to `owner`, whoever had it; windows in it close. */
export function assign(value: PoolValue, range: Range, owner: PeerId): Pick<PoolValue, 'shares'> {
  const { start, end } = range;
  const after = end < value.size ? [{ start: end, owner: ownerOf(value, end) }] : [];
  const shares = [
    ...value.shares.filter((share) => share.start < start),
    { start, owner },
    ...after,
    ...value.shares.filter((share) => share.start > end),
  ];
  return { shares: joinShares(shares, value.size) };
}

/** What must hold of every value, whoever made it. */
export function isSane(value: PoolValue): boolean {
  const { version, size, leaseMs, voters, votersVersion, shares, windows } = value;
  const rises = (list: readonly { readonly start: bigint }[]): boolean =>
    list.every(({ start }, index) => index === 0 || (list[index - 1]?.start ?? 0n) < start);
  return (
    [version, votersVersion].every((count) => Number.isSafeInteger(count) && count >= 0) &&
    votersVersion <= version &&
    leaseMs > 0 &&
    voters.length >= 1 &&
    voters.length <= MAX_VOTERS &&
    voters.every(({ id }, index) => index === 0 || (voters[index - 1]?.id ?? '') < id) &&
    shares.length <= MAX_SHARES &&
    shares[0]?.start === 0n &&
    rises(shares) &&
    (shares.at(-1)?.start ?? size) < size &&
    windows.every(({ start, end }) => start >= 0n && start < end && end <= size) &&
    windows.every(({ start }, index) => index === 0 || (windows[index - 1]?.end ?? 0n) < start)
  );
}

/** A value that this host has made must be sane. */
export function checked(value: PoolValue): PoolValue {
  assert(isSane(value), `pool value ${value.version} breaks its invariants`);
  return value;
}
