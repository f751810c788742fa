import assert from 'node:assert/strict';
import ipaddr from 'ipaddr.js';
import type { Clock, Timer as ClockTimer } from '../base/clock.ts';
import { AppError, isAppError } from '../base/errors.ts';
import { Listeners } from '../base/events.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import {
  formatSocketAddress,
  type Millis,
  type PeerId,
  type SocketAddress,
} from '../base/types.ts';
import type { DatagramChannel } from '../underlay/datagram.ts';
import type { StreamTransport } from '../underlay/stream.ts';
import { encodeRow } from './cargo.ts';
import type { GossipConfig } from './config.ts';
import type { Effect, Instant, Timer } from './effects.ts';
import type { JoinOutcome } from './join.ts';
import { Machine } from './machine.ts';
import {
  isHostName,
  MAX_META_BYTES,
  type Member,
  type MemberRecord,
  type VersionRange,
} from './member.ts';
import { MAX_LABEL_BYTES } from './message.ts';
import {
  decodeServiceAnswer,
  decodeServiceRequest,
  encodeServiceAnswer,
  encodeServiceRequest,
  MAX_SERVICE_NAME_BYTES,
  SERVICE_KIND,
} from './service.ts';
import { isTableName, MAX_VALUE_BYTES, type RowChange } from './replica.ts';
import type { Signatures } from './signatures.ts';
import { Table } from './table.ts';

/** Mesh protocol versions that this build speaks. */
export const PROTOCOL: VersionRange = { min: 1, max: 1 };

/**
 * Where rows are kept from one run to the next. Both calls return when the row is as safe as it is
 * going to be: the change is applied and told only afterwards.
 */
export interface RowStore {
  /** `bytes` hold the whole row, table and key included; they are what `Mesh.load` takes back. */
  save(table: string, key: string, bytes: Uint8Array): void;
  drop(table: string, key: string): void;
}

/** The null object, for tests and for daemons that keep no state. */
export const nullRowStore: RowStore = { save: () => undefined, drop: () => undefined };

export interface MeshOptions {
  readonly self: {
    /** That of the key by which `signatures` signs. */
    readonly id: PeerId;
    /** Letters, digits, `.`, `_`, `-`; at most 63. */
    readonly name: string;
    /** Where others reach the mesh port. `0.0.0.0` or `::`: learned from the first host joined. */
    readonly address: SocketAddress;
    /** At most 512 bytes, opaque here. */
    readonly meta?: Uint8Array;
    /** Default `PROTOCOL`. */
    readonly protocol?: VersionRange;
  };
  readonly signatures: Signatures;
  /** Higher than in any earlier run if that is known; any value works. */
  readonly incarnation: number;
  /** Hosts with different labels ignore each other. At most 64 bytes. */
  readonly label: string;
  readonly config: GossipConfig;
  readonly seeds: readonly SocketAddress[];
  readonly datagrams: DatagramChannel;
  readonly streams: StreamTransport;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
  readonly rows?: RowStore;
}

export interface MemberEvent {
  readonly member: Member;
  /** What was held of it before; `undefined` for a new member. */
  readonly previous: Member | undefined;
  /** The member is no longer kept in the list: long dead or gone, or this host has left. */
  readonly isForgotten: boolean;
}

export interface MeshTableOptions<T> {
  /** The value as the table wants it, or `undefined` to refuse a row. Pure: called on local and remote rows. */
  readonly validate: (value: unknown, key: string) => T | undefined;
  /** Longest CBOR value in bytes; default 4096, at most 65536. */
  readonly valueBytes?: number;
  /** The host whose row the key's is, if it is one host's: nobody else's word counts. Pure. */
  readonly owner?: (key: string) => PeerId | undefined;
}

/** Answers a question at once; undefined refuses it. `body` must not be kept. */
export type ServiceHandler = (sender: PeerId, body: Buffer) => Uint8Array | undefined;

/** Members are reported by name and id in every log line: `peer`, `id`. */
const peerFields = ({ name, id, address }: Member): object => ({
  peer: name,
  id,
  address: formatSocketAddress(address),
});

/** Drives one `Machine`: gives it the time, its sockets' input and its timers, and does what it asks. */
export class Mesh {
  readonly #options: MeshOptions;
  readonly #machine: Machine;
  readonly #rows: RowStore;
  readonly #tables = new Map<string, Table<unknown>>();
  readonly #members = new Listeners<MemberEvent>();
  readonly #silent = new Listeners<PeerId>();
  readonly #timers = new Set<ClockTimer>();
  readonly #joins = new Map<number, (outcome: JoinOutcome) => void>();
  readonly #leaves: (() => void)[] = [];
  readonly #services = new Map<string, ServiceHandler>();
  readonly #serviceCounts = {
    serviceAsked: 0,
    serviceAnswered: 0,
    serviceUnanswered: 0,
    serviceMalformed: 0,
    serviceUnknown: 0,
    serviceRefused: 0,
  };
  #rowSaveFailed = 0;
  #isStopped = false;

  /** @throws AppError E_NAME_INVALID, E_ADDRESS_INVALID, E_CONFIG */
  constructor(options: MeshOptions) {
    checkOptions(options);
    const { self, signatures, incarnation, label, config, rng } = options;
    this.#options = options;
    this.#rows = options.rows ?? nullRowStore;
    this.#machine = new Machine(
      {
        self: {
          id: self.id,
          name: self.name,
          address: self.address,
          incarnation,
          state: 'alive',
          protocol: self.protocol ?? PROTOCOL,
          meta: self.meta ?? new Uint8Array(),
        },
        ...{ signatures, label, config, rng },
      },
      this.#now(),
    );
  }

  /** This host, as the mesh is told of it. */
  get self(): MemberRecord {
    return this.#machine.self;
  }

  /** Takes back rows that a `RowStore` saved. Before `start`, after the tables were named. */
  load(rows: Iterable<Uint8Array>): void {
    for (const bytes of rows) this.#machine.load(bytes, this.#now());
  }

  /** Begins to listen, to probe, and to call the seeds. Once. */
  start(): void {
    const { datagrams, streams, seeds } = this.#options;
    datagrams.onReceive((bytes, from) => {
      if (!this.#isStopped) this.#perform(this.#machine.receive(bytes, from, this.#now()));
    });
    streams.onRequest((request, from) => this.#answer(request, from));
    this.#perform(this.#machine.start(seeds, this.#now()));
  }

  /**
   * Joins whoever answers at each target, all at once. Never rejects: each outcome holds the member
   * reached or an AppError (E_JOIN_SELF, E_JOIN_UNREACHABLE, E_HOST_NAME_TAKEN, E_MESH_VERSION,
   * E_MESH_LABEL).
   */
  join(targets: readonly SocketAddress[]): Promise<JoinOutcome[]> {
    return Promise.all(targets.map((target) => this.#join(target)));
  }

  /**
   * Tells the mesh that this host leaves, and forgets members and seeds; rows stay. Resolves in less
   * than half a second. Afterwards the host is alone until it joins again or is joined.
   */
  leave(): Promise<void> {
    return new Promise((resolve) => {
      this.#leaves.push(resolve);
      this.#perform(this.#machine.leave(this.#now()));
    });
  }

  /** Ends all activity at once and tells nobody; open joins and leaves end too. Closes no socket. */
  stop(): void {
    this.#perform(this.#machine.end(this.#now()));
    this.#isStopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    const error = new AppError('E_JOIN_UNREACHABLE', 'The daemon stopped before the join ended.');
    for (const [exchange, settle] of [...this.#joins]) {
      this.#joins.delete(exchange);
      settle({ ok: false, target: this.self.address, error });
    }
    this.#endLeaves();
  }

  /** The other members, the dead and the left among them. A snapshot. */
  members(): readonly Member[] {
    return [...this.#machine.members];
  }

  member(id: PeerId): Member | undefined {
    return this.#machine.member(id);
  }

  /** Adds a listener for every change of a member, and returns the call that removes it. */
  onMember(listener: (event: MemberEvent) => void): () => void {
    return this.#members.add(listener);
  }

  /** Adds a listener for members that did not answer a ping directly and in time. */
  onSilent(listener: (id: PeerId) => void): () => void {
    return this.#silent.add(listener);
  }

  /** Defines a table of the mesh, once per name. */
  table<T>(name: string, { validate, valueBytes = 4096, owner }: MeshTableOptions<T>): Table<T> {
    assert(!this.#tables.has(name), `table ${name} is defined twice`);
    assert(isTableName(name) && valueBytes <= MAX_VALUE_BYTES, `table ${name} is out of range`);
    this.#machine.replica.define(name, {
      ...{ validate, valueBytes },
      ...(owner === undefined ? {} : { owner }),
    });
    const table = new Table<T>(name, this.#machine.replica, (...row) => this.#write(...row));
    this.#tables.set(name, table as unknown as Table<unknown>);
    return table;
  }

  /** Named counts since the start. */
  counters(): Record<string, number> {
    return {
      ...this.#machine.counters(),
      ...this.#serviceCounts,
      rowSaveFailed: this.#rowSaveFailed,
    };
  }

  /** Answers what other hosts ask a service of this name, once per name. */
  serve(service: string, handler: ServiceHandler): void {
    const isName = service.length > 0 && Buffer.byteLength(service) <= MAX_SERVICE_NAME_BYTES;
    assert(
      isName && !this.#services.has(service),
      `service ${service} is misnamed or defined twice`,
    );
    this.#services.set(service, handler);
  }

  /**
   * Asks another host's service; undefined if the host is not known, does not answer in time, has no
   * such service or refuses the question.
   */
  async call(
    to: PeerId,
    service: string,
    body: Uint8Array,
    timeout: Millis,
  ): Promise<Buffer | undefined> {
    const member = this.member(to);
    return member && this.ask(member.address, service, body, timeout);
  }

  /** As `call`, of whoever is at an address: the host may be no member. */
  async ask(
    to: SocketAddress,
    service: string,
    body: Uint8Array,
    timeout: Millis,
  ): Promise<Buffer | undefined> {
    if (this.#isStopped) return undefined;
    this.#serviceCounts.serviceAsked++;
    const { label, streams } = this.#options;
    const request = encodeServiceRequest({ label, sender: this.self.id, service, body });
    try {
      const answer = await streams.exchange(to, request, timeout);
      const found = decodeServiceAnswer(answer);
      if (found === undefined) this.#serviceCounts.serviceUnanswered++;
      return found;
    } catch (error) {
      if (!isAppError(error)) throw error;
      this.#serviceCounts.serviceUnanswered++;
      return undefined;
    }
  }

  /** Tells the mesh new meta bytes of this host. @throws AppError E_CONFIG if over 512 bytes */
  setMeta(meta: Uint8Array): void {
    checkMeta(meta);
    this.#perform(this.#machine.update({ meta: Uint8Array.from(meta) }, this.#now()));
  }

  /** Tells the mesh that this host is reached elsewhere now. @throws AppError E_ADDRESS_INVALID */
  setAddress(address: SocketAddress): void {
    checkAddress(address);
    this.#perform(this.#machine.update({ address }, this.#now()));
  }

  /** Replaces the addresses that are called, for ever, while no member is known there. */
  setSeeds(seeds: readonly SocketAddress[]): void {
    this.#perform(this.#machine.setSeeds(seeds, this.#now()));
  }

  /** A member that is held dead answers at an address, as something outside of gossip has found. */
  found(id: PeerId, at: SocketAddress): void {
    if (!this.#isStopped) this.#perform(this.#machine.found(id, at, this.#now()));
  }

  #now(): Instant {
    const { clock } = this.#options;
    return { now: clock.now(), wall: clock.wallNow() };
  }

  #answer(request: Buffer, from: SocketAddress): Uint8Array | undefined {
    if (this.#isStopped) return undefined;
    if (request[0] === SERVICE_KIND) return this.#serve(request);
    const { answer, effects } = this.#machine.answer(request, from, this.#now());
    this.#perform(effects);
    return answer;
  }

  #serve(bytes: Buffer): Uint8Array | undefined {
    const counts = this.#serviceCounts;
    const request = decodeServiceRequest(bytes);
    if (request === undefined || request.label !== this.#options.label) {
      counts.serviceMalformed++;
      return undefined;
    }
    const handler = this.#services.get(request.service);
    if (handler === undefined) {
      counts.serviceUnknown++;
      return encodeServiceAnswer('unknown');
    }
    const answer = handler(request.sender, request.body);
    if (answer === undefined) counts.serviceRefused++;
    else counts.serviceAnswered++;
    return encodeServiceAnswer(answer ?? 'refused');
  }

  #join(target: SocketAddress): Promise<JoinOutcome> {
    return new Promise((resolve) => {
      const { exchange, effects } = this.#machine.join(target, this.#now());
      this.#joins.set(exchange, resolve);
      this.#perform(effects);
    });
  }

  /** Saved first, so that a store that fails leaves everything as it was. */
  #write(table: string, key: string, value: unknown): boolean {
    const at = this.#now();
    const row = this.#machine.replica.prepare(table, key, value, at.wall);
    if (row === undefined) return false;
    this.#rows.save(table, key, encodeRow(row));
    this.#perform(this.#machine.commit(row, at));
    return true;
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#do(effect);
  }

  #do(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        this.#options.datagrams.send(effect.bytes, effect.to);
        break;
      case 'timer':
        this.#wait(effect.timer, effect.after);
        break;
      case 'exchange':
        return void this.#exchange(effect);
      case 'joined':
        this.#joined(effect.exchange, effect.outcome);
        break;
      case 'member':
        this.#tellMember(effect.member, effect.previous);
        break;
      case 'silent':
        this.#silent.emit(effect.id);
        break;
      case 'forgotten': {
        this.#members.emit({
          member: effect.member,
          previous: effect.member,
          isForgotten: true,
        });
        break;
      }
      case 'name-conflict':
        this.#tellConflict(effect.one, effect.other);
        break;
      case 'row':
        this.#tellRow(effect.change);
        break;
      case 'collected':
        this.#store(() => this.#rows.drop(effect.table, effect.key));
        break;
      case 'left':
        this.#endLeaves();
        break;
    }
  }

  #wait(timer: Timer, after: Millis): void {
    if (this.#isStopped) return;
    const due = this.#options.clock.now() + after;
    const handle = this.#options.clock.after(after, () => {
      this.#timers.delete(handle);
      const at = this.#now();
      this.#perform(this.#machine.expire(timer, at, at.now - due));
    });
    this.#timers.add(handle);
  }

  async #exchange({ exchange, to, request, timeout }: ExchangeEffect): Promise<void> {
    try {
      const answer = await this.#options.streams.exchange(to, request, timeout);
      if (this.#isStopped) return;
      this.#perform(this.#machine.exchanged(exchange, answer, this.#now()));
    } catch (error) {
      if (!isAppError(error)) throw error;
      if (this.#isStopped) return;
      this.#perform(this.#machine.exchangeFailed(exchange, error, this.#now()));
    }
  }

  #joined(exchange: number, outcome: JoinOutcome): void {
    this.#joins.get(exchange)?.(outcome);
    this.#joins.delete(exchange);
  }

  #endLeaves(): void {
    for (const resolve of this.#leaves.splice(0)) resolve();
  }

  #tellMember(member: Member, previous: Member | undefined): void {
    if (member.state !== previous?.state) {
      const { state, incarnation } = member;
      const fields = { ...peerFields(member), from: previous?.state, incarnation };
      const level = state === 'suspect' || state === 'dead' ? 'warn' : 'info';
      this.#options.log[level](fields, `member is ${state}`);
    }
    this.#members.emit({ member, previous, isForgotten: false });
  }

  #tellConflict(one: Member, other: Member): void {
    this.#options.log.warn(
      { one: peerFields(one), other: peerFields(other) },
      'two live hosts have the same name; give one of them another --name',
    );
  }

  #tellRow(change: RowChange): void {
    const { row, origin } = change;
    if (origin === 'remote') {
      this.#store(() => this.#rows.save(row.table, row.key, encodeRow(row)));
    }
    this.#tables.get(row.table)?.emit(change);
  }

  /** Another host's row that can't be saved is still used: after a restart push-pull brings it again. */
  #store(save: () => void): void {
    try {
      save();
    } catch (error) {
      this.#rowSaveFailed++;
      this.#options.log.error({ err: error }, 'a row of the mesh could not be saved');
    }
  }
}

type ExchangeEffect = Extract<Effect, { kind: 'exchange' }>;

function checkOptions({ self, label }: MeshOptions): void {
  if (!isHostName(self.name)) {
    throw new AppError(
      'E_NAME_INVALID',
      `The host name "${self.name}" can't be used; take 1 to 63 letters, digits, ".", "_" or "-", the first a letter or digit.`,
    );
  }
  if (Buffer.byteLength(label) > MAX_LABEL_BYTES) {
    throw new AppError(
      'E_NAME_INVALID',
      `The mesh label "${label}" takes ${Buffer.byteLength(label)} bytes; at most ${MAX_LABEL_BYTES} are allowed.`,
    );
  }
  checkAddress(self.address);
  checkMeta(self.meta ?? new Uint8Array());
}

function checkAddress({ address, port }: SocketAddress): void {
  if (ipaddr.isValid(address) && Number.isInteger(port) && port >= 1 && port <= 65_535) return;
  throw new AppError(
    'E_ADDRESS_INVALID',
    `The mesh address ${formatSocketAddress({ address, port })} can't be used; take an IPv4 or IPv6 address and a port from 1 to 65535.`,
  );
}

function checkMeta(meta: Uint8Array): void {
  if (meta.length <= MAX_META_BYTES) return;
  throw new AppError(
    'E_CONFIG',
    `The host's meta data takes ${meta.length} bytes; at most ${MAX_META_BYTES} are allowed.`,
  );
}
