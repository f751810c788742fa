import { encodeRow, SIGNED_MAX } from './cargo.ts';
import { DIGEST_BYTES, FAN_OUT, levelOf, MAX_LEVEL, ROOT, type HashTree } from './hash-tree.ts';
import type { HeldRow } from './held-row.ts';
import { compareStamps } from './hybrid-clock.ts';
import { Parcel, VISITS_MAX } from './parcel.ts';
import { encodePostponed, encodeRange, type Difference, type Label, type Range } from './range.ts';
import { AFTER_ALL, compareRecent, versionOf, type Recent, type RecentRows } from './recent.ts';
import type { Opening } from './sync-message.ts';

/*
 * Finding out in which rows two replicas differ (see ADR 14): by their latest rows first, and if that does
 * not do, by walking down their hash trees together. The host that began asks and remembers what it
 * asked; the other one answers each request from what it holds, and remembers nothing.
 */

type Tree = HashTree<HeldRow>;

/** What of a replica takes part. */
export interface Rows {
  readonly tree: Tree;
  readonly recent: RecentRows;
  /** Reading of the hybrid clock, in ms, when this host was last known to be equal to another. */
  readonly since: number | undefined;
}

/** A node with at most this many rows is described by their versions instead of digests one level down. */
const LIST_MAX = 32;
/** So little is sent at once to whoever asks. More goes to one host only at a time. */
const EAGER_BYTES = 65_536;
/** Room for the numbers of `RANGES_MAX` postponed nodes. */
const POSTPONED_BYTES = 65_536;

/** Nodes below `node` whose digests by `tree` are not those given. */
function* differing(tree: Tree, node: number, digests: Buffer, salt: number): Generator<number> {
  const own = tree.digests(node, salt);
  for (let index = 0; index < FAN_OUT; index++) {
    const at = index * DIGEST_BYTES;
    if (own.readUInt32BE(at) !== digests.readUInt32BE(at)) yield node * FAN_OUT + index;
  }
}

/** The rows under a node by the digests of their versions. */
function versionsOf(tree: Tree, node: number, salt: number): Map<number, HeldRow> {
  const versions = new Map<number, HeldRow>();
  for (const row of tree.under(node)) versions.set(versionOf(row, salt), row);
  return versions;
}

const isListed = (tree: Tree, node: number): boolean =>
  levelOf(node) >= MAX_LEVEL || tree.count(node) <= LIST_MAX;

/** What `tree` holds at a node, in as few bytes as let the other side go on. */
function describe(tree: Tree, node: number, salt: number): Range {
  if (isListed(tree, node)) {
    return { node, kind: 'versions', versions: [...versionsOf(tree, node, salt).keys()] };
  }
  return { node, kind: 'digests', digests: tree.digests(node, salt) };
}

/** Adds rows as long as there is room; false if it ran out. */
function addRows(rows: Iterable<HeldRow>, parcel: Parcel): boolean {
  for (const { row } of rows) if (!parcel.addSigned(encodeRow(row))) return false;
  return true;
}

/** Answers what somebody says of all its rows at the beginning of a sync. */
export function answerOpening(own: Rows, opening: Opening, salt: number, parcel: Parcel): void {
  const { tree } = own;
  if (tree.root().equals(opening.rows)) return;
  const { recent } = opening;
  if (recent !== undefined && answerRecent(own, recent, salt, parcel, EAGER_BYTES)) return;
  const hasNothing = opening.rows.every((byte) => byte === 0);
  const few = new Parcel(new Uint8Array(), EAGER_BYTES);
  if (hasNothing && addRows(tree.under(ROOT), few) && parcel.addAll(few)) return;
  parcel.add(encodeRange(describe(tree, ROOT, salt)));
}

/** Beside a root: by what the recipient told it lacks nothing, or gets it with this. */
export const SAID_ALL: Recent = { floor: AFTER_ALL, versions: [] };

/** Room for what is said beside the rows in an answer about the latest. */
const RECENT_BYTES = 4096;

/** Whether an answer that has been merged leaves nothing to compare. */
export function isSettled({ tree }: Rows, ranges: readonly Range[]): boolean {
  return ranges.every((range) => range.kind === 'recent' && range.root.equals(tree.root()));
}

/**
 * Answers what somebody says of its latest rows: sends what it lacks of them and asks for what this host lacks.
 * @param eager  send all of them within so many bytes, or none; undefined: as many as there is room for
 * @returns false if that is too much work
 */
function answerRecent(
  own: Rows,
  theirs: Recent,
  salt: number,
  parcel: Parcel,
  eager?: number,
): boolean {
  const { tree, recent, since } = own;
  if (recent.isDeep(theirs.floor) && !parcel.visit(tree.size)) return false;
  const { theyLack, weLack } = compareRecent(recent, theirs, salt);
  const rows = new Parcel(
    new Uint8Array(),
    Math.min(eager ?? Infinity, parcel.room - RECENT_BYTES),
    parcel.signed,
  );
  const isAllSent = addRows(theyLack, rows);
  const isBrief = eager !== undefined && isAllSent && weLack.length === 0;
  const said = isBrief ? SAID_ALL : recent.describe(since, salt);
  parcel.add(encodeRange({ node: ROOT, kind: 'recent', ...said, root: tree.root() }));
  if (weLack.length > 0) parcel.add(encodeRange({ node: ROOT, kind: 'wanted', wanted: weLack }));
  if (isAllSent || eager === undefined) parcel.addAll(rows);
  return true;
}

/** Answers ranges as far as there is room, and names those that must be asked again. */
export function answerRanges(
  own: Rows,
  ranges: readonly Range[],
  salt: number,
  parcel: Parcel,
): void {
  if (ranges.length === 0) return;
  parcel.reserve(POSTPONED_BYTES);
  const postponed = ranges.filter((range) => !answerRange(own, range, salt, parcel));
  parcel.release(POSTPONED_BYTES);
  if (postponed.length > 0) parcel.add(encodePostponed(postponed.map(({ node }) => node)));
}

/** Rows that are looked at for a range. */
function costOf({ tree }: Rows, { node, kind }: Range): number {
  if (kind === 'recent') return 1;
  return kind === 'digests' && tree.keepsBelow(node) ? FAN_OUT * LIST_MAX : 1 + tree.count(node);
}

/** False if the answer is not whole. */
function answerRange(own: Rows, range: Range, salt: number, parcel: Parcel): boolean {
  const { tree } = own;
  const { node } = range;
  if (!parcel.visit(costOf(own, range))) return false;
  switch (range.kind) {
    case 'digests':
      for (const child of differing(tree, node, range.digests, salt)) {
        if (!parcel.add(encodeRange(describe(tree, child, salt)))) return false;
      }
      return true;
    case 'versions': {
      const extra = versionsOf(tree, node, salt);
      const lacking = range.versions.filter((version) => !extra.delete(version));
      if (lacking.length === 0) return addRows(extra.values(), parcel);
      return parcel.add(
        encodeRange({ node, kind: 'difference', lacking, labels: labelsOf(extra) }),
      );
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
    case 'recent':
      return answerRecent(own, range, salt, parcel);
  }
}

function wantedRows(
  tree: Tree,
  { node, wanted }: Extract<Range, { kind: 'wanted' }>,
  salt: number,
): HeldRow[] {
  const versions = new Set(wanted);
  return [...tree.under(node)].filter((row) => versions.has(versionOf(row, salt)));
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
  | { readonly kind: 'recent' | 'digests' | 'versions' | 'everything' }
  | { readonly kind: 'wanted'; readonly wanted: readonly number[] }
  | {
      readonly kind: 'difference';
      readonly lacking: readonly number[];
      readonly extra: ReadonlySet<number>;
    };

/** The asking side of one sync: what is still to be asked and sent. */
export class Reconciliation {
  readonly #own: Rows;
  readonly #salt: number;
  /** By node: what comes next. */
  readonly #agenda = new Map<number, Question>();
  /** By node: what the last request asked. */
  #asked = new Map<number, Question>();
  readonly #pushes = new Set<HeldRow>();
  /** Rows sent: what the other side refuses is not sent to it again. */
  readonly #pushed = new Set<HeldRow>();
  /** The other side was asked for its latest rows. */
  #hasAsked = false;
  #hasPulled = false;
  #isEqual = false;

  constructor(own: Rows, salt: number) {
    this.#own = own;
    this.#salt = salt;
  }

  get isDone(): boolean {
    return this.#agenda.size === 0 && this.#pushes.size === 0;
  }

  /** The other side has said that it holds the same. */
  get isEqual(): boolean {
    return this.#isEqual;
  }

  /**
   * Takes in an answer; its rows have been merged before.
   * @param newRows  how many of them were news
   */
  accept(ranges: readonly Range[], postponed: readonly number[], newRows: number): void {
    let visits = VISITS_MAX;
    for (const range of ranges) {
      const cost = costOf(this.#own, range);
      if (cost > visits) continue;
      visits -= cost;
      this.#consider(range);
    }
    const latest = ranges.find((range) => range.kind === 'recent');
    if (latest !== undefined) this.#compareLatest(latest, newRows, visits);
    for (const node of postponed) {
      const question = this.#asked.get(node);
      if (question !== undefined && !this.#agenda.has(node)) this.#agenda.set(node, question);
    }
  }

  /** Puts into a request what there is room for. Returns how many rows it sends. */
  fill(parcel: Parcel): number {
    const sent = this.#fillRows(parcel);
    this.#asked = new Map();
    let rowsWanted = 0;
    for (const [node, question] of this.#agenda) {
      if (rowsWanted > SIGNED_MAX) break;
      const range = this.#rangeOf(node, question);
      if (!parcel.add(encodeRange(range))) break;
      rowsWanted += rowsAsked(range);
      this.#asked.set(node, question);
      this.#agenda.delete(node);
    }
    return sent;
  }

  #fillRows(parcel: Parcel): number {
    let sent = 0;
    // A full request must still ask, or it would get no answer to go on from.
    parcel.reserve(RECENT_BYTES);
    for (const held of this.#pushes) {
      if (!parcel.addSigned(encodeRow(held.row))) break;
      this.#pushes.delete(held);
      this.#pushed.add(held);
      sent++;
    }
    parcel.release(RECENT_BYTES);
    return sent;
  }

  #push(rows: Iterable<HeldRow>): void {
    for (const row of rows) if (!this.#pushed.has(row)) this.#pushes.add(row);
  }

  /**
   * First this host gets what it lacks of the other's latest rows, then it sends what the other lacks, so
   * that no version travels which a later one has replaced. What differs then is found by the tree.
   */
  #compareLatest(
    latest: Extract<Range, { kind: 'recent' }>,
    newRows: number,
    visits: number,
  ): void {
    const { tree, recent } = this.#own;
    this.#isEqual = tree.root().equals(latest.root);
    if (this.#isEqual) {
      this.#pushes.clear();
      return;
    }
    const isTooMuch = recent.isDeep(latest.floor) && tree.size > visits;
    const { theyLack, weLack } = isTooMuch
      ? { theyLack: [], weLack: [] }
      : compareRecent(recent, latest, this.#salt);
    const isPulling = weLack.length > 0 && (newRows > 0 || !this.#hasPulled);
    if (isPulling) this.#hasPulled = true;
    else this.#push(theyLack);
    const isMute = latest.floor === AFTER_ALL && !this.#hasAsked;
    const isAsking = isPulling || isMute || this.#pushes.size > 0;
    if (isAsking) this.#hasAsked = true;
    const kind = isAsking ? 'recent' : this.#waysTo(ROOT);
    this.#agenda.set(ROOT, { kind });
  }

  #consider(range: Range): void {
    const { node } = range;
    const { tree } = this.#own;
    switch (range.kind) {
      case 'digests':
        for (const child of differing(tree, node, range.digests, this.#salt)) {
          this.#agenda.set(child, { kind: this.#waysTo(child) });
        }
        break;
      case 'versions': {
        const extra = versionsOf(tree, node, this.#salt);
        const lacking = range.versions.filter((version) => !extra.delete(version));
        if (lacking.length === 0) this.#push(extra.values());
        else if (extra.size === 0) this.#agenda.set(node, { kind: 'wanted', wanted: lacking });
        else {
          this.#agenda.set(node, { kind: 'difference', lacking, extra: new Set(extra.keys()) });
        }
        break;
      }
      case 'difference': {
        const { sent, wanted } = decide(tree, range, this.#salt);
        this.#push(sent);
        if (wanted.length > 0) this.#agenda.set(node, { kind: 'wanted', wanted });
        break;
      }
      case 'wanted':
        this.#push(wantedRows(tree, range, this.#salt));
        break;
      case 'everything':
        this.#push(tree.under(node));
        break;
      case 'recent':
        break;
    }
  }

  #waysTo(node: number): 'everything' | 'versions' | 'digests' {
    const { tree } = this.#own;
    if (tree.count(node) === 0) return 'everything';
    return isListed(tree, node) ? 'versions' : 'digests';
  }

  #rangeOf(node: number, question: Question): Range {
    const { tree, recent, since } = this.#own;
    const salt = this.#salt;
    switch (question.kind) {
      case 'recent':
        return { node, kind: 'recent', ...recent.describe(since, salt), root: tree.root() };
      case 'digests':
        return { node, kind: 'digests', digests: tree.digests(node, salt) };
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
