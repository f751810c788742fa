import { randomInt, shuffle, type Rng } from '../base/rng.ts';
import type { PeerId, SocketAddress } from '../base/types.ts';
import type { Awareness } from './awareness.ts';
import type { Core } from './core.ts';
import type { Courier } from './courier.ts';
import { isActive, type Member, type Roster } from './member.ts';

/**
 * The order of probing: every member once per turn, in an order that is shuffled anew each turn, so
 * that the wait for a given member is bounded by two turns (SWIM §4.3).
 */
export class ProbeRing {
  readonly #rng: Rng;
  #ids: PeerId[] = [];
  #next = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  /** Puts a new member at a random place in what is left of this turn. O(N). */
  insert(id: PeerId): void {
    if (this.#ids.includes(id, this.#next)) return;
    const place = this.#next + randomInt(this.#rng, this.#ids.length - this.#next + 1);
    this.#ids.splice(place, 0, id);
  }

  /** The member to probe now, or `undefined` if there is none. */
  next(roster: Roster): Member | undefined {
    return this.#advance(roster) ?? this.#restart(roster);
  }

  clear(): void {
    this.#ids = [];
    this.#next = 0;
  }

  #advance(roster: Roster): Member | undefined {
    while (this.#next < this.#ids.length) {
      const member = roster.get(this.#ids[this.#next++] as PeerId);
      if (member !== undefined && isActive(member)) return member;
    }
    return undefined;
  }

  #restart(roster: Roster): Member | undefined {
    const active = roster.all().filter(isActive);
    this.#ids = shuffle(
      this.#rng,
      active.map(({ id }) => id),
    );
    this.#next = 0;
    return this.#advance(roster);
  }
}

/** Probes that this host runs for others at a time; more are refused. */
export const RELAYS_MAX = 256;

/** A helper reports after this part of `probeTimeout`, so that the nack arrives before the interval ends. */
const NACK_PART = 0.8;

interface Probe {
  readonly sequence: number;
  readonly target: PeerId;
  helpers: number;
  nacks: number;
  isAcked: boolean;
}

interface Relay {
  readonly requester: SocketAddress;
  /** The requester's own sequence. */
  readonly sequence: number;
}

/**
 * The SWIM probe cycle. One probe per interval:
 *
 *   tick ── ping ──> target          silence for probeTimeout: ping again, and ask helpers
 *     │                              helper ── ping ──> target; its ack (or a nack) goes back
 *   next tick: acked, or suspected
 */
export class Prober {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #awareness: Awareness;
  readonly #ring: ProbeRing;
  readonly #suspect: (id: PeerId) => void;
  readonly #relays = new Map<number, Relay>();
  #probe: Probe | undefined;
  #sequence: number;

  /** `suspect` is told of a member that did not answer in time. */
  constructor(
    core: Core,
    courier: Courier,
    awareness: Awareness,
    ring: ProbeRing,
    suspect: (id: PeerId) => void,
  ) {
    this.#core = core;
    this.#courier = courier;
    this.#awareness = awareness;
    this.#ring = ring;
    this.#suspect = suspect;
    // A random start keeps a restarted host from taking acks meant for its former self.
    this.#sequence = randomInt(core.rng, 2 ** 31);
  }

  /** Ends the running probe, starts the next, and asks for the tick after it. */
  tick(): void {
    this.#judge();
    this.#begin();
    const { config, outbox } = this.#core;
    outbox.timer({ kind: 'probe' }, this.#awareness.stretch(config.probeInterval));
  }

  /** The target of `sequence` has been silent for `probeTimeout`. */
  timeout(sequence: number): void {
    const probe = this.#probe;
    const target = probe && this.#core.roster.get(probe.target);
    if (!probe || !target || probe.sequence !== sequence || probe.isAcked) return;
    const { roster, rng, config } = this.#core;
    const helpers = roster.pick(
      config.indirectProbes,
      rng,
      ({ id, state }) => id !== target.id && state === 'alive',
    );
    probe.helpers = helpers.length;
    for (const helper of helpers) {
      this.#courier.send(
        helper.address,
        { kind: 'ping-request', sequence, target: target.id },
        helper,
      );
    }
    this.#ping(target, sequence);
  }

  receivePing(sequence: number, target: PeerId, sender: PeerId, from: SocketAddress): void {
    if (target !== this.#core.self.id) {
      this.#core.counters.add('dropMisdirected');
      return;
    }
    this.#courier.send(from, { kind: 'ack', sequence }, this.#core.roster.get(sender));
  }

  receiveAck(sequence: number): void {
    const relay = this.#relays.get(sequence);
    if (relay !== undefined) {
      this.#relays.delete(sequence);
      this.#courier.send(relay.requester, { kind: 'ack', sequence: relay.sequence }, undefined);
    } else if (this.#probe?.sequence === sequence) {
      if (!this.#probe.isAcked) this.#awareness.note(-1);
      this.#probe.isAcked = true;
    } else {
      this.#core.counters.add('dropUnawaited');
    }
  }

  receiveNack(sequence: number): void {
    const probe = this.#probe;
    if (probe?.sequence === sequence && probe.nacks < probe.helpers) probe.nacks++;
    else this.#core.counters.add('dropUnawaited');
  }

  receivePingRequest(sequence: number, target: PeerId, requester: SocketAddress): void {
    const member = this.#core.roster.get(target);
    if (member === undefined) {
      this.#courier.send(requester, { kind: 'nack', sequence }, undefined);
    } else if (this.#relays.size >= RELAYS_MAX) {
      this.#core.counters.add('dropRelay');
    } else {
      this.#relay(member, { requester, sequence });
    }
  }

  /** The relayed target is still silent: say so to the requester, and go on waiting. */
  relayNack(sequence: number): void {
    const relay = this.#relays.get(sequence);
    if (relay === undefined) return;
    this.#courier.send(relay.requester, { kind: 'nack', sequence: relay.sequence }, undefined);
  }

  relayEnd(sequence: number): void {
    this.#relays.delete(sequence);
  }

  clear(): void {
    this.#ring.clear();
    this.#relays.clear();
    this.#probe = undefined;
  }

  #begin(): void {
    const target = this.#ring.next(this.#core.roster);
    if (target === undefined) return;
    const sequence = this.#nextSequence();
    this.#probe = { sequence, target: target.id, helpers: 0, nacks: 0, isAcked: false };
    this.#core.counters.add('probesSent');
    this.#ping(target, sequence);
    const { config, outbox } = this.#core;
    const timeout = this.#awareness.stretch(config.probeTimeout);
    outbox.timer({ kind: 'probe-timeout', sequence }, timeout);
  }

  /**
   * Passes judgement on the probe that has run for a whole interval. Helpers that did not even send a
   * nack speak against this host's own health; where there was no helper nothing tells the two apart.
   */
  #judge(): void {
    const probe = this.#probe;
    this.#probe = undefined;
    if (probe === undefined || probe.isAcked) return;
    this.#core.counters.add('probesFailed');
    this.#awareness.note(probe.helpers - probe.nacks);
    this.#suspect(probe.target);
  }

  #relay(target: Member, relay: Relay): void {
    const { config, outbox } = this.#core;
    const sequence = this.#nextSequence();
    this.#relays.set(sequence, relay);
    this.#ping(target, sequence);
    outbox.timer({ kind: 'relay-nack', sequence }, config.probeTimeout * NACK_PART);
    outbox.timer({ kind: 'relay-end', sequence }, config.probeInterval);
  }

  #ping(target: Member, sequence: number): void {
    this.#courier.send(target.address, { kind: 'ping', sequence, target: target.id }, target);
  }

  #nextSequence(): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#sequence;
  }
}
