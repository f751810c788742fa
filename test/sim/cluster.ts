import { AppError } from '../../src/base/errors.ts';
import { seededRng, type Rng } from '../../src/base/rng.ts';
import { asMillis, type SocketAddress } from '../../src/base/types.ts';
import { encodeRow } from '../../src/gossip/cargo.ts';
import { presets, type GossipConfig } from '../../src/gossip/config.ts';
import type { Effect } from '../../src/gossip/effects.ts';
import type { Member, MemberState } from '../../src/gossip/member.ts';
import type { Row } from '../../src/gossip/replica.ts';
import { EventQueue, type Target } from './event-queue.ts';
import { SimHost, type HostOptions } from './host.ts';
import { Cuts, PERFECT, streamDelay, type NetworkOptions } from './network.ts';
import { Trace } from './trace.ts';

export { SimHost, type HostOptions } from './host.ts';
export { LOSSY, PERFECT } from './network.ts';

const MESH_PORT = 7783;
/** A refused connection is known at once; one into the void only after the timeout. */
const REFUSED_AFTER_MS = 1;

export interface ClusterOptions {
  readonly seed: number;
  readonly config?: GossipConfig;
  readonly network?: NetworkOptions;
  /** Whether sightings and saved rows are kept; a large mesh goes without. Default true. */
  readonly isRecorded?: boolean;
}

/** One thing a host saw happen to another. */
export interface Sighting {
  readonly at: number;
  readonly observer: SimHost;
  readonly member: Member;
  readonly previous: Member | undefined;
}

/** Who wants to know what hosts see. */
export interface Watcher {
  member?(sighting: Sighting): void;
  row?(observer: SimHost, row: Row): void;
}

/** What was sent so far, counted as payload of UDP and TCP. */
export interface Traffic {
  datagrams: number;
  datagramBytes: number;
  exchanges: number;
  streamBytes: number;
}

/** A datagram under way: an event of its own, twice if the host that it reaches reads it later. */
class Delivery implements Target {
  readonly #from: SimHost;
  readonly #to: SocketAddress;
  readonly #bytes: Uint8Array;
  #isRead = false;

  constructor(from: SimHost, to: SocketAddress, bytes: Uint8Array) {
    this.#from = from;
    this.#to = to;
    this.#bytes = bytes;
  }

  fire(): void {
    const { cluster, reached } = this.#from;
    const host = cluster.reach(this.#from, this.#to);
    if (host === undefined) return;
    const readsAt = this.#isRead ? cluster.now : host.readsAt();
    this.#isRead = true;
    if (readsAt > cluster.now) {
      cluster.at(readsAt, this, undefined);
      return;
    }
    const { buffer, byteOffset, length } = this.#bytes;
    // Decoders copy what they keep, so that sender and receiver can share the bytes.
    const bytes = Buffer.from(buffer, byteOffset, length);
    host.perform(host.machine.receive(bytes, reached, host.instant()));
  }
}

/** Runs the closure that an event was scheduled with. */
const caller: Target = {
  fire(run) {
    (run as () => void)();
  },
};

/**
 * N hosts' real machines on one virtual clock, over a seeded network. Nothing waits: `run` steps from
 * event to event. The same seed gives the same run.
 */
export class Cluster {
  readonly rng: Rng;
  readonly config: GossipConfig;
  readonly hosts: SimHost[] = [];
  readonly sightings: Sighting[] = [];
  readonly traffic: Traffic = { datagrams: 0, datagramBytes: 0, exchanges: 0, streamBytes: 0 };
  readonly trace = new Trace();
  readonly cuts = new Cuts();
  network: NetworkOptions;
  watcher: Watcher = {};
  now = 0;
  readonly #isRecorded: boolean;
  readonly #queue = new EventQueue();
  readonly #byAddress = new Map<string, SimHost>();
  #addresses = 0;
  #identities = 0;

  constructor({
    seed,
    config = presets.lan,
    network = PERFECT,
    isRecorded = true,
  }: ClusterOptions) {
    this.rng = seededRng(seed);
    this.config = config;
    this.network = network;
    this.#isRecorded = isRecorded;
  }

  /** Events so far: timers, arrivals, and what a scenario does. */
  get events(): number {
    return this.#queue.arrivals;
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
    return this.#start(new SimHost(this, this.#identities++, options), options);
  }

  /** Starts `count` hosts that all join the first, and runs until all know all. */
  mesh(count: number): SimHost[] {
    const hosts = Array.from({ length: count }, () => this.add());
    for (const host of hosts.slice(1)) host.join(hosts[0] as SimHost);
    this.runUntil(() => this.isConverged(), 60_000);
    return hosts;
  }

  /** Starts `count` hosts that know each other already. */
  formed(count: number, options: (index: number) => HostOptions = () => ({})): SimHost[] {
    const hosts = Array.from({ length: count }, (_, index) => this.add(options(index)));
    const since = asMillis(this.now);
    const members: Member[] = hosts
      .map((host) => ({ ...host.machine.self, since, sinceWall: host.instant().wall }))
      .sort((one, other) => (one.id < other.id ? -1 : 1));
    for (const { machine } of hosts) machine.acquaint(members);
    return hosts;
  }

  /** kill -9: no goodbye, and nothing is heard any more. */
  kill(host: SimHost): void {
    host.isUp = false;
    this.hosts.splice(this.hosts.indexOf(host), 1);
    this.#byAddress.delete(host.reached.address);
  }

  /** Starts a killed host again, with its identity and its saved rows. */
  restart(host: SimHost, options: HostOptions = {}): SimHost {
    const { id, name, address } = host.machine.self;
    const settings = { id, name, address, wallAheadMs: host.wallAheadMs, ...options };
    return this.#start(new SimHost(this, host.number, settings, host.saved), settings);
  }

  /** Cuts the network: hosts in different groups can't reach each other; hosts in none are as one more. */
  partition(...groups: readonly (readonly SimHost[])[]): void {
    this.cuts.partition(groups.map((group) => group.map(({ number }) => number)));
  }

  heal(): void {
    this.cuts.heal();
  }

  run(ms: number): void {
    this.runUntil(() => false, ms, ms);
  }

  /** Runs until `isDone`, asked every `everyMs`, or for `ms`; returns the time it took, or Infinity. */
  runUntil(isDone: () => boolean, ms: number, everyMs = 10): number {
    const start = this.now;
    const end = start + ms;
    for (let check = start; ;) {
      if (this.now >= check) {
        if (isDone()) return this.now - start;
        check = this.now + everyMs;
      }
      const next = this.#queue.nextDue;
      if (next > end) break;
      this.now = next;
      this.#queue.fire();
    }
    this.now = end;
    return isDone() ? ms : Infinity;
  }

  at(due: number, target: Target, what: unknown): void {
    this.#queue.push(due, target, what);
  }

  after(ms: number, run: () => void): void {
    this.#queue.push(this.now + Math.max(0, ms), caller, run);
  }

  /** Whether every running host holds every other running host alive, and nobody else. O(N²). */
  isConverged(): boolean {
    return this.hosts.every((host) => {
      const { machine } = host;
      const alive = machine.members.reduce((sum, { state }) => sum + Number(state === 'alive'), 0);
      return (
        alive === this.hosts.length - 1 &&
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

  see(observer: SimHost, member: Member, previous: Member | undefined): void {
    const sighting = { at: this.now, observer, member, previous };
    if (this.#isRecorded) this.sightings.push(sighting);
    this.watcher.member?.(sighting);
  }

  seeRow(observer: SimHost, row: Row): void {
    if (this.#isRecorded) observer.saved.set(`${row.table}/${row.key}`, encodeRow(row));
    this.watcher.row?.(observer, row);
  }

  datagram(from: SimHost, to: SocketAddress, bytes: Uint8Array): void {
    const { loss, duplication, latency } = this.network;
    this.traffic.datagrams++;
    this.traffic.datagramBytes += bytes.length;
    const copies = duplication > 0 && this.rng.next() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const isLost = loss > 0 && this.rng.next() < loss;
      const delay = isLost ? Infinity : latency(this.rng);
      this.trace.note(this.now, from, this.#byAddress.get(to.address), bytes, delay);
      if (!isLost) this.#queue.push(this.now + delay, new Delivery(from, to, bytes), undefined);
    }
  }

  exchange(from: SimHost, { exchange, to, request, timeout }: ExchangeEffect): void {
    this.traffic.exchanges++;
    this.traffic.streamBytes += request.length;
    const deadline = this.now + timeout;
    let isOver = false;
    const fail = (): void => {
      if (isOver || !from.isUp) return;
      isOver = true;
      const error = new AppError('E_JOIN_UNREACHABLE', `Nothing answers at ${to.address}.`);
      from.perform(from.machine.exchangeFailed(exchange, error, from.instant()));
    };
    this.after(timeout, fail);
    this.after(streamDelay(this.network, this.rng), () => {
      const host = this.reach(from, to);
      if (host === undefined) {
        if (!this.#byAddress.has(to.address)) this.after(REFUSED_AFTER_MS, fail);
        return;
      }
      const serve = (): void => {
        if (!host.isUp) {
          fail();
          return;
        }
        const bytes = Buffer.from(request);
        const { answer, effects } = host.machine.answer(bytes, from.reached, host.instant());
        host.perform(effects);
        if (answer === undefined) {
          fail();
          return;
        }
        this.traffic.streamBytes += answer.length;
        this.after(streamDelay(this.network, this.rng), () => {
          if (isOver || !from.isUp || this.now > deadline) return;
          if (this.cuts.isCut(host.number, from.number)) return;
          isOver = true;
          from.perform(from.machine.exchanged(exchange, Buffer.from(answer), from.instant()));
        });
      };
      this.after(host.readsAt() - this.now, serve);
    });
  }

  /** The host that a datagram from `from` to `to` reaches now. */
  reach(from: SimHost, to: SocketAddress): SimHost | undefined {
    const host = this.#byAddress.get(to.address);
    if (host === undefined || host.reached.port !== to.port) return undefined;
    return this.cuts.isCut(from.number, host.number) ? undefined : host;
  }

  #start(host: SimHost, { seeds = [] }: HostOptions): SimHost {
    this.hosts.push(host);
    this.#byAddress.set(host.reached.address, host);
    host.perform(host.machine.start(seeds, host.instant()));
    return host;
  }
}

type ExchangeEffect = Extract<Effect, { kind: 'exchange' }>;
