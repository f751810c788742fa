import assert from 'node:assert/strict';
import type { AppError } from '../base/errors.ts';
import type { Rng } from '../base/rng.ts';
import type { SocketAddress } from '../base/types.ts';
import { Awareness } from './awareness.ts';
import { decodeRow, type Cargo } from './cargo.ts';
import { verify, type GossipConfig } from './config.ts';
import { LOCAL_TABLE } from './contact.ts';
import { Core } from './core.ts';
import { Counters, type CounterName } from './counters.ts';
import { Courier } from './courier.ts';
import { Outbox, type Effect, type Instant, type Timer } from './effects.ts';
import type { Member, MemberRecord } from './member.ts';
import { Membership } from './membership.ts';
import {
  decodeDatagram,
  decodeHeader,
  GOSSIP_KIND,
  STREAM_KIND,
  type Datagram,
} from './message.ts';
import { ProbeOrder } from './probe-order.ts';
import { Prober } from './probe.ts';
import { Replica, type Row, type RowChange } from './replica.ts';
import type { IdOf, MemberDescription, Signatures } from './signatures.ts';
import { Synchroniser } from './sync.ts';

/** Datagrams longer than this are nobody's gossip: twice what the largest `datagramBytes` allows. */
const MAX_DATAGRAM_BYTES = 16_384;

/** From one search for what is old enough to be forgotten to the next. */
const COLLECT_EVERY_MS = 60_000;

export interface MachineSettings {
  /** What this host says of itself; its state must be `alive`. */
  readonly self: MemberDescription;
  /** This host's key, and how others' signatures are verified. Its id is that of the key. */
  readonly signatures: Signatures;
  readonly label: string;
  readonly config: GossipConfig;
  readonly rng: Rng;
}

/**
 * The whole of gossip as one pure machine: each input comes with its instant and returns what is to be
 * done. No clock, socket or randomness but what is passed in.
 *
 *   datagram ──> receive ──┐                      ┌── Prober       who answers?
 *   timer    ──> expire  ──┤   (input, instant)   ├── Membership   what is believed of whom
 *   request  ──> answer  ──┼──────────────────────┼── Synchroniser whole state, both ways
 *   answer   ──> exchanged ┤     ──> Effect[]     ├── Replica      the tables' rows
 *   caller   ──> join, …  ─┘                      └── Courier      datagrams, filled up with news
 */
export class Machine {
  readonly replica: Replica;
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #awareness: Awareness;
  readonly #membership: Membership;
  readonly #prober: Prober;
  readonly #sync: Synchroniser;

  /** @throws AppError E_CONFIG if an option is out of its range */
  constructor({ self, signatures, label, config, rng }: MachineSettings, at: Instant) {
    verify(config);
    assert(signatures.idOf(signatures.publicKey) === self.id, 'the id is that of another key');
    const counters = new Counters();
    const outbox = new Outbox(at);
    const core = new Core({ self, signatures, label, config, rng, counters, outbox });
    const awareness = new Awareness(config.awarenessMax);
    this.#awareness = awareness;
    const order = new ProbeOrder(self.id);
    this.#core = core;
    this.replica = new Replica(config, counters, {
      signatures,
      isActive: (id) => core.isActive(id),
    });
    this.#courier = new Courier(core);
    this.#membership = new Membership(core, this.#courier, order, awareness);
    this.#prober = new Prober(core, this.#courier, awareness, order, (id) => {
      this.#membership.suspect(id);
    });
    this.#sync = new Synchroniser(core, this.#courier, this.#membership, this.replica, (cargo) =>
      this.#take(cargo, 'sync'),
    );
  }

  /** This host's own record. */
  get self(): MemberRecord {
    return this.#core.self;
  }

  /** The other members; a live view, not to be kept. */
  get members(): readonly Member[] {
    return this.#core.roster.all();
  }

  member(id: MemberRecord['id']): Member | undefined {
    return this.#core.roster.get(id);
  }

  counters(): Record<string, number> {
    return this.#core.counters.snapshot();
  }

  /** Sets the timers going and calls the seeds. Once, before any other input. */
  start(seeds: readonly SocketAddress[], at: Instant): Effect[] {
    return this.#handle(at, () => {
      this.#prober.start();
      this.#core.outbox.timer({ kind: 'collect' }, COLLECT_EVERY_MS);
      this.#sync.start();
      this.#sync.setSeeds(seeds);
    });
  }

  /** A datagram came. `bytes` is not kept. */
  receive(bytes: Buffer, from: SocketAddress, at: Instant): Effect[] {
    return this.#handle(at, () => {
      const datagram = this.#open(bytes, GOSSIP_KIND);
      if (datagram === undefined) return;
      const { incarnation } = this.self;
      this.#take(datagram, 'gossip');
      this.#obey(datagram, from);
      // Who has doubted this host may be the only one that can tell the others, and hears it first.
      if (this.self.incarnation > incarnation) this.#answerDoubt(datagram.sender);
      if (this.member(datagram.sender) === undefined) this.#sync.meet(from);
    });
  }

  #answerDoubt(id: MemberRecord['id']): void {
    const accuser = this.member(id);
    if (accuser !== undefined) this.#courier.tellSelf([accuser]);
  }

  /** A timer that an effect asked for has come, `lateBy` ms after it was due. */
  expire(timer: Timer, at: Instant, lateBy = 0): Effect[] {
    return this.#handle(at, () => {
      if (this.#core.noteLateness(lateBy)) {
        this.#core.counters.add('standstills');
        this.#awareness.note(1);
      }
      this.#expire(timer);
    });
  }

  /** A push-pull or a ping came over TCP; without an answer the connection is to be closed. */
  answer(
    request: Buffer,
    from: SocketAddress,
    at: Instant,
  ): { readonly answer: Uint8Array | undefined; readonly effects: Effect[] } {
    let answer: Uint8Array | undefined;
    const effects = this.#handle(at, () => {
      const isPing = request[0] === STREAM_KIND;
      answer = isPing ? this.#answerPing(request) : this.#sync.answer(request, from);
    });
    return { answer, effects };
  }

  /** The answer to an `exchange` effect came. */
  exchanged(exchange: number, answer: Buffer, at: Instant): Effect[] {
    return this.#handle(at, () => {
      if (!this.#prober.called(exchange, answer)) this.#sync.exchanged(exchange, answer);
    });
  }

  /** An `exchange` effect failed on its way. */
  exchangeFailed(exchange: number, error: AppError, at: Instant): Effect[] {
    return this.#handle(at, () => {
      if (!this.#prober.called(exchange, undefined)) this.#sync.exchangeFailed(exchange, error);
    });
  }

  /**
   * Takes over members as another machine holds them, and tells nobody: what a push-pull with it
   * would bring. For simulations that begin with a mesh already formed.
   */
  acquaint(members: Iterable<Member>): void {
    this.#membership.acquaint(members);
  }

  /** Joins whoever answers at `target`: a `joined` effect with this number tells the end. */
  join(
    target: SocketAddress,
    at: Instant,
  ): { readonly exchange: number; readonly effects: Effect[] } {
    let exchange = 0;
    const effects = this.#handle(at, () => {
      exchange = this.#sync.join(target);
    });
    return { exchange, effects };
  }

  /** A member that is held dead answers at an address: something outside of gossip has found it. */
  found(id: MemberRecord['id'], address: SocketAddress, at: Instant): Effect[] {
    return this.#handle(at, () => this.#sync.found(id, address));
  }

  /** The process ends, with or without a goodbye: has it saved that it ran until now. */
  end(at: Instant): Effect[] {
    return this.#handle(at, () => this.#sync.notePresence());
  }

  /** Says goodbye; a `left` effect follows in less than half a second, and then nobody is known any more. */
  leave(at: Instant): Effect[] {
    return this.#handle(at, () => {
      this.#sync.abandon();
      this.#membership.leave(0);
    });
  }

  setSeeds(seeds: readonly SocketAddress[], at: Instant): Effect[] {
    return this.#handle(at, () => this.#sync.setSeeds(seeds));
  }

  /** Changes what this host says of itself. */
  update(
    change: { readonly address?: SocketAddress; readonly meta?: Uint8Array },
    at: Instant,
  ): Effect[] {
    return this.#handle(at, () => this.#membership.update(change));
  }

  /** Applies a row that `replica.prepare` made on this host, and tells the mesh. */
  commit(row: Row, at: Instant): Effect[] {
    return this.#handle(at, () => {
      if (this.#takeRow(row, 'local')) this.#sync.confirm();
    });
  }

  /** Takes back a row that was saved before a restart; tells nobody. False if the bytes are no row. */
  load(bytes: Uint8Array, at: Instant): boolean {
    const row = decodeRow(bytes, this.#idOf);
    if (row === undefined) this.#core.counters.add('rowMalformed');
    else if (row.table === LOCAL_TABLE) this.#sync.loadNote(row);
    else this.replica.merge(row, at.wall, 'local');
    return row !== undefined;
  }

  #handle(at: Instant, action: () => void): Effect[] {
    this.#core.outbox.begin(at);
    action();
    for (const id of this.#core.returned) this.#sync.welcomeBack(id);
    this.#core.returned.clear();
    return this.#core.outbox.drain();
  }

  /** A datagram that is meant for this mesh and makes sense, or `undefined` and a count. */
  #open(bytes: Buffer, kind: number): Datagram | undefined {
    const { counters } = this.#core;
    if (kind === GOSSIP_KIND) {
      counters.add('datagramsReceived');
      counters.add('datagramBytesReceived', bytes.length);
    }
    const datagram = this.#read(bytes, kind);
    if (typeof datagram !== 'string') return datagram;
    counters.add(datagram);
    return undefined;
  }

  readonly #idOf: IdOf = (key) => this.#core.signatures.idOf(key);

  /** Cheap checks first; the name of the counter for what fails. */
  #read(bytes: Buffer, kind: number): Datagram | CounterName {
    const { self, label, phase } = this.#core;
    if (bytes.length > MAX_DATAGRAM_BYTES) return 'dropLength';
    const header = decodeHeader(bytes, kind);
    if (header === undefined) return 'dropKind';
    if (header.label !== label) return 'dropLabel';
    if (header.version < self.protocol.min || header.version > self.protocol.max) {
      return 'dropVersion';
    }
    if (phase === 'detached') return 'dropDetached';
    const datagram = decodeDatagram(bytes, header.bodyAt, this.#idOf);
    if (datagram === undefined) return 'dropMalformed';
    return datagram.sender === self.id ? 'dropEcho' : datagram;
  }

  /** The ack for a ping by TCP, if it is for this host. */
  #answerPing(request: Buffer): Uint8Array | undefined {
    const datagram = this.#open(request, STREAM_KIND);
    if (datagram === undefined) return undefined;
    this.#take(datagram, 'gossip');
    const { body, sender } = datagram;
    if (body.kind === 'ping' && body.target === this.self.id) {
      return this.#courier.compose({ kind: 'ack', sequence: body.sequence }, this.member(sender));
    }
    this.#core.counters.add('dropMisdirected');
    return undefined;
  }

  #obey({ body, sender }: Datagram, from: SocketAddress): void {
    switch (body.kind) {
      case 'ping':
        this.#prober.receivePing(body.sequence, body.target, sender, from);
        break;
      case 'ack':
        this.#prober.receiveAck(body.sequence);
        break;
      case 'ping-request':
        this.#prober.receivePingRequest(body.sequence, body.target, from);
        break;
      case 'nack':
        this.#prober.receiveNack(body.sequence);
        break;
      case 'news':
        break;
    }
  }

  #expire(timer: Timer): void {
    switch (timer.kind) {
      case 'probe':
        this.#prober.tick(timer.slot);
        break;
      case 'probe-timeout':
        this.#prober.timeout(timer.sequence);
        break;
      case 'probe-end':
        this.#prober.end(timer.sequence);
        break;
      case 'relay-nack':
        this.#prober.relayNack(timer.sequence);
        break;
      case 'relay-end':
        this.#prober.relayEnd(timer.sequence);
        break;
      case 'suspicion':
        this.#membership.suspicionDue(timer.id, timer.incarnation);
        break;
      case 'gossip':
        this.#courier.round(timer.round);
        break;
      case 'push-pull':
        this.#sync.pushPullDue(timer.round);
        break;
      case 'rejoin':
        this.#sync.rejoinDue(timer.round);
        break;
      case 'collect':
        this.#collect();
        break;
      case 'leave':
        this.#membership.leave(timer.round);
        // Joins that were asked for meanwhile are still under way.
        if (this.#core.phase === 'detached') this.#sync.abandon();
        break;
    }
  }

  /** Merges the claims and rows that any message carries; returns how many rows were news. */
  #take(
    { claims, rows, malformedClaims, malformedRows, excess }: Cargo,
    source: 'gossip' | 'sync',
  ): number {
    const { counters } = this.#core;
    counters.add('claimMalformed', malformedClaims);
    counters.add('rowMalformed', malformedRows);
    counters.add('cargoExcess', excess);
    // Hosts pass on only what they have verified: who sends what is forged gets no more of it looked at.
    if (!claims.every((claim) => this.#membership.merge(claim, source))) return 0;
    return rows.filter((row) => this.#takeRow(row, 'remote')).length;
  }

  /** Merges a row and passes it on. False if it was no news. */
  #takeRow(row: Row, origin: RowChange['origin']): boolean {
    const { outbox, counters } = this.#core;
    if (row.table === LOCAL_TABLE) {
      counters.add('rowMalformed');
      return false;
    }
    const refutation = origin === 'remote' && this.replica.refutation(row, outbox.at.wall);
    if (refutation) {
      counters.add('rowsRefuted');
      return this.#takeRow(refutation, 'local');
    }
    const change = this.replica.merge(row, outbox.at.wall, origin);
    if (change === undefined) {
      if (origin === 'remote') this.#askOwner(row);
      return false;
    }
    outbox.push({ kind: 'row', change });
    if (!this.#courier.announceRow(row)) this.#sync.hasten();
    if (origin === 'local') this.#courier.hasten();
    return true;
  }

  #askOwner(row: Row): void {
    const id = this.replica.ownerToAsk(row);
    const owner = id && this.member(id);
    if (owner !== undefined) this.#courier.tellRow(owner, row);
  }

  #collect(): void {
    const { outbox } = this.#core;
    this.#membership.collect();
    for (const { table, key } of this.replica.collect(outbox.at.wall)) {
      outbox.push({ kind: 'collected', table, key });
    }
    this.#sync.notePresence();
    outbox.timer({ kind: 'collect' }, COLLECT_EVERY_MS);
  }
}
