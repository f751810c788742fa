import type { PeerId } from '../base/types.ts';
import { beginSession, grant, openWindow, revocable, revoke, settle } from './change.ts';
import { decide, plain, type Decision } from './decide.ts';
import type { Holding } from './holding.ts';
import type { Ipam } from './host.ts';
import type { Failure, GivenAddress, Outcome, Reply, Wanted } from './message.ts';
import { epochOf, ownedBy, ownerOf, ownersOf, windowSize, type PoolValue } from './pool.ts';
import {
  contains,
  intersect,
  longest,
  single,
  sizeOf,
  subtract,
  upperHalf,
  type Range,
} from './range.ts';
import { renew } from './renew.ts';
import type { Task } from './tasks.ts';

/** What a step towards an address has brought: go on, try again a little later, or give up. */
type Step =
  | { readonly kind: 'progress' }
  | { readonly kind: 'retry'; readonly failure: Failure }
  | { readonly kind: 'final'; readonly failure: Failure };

const PROGRESS: Step = { kind: 'progress' };
const BUSY: Step = { kind: 'retry', failure: { kind: 'busy' } };
const RETRY_MS = 100;
/** A donor that has begun to give needs two rounds of messages. */
const DONATION_MS = 1_500;
const DONORS = 8;

const retry = (failure: Failure): Step => ({ kind: 'retry', failure });

/** What is told of an address that this host has just given out. */
export const given = (host: Ipam, { chosen }: Holding, offset: bigint): GivenAddress => ({
  ...{ kind: 'address', offset, epoch: epochOf(chosen, host.self) },
});

/** Gets an address for an endpoint: own space, another host's, a dead host's, in this order. */
export function* allocate(host: Ipam, holding: Holding, deadline: number): Task<Outcome> {
  for (;;) {
    const offset = holding.take(host.now());
    if (offset !== undefined) return given(host, holding, offset);
    const step = yield* makeRoom(host, holding);
    if (step.kind === 'final') return step.failure;
    if (step.kind === 'retry') {
      if (host.now() >= deadline) return step.failure;
      yield { kind: 'pause', ms: RETRY_MS };
    } else if (host.now() >= deadline) return { kind: 'busy' };
  }
}

function* makeRoom(host: Ipam, holding: Holding): Task<Step> {
  if (!isReady(host, holding)) return yield* getReady(host, holding);
  const window = nextWindow(holding, host);
  if (window !== undefined) {
    return afterDecision(yield* decide(host, holding, plain(openWindow(host.self, window))));
  }
  const given = yield* askDonors(host, holding, 'any');
  if (given.kind === 'progress') return given;
  const reclaimed = yield* reclaimFrom(host, holding, awayOwners(host, holding.chosen));
  if (reclaimed.kind === 'progress' || given.kind === 'retry') return reclaimed;
  return { kind: 'final', failure: exhausted(host, holding) };
}

const isReady = (host: Ipam, holding: Holding): boolean =>
  holding.isLeased(host.now()) && holding.isInSession;

/** Gets a lease, and begins a session if the last one has ended. */
function* getReady(host: Ipam, holding: Holding): Task<Step> {
  if (!holding.isLeased(host.now())) return yield* getLease(host, holding);
  return afterDecision(yield* startSession(host, holding));
}

/** To be called with a lease; what was decided without one would not count. */
export function* startSession(host: Ipam, holding: Holding): Task<Decision> {
  const decision = yield* decide(host, holding, plain(beginSession(host.self)));
  if (decision.kind === 'decided') holding.began(host.now());
  return decision;
}

function* getLease(host: Ipam, holding: Holding): Task<Step> {
  const reached = (yield* renew(host, [holding])).get(holding) ?? 0;
  if (holding.isLeased(host.now())) return PROGRESS;
  return retry({ kind: 'no-majority', reached, of: holding.chosen.voters.length });
}

function afterDecision(decision: Decision): Step {
  switch (decision.kind) {
    case 'decided':
    case 'unchanged':
      return PROGRESS;
    case 'no-majority':
      return retry(decision);
    case 'objection':
    case 'busy':
      return BUSY;
  }
}

/** The next block of own space that a window can be opened in. */
export function nextWindow(holding: Holding, host: Ipam): Range | undefined {
  const [first] = holding.closed(host.now());
  if (first === undefined) return undefined;
  const unit = windowSize(holding.chosen);
  const end = (first.start / unit + 1n) * unit;
  return { start: first.start, end: end < first.end ? end : first.end };
}

/** Owners that are alive, those with the most space first. */
function donors(host: Ipam, { chosen, spec }: Holding): PeerId[] {
  const spare = (owner: PeerId): bigint =>
    sizeOf(intersect(subtract(ownedBy(chosen, owner), chosen.windows), [spec.auto]));
  const whole = (owner: PeerId): bigint => sizeOf(intersect(ownedBy(chosen, owner), [spec.auto]));
  return ownersOf(chosen)
    .filter((owner) => owner !== host.self && host.options.members.isAlive(owner))
    .map((owner) => ({ owner, weight: spare(owner) * 4n + whole(owner) }))
    .sort((a, b) => (a.weight < b.weight ? 1 : a.weight > b.weight ? -1 : 0))
    .map(({ owner }) => owner);
}

/** Asks one donor after the other until one gives; 'final' if all who answer have nothing. */
export function* askDonors(host: Ipam, holding: Holding, wanted: 'share' | 'any'): Task<Step> {
  let isBusy = false;
  for (const donor of donors(host, holding).slice(0, DONORS)) {
    const reply = yield* askFor(host, holding, donor, wanted);
    if (reply?.kind === 'coming') {
      const before = sizeOf(ownedBy(holding.chosen, host.self));
      yield* awaitChange(host, holding, () => sizeOf(ownedBy(holding.chosen, host.self)) > before);
      return PROGRESS;
    }
    isBusy ||= reply?.kind === 'refused' && reply.why === 'busy';
  }
  return isBusy ? BUSY : { kind: 'final', failure: exhausted(host, holding) };
}

function* askFor(
  { self }: Ipam,
  { spec: { id: pool } }: Holding,
  donor: PeerId,
  wanted: Wanted,
): Task<Reply | undefined> {
  const replies = yield {
    kind: 'ask',
    requests: [{ to: donor, request: { kind: 'space', pool, wanted } }],
    enough: () => donor === self,
  };
  return replies.get(donor);
}

function* awaitChange(host: Ipam, holding: Holding, isThere: () => boolean): Task<void> {
  const deadline = host.now() + DONATION_MS;
  while (!isThere() && host.now() < deadline) {
    yield { kind: 'change', pool: holding.spec.id, ms: Math.max(1, deadline - host.now()) };
  }
}

const awayOwners = ({ options, self }: Ipam, chosen: PoolValue): PeerId[] =>
  ownersOf(chosen).filter((owner) => owner !== self && !options.members.isAlive(owner));

/** Takes over the free space of the first of `away` whose lease has lapsed. */
export function* reclaimFrom(host: Ipam, holding: Holding, away: readonly PeerId[]): Task<Step> {
  let last: Step = { kind: 'final', failure: exhausted(host, holding) };
  for (const gone of away) {
    if (revocable(holding.chosen, gone, 'lapsed').length === 0) continue;
    const decision = yield* decide(host, holding, {
      change: revoke(gone, host.self, 'lapsed'),
      ...{ intent: { kind: 'revoke', host: gone, why: 'lapsed' }, gives: [], tell: [] },
    });
    last = decision.kind === 'objection' ? last : afterDecision(decision);
    if (last.kind === 'progress') return last;
  }
  return last;
}

function exhausted(host: Ipam, { chosen, book, spec }: Holding): Failure {
  const away = awayOwners(host, chosen)
    .map((gone) => ({
      host: gone,
      free: sizeOf(intersect(revocable(chosen, gone, 'lapsed'), [spec.auto])),
    }))
    .filter(({ free }) => free > 0n);
  return { kind: 'exhausted', cooling: book.cooling(host.now()), away };
}

/** Gets the very address for an endpoint, from whoever owns it; `mover` as `Ipam.allocate` has it. */
export function* claim(
  host: Ipam,
  holding: Holding,
  { offset, mover }: { readonly offset: bigint; readonly mover: string | undefined },
  deadline: number,
): Task<Outcome> {
  for (;;) {
    if (holding.takeThis(offset, host.now(), mover)) return given(host, holding, offset);
    if (holding.book.isHeld(offset) || !holding.isUsable(offset, mover)) {
      return { kind: 'in-use', owner: host.self };
    }
    const owner = ownerOf(holding.chosen, offset);
    const step =
      owner === host.self
        ? yield* openFor(host, holding, offset)
        : yield* askOwner(host, holding, owner, offset);
    if (step.kind === 'final') return step.failure;
    if (step.kind === 'retry') {
      if (host.now() >= deadline) return step.failure;
      yield { kind: 'pause', ms: RETRY_MS };
    } else if (host.now() >= deadline) return { kind: 'busy' };
  }
}

/** The address is this host's own, and something hinders it from giving it out. */
function* openFor(host: Ipam, holding: Holding, offset: bigint): Task<Step> {
  if (!isReady(host, holding)) return yield* getReady(host, holding);
  const isOffered = holding.book.outgoing.some(({ range }) => contains([range], offset));
  const change = isOffered ? settle : openWindow(host.self, single(offset));
  return afterDecision(yield* decide(host, holding, plain(change)));
}

function* askOwner(host: Ipam, holding: Holding, owner: PeerId, offset: bigint): Task<Step> {
  if (!host.options.members.isAlive(owner))
    return yield* claimFromAway(host, holding, owner, offset);
  const reply = yield* askFor(host, holding, owner, offset);
  if (reply === undefined) return retry({ kind: 'owner-away', owner, forMs: undefined });
  if (reply.kind === 'coming') {
    yield* awaitChange(host, holding, () => ownerOf(holding.chosen, offset) === host.self);
    return ownerOf(holding.chosen, offset) === host.self ? PROGRESS : BUSY;
  }
  if (reply.kind === 'newer') {
    host.learn(holding, reply.value);
    return ownerOf(holding.chosen, offset) === owner ? BUSY : PROGRESS;
  }
  const isTaken = reply.kind === 'refused' && reply.why === 'in-use';
  return isTaken ? { kind: 'final', failure: { kind: 'in-use', owner } } : BUSY;
}

/** The owner is away: what it never allocated from can be had once its lease has lapsed. */
function* claimFromAway(host: Ipam, holding: Holding, owner: PeerId, offset: bigint): Task<Step> {
  const { chosen } = holding;
  const isFree = contains(revocable(chosen, owner, 'lapsed'), offset);
  const why = isFree ? 'lapsed' : 'expired';
  const decision = yield* decide(host, holding, {
    change: revoke(owner, host.self, why),
    ...{ intent: { kind: 'revoke', host: owner, why }, gives: [], tell: [] },
  });
  if (decision.kind === 'no-majority') {
    const { reached, of } = decision;
    const failure = {
      kind: 'owner-away',
      owner,
      forMs: undefined,
      voters: { reached, of },
    } as const;
    return { kind: 'final', failure };
  }
  if (decision.kind !== 'objection') return afterDecision(decision);
  const { forMs } = decision.objection;
  return { kind: 'final', failure: { kind: 'owner-away', owner, forMs } };
}

export interface Giving {
  readonly to: PeerId;
  readonly wanted: Wanted;
}

/** A donor's side: what it says at once, and the task that then does it. */
export function give(
  host: Ipam,
  holding: Holding,
  { to, wanted }: Giving,
): { readonly reply: Reply; readonly task?: Task<void> } {
  if (typeof wanted === 'bigint' && holding.book.isHeld(wanted)) {
    return { reply: { kind: 'refused', why: 'in-use' } };
  }
  if (holding.isGiving) return { reply: { kind: 'refused', why: 'busy' } };
  const range = typeof wanted === 'bigint' ? single(wanted) : spareRange(host, holding, wanted);
  if (range === undefined) return { reply: { kind: 'refused', why: 'nothing-free' } };
  holding.offer([range]);
  holding.isGiving = true;
  const isWhole = typeof wanted === 'bigint';
  return { reply: { kind: 'coming' }, task: giveRange(host, holding, { to, range, isWhole }) };
}

function* giveRange(
  host: Ipam,
  holding: Holding,
  { to, range, isWhole }: { readonly to: PeerId; readonly range: Range; readonly isWhole: boolean },
): Task<void> {
  const change = grant(host.self, range, to, isWhole);
  const { held } = holding.book;
  const isFree = (): boolean => ![...held].some((offset) => contains([range], offset));
  try {
    yield* decide(host, holding, {
      change: (base) => (isFree() ? change(base) : undefined),
      ...{ intent: { kind: 'plain' }, gives: [range], tell: [to] },
    });
  } finally {
    holding.isGiving = false;
  }
}

/**
 * What a donor parts with: half of its longest free run, first of what it has opened no window in. A
 * share for a host that needs none yet is given only by who has plenty.
 */
function spareRange(host: Ipam, holding: Holding, wanted: 'share' | 'any'): Range | undefined {
  const now = host.now();
  const closed = holding.closed(now);
  const spare = closed.length > 0 ? closed : holding.free(now);
  if (wanted === 'share' && sizeOf(spare) < 2n * windowSize(holding.chosen)) return undefined;
  const run = longest(spare);
  return run && upperHalf(run);
}
