import test from 'ava';
import fc from 'fast-check';
import { asPeerId, type PeerId } from '../../src/base/types.ts';
import { phaseOf, ProbeOrder } from '../../src/gossip/probe-order.ts';
import { check } from '../fakes/property.ts';
import { peerId } from './fixtures.ts';

/** The orders of all `ids`, each told of the others in a sequence of its own. */
function ordersOf(ids: readonly PeerId[]): Map<PeerId, ProbeOrder> {
  return new Map(
    ids.map((self, index) => {
      const order = new ProbeOrder(self);
      const others = [...ids.slice(index + 1), ...ids.slice(0, index)];
      for (const id of others) order.insert(id);
      return [self, order];
    }),
  );
}

const someIds = fc
  .uniqueArray(fc.nat(2 ** 30), { minLength: 2, maxLength: 40 })
  .map((numbers) => numbers.map((number) => asPeerId(number.toString(16).padStart(32, '0'))));

test('in every slot each host is probed by exactly one other', (t) => {
  const property = fc.property(someIds, fc.nat(10 ** 9), (ids, slot) => {
    const targets = new Set<PeerId | undefined>();
    for (const [self, order] of ordersOf(ids)) {
      const target = order.target(slot);
      if (target === self) return false;
      targets.add(target);
    }
    return targets.size === ids.length && !targets.has(undefined);
  });
  t.notThrows(() => check(property, 300));
});

test('in every turn each host probes each other once, and turns differ', (t) => {
  const property = fc.property(someIds, fc.nat(10 ** 7), (ids, turn) => {
    const [order] = ordersOf(ids).values();
    const others = ids.length - 1;
    const targets = Array.from({ length: others }, (_, step) =>
      order?.target(turn * others + step),
    );
    return new Set(targets).size === others && !targets.includes(undefined);
  });
  t.notThrows(() => check(property, 300));
  const [order] = ordersOf('0123456789abcdef'.split('').map(peerId)).values();
  const turn = (number: number): string =>
    Array.from({ length: 15 }, (_, step) => order?.target(number * 15 + step)).join();
  t.is(new Set([0, 1, 2, 3].map(turn)).size, 4);
});

test('who is deleted is probed no more, and who was never there can be deleted', (t) => {
  const order = new ProbeOrder(peerId('5'));
  t.is(order.target(7), undefined);
  for (const digit of ['2', '9', '2']) order.insert(peerId(digit));
  t.is(order.size, 2);
  order.delete(peerId('9'));
  order.delete(peerId('3'));
  for (let slot = 0; slot < 5; slot++) t.is(order.target(slot), peerId('2'));
  order.clear();
  t.is(order.target(0), undefined);
});

test('a phase is a part of a slot, and hangs on the id alone', (t) => {
  t.is(phaseOf(asPeerId('80000000'.padEnd(32, '0'))), 0.5);
  t.is(phaseOf(asPeerId('0'.repeat(32))), 0);
  t.true(phaseOf(asPeerId('f'.repeat(32))) < 1);
});
