import { pick } from '../base/rng.ts';
import type { PeerId } from '../base/types.ts';
import { askDonors, nextWindow, startSession } from './acquire.ts';
import {
  addVoter,
  closeWindows,
  openWindow,
  removeVoter,
  revocable,
  revoke,
  settle,
} from './change.ts';
import { decide, plain } from './decide.ts';
import type { Holding } from './holding.ts';
import type { Ipam } from './host.ts';
import {
  isVoter,
  majorityOf,
  MAX_VOTERS,
  ownedBy,
  ownersOf,
  windowSize,
  windowsOf,
} from './pool.ts';
import { intersect, sizeOf, subtract, unite, type Range } from './range.ts';
import type { Task } from './tasks.ts';

/** A host that has this many windows open and empty closes some. */
const IDLE_WINDOWS = 4n;

/**
 * What a host does for a pool without being asked: settles what it has offered, keeps a window open
 * ahead of need, gets a share while the others are there to give one. The alive voter with the lowest
 * id also looks after the voters and after hosts that are gone. False if something is left to do.
 */
export function* tend(host: Ipam, holding: Holding): Task<boolean> {
  holding.isTending = true;
  try {
    yield* settleOffers(host, holding);
    if (!holding.isLeased(host.now())) return false;
    if (!holding.isInSession) yield* startSession(host, holding);
    yield* fitWindows(host, holding);
    if (!hasShare(host, holding)) yield* askDonors(host, holding, 'share');
    const isDone = hasShare(host, holding);
    if (!isCaretaker(host, holding)) return isDone;
    yield* tendTheGone(host, holding);
    return (yield* tendVoters(host, holding)) && isDone;
  } finally {
    holding.isTending = false;
  }
}

const hasShare = ({ self }: Ipam, { chosen, spec }: Holding): boolean =>
  intersect(ownedBy(chosen, self), [spec.auto]).length > 0;

function* settleOffers(host: Ipam, holding: Holding): Task<void> {
  if (holding.book.outgoing.length > 0 && !holding.isDeciding) {
    yield* decide(host, holding, plain(settle));
  }
}

function* fitWindows(host: Ipam, holding: Holding): Task<void> {
  const now = host.now();
  const unit = windowSize(holding.chosen);
  const more = nextWindow(holding, host);
  if (more !== undefined && 2n * holding.book.freeCount(holding.windows, now) < unit) {
    yield* decide(host, holding, plain(openWindow(host.self, more)));
  }
  if (majorityOf(holding.chosen) === holding.chosen.voters.length) return;
  const own = windowsOf(holding.chosen, host.self);
  const keep = neededWindows(host, holding);
  const closes = subtract(own, keep);
  if (sizeOf(closes) < IDLE_WINDOWS * unit) return;
  yield* decide(host, holding, {
    // Only what was offered, and what no endpoint has got meanwhile.
    change: (base) => closeWindows(host.self, subtract(closes, neededWindows(host, holding)))(base),
    ...{ intent: { kind: 'plain' }, gives: closes, tell: [] },
  });
}

/** The blocks that hold an endpoint's address, or one at rest, and the first that is free. */
function neededWindows(host: Ipam, holding: Holding): Range[] {
  const unit = windowSize(holding.chosen);
  const block = (offset: bigint): Range => {
    const start = (offset / unit) * unit;
    return { start, end: start + unit };
  };
  const used = holding.book.used(host.now()).map(block);
  const own = windowsOf(holding.chosen, host.self);
  const [free] = subtract(intersect(own, [holding.spec.auto]), unite(used));
  return unite([...used, ...(free === undefined ? [] : [block(free.start)])]);
}

function isCaretaker({ self, options }: Ipam, { chosen }: Holding): boolean {
  const first = options.members.alive().find((host) => isVoter(chosen, host));
  return first === self;
}

/** Voters that are gone for longer than a lease go; hosts that are there fill up to five. */
function* tendVoters(host: Ipam, holding: Holding): Task<boolean> {
  const { members } = host.options;
  for (const { id } of holding.chosen.voters) {
    if (members.isAlive(id) || members.awayMs(id) < holding.chosen.leaseMs) continue;
    yield* decide(host, holding, {
      change: removeVoter(id),
      ...{ intent: { kind: 'remove-voter', host: id }, gives: [], tell: [] },
    });
  }
  for (let free = MAX_VOTERS - holding.chosen.voters.length; free > 0; free--) {
    const candidates = members.alive().filter((id) => !isVoter(holding.chosen, id));
    if (candidates.length === 0) return true;
    const owners = candidates.filter((id) => ownedBy(holding.chosen, id).length > 0);
    const id = pick(host.rng, owners.length > 0 ? owners : candidates);
    const proposal = { ...plain(addVoter(id)), tell: [id] };
    const decision = yield* decide(host, holding, proposal);
    if (decision.kind !== 'decided') return false;
  }
  return true;
}

function* tendTheGone(host: Ipam, holding: Holding): Task<void> {
  const { members, endpointLeaseMs } = host.options;
  const away = (owner: PeerId): number => (members.isAlive(owner) ? 0 : members.awayMs(owner));
  for (const owner of ownersOf(holding.chosen)) {
    if (owner === host.self || away(owner) < holding.chosen.leaseMs) continue;
    const why = away(owner) >= endpointLeaseMs ? 'expired' : 'lapsed';
    if (revocable(holding.chosen, owner, why).length === 0) continue;
    yield* decide(host, holding, {
      change: revoke(owner, host.self, why),
      ...{ intent: { kind: 'revoke', host: owner, why }, gives: [], tell: [] },
    });
  }
}
