import { randomInt } from '../base/rng.ts';
import { asMillis, type Millis, type PeerId, type SocketAddress } from '../base/types.ts';
import type { Awareness } from './awareness.ts';
import type { Core } from './core.ts';
import type { Courier } from './courier.ts';
import type { Member } from './member.ts';
import { decodeHeader, decodeDatagram, STREAM_KIND } from './message.ts';
import { phaseOf, type ProbeOrder } from './probe-order.ts';

/** Probes that this host runs for others at a time; more are refused. */
export const RELAYS_MAX = 256;

/** A helper reports after this part of `probeTimeout`, so that the nack arrives before the interval ends. */
const NACK_PART = 0.8;

interface Probe {
  readonly target: PeerId;
  /** When judgement is due. */
  readonly endsAt: Millis;
  helpers: number;
  nacks: number;
}

interface Relay {
  readonly requester: SocketAddress;
  /** The requester's own sequence. */
  readonly sequence: number;
}

/**
 * The SWIM probe cycle. One probe begins per slot of `probeInterval` and ends one interval later:
 *
 *   tick ── ping ──> target         silence for probeTimeout: ping again, by TCP too, and ask helpers
 *     │                             helper ── ping ──> target; its ack (or a nack) goes back
 *   end: acked, or suspected
 */
export class Prober {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #awareness: Awareness;
  readonly #order: ProbeOrder;
  readonly #suspect: (id: PeerId) => void;
  /** Probes that nobody has answered yet, by sequence. */
  readonly #probes = new Map<number, Probe>();
  readonly #relays = new Map<number, Relay>();
  /** Sequences of the pings under way by TCP, by the exchange's number. */
  readonly #calls = new Map<number, number>();
  #sequence: number;

  /** `suspect` is told of a member that did not answer in time. */
  constructor(
    core: Core,
    courier: Courier,
    awareness: Awareness,
    order: ProbeOrder,
    suspect: (id: PeerId) => void,
  ) {
    this.#core = core;
    this.#courier = courier;
    this.#awareness = awareness;
    this.#order = order;
    this.#suspect = suspect;
    // A random start keeps a restarted host from taking acks meant for its former self.
    this.#sequence = randomInt(core.rng, 2 ** 31);
  }

  start(): void {
    this.#schedule(this.#slotNow() + 1);
  }

  /** Begins the probe of a slot and asks for the next tick; a host in doubt of itself skips slots. */
  tick(slot: number): void {
    const now = this.#slotNow();
    // Far from the slot it was set for: this host stood still, or its wall clock was set.
    const current = Math.abs(now - slot) <= 1 ? slot : now;
    const id = this.#order.target(current);
    const target = id && this.#core.roster.get(id);
    if (target !== undefined) this.#begin(target);
    this.#schedule(current + 1 + this.#awareness.score);
  }

  /** The target of `sequence` has been silent for `probeTimeout`. */
  timeout(sequence: number): void {
    const probe = this.#probes.get(sequence);
    const target = probe && this.#core.roster.get(probe.target);
    if (probe === undefined || target === undefined) return;
    const { roster, rng, config, outbox } = this.#core;
    outbox.push({ kind: 'silent', id: target.id });
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
    this.#call(target, sequence, probe.endsAt);
  }

  /**
   * Passes judgement on a probe that has run for a whole interval unanswered. Helpers that did not even
   * send a nack speak against this host's own health; without helpers nothing tells the two apart.
   */
  end(sequence: number): void {
    const probe = this.#probes.get(sequence);
    if (probe === undefined) return;
    const { config, counters, outbox, isWaking } = this.#core;
    if (isWaking) {
      outbox.timer({ kind: 'probe-end', sequence }, config.probeTimeout);
      return;
    }
    this.#probes.delete(sequence);
    counters.add('probesFailed');
    this.#awareness.note(probe.helpers - probe.nacks);
    this.#suspect(probe.target);
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
    } else if (this.#probes.delete(sequence)) {
      this.#awareness.note(-1);
    } else {
      this.#core.counters.add('dropUnawaited');
    }
  }

  receiveNack(sequence: number): void {
    const probe = this.#probes.get(sequence);
    if (probe !== undefined && probe.nacks < probe.helpers) probe.nacks++;
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

  /** The end of a ping by TCP; false if the exchange is none of them. An error is mere silence. */
  called(exchange: number, answer: Buffer | undefined): boolean {
    const sequence = this.#calls.get(exchange);
    if (sequence === undefined) return false;
    this.#calls.delete(exchange);
    const header = answer && decodeHeader(answer, STREAM_KIND);
    const body =
      header &&
      decodeDatagram(answer, header.bodyAt, (key) => this.#core.signatures.idOf(key))?.body;
    const isAck = body?.kind === 'ack' && body.sequence === sequence;
    if (answer !== undefined && !isAck) this.#core.counters.add('dropMalformed');
    if (isAck && this.#probes.delete(sequence)) this.#core.counters.add('probesSavedByStream');
    return true;
  }

  #begin(target: Member): void {
    const { config, counters, outbox } = this.#core;
    const sequence = this.#nextSequence();
    const span = this.#awareness.stretch(config.probeInterval);
    const endsAt = asMillis(outbox.at.now + span);
    this.#probes.set(sequence, { target: target.id, endsAt, helpers: 0, nacks: 0 });
    counters.add('probesSent');
    this.#ping(target, sequence);
    const timeout = this.#awareness.stretch(config.probeTimeout);
    outbox.timer({ kind: 'probe-timeout', sequence }, timeout);
    outbox.timer({ kind: 'probe-end', sequence }, span);
  }

  #schedule(slot: number): void {
    const { config, outbox, rng } = this.#core;
    const id = this.#order.target(slot);
    const phase = id === undefined ? rng.next() : phaseOf(id);
    const due = (slot + phase) * config.probeInterval;
    outbox.timer({ kind: 'probe', slot }, Math.max(0, due - outbox.at.wall));
  }

  #slotNow(): number {
    const { config, outbox } = this.#core;
    return Math.floor(outbox.at.wall / config.probeInterval);
  }

  /** Pings by TCP, for the case that only datagrams don't get through. */
  #call(target: Member, sequence: number, endsAt: Millis): void {
    const { outbox } = this.#core;
    const timeout = asMillis(Math.max(1, endsAt - outbox.at.now));
    const exchange = this.#core.nextExchange();
    this.#calls.set(exchange, sequence);
    const request = this.#courier.compose({ kind: 'ping', sequence, target: target.id }, target);
    outbox.push({ kind: 'exchange', exchange, to: target.address, request, timeout });
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
