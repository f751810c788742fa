import type { PeerId, SocketAddress } from '../base/types.ts';
import type { Awareness } from './awareness.ts';
import type { Claim } from './cargo.ts';
import type { Core } from './core.ts';
import type { Courier } from './courier.ts';
import {
  isActive,
  isSameDescription,
  isUnspecified,
  MAX_INCARNATION,
  supersedes,
  type Member,
  type MemberRecord,
} from './member.ts';
import type { ProbeRing } from './probe.ts';
import { Suspicion } from './suspicion.ts';

/** How a claim came: `gossip` by datagram, `sync` as part of somebody's whole state. */
export type ClaimSource = 'gossip' | 'sync';

/** Rounds in which a leaving host says goodbye, the span between them, and hosts told in each. */
const LEAVE = { rounds: 3, spacingMs: 100, hosts: 64 } as const;

/** What is believed of whom: the rules of SWIM §4.2 by which claims change the roster. */
export class Membership {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #ring: ProbeRing;
  readonly #awareness: Awareness;
  readonly #suspicions = new Map<PeerId, { incarnation: number; suspicion: Suspicion }>();

  constructor(core: Core, courier: Courier, ring: ProbeRing, awareness: Awareness) {
    this.#core = core;
    this.#courier = courier;
    this.#ring = ring;
    this.#awareness = awareness;
  }

  /** Takes in what somebody claims of a member; passes it on if it is news. */
  merge({ record, accuser }: Claim, source: ClaimSource): void {
    if (record.id === this.#core.self.id) {
      this.#hearOfSelf(record);
      return;
    }
    if (!this.#isUsable(record)) return;
    const known = this.#core.roster.get(record.id);
    if (known !== undefined) this.#compare(soften(record, known, source), known, accuser);
    // A stranger's death is no news: taking it in would keep the long dead in circulation for ever.
    else if (isActive(record) && this.#hasRoom()) this.#apply(record, accuser);
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
    if (this.#core.outbox.at.now < running.suspicion.deadline) {
      this.#await(member);
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
      core.self = { ...core.self, state: 'left' };
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

  #isUsable(record: MemberRecord): boolean {
    const { self, counters } = this.#core;
    const isSpoken =
      record.protocol.min <= self.protocol.max && record.protocol.max >= self.protocol.min;
    if (!isSpoken) counters.add('dropVersion');
    const isPlaced = !isUnspecified(record.address.address);
    if (!isPlaced) counters.add('claimMalformed');
    return isSpoken && isPlaced;
  }

  #hasRoom(): boolean {
    const { roster, config, counters } = this.#core;
    if (roster.all().length < config.membersMax) return true;
    counters.add('memberQuota');
    return false;
  }

  #compare(record: MemberRecord, known: Member, accuser: PeerId | undefined): void {
    const isSameSuspicion =
      record.state === 'suspect' &&
      known.state === 'suspect' &&
      record.incarnation === known.incarnation;
    if (isSameSuspicion && accuser !== undefined) this.#confirm(known, accuser);
    else if (supersedes(record, known)) this.#apply(record, accuser);
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
    if (isActive(member) && !(previous && isActive(previous))) this.#welcome(member);
    this.#weigh(member, accuser ?? self.id);
    if (previous?.state === 'dead' && isActive(member)) this.#core.returned.add(member.id);
    outbox.push({ kind: 'member', member, previous });
  }

  #welcome(member: Member): void {
    this.#ring.insert(member.id);
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
    const suspicion = new Suspicion(config, hosts, accuser, outbox.at.now);
    this.#suspicions.set(member.id, { incarnation: member.incarnation, suspicion });
    this.#courier.announce({ record: member, accuser });
    this.#await(member);
  }

  #confirm(member: Member, accuser: PeerId): void {
    if (!this.#suspicions.get(member.id)?.suspicion.confirm(accuser)) return;
    this.#courier.announce({ record: member, accuser });
    this.#await(member);
  }

  #await({ id, incarnation }: Member): void {
    const running = this.#suspicions.get(id);
    if (running === undefined) return;
    const left = running.suspicion.deadline - this.#core.outbox.at.now;
    this.#core.outbox.timer({ kind: 'suspicion', id, incarnation }, Math.max(0, left));
  }

  /**
   * Somebody speaks of this host. Whatever is not what it says itself, in its present or a later
   * incarnation (a suspicion, or what it said before a restart), it overrules by a higher one.
   */
  #hearOfSelf(record: MemberRecord): void {
    const { self, phase, counters } = this.#core;
    if (phase === 'leaving' || record.incarnation < self.incarnation) return;
    const isTrue = record.state === 'alive' && isSameDescription(record, self);
    if (isTrue && record.incarnation === self.incarnation) return;
    counters.add('refutations');
    if (record.state === 'suspect') this.#awareness.note(1);
    this.#reincarnate(self, record.incarnation);
  }

  /** Takes a higher incarnation than `incarnation` and tells the mesh. */
  #reincarnate(self: MemberRecord, incarnation: number): void {
    this.#core.self = { ...self, incarnation: above(incarnation) };
    if (!isUnspecified(self.address.address)) this.#courier.announceSelf();
  }

  #detach(): void {
    const core = this.#core;
    for (const member of [...core.roster.all()]) this.#forget(member);
    this.#courier.clear();
    this.#ring.clear();
    core.self = { ...core.self, state: 'alive', incarnation: above(core.self.incarnation) };
    core.phase = 'detached';
    core.outbox.push({ kind: 'left' });
  }

  #forget(member: Member): void {
    this.#core.roster.delete(member.id);
    this.#suspicions.delete(member.id);
    this.#core.outbox.push({ kind: 'forgotten', member });
  }
}

const above = (incarnation: number): number => Math.min(MAX_INCARNATION, incarnation + 1);

/**
 * A death told in a whole-state exchange may be as old as the cut between two halves of the mesh: a
 * member that this host holds to live becomes a suspect by it and gets the time to answer.
 */
function soften(record: MemberRecord, known: Member, source: ClaimSource): MemberRecord {
  const isOldDeath = source === 'sync' && record.state === 'dead' && isActive(known);
  return isOldDeath ? { ...record, state: 'suspect' } : record;
}
