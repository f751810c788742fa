import test from 'ava';
import fc from 'fast-check';
import { check } from '../fakes/property.ts';
import { EventQueue } from './event-queue.ts';

test('events happen by time, and in order of arrival where that is equal', (t) => {
  const pushes = fc.array(fc.option(fc.nat(20)), { maxLength: 3000, size: 'max' });
  const property = fc.property(pushes, (dues) => {
    const queue = new EventQueue();
    const waiting: { readonly due: number; readonly order: number }[] = [];
    const happened: unknown[] = [];
    const expected: unknown[] = [];
    const target = { fire: (what: unknown) => void happened.push(what) };
    const fire = (): void => {
      waiting.sort((one, other) => one.due - other.due || one.order - other.order);
      const first = waiting.shift();
      if (queue.nextDue !== (first?.due ?? Infinity)) happened.push('a wrong time');
      if (first !== undefined) expected.push(first.order);
      queue.fire();
    };
    // A null takes the first event out.
    for (const [order, due] of dues.entries()) {
      if (due === null) fire();
      else {
        waiting.push({ due, order });
        queue.push(due, target, order);
      }
    }
    while (waiting.length > 0) fire();
    return queue.size === 0 && happened.join() === expected.join();
  });
  t.notThrows(() => check(property, 100));
});
