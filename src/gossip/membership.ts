import { asMillis, type Millis, type PeerId, type SocketAddress } from '../base/types.ts';
import type { Awareness } from './awareness.ts';
import type { Claim } from './cargo.ts';
import type { Core } from './core.ts';
import type { Courier } from './courier.ts';
import {
  INCARNATION_LEAP_MAX,
  isActive,
  isSameDescription,
  isUnspecified,
  MAX_INCARNATION,
  supersedes,
  type Member,
  type MemberRecord,
} from './member.ts';
import type { ProbeOrder } from './probe-order.ts';
import { isSignedMember } from './signatures.ts';
import { Suspicion } from './suspicion.ts';

/** How a claim came: `gossip` by datagram, `sync` as part of somebody's whole state. */
export type ClaimSource = 'gossip' | 'sync';

/** Rounds in which a leaving host says goodbye, the span between them, and hosts told in each. */
const LEAVE = { rounds: 3, spacingMs: 100, hosts: 64 } as const;

/** Addresses of forgotten dead members that are still called. */
const LAST_ADDRESSES_MAX = 64;

/** Of a claim, who says so and how it came. */
interface Told {
  readonly accuser: PeerId | undefined;
  readonly source: ClaimSource;
}

interface RunningSuspicion {
  readonly incarnation: number;
  readonly suspicion: Suspicion;
  /** When its timer is due. */
  dueAt: Millis;
}

/** What is believed of whom: the rules of SWIM §4.2 by which claims change the roster. */
export class Membership {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #order: ProbeOrder;
  readonly #awareness: Awareness;
  readonly #suspicions = new Map<PeerId, RunningSuspicion>();
  #lastAddresses: SocketAddress[] = [];

  constructor(core: Core, courier: Courier, order: ProbeOrder, awareness: Awareness) {
    this.#core = core;
    this.#courier = courier;
    this.#order = order;
    this.#awareness = awareness;
  }

  /** Where members were that died and are remembered no more: the latest `LAST_ADDRESSES_MAX`. */
  get lastAddresses(): readonly SocketAddress[] {
    return this.#lastAddresses;
  }

  /** Takes over members as another host holds them, and tells nobody. */
  acquaint(members: Iterable<Member>): void {
    for (const member of members) {
      if (member.id === this.#core.self.id) continue;
      this.#core.roster.set(member);
      if (isActive(member)) this.#order.insert(member.id);
    }
  }

  /**
   * Takes in what somebody claims of a member; passes it on if it is news. False if the claim is forged: then
   * nothing that came with it is worth looking at.
   */
  merge(claim: Claim, source: ClaimSource): boolean {
    const { record, accuser } = claim;
    if (record.id === this.#core.self.id) return this.#hearOfSelf(record);
    const known = this.#core.roster.get(record.id);
    if (known !== undefined && isToldOf(record, known)) {
      this.#compare({ ...known, state: record.state }, known, { accuser, source });
      return true;
    }
    // A stranger's death is no news: taking it in would keep the long dead in circulation for ever.
    const isNews = known === undefined ? isActive(record) : supersedes(record, known);
    if (!isNews || !this.#isUsable(record, known)) return true;
    if (!this.#isSigned(record)) return false;
    if (known !== undefined) this.#compare(record, known, { accuser, source });
    else if (this.#hasRoom()) this.#apply(record, accuser);
    return true;
  }

  /** A probe of this host's own found the member silent. */
  suspect(id: PeerId): void {
    const member = this.#core.roster.get(id);
    const accuser = this.#core.self.id;
    if (member?.state === 'suspect') {
      this.#confirm(member, accuser);
      return;
    }
    if (member?.state !== 'alive') return;
    this.#core.counters.add('suspicionsRaised');
    this.#apply({ ...member, state: 'suspect' }, accuser);
  }

  /** A suspicion's timer has come: the member is dead unless it was cleared or has time left. */
  suspicionDue(id: PeerId, incarnation: number): void {
    const running = this.#suspicions.get(id);
    const member = this.#core.roster.get(id);
    if (running?.incarnation !== incarnation || member?.state !== 'suspect') return;
    const { config, outbox, isWaking } = this.#core;
    const left = isWaking ? config.probeInterval : running.dueAt - outbox.at.now;
    if (left > 0) {
      this.#await(member, running, left);
      return;
    }
    this.#core.counters.add('deathsDeclared');
    this.#apply({ ...member, state: 'dead' }, undefined);
  }

  /** Changes what this host says of itself, and tells the mesh. */
  update(change: { readonly address?: SocketAddress; readonly meta?: Uint8Array }): void {
    const next = { ...this.#core.self, ...change };
    if (isSameDescription(next, this.#core.self)) return;
    this.#reincarnate(next, next.incarnation);
  }

  /** One round of goodbyes; after the last one the mesh is forgotten. */
  leave(round: number): void {
    const core = this.#core;
    if (round > 0 && core.phase !== 'leaving') return;
    if (round === 0) {
      core.phase = 'leaving';
      core.describeSelf({ ...core.self, state: 'left' });
    }
    if (round === LEAVE.rounds || core.roster.active === 0) {
      this.#detach();
      return;
    }
    this.#courier.tellSelf(core.roster.pick(LEAVE.hosts, core.rng, isActive));
    core.outbox.timer({ kind: 'leave', round: round + 1 }, LEAVE.spacingMs);
  }

  /** Forgets members that have been dead or gone for longer than `deadRetention`. */
  collect(): void {
    const { roster, config, outbox } = this.#core;
    const horizon = outbox.at.now - config.deadRetention;
    const old = roster.all().filter((member) => !isActive(member) && member.since < horizon);
    for (const member of old) this.#forget(member);
  }

  #isUsable(record: MemberRecord, known: Member | undefined): boolean {
    const { self, counters } = this.#core;
    const isSpoken =
      record.protocol.min <= self.protocol.max && record.protocol.max >= self.protocol.min;
    if (!isSpoken) counters.add('dropVersion');
    const isPlaced = !isUnspecified(record.address.address);
    if (!isPlaced) counters.add('claimMalformed');
    return isSpoken && isPlaced && !this.#isLeap(record, known?.incarnation);
  }

  /** Whether the incarnation is further ahead than its host can have come. */
  #isLeap(record: MemberRecord, known: number | undefined): boolean {
    const most =
      known === undefined ? MAX_INCARNATION - INCARNATION_LEAP_MAX : known + INCARNATION_LEAP_MAX;
    if (record.incarnation <= most) return false;
    this.#core.counters.add('claimLeap');
    return true;
  }

  /** Whether one more member can be kept: the longest dead or gone makes room for it. */
  #hasRoom(): boolean {
    const { roster, config, counters } = this.#core;
    if (roster.size < config.membersMax) return true;
    const oldest = roster.active < roster.size ? this.#longestGone() : undefined;
    if (oldest !== undefined) this.#forget(oldest);
    else counters.add('memberQuota');
    return oldest !== undefined;
  }

  #longestGone(): Member | undefined {
    let oldest: Member | undefined;
    for (const member of this.#core.roster.all()) {
      if (!isActive(member) && member.since < (oldest?.since ?? Infinity)) oldest = member;
    }
    return oldest;
  }

  #isSigned(record: MemberRecord): boolean {
    const isSigned = isSignedMember(record, this.#core.signatures);
    if (!isSigned) this.#core.counters.add('claimForged');
    return isSigned;
  }

  #compare(record: MemberRecord, known: Member, { accuser, source }: Told): void {
    if (record.state === 'dead' && isActive(known)) {
      this.#hearOfDeath(record, known, source);
      return;
    }
    const isSameSuspicion =
      record.state === 'suspect' &&
      known.state === 'suspect' &&
      record.incarnation === known.incarnation;
    if (isSameSuspicion && accuser !== undefined) this.#confirm(known, accuser);
    else if (supersedes(record, known)) this.#apply(record, accuser);
  }

  /**
   * Somebody holds a member dead that lives for this host. Nobody's word is enough for that: it may be a lie, or
   * as old as the cut between two halves of the mesh. The member becomes a suspect and gets the least time
   * that a suspect has to answer; from a whole-state exchange, all of it.
   */
  #hearOfDeath(record: MemberRecord, known: Member, source: ClaimSource): void {
    const suspect: MemberRecord = { ...record, state: 'suspect' };
    if (supersedes(suspect, known)) this.#apply(suspect, undefined);
    const member = this.#core.roster.get(known.id);
    const running = this.#suspicions.get(known.id);
    if (source === 'sync' || member === undefined || running === undefined) return;
    running.suspicion.condemn();
    this.#await(member, running, running.suspicion.deadline - this.#core.outbox.at.now);
  }

  #apply(record: MemberRecord, accuser: PeerId | undefined): void {
    const { roster, outbox, self } = this.#core;
    const previous = roster.get(record.id);
    const { now, wall } = outbox.at;
    const isSameState = previous?.state === record.state;
    const since = isSameState ? previous.since : now;
    const sinceWall = isSameState ? previous.sinceWall : wall;
    const member: Member = { ...record, since, sinceWall };
    roster.set(member);
    const wasActive = previous !== undefined && isActive(previous);
    if (isActive(member) && !wasActive) this.#welcome(member);
    if (!isActive(member) && wasActive) this.#order.delete(member.id);
    this.#weigh(member, accuser ?? self.id);
    if (previous?.state === 'dead' && isActive(member)) this.#core.returned.add(member.id);
    outbox.push({ kind: 'member', member, previous });
  }

  #welcome(member: Member): void {
    this.#order.insert(member.id);
    const other = this.#core.namesake(member);
    if (other === undefined) return;
    this.#core.counters.add('nameConflicts');
    this.#core.outbox.push({ kind: 'name-conflict', one: member, other });
  }

  /** Starts or ends the suspicion that goes with the member's state, and passes the claim on. */
  #weigh(member: Member, accuser: PeerId): void {
    if (member.state !== 'suspect') {
      this.#suspicions.delete(member.id);
      this.#courier.announce({ record: member });
      return;
    }
    const { config, hosts, outbox } = this.#core;
    const { now } = outbox.at;
    const suspicion = new Suspicion(config, hosts, accuser, now);
    const running = { incarnation: member.incarnation, suspicion, dueAt: now };
    this.#suspicions.set(member.id, running);
    this.#courier.announce({ record: member, accuser });
    this.#await(member, running, suspicion.deadline - now);
  }

  #confirm(member: Member, accuser: PeerId): void {
    const running = this.#suspicions.get(member.id);
    if (running?.suspicion.confirm(accuser) !== true) return;
    this.#courier.announce({ record: member, accuser });
    this.#await(member, running, running.suspicion.deadline - this.#core.outbox.at.now);
  }

  /** Sets the timer of a suspicion anew; timers set before come too early or too late. */
  #await({ id, incarnation }: Member, running: RunningSuspicion, left: number): void {
    const { outbox } = this.#core;
    const after = Math.max(0, left);
    running.dueAt = asMillis(outbox.at.now + after);
    outbox.timer({ kind: 'suspicion', id, incarnation }, after);
  }

  /**
   * Somebody speaks of this host. Whatever is not what it says itself, in its present or a later
   * incarnation (a suspicion, or what it said before a restart), it overrules by a higher one. False if
   * it has never said that.
   */
  #hearOfSelf(record: MemberRecord): boolean {
    const { self, phase, counters } = this.#core;
    if (phase === 'leaving' || record.incarnation < self.incarnation) return true;
    const isDoubt = record.state === 'suspect' || record.state === 'dead';
    const isOwn = record.incarnation === self.incarnation && isSameDescription(record, self);
    if (isOwn && record.state === 'alive') return true;
    if (this.#isLeap(record, self.incarnation)) return true;
    if (!(isOwn && isDoubt) && !this.#isSigned(record)) return false;
    counters.add('refutations');
    if (record.state === 'suspect') this.#awareness.note(1);
    this.#reincarnate(self, record.incarnation);
    return true;
  }

  /** Takes a higher incarnation than `incarnation` and tells the mesh. */
  #reincarnate(self: MemberRecord, incarnation: number): void {
    this.#core.describeSelf({ ...self, incarnation: above(incarnation) });
    if (!isUnspecified(self.address.address)) this.#courier.announceSelf();
  }

  #detach(): void {
    const core = this.#core;
    for (const member of [...core.roster.all()]) this.#forget(member);
    this.#lastAddresses = [];
    this.#courier.clear();
    const { self } = core;
    core.describeSelf({ ...self, state: 'alive', incarnation: above(self.incarnation) });
    core.phase = 'detached';
    core.outbox.push({ kind: 'left' });
  }

  #forget(member: Member): void {
    this.#core.roster.delete(member.id);
    this.#order.delete(member.id);
    this.#suspicions.delete(member.id);
    if (member.state === 'dead') {
      this.#lastAddresses = [member.address, ...this.#lastAddresses].slice(0, LAST_ADDRESSES_MAX);
    }
    this.#core.outbox.push({ kind: 'forgotten', member });
  }
}

const above = (incarnation: number): number => Math.min(MAX_INCARNATION, incarnation + 1);

/**
 * Whether the claim is about what is held already and says another state at most. Then what it says of the
 * member need not be looked at; but that a member has left, only that member says.
 */
const isToldOf = (record: MemberRecord, known: Member): boolean =>
  record.incarnation === known.incarnation && record.state !== 'left';
