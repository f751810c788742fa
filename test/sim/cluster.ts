import { AppError } from '../../src/base/errors.ts';
import { randomHex, seededRng, type Rng } from '../../src/base/rng.ts';
import {
  asMillis,
  asPeerId,
  formatSocketAddress,
  type PeerId,
  type SocketAddress,
} from '../../src/base/types.ts';
import { encodeRow } from '../../src/gossip/cargo.ts';
import { presets, type GossipConfig } from '../../src/gossip/config.ts';
import type { Effect, Instant } from '../../src/gossip/effects.ts';
import type { JoinOutcome } from '../../src/gossip/join.ts';
import { Machine } from '../../src/gossip/machine.ts';
import type { Member, MemberState, VersionRange } from '../../src/gossip/member.ts';
import type { Row } from '../../src/gossip/replica.ts';
import { EventQueue } from './event-queue.ts';

const MESH_PORT = 7783;
const WALL_ORIGIN = Date.UTC(2026, 0, 1);
/** A refused connection is known at once; one into the void only after the timeout. */
const REFUSED_AFTER_MS = 1;

/** What the underlay does to datagrams; connections suffer delay and cuts only. */
export interface NetworkOptions {
  /** Part of the datagrams that vanish, 0 to 1. */
  readonly loss: number;
  /** Part of the datagrams that arrive twice. */
  readonly duplication: number;
  /** One-way delay, uniform between the two, so that datagrams overtake each other. */
  readonly delayMs: readonly [number, number];
}

export const PERFECT: NetworkOptions = { loss: 0, duplication: 0, delayMs: [0.2, 1] };
export const LOSSY: NetworkOptions = { loss: 0.05, duplication: 0.02, delayMs: [0.2, 20] };

export interface ClusterOptions {
  readonly seed: number;
  readonly config?: GossipConfig;
  readonly network?: NetworkOptions;
}

export interface HostOptions {
  readonly name?: string;
  readonly id?: PeerId;
  readonly incarnation?: number;
  readonly address?: SocketAddress;
  readonly seeds?: readonly SocketAddress[];
  readonly label?: string;
  readonly protocol?: VersionRange;
  /** How far the host's wall clock is ahead of true time. */
  readonly wallAheadMs?: number;
}

/** One thing a host saw happen to another. */
export interface Sighting {
  readonly at: number;
  readonly observer: SimHost;
  readonly member: Member;
  readonly previous: Member | undefined;
}

/** One run of one daemon: a real machine, its timers, and what it kept. */
export class SimHost {
  readonly cluster: Cluster;
  readonly machine: Machine;
  readonly reached: SocketAddress;
  readonly joins: JoinOutcome[] = [];
  /** What a row store would hold: encoded rows by table and key. */
  readonly saved: Map<string, Uint8Array>;
  readonly wallAheadMs: number;
  isUp = true;
  hasLeft = false;
  conflicts = 0;

  constructor(cluster: Cluster, options: HostOptions, saved = new Map<string, Uint8Array>()) {
    this.cluster = cluster;
    this.saved = saved;
    this.wallAheadMs = options.wallAheadMs ?? 0;
    const address = options.address ?? cluster.freshAddress();
    // A host that advertises nothing is still reached somewhere.
    this.reached = address.address === '0.0.0.0' ? cluster.freshAddress() : address;
    const self = {
      id: options.id ?? asPeerId(randomHex(cluster.rng, 32)),
      name: options.name ?? `host-${cluster.hosts.length}`,
      address,
      incarnation: options.incarnation ?? 0,
      state: 'alive' as const,
      protocol: options.protocol ?? { min: 1, max: 1 },
      meta: new Uint8Array(),
    };
    const { config, rng } = cluster;
    const settings = { self, label: options.label ?? 'sim', config, rng };
    this.machine = new Machine(settings, this.instant());
    for (const bytes of saved.values()) this.machine.load(bytes, this.instant());
  }

  get id(): PeerId {
    return this.machine.self.id;
  }

  instant(): Instant {
    const { now } = this.cluster;
    return { now: asMillis(now), wall: WALL_ORIGIN + now + this.wallAheadMs };
  }

  /** What this host holds of another: a state, or `undefined` if it does not know it. */
  view(of: SimHost): MemberState | undefined {
    return this.machine.member(of.id)?.state;
  }

  join(target: SimHost): void {
    this.perform(this.machine.join(target.reached, this.instant()).effects);
  }

  leave(): void {
    this.perform(this.machine.leave(this.instant()));
  }

  /** Writes a row (`undefined` deletes) and returns the version made, if it was a change. */
  put(table: string, key: string, value: unknown): Row | undefined {
    const at = this.instant();
    const row = this.machine.replica.prepare(table, key, value, this.id, at.wall);
    if (row !== undefined) this.perform(this.machine.commit(row, at));
    return row;
  }

  /** Every row, tombstones included, in an order of its own: equal text means equal replicas. */
  rows(): string {
    const lines = Array.from(this.machine.replica.all(), (row) =>
      Buffer.from(encodeRow(row)).toString('hex'),
    );
    return lines.sort().join('\n');
  }

  perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#do(effect);
  }

  #do(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        this.cluster.datagram(this, effect.to, effect.bytes);
        break;
      case 'timer':
        this.cluster.after(effect.after, () => {
          if (this.isUp) this.perform(this.machine.expire(effect.timer, this.instant()));
        });
        break;
      case 'exchange':
        this.cluster.exchange(this, effect);
        break;
      case 'joined':
        this.joins.push(effect.outcome);
        break;
      case 'member':
        this.cluster.sightings.push({ at: this.cluster.now, observer: this, ...effect });
        break;
      case 'row': {
        const { row } = effect.change;
        this.saved.set(`${row.table}/${row.key}`, encodeRow(row));
        break;
      }
      case 'collected':
        this.saved.delete(`${effect.table}/${effect.key}`);
        break;
      case 'name-conflict':
        this.conflicts++;
        break;
      case 'left':
        this.hasLeft = true;
        break;
      case 'forgotten':
        break;
    }
  }
}

/**
 * N hosts' real machines on one virtual clock, over a seeded network. Nothing waits: `run` steps from
 * event to event. The same seed gives the same run.
 */
export class Cluster {
  readonly rng: Rng;
  readonly config: GossipConfig;
  readonly hosts: SimHost[] = [];
  readonly sightings: Sighting[] = [];
  network: NetworkOptions;
  now = 0;
  readonly #queue = new EventQueue();
  readonly #byAddress = new Map<string, SimHost>();
  /** Which side of a cut a host is on; hosts on different sides can't reach each other. */
  readonly #side = new Map<PeerId, number>();
  #addresses = 0;

  constructor({ seed, config = presets.lan, network = PERFECT }: ClusterOptions) {
    this.rng = seededRng(seed);
    this.config = config;
    this.network = network;
  }

  freshAddress(): SocketAddress {
    const number = ++this.#addresses;
    return {
      address: `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`,
      port: MESH_PORT,
    };
  }

  /** Starts a host. */
  add(options: HostOptions = {}): SimHost {
    return this.#start(new SimHost(this, options), options);
  }

  /** Starts `count` hosts that all join the first, and runs until all know all. */
  mesh(count: number): SimHost[] {
    const hosts = Array.from({ length: count }, () => this.add());
    for (const host of hosts.slice(1)) host.join(hosts[0] as SimHost);
    this.runUntil(() => this.isConverged(), 60_000);
    return hosts;
  }

  /** kill -9: no goodbye, and nothing is heard any more. */
  kill(host: SimHost): void {
    host.isUp = false;
    this.hosts.splice(this.hosts.indexOf(host), 1);
    this.#byAddress.delete(formatSocketAddress(host.reached));
  }

  /** Starts a killed host again, with its identity and its saved rows. */
  restart(host: SimHost, options: HostOptions = {}): SimHost {
    const { id, name, address } = host.machine.self;
    const settings = { id, name, address, wallAheadMs: host.wallAheadMs, ...options };
    return this.#start(new SimHost(this, settings, host.saved), settings);
  }

  /** Cuts the network: hosts in different groups can't reach each other; hosts in none are as one more. */
  partition(...groups: readonly (readonly SimHost[])[]): void {
    this.#side.clear();
    for (const [side, group] of groups.entries()) {
      for (const host of group) this.#side.set(host.id, side);
    }
  }

  heal(): void {
    this.#side.clear();
  }

  run(ms: number): void {
    this.runUntil(() => false, ms);
  }

  /** Runs until `isDone` or for `ms`; returns the time it took, or Infinity if it was not done. */
  runUntil(isDone: () => boolean, ms: number): number {
    const start = this.now;
    const end = start + ms;
    for (let check = start; ;) {
      if (this.now >= check) {
        if (isDone()) return this.now - start;
        check = this.now + 10;
      }
      const next = this.#queue.nextDue;
      if (next > end) break;
      this.now = next;
      this.#queue.pop()?.run();
    }
    this.now = end;
    return isDone() ? ms : Infinity;
  }

  after(ms: number, run: () => void): void {
    this.#queue.push(this.now + Math.max(0, ms), run);
  }

  /** Whether every running host holds every other running host alive, and nobody else. */
  isConverged(): boolean {
    return this.hosts.every((host) => {
      const alive = host.machine.members.filter(({ state }) => state === 'alive');
      return (
        alive.length === this.hosts.length - 1 &&
        this.hosts.every((other) => other === host || host.view(other) === 'alive')
      );
    });
  }

  /** Whether every running host holds `host` to be in `state`. */
  isSeen(host: SimHost, state: MemberState): boolean {
    return this.hosts.every((observer) => observer.id === host.id || observer.view(host) === state);
  }

  areRowsEqual(): boolean {
    const [first, ...others] = this.hosts.map((host) => host.rows());
    return others.every((rows) => rows === first);
  }

  /** Deaths that were seen of hosts that run. */
  falseDeaths(): Sighting[] {
    const running = new Set(this.hosts.map(({ id }) => id));
    return this.sightings.filter(({ member }) => member.state === 'dead' && running.has(member.id));
  }

  datagram(from: SimHost, to: SocketAddress, bytes: Uint8Array): void {
    const { loss, duplication } = this.network;
    const copies = this.rng.next() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.rng.next() < loss) continue;
      this.after(this.#delay(), () => {
        const host = this.#reach(from, to);
        if (host === undefined) return;
        host.perform(host.machine.receive(Buffer.from(bytes), from.reached, host.instant()));
      });
    }
  }

  exchange(from: SimHost, { exchange, to, request, timeout }: ExchangeEffect): void {
    const fail = (): void => {
      const error = new AppError('E_JOIN_UNREACHABLE', `Nothing answers at ${to.address}.`);
      if (from.isUp) from.perform(from.machine.exchangeFailed(exchange, error, from.instant()));
    };
    this.after(this.#delay(), () => {
      const host = this.#reach(from, to);
      const isCut = host === undefined && this.#byAddress.has(formatSocketAddress(to));
      if (host === undefined) {
        this.after(isCut ? timeout : REFUSED_AFTER_MS, fail);
        return;
      }
      const { answer, effects } = host.machine.answer(
        Buffer.from(request),
        from.reached,
        host.instant(),
      );
      host.perform(effects);
      if (answer === undefined) {
        fail();
        return;
      }
      this.after(this.#delay(), () => {
        if (!from.isUp) return;
        from.perform(from.machine.exchanged(exchange, Buffer.from(answer), from.instant()));
      });
    });
  }

  #start(host: SimHost, { seeds = [] }: HostOptions): SimHost {
    this.hosts.push(host);
    this.#byAddress.set(formatSocketAddress(host.reached), host);
    host.perform(host.machine.start(seeds, host.instant()));
    return host;
  }

  #reach(from: SimHost, to: SocketAddress): SimHost | undefined {
    const host = this.#byAddress.get(formatSocketAddress(to));
    const isCut = host !== undefined && this.#side.get(from.id) !== this.#side.get(host.id);
    return isCut ? undefined : host;
  }

  #delay(): number {
    const [least, most] = this.network.delayMs;
    return least + this.rng.next() * (most - least);
  }
}

type ExchangeEffect = Extract<Effect, { kind: 'exchange' }>;
