import test from 'ava';
import { BroadcastQueue, QUEUE_MAX, retransmitLimit } from '../../src/gossip/broadcast.ts';

const bytes = (length: number): Uint8Array => new Uint8Array(length);
const keys = (items: readonly { readonly key: string }[]): string[] => items.map(({ key }) => key);

for (const [hosts, limit] of [
  [1, 4],
  [9, 4],
  [10, 8],
  [99, 8],
  [1000, 16],
] as const) {
  test(`with ${hosts} hosts each broadcast is sent ${limit} times`, (t) => {
    t.is(retransmitLimit({ retransmitFactor: 4 }, hosts), limit);
  });
}

test('what was sent least goes first, and of that the oldest', (t) => {
  const queue = new BroadcastQueue();
  for (const key of ['a', 'b', 'c']) queue.put(key, bytes(10));
  const first = queue.take(20);
  t.deepEqual(keys(first), ['a', 'b']);
  queue.giveBack(first, 3);
  t.deepEqual(keys(queue.take(30)), ['c', 'a', 'b']);
});

test('a broadcast is forgotten after its last send', (t) => {
  const queue = new BroadcastQueue();
  queue.put('a', bytes(10));
  for (let sends = 0; sends < 3; sends++) {
    const taken = queue.take(100);
    t.deepEqual(keys(taken), ['a']);
    queue.giveBack(taken, 3);
  }
  t.is(queue.size, 0);
});

test('what did not count as sent is as new as before', (t) => {
  const queue = new BroadcastQueue();
  queue.put('a', bytes(10));
  for (let sends = 0; sends < 5; sends++) queue.giveBack(queue.take(100), 3, false);
  t.deepEqual(
    queue.take(100).map(({ sent }) => sent),
    [0],
  );
});

test('newer news of the same thing replaces the older and starts anew', (t) => {
  const queue = new BroadcastQueue();
  queue.put('a', bytes(10));
  const taken = queue.take(100);
  queue.put('a', bytes(11));
  queue.giveBack(taken, 3);
  t.is(queue.size, 1);
  t.deepEqual(
    queue.take(100).map(({ chunk, sent }) => [chunk.length, sent]),
    [[11, 0]],
  );
});

test('what does not fit waits for a datagram in which it does', (t) => {
  const queue = new BroadcastQueue();
  queue.put('large', bytes(50));
  queue.put('small', bytes(5));
  t.deepEqual(keys(queue.take(20)), ['small']);
  t.deepEqual(keys(queue.take(60)), ['large']);
});

test('a full queue gives up what was sent most', (t) => {
  const queue = new BroadcastQueue();
  queue.put('old', bytes(1));
  queue.giveBack(queue.take(10), 9);
  for (let index = 1; index < QUEUE_MAX; index++) t.is(queue.put(`${index}`, bytes(1)), 0);
  t.is(queue.put('one more', bytes(1)), 1);
  t.is(queue.size, QUEUE_MAX);
  t.false(keys(queue.take(QUEUE_MAX)).includes('old'));
});
