import type { PeerId } from '../base/types.ts';
import { force, removeVoter, revoke } from './change.ts';
import { decide } from './decide.ts';
import { sessionOf } from './pool.ts';
import type { Holding } from './holding.ts';
import type { Ipam } from './host.ts';
import type { Outcome, Request } from './message.ts';
import type { Task } from './tasks.ts';

/**
 * Takes from a host all that it has, on an operator's word. Any number of hosts may do it at once: one
 * of them gets the space, the others find nothing to take. With `isForced` the host decides alone
 * where no majority answers and all that don't are dead.
 */
export function* forget(
  host: Ipam,
  holding: Holding,
  gone: PeerId,
  isForced: boolean,
): Task<Outcome> {
  const { members } = host.options;
  if (gone === host.self || members.isAlive(gone)) return { kind: 'alive' };
  const session = sessionOf(holding.chosen, gone);
  const change = revoke(gone, host.self, 'forgotten');
  const decision = yield* decide(host, holding, {
    change: (base) => (sessionOf(base, gone) === session ? change(base) : undefined),
    ...{ intent: { kind: 'revoke', host: gone, why: 'forgotten' }, gives: [], tell: [] },
  });
  switch (decision.kind) {
    case 'decided':
    case 'unchanged':
      if (sessionOf(holding.chosen, gone) !== session) return { kind: 'came-back' };
      yield* decide(host, holding, {
        change: removeVoter(gone),
        ...{ intent: { kind: 'remove-voter', host: gone }, gives: [], tell: [] },
      });
      return { kind: 'done' };
    case 'objection':
      return { kind: decision.objection.why === 'alive' ? 'alive' : 'busy' };
    case 'busy':
      return decision;
    case 'no-majority':
      if (!isForced || !areOthersDead(host, holding)) return decision;
      return yield* takeOver(host, holding, gone);
  }
}

/** Whether nobody who could object is alive. */
function areOthersDead({ self, options }: Ipam, { chosen }: Holding): boolean {
  return chosen.voters.every(({ id }) => id === self || !options.members.isAlive(id));
}

function* takeOver(host: Ipam, holding: Holding, gone: PeerId): Task<Outcome> {
  const value = force(gone, host.self)(holding.chosen);
  if (value === undefined) return { kind: 'done' };
  host.learn(holding, value);
  const request: Request = { kind: 'learn', pool: holding.spec.id, value };
  yield {
    kind: 'ask',
    requests: host.options.members
      .alive()
      .filter((id) => id !== host.self)
      .map((to) => ({ to, request })),
    enough: () => true,
  };
  return { kind: 'done' };
}
