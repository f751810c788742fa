import test from 'ava';
import fc from 'fast-check';
import { seededRng } from '../../src/base/rng.ts';
import { asPeerId } from '../../src/base/types.ts';
import { isHostName, MEMBER_STATES, Roster, supersedes } from '../../src/gossip/member.ts';
import { member, peerId, record } from './fixtures.ts';
import { check } from '../fakes/property.ts';

test('a worse state wins at equal incarnation, a higher incarnation always', (t) => {
  const claims = [0, 1].flatMap((incarnation) =>
    MEMBER_STATES.map((state) => record('1', { incarnation, state })),
  );
  for (const [place, claim] of claims.entries()) {
    for (const [other, known] of claims.entries()) {
      t.is(supersedes(claim, known), place > other, `${place} against ${other}`);
    }
  }
});

test('host names', (t) => {
  for (const name of ['a', 'host-1', 'Node_2.example', '9', 'x'.repeat(63)])
    t.true(isHostName(name), name);
  for (const name of ['', '-a', '.a', 'a b', 'ä', 'a/b', 'a\n', 'x'.repeat(64)])
    t.false(isHostName(name), name);
});

test('the roster agrees with a Map under random changes', (t) => {
  const id = (number: number): ReturnType<typeof asPeerId> =>
    asPeerId(`${number}`.padStart(32, '0'));
  const changes = fc.array(
    fc.record({ id: fc.nat(15), state: fc.constantFrom(...MEMBER_STATES, 'delete' as const) }),
    { maxLength: 60 },
  );
  const property = fc.property(changes, fc.nat(), (list, seed) => {
    const roster = new Roster();
    const oracle = new Map<string, string>();
    const rng = seededRng(seed);
    for (const { id: number, state } of list) {
      if (state === 'delete') {
        roster.delete(id(number));
        oracle.delete(id(number));
      } else {
        roster.set(member('1', { id: id(number), state }));
        oracle.set(id(number), state);
      }
      const picked = roster.pick(3, rng, ({ state: held }) => held === 'alive');
      const alive = [...oracle.values()].filter((held) => held === 'alive').length;
      if (picked.length !== Math.min(3, alive)) return false;
      if (new Set(picked.map((one) => one.id)).size !== picked.length) return false;
    }
    const active = [...oracle.values()].filter((held) => held === 'alive' || held === 'suspect');
    return (
      roster.active === active.length &&
      roster.activeNamed('host-1') === active.length &&
      roster.all().length === oracle.size &&
      roster.all().every((one) => oracle.get(one.id) === one.state && roster.get(one.id) === one)
    );
  });
  t.notThrows(() => {
    check(property, 500);
  });
});

test('every member is picked about equally often', (t) => {
  const roster = new Roster();
  for (const digit of '123456789a') roster.set(member(digit));
  const rng = seededRng(7);
  const counts = new Map<string, number>();
  for (let round = 0; round < 10_000; round++) {
    for (const { id } of roster.pick(3, rng, () => true)) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  t.is(counts.size, 10);
  t.true([...counts.values()].every((count) => count > 2800 && count < 3200));
  t.true(counts.has(peerId('a')));
});
