import type { Rng } from '../base/rng.ts';
import { randomInt } from '../base/rng.ts';
import type { Millis, PeerId, SocketAddress } from '../base/types.ts';
import type { MemberDescription } from './signatures.ts';

/**
 * What a host is held to be. Upwards in this list wins at equal incarnation:
 *
 *   alive ──missed probe──> suspect ──time runs out──> dead
 *     ^                        │                         │
 *     └──── refuted: the member itself raises its incarnation ────┘         left: said so itself
 */
export const MEMBER_STATES = ['alive', 'suspect', 'dead', 'left'] as const;
export type MemberState = (typeof MEMBER_STATES)[number];

/** Protocol versions a host speaks, both inclusive. */
export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/**
 * What is said of a member. All but `state` is decided by the member itself, per incarnation, and signed
 * by it; of the states only `left` is.
 */
export interface MemberRecord {
  readonly id: PeerId;
  readonly name: string;
  /** Where its mesh port is reached. */
  readonly address: SocketAddress;
  readonly incarnation: number;
  readonly state: MemberState;
  readonly protocol: VersionRange;
  /** Opaque to gossip, at most `MAX_META_BYTES`. */
  readonly meta: Uint8Array;
  /** The member's public key, of which its id is made. */
  readonly key: Uint8Array;
  /** Of all this by that key (`memberBytes`). */
  readonly signature: Uint8Array;
}

/** A record as this host holds it. Immutable: a change makes a new object. */
export interface Member extends MemberRecord {
  /** When this host saw the present state begin: monotonic ... */
  readonly since: Millis;
  /** ... and in milliseconds since the Unix epoch, for people. */
  readonly sinceWall: number;
}

export const MAX_META_BYTES = 512;
export const MAX_NAME_BYTES = 63;
/** Incarnations above this are refused. */
export const MAX_INCARNATION = 2 ** 31;
/**
 * Hosts raise their incarnation one by one. A claim that lies further than this above what is held of a
 * member, or less than this below `MAX_INCARNATION` for a stranger, is forged: it is refused, so that
 * there is room left for refutations.
 */
export const INCARNATION_LEAP_MAX = 2 ** 20;

/** Letters, digits, `.`, `_` and `-`, at most 63, the first a letter or digit. */
export function isHostName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name);
}

/**
 * Whether `claim` is news beside `known`: a higher incarnation, or a worse state at the same one. The
 * order is total over (incarnation, state), so that all hosts end with the same record whatever the
 * order in which claims reach them.
 */
export function supersedes(claim: MemberRecord, known: MemberRecord): boolean {
  if (claim.incarnation !== known.incarnation) return claim.incarnation > known.incarnation;
  return MEMBER_STATES.indexOf(claim.state) > MEMBER_STATES.indexOf(known.state);
}

export function isSameAddress(one: SocketAddress, other: SocketAddress): boolean {
  return one.port === other.port && one.address === other.address;
}

/** Whether the host has not said at which address it is reached. */
export function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** Whether two records describe the host alike (state and incarnation aside). */
export function isSameDescription(one: MemberDescription, other: MemberDescription): boolean {
  return (
    one.name === other.name &&
    isSameAddress(one.address, other.address) &&
    one.protocol.min === other.protocol.min &&
    one.protocol.max === other.protocol.max &&
    Buffer.compare(one.meta, other.meta) === 0
  );
}

/** Alive, or not yet given up: a host that is probed and told the news. */
export function isActive(member: MemberRecord): boolean {
  return member.state === 'alive' || member.state === 'suspect';
}

/** The other members. Lookup, insert and random choice are O(1). */
export class Roster {
  readonly #slots = new Map<PeerId, number>();
  readonly #members: Member[] = [];
  /** How many active members carry a name; names of none are absent. */
  readonly #names = new Map<string, number>();
  #active = 0;

  get(id: PeerId): Member | undefined {
    const slot = this.#slots.get(id);
    return slot === undefined ? undefined : this.#members[slot];
  }

  /** Live view, in no particular order; do not keep it. */
  all(): readonly Member[] {
    return this.#members;
  }

  /** Members that are alive or suspect; this host is not among them. */
  get active(): number {
    return this.#active;
  }

  get size(): number {
    return this.#members.length;
  }

  /** How many active members carry this name. */
  activeNamed(name: string): number {
    return this.#names.get(name) ?? 0;
  }

  /** Adds a member or replaces what was held of it; returns what was held before. */
  set(member: Member): Member | undefined {
    const previous = this.get(member.id);
    const slot = this.#slots.get(member.id) ?? this.#members.length;
    this.#slots.set(member.id, slot);
    this.#members[slot] = member;
    if (previous !== undefined && isActive(previous)) this.#count(previous.name, -1);
    if (isActive(member)) this.#count(member.name, 1);
    return previous;
  }

  delete(id: PeerId): void {
    const slot = this.#slots.get(id);
    const gone = this.get(id);
    const last = this.#members.at(-1);
    if (slot === undefined || gone === undefined || last === undefined) return;
    this.#members[slot] = last;
    this.#slots.set(last.id, slot);
    this.#members.pop();
    this.#slots.delete(id);
    if (isActive(gone)) this.#count(gone.name, -1);
  }

  clear(): void {
    this.#slots.clear();
    this.#members.length = 0;
    this.#names.clear();
    this.#active = 0;
  }

  /** Up to `count` different members that pass `wanted`, uniformly: a partial shuffle, O(N) at worst. */
  pick(count: number, rng: Rng, wanted: (member: Member) => boolean): Member[] {
    const picked: Member[] = [];
    for (let left = this.#members.length; left > 0 && picked.length < count; left--) {
      const slot = randomInt(rng, left);
      const member = this.#swap(slot, left - 1);
      if (wanted(member)) picked.push(member);
    }
    return picked;
  }

  #count(name: string, change: 1 | -1): void {
    this.#active += change;
    const named = this.activeNamed(name) + change;
    if (named === 0) this.#names.delete(name);
    else this.#names.set(name, named);
  }

  /** Exchanges two slots and returns the member that was in the first. */
  #swap(one: number, other: number): Member {
    const first = this.#members[one] as Member;
    const second = this.#members[other] as Member;
    this.#members[one] = second;
    this.#members[other] = first;
    this.#slots.set(second.id, one);
    this.#slots.set(first.id, other);
    return first;
  }
}
