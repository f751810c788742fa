import type { Rng } from '../base/rng.ts';
import type { PeerId } from '../base/types.ts';
import type { GossipConfig } from './config.ts';
import type { Counters } from './counters.ts';
import type { Outbox } from './effects.ts';
import { isActive, Roster, type Member, type MemberRecord } from './member.ts';
import { encodeHeader, GOSSIP_KIND } from './message.ts';
import { signMember, type MemberDescription, type Signatures } from './signatures.ts';

/** Whether this host takes part: `detached` after it has left, until the next join. */
export type Phase = 'attached' | 'leaving' | 'detached';

interface CoreSettings {
  readonly self: MemberDescription;
  readonly signatures: Signatures;
  readonly label: string;
  readonly config: GossipConfig;
  readonly rng: Rng;
  readonly counters: Counters;
  readonly outbox: Outbox;
}

/** What the parts of one machine share. */
export class Core {
  readonly config: GossipConfig;
  readonly rng: Rng;
  readonly counters: Counters;
  readonly outbox: Outbox;
  readonly label: string;
  readonly roster = new Roster();
  readonly signatures: Signatures;
  phase: Phase = 'attached';
  /** Members that were held dead and live after all, since the present input began. */
  readonly returned = new Set<PeerId>();
  #self: MemberRecord;
  #exchanges = 0;
  #wakingUntil = -Infinity;

  constructor({ self, signatures, label, config, rng, counters, outbox }: CoreSettings) {
    this.signatures = signatures;
    this.#self = signMember(self, signatures);
    this.label = label;
    this.config = config;
    this.rng = rng;
    this.counters = counters;
    this.outbox = outbox;
  }

  /** This host's own record. */
  get self(): MemberRecord {
    return this.#self;
  }

  /** Signs what this host says of itself from now on; only `Membership` changes it. */
  describeSelf(self: MemberDescription): void {
    this.#self = signMember(self, this.signatures);
  }

  /** Whether the host is alive or suspect; this one is. */
  isActive(id: PeerId): boolean {
    const member = this.roster.get(id);
    return id === this.#self.id || (member !== undefined && isActive(member));
  }

  /** N of the formulas: members alive or suspect, this host included. */
  get hosts(): number {
    return this.roster.active + 1;
  }

  /** The header in the highest version that both sides speak; in the lowest to a stranger. */
  headerFor(recipient: MemberRecord | undefined, kind = GOSSIP_KIND): Uint8Array {
    const { min, max } = this.self.protocol;
    const version = recipient === undefined ? min : Math.min(max, recipient.protocol.max);
    return encodeHeader(version, this.label, kind);
  }

  /** A number for an `exchange` effect, by which its end is told. */
  nextExchange(): number {
    return ++this.#exchanges;
  }

  /** A timer came `lateBy` after it was due; true if this host must have stood still. */
  noteLateness(lateBy: number): boolean {
    const { probeTimeout } = this.config;
    if (lateBy <= probeTimeout) return false;
    this.#wakingUntil = this.outbox.at.now + probeTimeout;
    return true;
  }

  /**
   * Whether this host stood still until a moment ago: what others said meanwhile may lie unread, and
   * nobody may be condemned before it is read.
   */
  get isWaking(): boolean {
    return this.outbox.at.now < this.#wakingUntil;
  }

  /** Another live host with this name. O(1) unless there is one. */
  namesake(record: MemberRecord): Member | undefined {
    const known = this.roster.get(record.id);
    const own = known !== undefined && isActive(known) && known.name === record.name ? 1 : 0;
    if (this.roster.activeNamed(record.name) === own) return undefined;
    return this.roster
      .all()
      .find((member) => member.name === record.name && member.id !== record.id && isActive(member));
  }
}
