import test from 'ava';
import type { Effect } from '../../src/gossip/effects.ts';
import { encodeHeader } from '../../src/gossip/message.ts';
import { encodeRange, type Range } from '../../src/gossip/range.ts';
import { encodeAnswerHead } from '../../src/gossip/sync-message.ts';
import { at, machine, record } from './fixtures.ts';

const HEADER = encodeHeader(1, 'test');

const exchanges = (effects: readonly Effect[]): Extract<Effect, { kind: 'exchange' }>[] =>
  effects.filter((effect) => effect.kind === 'exchange');

for (const [name, lie] of [
  ['versions that do not exist', { node: 1, kind: 'versions', versions: [1, 2, 3] }],
  ['digests that always differ', { node: 1, kind: 'digests', digests: Buffer.alloc(1024, 7) }],
  ['a wish for what nobody has', { node: 1, kind: 'wanted', wanted: [1, 2, 3] }],
] as const satisfies readonly (readonly [string, Range])[]) {
  test(`a host that answers every request with ${name} is left after a few`, (t) => {
    const it = machine('1');
    const row = it.replica.prepare('t', 'k', 1, at(0).wall);
    if (row !== undefined) it.commit(row, at(0));
    const answer = Buffer.concat([
      encodeAnswerHead(HEADER, record('2'), record('1').address),
      encodeRange(lie),
    ]);
    let [open] = exchanges(it.join(record('2').address, at(0)).effects);
    let count = 0;
    for (; open !== undefined && count < 100; count++) {
      [open] = exchanges(it.exchanged(open.exchange, answer, at(0)));
    }
    t.true(count <= 8, `${count} exchanges`);
    t.true(it.members.length === 1, 'it is a member all the same');
  });
}
