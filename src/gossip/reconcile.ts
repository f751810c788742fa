import { encodeRow } from './cargo.ts';
import {
  DIGEST_BYTES,
  FAN_OUT,
  fold,
  levelOf,
  MAX_LEVEL,
  ROOT,
  type HashTree,
} from './hash-tree.ts';
import type { HeldRow } from './held-row.ts';
import { compareStamps } from './hybrid-clock.ts';
import { MAX_SYNC_BYTES, Parcel, VISITS_MAX } from './parcel.ts';
import { encodePostponed, encodeRange, type Difference, type Label, type Range } from './range.ts';

/*
 * Finding out in which rows two replicas differ, by walking down their hash trees together (see ADR 14).
 * The host that began asks and remembers what it asked; the other one answers each request from what it
 * holds, and remembers nothing.
 */

type Tree = HashTree<HeldRow>;

/** A node with at most this many rows is described by their versions instead of digests one level down. */
const LIST_MAX = 32;
/** So little is sent at once to whoever has nothing. More goes to one host only at a time. */
const EAGER_BYTES = 65_536;
/** Room for the numbers of `RANGES_MAX` postponed nodes. */
const POSTPONED_BYTES = 65_536;

/** About what a row takes in a message: to ask for no more rows than an answer has room for. */
const ROW_BYTES = 128;

/** From the root two levels at a step: one round less for 960 bytes more. */
const levelsBelow = (node: number): number => (node === ROOT ? 2 : 1);

/** Nodes below `node` whose digests by `tree` are not those given. */
function* differing(tree: Tree, node: number, digests: Buffer, salt: number): Generator<number> {
  const count = digests.length / DIGEST_BYTES;
  const own = tree.digests(node, count === FAN_OUT ? 1 : 2, salt);
  for (let index = 0; index < count; index++) {
    const at = index * DIGEST_BYTES;
    if (own.readUInt32BE(at) !== digests.readUInt32BE(at)) yield node * count + index;
  }
}

/** The rows under a node by the digests of their versions. */
function versionsOf(tree: Tree, node: number, salt: number): Map<number, HeldRow> {
  const versions = new Map<number, HeldRow>();
  for (const row of tree.under(node)) versions.set(fold(row.low, row.high, salt), row);
  return versions;
}

const isListed = (tree: Tree, node: number): boolean =>
  levelOf(node) >= MAX_LEVEL || tree.count(node) <= LIST_MAX;

/** What `tree` holds at a node, in as few bytes as let the other side go on. */
function describe(tree: Tree, node: number, salt: number): Range {
  if (isListed(tree, node)) {
    return { node, kind: 'versions', versions: [...versionsOf(tree, node, salt).keys()] };
  }
  return { node, kind: 'digests', digests: tree.digests(node, levelsBelow(node), salt) };
}

/** Adds rows as long as there is room; false if it ran out. */
function addRows(rows: Iterable<HeldRow>, parcel: Parcel): boolean {
  for (const { row } of rows) if (!parcel.add(encodeRow(row))) return false;
  return true;
}

/**
 * Answers what somebody says of all its rows at the beginning of a sync.
 * @param digest  of all its rows; zeros if it has none
 */
export function answerOpening(tree: Tree, digest: Uint8Array, salt: number, parcel: Parcel): void {
  if (tree.root().equals(digest)) return;
  const hasNothing = digest.every((byte) => byte === 0);
  const few = new Parcel(new Uint8Array(), EAGER_BYTES);
  if (hasNothing && addRows(tree.under(ROOT), few) && parcel.add(few.finish())) return;
  parcel.add(encodeRange(describe(tree, ROOT, salt)));
}

/** Answers ranges as far as there is room, and names those that must be asked again. */
export function answerRanges(
  tree: Tree,
  ranges: readonly Range[],
  salt: number,
  parcel: Parcel,
): void {
  if (ranges.length === 0) return;
  parcel.reserve(POSTPONED_BYTES);
  const postponed = ranges.filter((range) => !answerRange(tree, range, salt, parcel));
  parcel.release(POSTPONED_BYTES);
  if (postponed.length > 0) parcel.add(encodePostponed(postponed.map(({ node }) => node)));
}

/** False if the answer is not whole. */
function answerRange(tree: Tree, range: Range, salt: number, parcel: Parcel): boolean {
  const { node } = range;
  if (!parcel.visit(1 + tree.count(node))) return false;
  switch (range.kind) {
    case 'digests':
      for (const child of differing(tree, node, range.digests, salt)) {
        if (!parcel.add(encodeRange(describe(tree, child, salt)))) return false;
      }
      return true;
    case 'versions': {
      const own = versionsOf(tree, node, salt);
      const lacking = range.versions.filter((version) => !own.delete(version));
      if (lacking.length === 0) return addRows(own.values(), parcel);
      return parcel.add(encodeRange({ node, kind: 'difference', lacking, labels: labelsOf(own) }));
    }
    case 'difference': {
      const { sent, wanted } = decide(tree, range, salt);
      const isAsked =
        wanted.length === 0 || parcel.add(encodeRange({ node, kind: 'wanted', wanted }));
      return isAsked && addRows(sent, parcel);
    }
    case 'wanted':
      return addRows(wantedRows(tree, range, salt), parcel);
    case 'everything':
      if (addRows(tree.under(node), parcel)) return true;
      return parcel.add(encodeRange(describe(tree, node, salt)));
  }
}

function wantedRows(
  tree: Tree,
  { node, wanted }: Extract<Range, { kind: 'wanted' }>,
  salt: number,
): HeldRow[] {
  const own = versionsOf(tree, node, salt);
  return [...new Set(wanted)].map((version) => own.get(version)).filter((row) => row !== undefined);
}

const tagOf = ({ position }: HeldRow): number => position & 0xffff;

function labelsOf(versions: ReadonlyMap<number, HeldRow>): Label[] {
  return Array.from(versions, ([digest, row]) => ({
    ...{ digest, tag: tagOf(row) },
    stamp: { millis: row.millis, count: row.count },
  }));
}

/**
 * Of a difference that the other side told: which own rows it should get and which of its versions this
 * host wants. Where both have a version of one row, only the later one moves; of equal stamps, both.
 */
function decide(
  tree: Tree,
  { node, lacking, labels }: { readonly node: number } & Difference,
  salt: number,
): { readonly sent: HeldRow[]; readonly wanted: number[] } {
  const own = versionsOf(tree, node, salt);
  const sent = new Set<HeldRow>();
  const rivals = new Map<number, HeldRow>();
  for (const version of lacking) {
    const row = own.get(version);
    if (row === undefined) continue;
    sent.add(row);
    rivals.set(tagOf(row), row);
  }
  const wanted: number[] = [];
  for (const { digest, tag, stamp } of labels) {
    if (own.has(digest)) continue;
    const rival = rivals.get(tag);
    const order = rival === undefined ? 1 : compareStamps(stamp, rival);
    if (order >= 0) wanted.push(digest);
    if (order > 0 && rival !== undefined) sent.delete(rival);
  }
  return { sent: [...sent], wanted };
}

function rowsAsked(range: Range): number {
  if (range.kind === 'wanted') return range.wanted.length;
  return range.kind === 'difference' ? range.lacking.length : 0;
}

/** What is to be asked about a node; the range itself is made when it is sent, from what is held then. */
type Question =
  | { readonly kind: 'digests' | 'versions' | 'everything' }
  | { readonly kind: 'wanted'; readonly wanted: readonly number[] }
  | {
      readonly kind: 'difference';
      readonly lacking: readonly number[];
      readonly extra: ReadonlySet<number>;
    };

/** The asking side of one sync: what is still to be asked and sent. */
export class Reconciliation {
  readonly #tree: Tree;
  readonly #salt: number;
  /** By node: what comes next. */
  readonly #agenda = new Map<number, Question>();
  /** By node: what the last request asked. */
  #asked = new Map<number, Question>();
  #pushes: HeldRow[] = [];

  constructor(tree: Tree, salt: number) {
    this.#tree = tree;
    this.#salt = salt;
  }

  get isDone(): boolean {
    return this.#agenda.size === 0 && this.#pushes.length === 0;
  }

  /** Takes in an answer; its rows have been merged before. */
  accept(ranges: readonly Range[], postponed: readonly number[]): void {
    let visits = VISITS_MAX;
    for (const range of ranges) {
      visits -= 1 + this.#tree.count(range.node);
      if (visits < 0) break;
      this.#consider(range);
    }
    for (const node of postponed) {
      const question = this.#asked.get(node);
      if (question !== undefined && !this.#agenda.has(node)) this.#agenda.set(node, question);
    }
  }

  /** Puts into a request what there is room for. Returns how many rows it sends. */
  fill(parcel: Parcel): number {
    let sent = 0;
    for (const { row } of this.#pushes) {
      if (!parcel.add(encodeRow(row))) break;
      sent++;
    }
    this.#pushes = this.#pushes.slice(sent);
    this.#asked = new Map();
    let answerBytes = 0;
    for (const [node, question] of this.#agenda) {
      if (answerBytes > MAX_SYNC_BYTES) break;
      const range = this.#rangeOf(node, question);
      if (!parcel.add(encodeRange(range))) break;
      answerBytes += ROW_BYTES * rowsAsked(range);
      this.#asked.set(node, question);
      this.#agenda.delete(node);
    }
    return sent;
  }

  #consider(range: Range): void {
    const { node } = range;
    const own = (): Map<number, HeldRow> => versionsOf(this.#tree, node, this.#salt);
    switch (range.kind) {
      case 'digests':
        for (const child of differing(this.#tree, node, range.digests, this.#salt)) {
          this.#agenda.set(child, { kind: this.#waysTo(child) });
        }
        break;
      case 'versions': {
        const extra = own();
        const lacking = range.versions.filter((version) => !extra.delete(version));
        if (lacking.length === 0) this.#pushes.push(...extra.values());
        else if (extra.size === 0) this.#agenda.set(node, { kind: 'wanted', wanted: lacking });
        else {
          this.#agenda.set(node, { kind: 'difference', lacking, extra: new Set(extra.keys()) });
        }
        break;
      }
      case 'difference': {
        const { sent, wanted } = decide(this.#tree, range, this.#salt);
        this.#pushes.push(...sent);
        if (wanted.length > 0) this.#agenda.set(node, { kind: 'wanted', wanted });
        break;
      }
      case 'wanted':
        this.#pushes.push(...wantedRows(this.#tree, range, this.#salt));
        break;
      case 'everything':
        this.#pushes.push(...this.#tree.under(node));
        break;
    }
  }

  #waysTo(node: number): 'everything' | 'versions' | 'digests' {
    if (this.#tree.count(node) === 0) return 'everything';
    return isListed(this.#tree, node) ? 'versions' : 'digests';
  }

  #rangeOf(node: number, question: Question): Range {
    const [tree, salt] = [this.#tree, this.#salt];
    switch (question.kind) {
      case 'digests':
        return { node, kind: 'digests', digests: tree.digests(node, 1, salt) };
      case 'versions':
        return { node, kind: 'versions', versions: [...versionsOf(tree, node, salt).keys()] };
      case 'wanted': {
        const own = versionsOf(tree, node, salt);
        const wanted = question.wanted.filter((version) => !own.has(version));
        return { node, kind: 'wanted', wanted };
      }
      case 'difference': {
        const own = versionsOf(tree, node, salt);
        const lacking = question.lacking.filter((version) => !own.has(version));
        const extra = new Map([...own].filter(([version]) => question.extra.has(version)));
        return { node, kind: 'difference', lacking, labels: labelsOf(extra) };
      }
      case 'everything':
        return { node, kind: 'everything' };
    }
  }
}
