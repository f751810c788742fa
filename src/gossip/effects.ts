import type { Millis, PeerId, SocketAddress } from '../base/types.ts';
import type { JoinOutcome } from './join.ts';
import type { Member } from './member.ts';
import type { RowChange } from './replica.ts';

/** When an input reaches the machine, by both clocks. */
export interface Instant {
  /** Monotonic: all spans are measured by it. */
  readonly now: Millis;
  /** Milliseconds since the Unix epoch: for row stamps and for people. */
  readonly wall: number;
}

/**
 * A wake-up the machine asks for and gets back as it was. None is ever cancelled: one that has become
 * pointless is recognised by its value when it comes.
 */
export type Timer =
  | { readonly kind: 'probe'; readonly slot: number }
  | { readonly kind: 'probe-timeout'; readonly sequence: number }
  | { readonly kind: 'probe-end'; readonly sequence: number }
  | { readonly kind: 'relay-nack'; readonly sequence: number }
  | { readonly kind: 'relay-end'; readonly sequence: number }
  | { readonly kind: 'suspicion'; readonly id: PeerId; readonly incarnation: number }
  | { readonly kind: 'gossip'; readonly round: number }
  | { readonly kind: 'push-pull'; readonly round: number }
  | { readonly kind: 'rejoin'; readonly round: number }
  | { readonly kind: 'collect' }
  | { readonly kind: 'leave'; readonly round: number };

/** What the machine wants done, in this order. */
export type Effect =
  | { readonly kind: 'send'; readonly to: SocketAddress; readonly bytes: Uint8Array }
  | { readonly kind: 'timer'; readonly timer: Timer; readonly after: Millis }
  /** A push-pull or ping over TCP; its end comes back by `exchanged` or `exchangeFailed` with the same number. */
  | {
      readonly kind: 'exchange';
      readonly exchange: number;
      readonly to: SocketAddress;
      readonly request: Uint8Array;
      readonly timeout: Millis;
    }
  /** A join that a person asked for has ended. */
  | { readonly kind: 'joined'; readonly exchange: number; readonly outcome: JoinOutcome }
  /** A member is new, or its state or description changed. `previous` is undefined for a new one. */
  | { readonly kind: 'member'; readonly member: Member; readonly previous: Member | undefined }
  /** A member has not answered a direct ping in time; whether it lives is not said by that. */
  | { readonly kind: 'silent'; readonly id: PeerId }
  /** A member is forgotten: long dead, or this host has left. */
  | { readonly kind: 'forgotten'; readonly member: Member }
  /** Two live hosts carry one name; both go on, told apart by id. */
  | { readonly kind: 'name-conflict'; readonly one: Member; readonly other: Member }
  /** A row changed: save it first, then tell. */
  | { readonly kind: 'row'; readonly change: RowChange }
  /** A tombstone was collected: its saved row can go. */
  | { readonly kind: 'collected'; readonly table: string; readonly key: string }
  /** The mesh has been told that this host leaves. */
  | { readonly kind: 'left' };

/** Collects the effects of one input. */
export class Outbox {
  #effects: Effect[] = [];
  #at: Instant;

  constructor(at: Instant) {
    this.#at = at;
  }

  /** The instant of the input being handled. */
  get at(): Instant {
    return this.#at;
  }

  begin(at: Instant): void {
    this.#at = at;
  }

  push(effect: Effect): void {
    this.#effects.push(effect);
  }

  timer(timer: Timer, after: number): void {
    this.#effects.push({ kind: 'timer', timer, after: after as Millis });
  }

  drain(): Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
