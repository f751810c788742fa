import type { PeerId } from '../base/types.ts';
import type { RenewReply } from './acceptor.ts';
import type { Holding } from './holding.ts';
import type { Ipam } from './host.ts';
import type { Request, UnknownPool } from './message.ts';
import { epochOf, isVoter, majorityOf, type PoolValue } from './pool.ts';
import type { Replies, Task } from './tasks.ts';

/** What one voter is asked: the leases of several pools in one message. */
interface Ask {
  readonly to: PeerId;
  readonly leases: readonly { readonly holding: Holding; readonly value: PoolValue }[];
}

/** A voter that knows a newer or an older value is asked again after the two have met. */
const ROUNDS = 4;

/**
 * Asks the voters of each pool for another lease, and learns newer values on the way: who has a lease
 * knows all that was decided against him. Returns how many voters of each pool have granted one.
 */
export function* renew(
  host: Ipam,
  holdings: readonly Holding[],
): Task<ReadonlyMap<Holding, number>> {
  const granted = new Map<Holding, Set<PeerId>>(holdings.map((holding) => [holding, new Set()]));
  let open = holdings;
  for (let round = 0; round < ROUNDS && open.length > 0; round++) {
    const asks = asksFor(open, host.self);
    const askedAt = host.now();
    const replies = yield {
      kind: 'ask',
      requests: asks.map((ask) => ({ to: ask.to, request: requestOf(host, ask) })),
      enough: (soFar) => isEnough(host, asks, soFar),
    };
    const again = new Set<Holding>();
    const behind: { to: PeerId; request: Request }[] = [];
    for (const { ask, holding, value, reply } of renewals(asks, replies)) {
      if (reply.kind === 'renewed') {
        holding.granted(ask.to, value, askedAt, host.now());
        granted.get(holding)?.add(ask.to);
      } else if (reply.kind === 'newer') {
        host.learn(holding, reply.value);
        again.add(holding);
      } else if (reply.kind === 'behind') {
        const pool = holding.spec.id;
        behind.push({ to: ask.to, request: { kind: 'learn', pool, value: holding.chosen } });
        again.add(holding);
      }
    }
    if (behind.length > 0) yield { kind: 'ask', requests: behind, enough: () => false };
    open = [...again];
  }
  return new Map(
    holdings.map((holding) => {
      const others = granted.get(holding)?.size ?? 0;
      return [holding, others + Number(isVoter(holding.chosen, host.self))];
    }),
  );
}

function asksFor(holdings: readonly Holding[], self: PeerId): Ask[] {
  const byVoter = new Map<PeerId, { holding: Holding; value: PoolValue }[]>();
  for (const holding of holdings) {
    const value = holding.chosen;
    for (const { id } of value.voters) {
      if (id === self) continue;
      const leases = byVoter.get(id);
      if (leases) leases.push({ holding, value });
      else byVoter.set(id, [{ holding, value }]);
    }
  }
  return [...byVoter].map(([to, leases]) => ({ to, leases }));
}

function requestOf({ self }: Ipam, { leases }: Ask): Request {
  return {
    kind: 'renew',
    leases: leases.map(({ holding, value }) => ({
      pool: holding.spec.id,
      version: value.version,
      epoch: epochOf(value, self),
    })),
  };
}

interface Renewal {
  readonly ask: Ask;
  readonly holding: Holding;
  readonly value: PoolValue;
  readonly reply: RenewReply | UnknownPool;
}

function renewals(asks: readonly Ask[], replies: Replies): Renewal[] {
  return asks.flatMap((ask) => {
    const reply = replies.get(ask.to);
    if (reply?.kind !== 'renewals') return [];
    return ask.leases.flatMap(({ holding, value }, index) => {
      const each = reply.renewals[index];
      return each === undefined ? [] : [{ ask, holding, value, reply: each }];
    });
  });
}

/** Every pool has its majority, or somebody knows a newer value. */
function isEnough({ self }: Ipam, asks: readonly Ask[], replies: Replies): boolean {
  const missing = new Map<Holding, number>();
  for (const { holding, value } of asks.flatMap(({ leases }) => leases)) {
    missing.set(holding, majorityOf(value) - Number(isVoter(value, self)));
  }
  for (const { holding, reply } of renewals(asks, replies)) {
    if (reply.kind === 'renewed') missing.set(holding, (missing.get(holding) ?? 0) - 1);
  }
  return [...missing.values()].every((count) => count <= 0);
}
