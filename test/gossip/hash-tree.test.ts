import test from 'ava';
import fc from 'fast-check';
import { fold, HashTree, isNode, levelOf, MAX_LEVEL, ROOT } from '../../src/gossip/hash-tree.ts';
import { check } from '../fakes/property.ts';

class Item {
  next: Item | undefined = undefined;
  readonly position: number;
  readonly low: number;
  readonly high: number;
  constructor(position: number, low: number, high: number) {
    this.position = position;
    this.low = low;
    this.high = high;
  }
}

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const items = fc
  .array(fc.tuple(int32, int32, int32), { minLength: 1, maxLength: 700, size: 'max' })
  .map((list) => list.map(([position, low, high]) => new Item(position, low, high)));

/** The path of an item by the definition: level by level, four bits of the position each. */
function path({ position }: Item, level: number): number {
  let node = ROOT;
  for (let step = 0; step < level; step++) node = 16 * node + ((position >>> (28 - 4 * step)) & 15);
  return node;
}

test('nodes: 16 children each, four levels below the root', (t) => {
  t.deepEqual([0, 1, 2, 15, 16, 31, 32, 255, 256, 65_536, 131_071, 131_072].map(isNode), [
    false,
    true,
    false,
    false,
    true,
    true,
    false,
    false,
    true,
    true,
    true,
    false,
  ]);
  t.deepEqual([1, 16, 31, 256, 511, 4096, 65_536, 131_071].map(levelOf), [0, 1, 1, 2, 2, 3, 4, 4]);
});

test('whatever its depth, a tree answers as the plain definition does, for every level', (t) => {
  const property = fc.property(items, fc.nat(), fc.nat(), (list, salt, seed) => {
    const tree = new HashTree<Item>();
    for (const item of list) tree.add(item);
    const kept = list.filter((_, index) => (index * 7 + seed) % 3 > 0);
    for (const item of list) if (!kept.includes(item)) tree.delete(item);
    t.is(tree.size, kept.length);
    const some = list[seed % list.length] as Item;
    for (let level = 0; level < MAX_LEVEL; level++) {
      const node = path(some, level);
      const under = kept.filter((item) => path(item, level) === node);
      const found = new Set(tree.under(node));
      t.true(found.size === under.length && under.every((item) => found.has(item)));
      t.is(tree.count(node), under.length);
      const digests = tree.digests(node, salt);
      for (let child = 0; child < 16; child++) {
        const below = under.filter((item) => path(item, level + 1) === 16 * node + child);
        const [low, high] = below.reduce(([a, b], item) => [a ^ item.low, b ^ item.high], [0, 0]);
        t.is(digests.readUInt32BE(4 * child), fold(low, high, salt));
      }
    }
  });
  t.notThrows(() => check(property, 40));
});

test('equal sets have equal roots in whatever order they came; a missing item shows', (t) => {
  const property = fc.property(items, (list) => {
    const [one, other] = [new HashTree<Item>(), new HashTree<Item>()];
    const copies = list.map(({ position, low, high }) => new Item(position, low, high)).reverse();
    for (const item of list) one.add(item);
    for (const item of copies) other.add(item);
    if (!one.root().equals(other.root())) return false;
    const [first] = copies as [Item];
    other.delete(first);
    return first.low === 0 && first.high === 0 ? true : !one.root().equals(other.root());
  });
  t.notThrows(() => check(property));
});

test('two sums that one salt confuses are told apart by another', (t) => {
  const [one, salt] = [fold(1, 2, 7), 7];
  let twin = 0;
  while (fold(twin, 3, salt) !== one && twin < 2 ** 16) twin++;
  const apart = [1, 2, 3, 4].filter((other) => fold(twin, 3, other) !== fold(1, 2, other));
  t.is(apart.length, 4);
});
