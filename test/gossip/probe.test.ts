import test from 'ava';
import { seededRng } from '../../src/base/rng.ts';
import { Roster } from '../../src/gossip/member.ts';
import { ProbeRing } from '../../src/gossip/probe.ts';
import { member, peerId } from './fixtures.ts';

test('each turn probes everybody once, in a new order', (t) => {
  const roster = new Roster();
  for (const digit of '12345678') roster.set(member(digit));
  const ring = new ProbeRing(seededRng(3));
  const turns = [1, 2, 3].map(() => Array.from({ length: 8 }, () => ring.next(roster)?.id));
  for (const turn of turns) t.is(new Set(turn).size, 8);
  t.notDeepEqual(turns[0], turns[1]);
});

test('the dead and the forgotten are passed over', (t) => {
  const roster = new Roster();
  for (const digit of '123') roster.set(member(digit));
  const ring = new ProbeRing(seededRng(3));
  ring.next(roster);
  roster.set(member('1', { state: 'dead' }));
  roster.delete(peerId('2'));
  for (let probe = 0; probe < 4; probe++) t.is(ring.next(roster)?.id, peerId('3'));
  roster.delete(peerId('3'));
  t.is(ring.next(roster), undefined);
});

test('a new member is probed within the running turn', (t) => {
  const roster = new Roster();
  for (const digit of '1234') roster.set(member(digit));
  const ring = new ProbeRing(seededRng(3));
  ring.next(roster);
  roster.set(member('9'));
  ring.insert(peerId('9'));
  const rest = Array.from({ length: 4 }, () => ring.next(roster)?.id);
  t.true(rest.includes(peerId('9')));
});
