import assert from 'node:assert/strict';
import { randomInt, type Rng } from '../base/rng.ts';
import type { Millis, PeerId } from '../base/types.ts';
import type { Accepted, Ballot, Intent, Objection } from './acceptor.ts';
import { compareBallots } from './acceptor.ts';
import { isLawful, type Change } from './change.ts';
import type { Holding } from './holding.ts';
import type { Reply, Request } from './message.ts';
import { isSane, majorityOf, type PoolValue } from './pool.ts';
import type { Range } from './range.ts';
import type { Replies, Task, Wait } from './tasks.ts';

/** What came of a change that was to be decided. */
export type Decision =
  | { readonly kind: 'decided' }
  /** There was nothing to do, as of a moment during the call. */
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'objection'; readonly objection: Objection }
  | { readonly kind: 'no-majority'; readonly reached: number; readonly of: number }
  | { readonly kind: 'busy' };

export interface Proposal {
  readonly change: Change;
  readonly intent: Intent;
  /** Own space that the change would give away or close: not used from before it is proposed. */
  readonly gives: readonly Range[];
  /** Hosts that are told of the decision at once, beside the voters. */
  readonly tell: readonly PeerId[];
}

export interface Decider {
  readonly self: PeerId;
  /** Different in each run of a host. */
  readonly nonce: string;
  readonly rng: Rng;
  now(): Millis;
  /** Takes a decided value that was met on the way. */
  learn(holding: Holding, value: PoolValue): void;
}

export const plain = (change: Change): Proposal => ({
  ...{ change, intent: { kind: 'plain' } as const, gives: [], tell: [] },
});

const MAX_ATTEMPTS = 12;
/** Two proposers that outbid each other wait this long at most, doubled with each attempt up to 16 times. */
const BACKOFF_MS = 20;
const MAX_DOUBLINGS = 4;

/**
 * Makes the voters decide a change: prepare, accept, learn. Another's change that is found half done is
 * finished first. One decision of a pool at a time; who comes second waits.
 */
export function* decide(decider: Decider, holding: Holding, proposal: Proposal): Task<Decision> {
  for (let waits = 0; holding.isDeciding; waits++) {
    if (waits > MAX_ATTEMPTS) return { kind: 'busy' };
    yield { kind: 'pause', ms: BACKOFF_MS * (1 + randomInt(decider.rng, 4)) };
  }
  holding.isDeciding = true;
  try {
    return yield* attempts(decider, holding, proposal);
  } finally {
    holding.isDeciding = false;
  }
}

function* attempts(decider: Decider, holding: Holding, proposal: Proposal): Task<Decision> {
  let round = 0;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const ballot = {
      round: Math.max(round, holding.acceptor.state.promised.round) + 1,
      proposer: `${decider.self}.${decider.nonce}`,
    };
    const result = yield* attemptOnce(decider, holding, proposal, ballot);
    if (result.kind === 'again') continue;
    if (result.kind !== 'outbid') return result;
    round = Math.max(round, ballot.round, result.round);
    const most = BACKOFF_MS * 2 ** Math.min(attempt, MAX_DOUBLINGS);
    yield { kind: 'pause', ms: 1 + randomInt(decider.rng, most) };
  }
  return { kind: 'busy' };
}

type Attempt =
  Decision | { readonly kind: 'again' } | { readonly kind: 'outbid'; readonly round: number };

function* attemptOnce(
  decider: Decider,
  holding: Holding,
  { change, intent, gives, tell }: Proposal,
  ballot: Ballot,
): Task<Attempt> {
  const base = holding.chosen;
  const pool = holding.spec.id;
  const version = base.version + 1;
  const prepared = yield askVoters(
    base,
    { kind: 'prepare', pool, version, ballot, intent },
    (replies) => enough(base, replies, 'promise'),
  );
  const stale = yield* unfit(decider, holding, base, prepared, 'promise');
  if (stale !== undefined) return stale;
  if (holding.chosen !== base) return { kind: 'again' };
  const found = newestAccepted(prepared);
  const objection = found === undefined ? objectionOf(base, prepared) : undefined;
  if (objection !== undefined) return { kind: 'objection', objection };
  const value = found?.value ?? change(base);
  if (value === undefined) return { kind: 'unchanged' };
  if (found === undefined) {
    assert(isSane(value) && isLawful(base, value, decider.self), 'a change takes from others');
    if (gives.length > 0) holding.offer(gives);
  }
  const accepted = yield askVoters(base, { kind: 'accept', pool, ballot, value }, (replies) =>
    enough(base, replies, 'accepted'),
  );
  const hindered = yield* unfit(decider, holding, base, accepted, 'accepted');
  if (hindered !== undefined) return hindered;
  decider.learn(holding, value);
  const others = [...new Set([...base.voters.map(({ id }) => id), ...tell])];
  yield {
    kind: 'ask',
    requests: others
      .filter((to) => to !== decider.self)
      .map((to) => ({ to, request: { kind: 'learn', pool, value } })),
    enough: () => true,
  };
  return found === undefined ? { kind: 'decided' } : { kind: 'again' };
}

function askVoters(
  { voters }: PoolValue,
  request: Request,
  isEnough: (replies: Replies) => boolean,
): Wait {
  return { kind: 'ask', requests: voters.map(({ id }) => ({ to: id, request })), enough: isEnough };
}

const count = (replies: Replies, kind: Reply['kind']): number =>
  [...replies.values()].filter((reply) => reply.kind === kind).length;

/** A majority agrees without objection, or somebody knows better. */
function enough(base: PoolValue, replies: Replies, kind: 'promise' | 'accepted'): boolean {
  const agreeing = [...replies.values()].filter(
    (reply) => reply.kind === kind && !('objection' in reply),
  );
  return agreeing.length >= majorityOf(base) || count(replies, 'newer') > 0;
}

/** Why the replies are no majority of `kind`, after what can be mended was mended; undefined if they are. */
function* unfit(
  decider: Decider,
  holding: Holding,
  base: PoolValue,
  replies: Replies,
  kind: 'promise' | 'accepted',
): Task<Attempt | undefined> {
  for (const reply of replies.values()) {
    if (reply.kind === 'newer') decider.learn(holding, reply.value);
  }
  if (count(replies, kind) >= majorityOf(base)) return undefined;
  if (holding.chosen !== base) return { kind: 'again' };
  const behind = [...replies].filter(([, reply]) => reply.kind === 'behind');
  if (behind.length > 0) {
    const request = { kind: 'learn', pool: holding.spec.id, value: base } as const;
    const requests = behind.map(([to]) => ({ to, request }));
    const taught = yield { kind: 'ask', requests, enough: () => false };
    if (count(taught, 'learned') > 0) return { kind: 'outbid', round: 0 };
  }
  const rounds = [...replies.values()].flatMap((reply) =>
    reply.kind === 'outbid' ? [reply.round] : [],
  );
  if (rounds.length > 0) return { kind: 'outbid', round: Math.max(...rounds) };
  const objections = [...replies.values()].flatMap((reply) =>
    reply.kind === 'objection' ? [reply.objection] : [],
  );
  const [objection] = objections;
  if (objection !== undefined) return { kind: 'objection', objection };
  return { kind: 'no-majority', reached: count(replies, kind), of: base.voters.length };
}

function newestAccepted(replies: Replies): Accepted | undefined {
  return [...replies.values()]
    .flatMap((reply) =>
      reply.kind === 'promise' && reply.accepted !== undefined ? [reply.accepted] : [],
    )
    .sort((a, b) => compareBallots(b.ballot, a.ballot))[0];
}

/** The objection that leaves no majority without one: the shortest that must be waited for. */
function objectionOf(base: PoolValue, replies: Replies): Objection | undefined {
  const promises = [...replies.values()].flatMap((reply) =>
    reply.kind === 'promise' ? [reply] : [],
  );
  const objections = promises.flatMap(({ objection }) => (objection ? [objection] : []));
  const alive = objections.find(({ why }) => why === 'alive');
  if (alive !== undefined) return alive;
  if (promises.length - objections.length >= majorityOf(base)) return undefined;
  return objections.reduce<Objection | undefined>(
    (least, each) => (least === undefined || each.forMs < least.forMs ? each : least),
    undefined,
  );
}
