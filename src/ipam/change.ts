import type { PeerId } from '../base/types.ts';
import {
  assign,
  checked,
  epochOf,
  firstWindow,
  isVoter,
  ownedBy,
  ownersOf,
  sessionOf,
  MAX_VOTERS,
  windowsOf,
  type PoolValue,
  type RevocationKind,
} from './pool.ts';
import { intersect, sizeOf, subtract, unite, type Range } from './range.ts';

/**
 * What a change makes of the newest value, or undefined if there is nothing (more) to do. Pure, and
 * right on whatever value it finds: it runs again when another host's change came first.
 */
export type Change = (base: PoolValue) => PoolValue | undefined;

function next(base: PoolValue, change: Partial<PoolValue>): PoolValue {
  return checked({ ...base, ...change, version: base.version + 1, isForced: false });
}

const owns = (value: PoolValue, host: PeerId, range: Range): boolean =>
  sizeOf(intersect([range], ownedBy(value, host))) === range.end - range.start;

/** `from` gives a range of its own to `to`, which may allocate in `window` (default: the first) at once. */
export function grant(from: PeerId, range: Range, to: PeerId, isWhole: boolean): Change {
  return (base) => {
    if (!owns(base, from, range)) return undefined;
    const window = isWhole ? [range] : firstWindow(base, [range]);
    const windows = unite([...subtract(base.windows, [range]), ...window]);
    return next(base, { ...assign(base, range, to), windows });
  };
}

/** `host` begins to allocate. */
export function beginSession(host: PeerId): Change {
  return (base) =>
    next(base, { sessions: new Map(base.sessions).set(host, sessionOf(base, host) + 1) });
}

/** `host` may allocate in `range` of its own, too. */
export function openWindow(host: PeerId, range: Range): Change {
  return (base) => {
    const more = subtract(intersect([range], ownedBy(base, host)), base.windows);
    if (more.length === 0) return undefined;
    return next(base, { windows: unite([...base.windows, ...more]) });
  };
}

/** `host` will allocate in `set` no more. */
export function closeWindows(host: PeerId, set: readonly Range[]): Change {
  return (base) => {
    const closed = intersect(windowsOf(base, host), set);
    if (closed.length === 0) return undefined;
    return next(base, { windows: subtract(base.windows, closed) });
  };
}

/** Whether a revocation takes only what the host has not allocated from. */
const sparesWindows = (kind: RevocationKind): boolean => kind === 'lapsed';

/** What a revocation of that kind would take from `host`. */
export function revocable(base: PoolValue, host: PeerId, kind: RevocationKind): Range[] {
  const owned = ownedBy(base, host);
  return sparesWindows(kind) ? subtract(owned, base.windows) : owned;
}

/** `heir` gets what `host` loses. */
export function revoke(host: PeerId, heir: PeerId, kind: RevocationKind): Change {
  return (base) => {
    const taken = revocable(base, host, kind);
    return taken.length === 0 ? undefined : next(base, take(base, { host, heir, kind, taken }));
  };
}

interface Taking {
  readonly host: PeerId;
  readonly heir: PeerId;
  readonly kind: RevocationKind;
  readonly taken: readonly Range[];
}

function take(base: PoolValue, { host, heir, kind, taken }: Taking): Partial<PoolValue> {
  const { shares } = taken.reduce(
    (value, range) => ({ ...value, ...assign(value, range, heir) }),
    base,
  );
  const isSmallCouncil = base.voters.length <= 2;
  const windows = unite([...subtract(base.windows, taken), ...(isSmallCouncil ? taken : [])]);
  const epoch = epochOf(base, host) + 1;
  const emptied = sparesWindows(kind) ? (base.revoked.get(host)?.emptied ?? 0) : epoch;
  const revoked = new Map(base.revoked).set(host, { epoch, kind, emptied });
  return { shares, windows, revoked };
}

export function addVoter(id: PeerId): Change {
  return (base) => {
    if (isVoter(base, id) || base.voters.length >= MAX_VOTERS) return undefined;
    const version = base.version + 1;
    const voters = [...base.voters, { id, since: version }];
    return withVoters(base, voters);
  };
}

export function removeVoter(id: PeerId): Change {
  return (base) => {
    if (!isVoter(base, id) || base.voters.length === 1) return undefined;
    return withVoters(
      base,
      base.voters.filter((voter) => voter.id !== id),
    );
  };
}

/** Voters of whom each can forbid everything need no windows: all that they own is one. */
function withVoters(base: PoolValue, unsorted: PoolValue['voters']): PoolValue {
  const voters = [...unsorted].sort((a, b) => (a.id < b.id ? -1 : 1));
  const open = voters.length <= 2 ? voters.flatMap(({ id }) => ownedBy(base, id)) : [];
  return next(base, {
    ...{ voters, votersVersion: base.version + 1 },
    windows: unite([...base.windows, ...open]),
  });
}

/** Changes nothing but the version: settles what is undecided. */
export const settle: Change = (base) => next(base, {});

/**
 * `self` alone takes over, and takes all that `host` has: for an operator who knows that no majority
 * will ever be there again. Not decided by anybody: two hosts that do this disagree.
 */
export function force(host: PeerId, self: PeerId): Change {
  return (base) => {
    const taken = revocable(base, host, 'forgotten');
    const alone = { ...base, voters: [{ id: self, since: base.version + 1 }] };
    const change = take(alone, { host, heir: self, kind: 'forgotten', taken });
    const mine = ownedBy({ ...base, ...change }, self);
    return {
      ...next(base, { ...change, voters: alone.voters, votersVersion: base.version + 1 }),
      windows: unite([...(change.windows ?? []), ...mine]),
      isForced: true,
    };
  };
}

/** Whether `next` takes nothing from any host but `by`, unless it says so by a new epoch. */
export function isLawful(base: PoolValue, next: PoolValue, by: PeerId): boolean {
  return [...new Set([...ownersOf(base), ...ownersOf(next)])]
    .filter((host) => host !== by && epochOf(base, host) === epochOf(next, host))
    .every(
      (host) =>
        subtract(ownedBy(base, host), ownedBy(next, host)).length === 0 &&
        subtract(windowsOf(base, host), windowsOf(next, host)).length === 0,
    );
}
