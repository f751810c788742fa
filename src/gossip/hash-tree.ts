/**
 * What one item adds to the digests over it. All three numbers are 32 bits, and the same on every host.
 */
export interface Hashed {
  /** Where the item lies: from its name alone, so that all its versions lie in one place. */
  readonly position: number;
  /** 64 bits that change with the version. */
  readonly low: number;
  readonly high: number;
}

/** An item that a tree links into the list of its leaf. Only the tree writes `next`. */
export interface Leafed<T> extends Hashed {
  next: T | undefined;
}

/** Bits of the position that one level of the tree reads: 16 children a node. */
export const LEVEL_BITS = 4;
export const FAN_OUT = 2 ** LEVEL_BITS;
/** Deepest level that may be asked about: 65,536 nodes. The root is level 0. */
export const MAX_LEVEL = 4;
/** The root. Node n has the children 16n to 16n + 15, so that a number says level and place in one. */
export const ROOT = 1;
export const DIGEST_BYTES = 4;
export const ROOT_DIGEST_BYTES = 8;

/** Mean length of a leaf's list at which the tree gets one more level. */
const LEAF_ITEMS = 32;

export function levelOf(node: number): number {
  return (31 - Math.clz32(node)) / LEVEL_BITS;
}

/** Whether `node` is a number that a tree of `MAX_LEVEL` has. */
export function isNode(node: number): boolean {
  return (
    node >= ROOT && node < 2 ** (LEVEL_BITS * MAX_LEVEL + 1) && Number.isInteger(levelOf(node))
  );
}

/** The node of `level` above an item. */
function nodeAbove(position: number, level: number): number {
  const bits = LEVEL_BITS * level;
  return 2 ** bits + (bits === 0 ? 0 : position >>> (32 - bits));
}

/**
 * 64 bits in 32, in another way for each salt: two things that look alike by one salt differ by the next.
 * The finish is MurmurHash3's (public domain).
 */
export function fold(low: number, high: number, salt: number): number {
  let mixed = Math.imul(low ^ salt, 0xcc9e2d51);
  mixed = Math.imul(mixed ^ (mixed >>> 15) ^ high, 0x1b873593);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/**
 * A hash tree over items that come and go: each node holds the XOR of the hashes below it, so that a
 * change costs one step a level. How deep this host keeps it is its own affair: nodes below are
 * computed from the leaf's list. 16 bytes a node and 2 to 30 items a node.
 */
export class HashTree<T extends Leafed<T>> {
  #depth = 0;
  #low = new Int32Array(2);
  #high = new Int32Array(2);
  #counts = new Uint32Array(2);
  #leaves: (T | undefined)[] = [undefined];

  get size(): number {
    return this.#counts[ROOT] ?? 0;
  }

  add(item: T): void {
    if (this.size >= LEAF_ITEMS * FAN_OUT ** this.#depth && this.#depth < MAX_LEVEL) this.#deepen();
    this.#insert(item);
  }

  /** Takes out an item that is in the tree. */
  delete(item: T): void {
    const leaf = this.#leafOf(item);
    const first = this.#leaves[leaf];
    if (first === item) this.#leaves[leaf] = item.next;
    else this.#unlink(first, item);
    item.next = undefined;
    this.#count(item, -1);
  }

  /** Items under a node. O(what the node holds) down to this tree's depth. */
  count(node: number): number {
    if (levelOf(node) <= this.#depth) return this.#counts[node] ?? 0;
    return [...this.under(node)].length;
  }

  /** Whether the digests one level below a node are kept, and not summed up on the spot. */
  keepsBelow(node: number): boolean {
    return levelOf(node) < this.#depth;
  }

  /** The items under a node, in no particular order. */
  *under(node: number): Generator<T> {
    const level = levelOf(node);
    const below = LEVEL_BITS * (this.#depth - level);
    const place = node - 2 ** (LEVEL_BITS * level);
    const [first, end] =
      below >= 0
        ? [place * 2 ** below, (place + 1) * 2 ** below]
        : [place >>> -below, (place >>> -below) + 1];
    for (let leaf = first; leaf < end; leaf++) {
      for (let item = this.#leaves[leaf]; item !== undefined; item = item.next) {
        if (below >= 0 || nodeAbove(item.position, level) === node) yield item;
      }
    }
  }

  /** Digest of all there is; zeros if there is nothing. */
  root(): Buffer {
    const digest = Buffer.alloc(ROOT_DIGEST_BYTES);
    digest.writeInt32BE(this.#low[ROOT] ?? 0, 0);
    digest.writeInt32BE(this.#high[ROOT] ?? 0, 4);
    return digest;
  }

  /** Digests of the nodes one level below a node, 4 bytes each, in order. */
  digests(node: number, salt: number): Buffer {
    const digests = Buffer.alloc(FAN_OUT * DIGEST_BYTES);
    const [low, high, first] = this.keepsBelow(node)
      ? [this.#low, this.#high, node * FAN_OUT]
      : this.#sums(node);
    for (let index = 0; index < FAN_OUT; index++) {
      const digest = fold(low[first + index] ?? 0, high[first + index] ?? 0, salt);
      digests.writeUInt32BE(digest, index * DIGEST_BYTES);
    }
    return digests;
  }

  /** The sums of nodes deeper than this tree keeps any. */
  #sums(node: number): [Int32Array, Int32Array, number] {
    const [low, high] = [new Int32Array(FAN_OUT), new Int32Array(FAN_OUT)];
    for (const item of this.under(node)) {
      const index = nodeAbove(item.position, levelOf(node) + 1) - node * FAN_OUT;
      low[index] = (low[index] ?? 0) ^ item.low;
      high[index] = (high[index] ?? 0) ^ item.high;
    }
    return [low, high, 0];
  }

  #leafOf(item: T): number {
    return nodeAbove(item.position, this.#depth) - this.#leaves.length;
  }

  #insert(item: T): void {
    const leaf = this.#leafOf(item);
    item.next = this.#leaves[leaf];
    this.#leaves[leaf] = item;
    this.#count(item, 1);
  }

  #unlink(first: T | undefined, gone: T): void {
    for (let item = first; item !== undefined; item = item.next) {
      if (item.next !== gone) continue;
      item.next = gone.next;
      return;
    }
  }

  #count({ position, low, high }: T, change: 1 | -1): void {
    for (let level = this.#depth; level >= 0; level--) {
      const node = nodeAbove(position, level);
      this.#low[node] = (this.#low[node] ?? 0) ^ low;
      this.#high[node] = (this.#high[node] ?? 0) ^ high;
      this.#counts[node] = (this.#counts[node] ?? 0) + change;
    }
  }

  /** One level more. O(size), and each time 16 times as rare. */
  #deepen(): void {
    const items = [...this.under(ROOT)];
    const leaves = FAN_OUT ** ++this.#depth;
    this.#low = new Int32Array(2 * leaves);
    this.#high = new Int32Array(2 * leaves);
    this.#counts = new Uint32Array(2 * leaves);
    this.#leaves = new Array<T | undefined>(leaves).fill(undefined);
    for (const item of items) this.#insert(item);
  }
}
