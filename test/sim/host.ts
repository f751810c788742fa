import { randomHex } from '../../src/base/rng.ts';
import { asMillis, asPeerId, type PeerId, type SocketAddress } from '../../src/base/types.ts';
import { encodeRow } from '../../src/gossip/cargo.ts';
import type { Effect, Instant, Timer } from '../../src/gossip/effects.ts';
import type { JoinOutcome } from '../../src/gossip/join.ts';
import { Machine } from '../../src/gossip/machine.ts';
import type { MemberState, VersionRange } from '../../src/gossip/member.ts';
import type { Row } from '../../src/gossip/replica.ts';
import { FakeSignatures } from '../fakes/fake-signatures.ts';
import type { Cluster } from './cluster.ts';
import type { Target } from './event-queue.ts';
import type { Latency } from './network.ts';

const WALL_ORIGIN = Date.UTC(2026, 0, 1);
/** After standing still a process runs its timers first and reads its sockets then. */
const READ_AFTER_MS = 0.5;

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
  /** How long what arrives lies unread. */
  readonly lag?: Latency;
}

/** A timer that came while its host stood still. */
class Late {
  readonly timer: unknown;
  readonly due: number;

  constructor(timer: unknown, due: number) {
    this.timer = timer;
    this.due = due;
  }
}

/** One run of one daemon: a real machine, its timers, and what it kept. */
export class SimHost implements Target {
  readonly cluster: Cluster;
  /** The identity's number in its cluster; a restarted host keeps it. */
  readonly number: number;
  readonly machine: Machine;
  readonly reached: SocketAddress;
  readonly joins: JoinOutcome[] = [];
  /** What a row store would hold: encoded rows by table and key. */
  readonly saved: Map<string, Uint8Array>;
  readonly wallAheadMs: number;
  isUp = true;
  hasLeft = false;
  conflicts = 0;
  readonly #lag: Latency | undefined;
  #stalledUntil = 0;

  constructor(
    cluster: Cluster,
    number: number,
    options: HostOptions,
    saved = new Map<string, Uint8Array>(),
  ) {
    this.cluster = cluster;
    this.number = number;
    this.saved = saved;
    this.wallAheadMs = options.wallAheadMs ?? 0;
    this.#lag = options.lag;
    const address = options.address ?? cluster.freshAddress();
    // A host that advertises nothing is still reached somewhere.
    this.reached = address.address === '0.0.0.0' ? cluster.freshAddress() : address;
    const self = {
      id: options.id ?? asPeerId(randomHex(cluster.rng, 32)),
      name: options.name ?? `host-${number}`,
      address,
      incarnation: options.incarnation ?? 0,
      state: 'alive' as const,
      protocol: options.protocol ?? { min: 1, max: 1 },
      meta: new Uint8Array(),
    };
    const { config, rng } = cluster;
    const signatures = new FakeSignatures(self.id);
    const settings = { self, signatures, label: options.label ?? 'sim', config, rng };
    this.machine = new Machine(settings, this.instant());
    for (const bytes of saved.values()) this.machine.load(bytes, this.instant());
  }

  get id(): PeerId {
    return this.machine.self.id;
  }

  get name(): string {
    return this.machine.self.name;
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

  /** Stands still for `ms`: timers and datagrams wait. */
  stall(ms: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, this.cluster.now + ms);
  }

  /** Writes a row (`undefined` deletes) and returns the version made, if it was a change. */
  put(table: string, key: string, value: unknown): Row | undefined {
    const at = this.instant();
    const row = this.machine.replica.prepare(table, key, value, at.wall);
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

  /** A timer of the machine's has come. */
  fire(timer: unknown): void {
    if (!this.isUp) return;
    const { now } = this.cluster;
    if (this.#isStalled()) {
      this.cluster.at(
        this.#stalledUntil,
        this,
        timer instanceof Late ? timer : new Late(timer, now),
      );
    } else if (timer instanceof Late) {
      this.perform(this.machine.expire(timer.timer as Timer, this.instant(), now - timer.due));
    } else {
      this.perform(this.machine.expire(timer as Timer, this.instant()));
    }
  }

  /** When this host reads what arrives now; it may be now. */
  readsAt(): number {
    const { now, rng } = this.cluster;
    const awake = this.#isStalled() ? this.#stalledUntil + READ_AFTER_MS : now;
    return awake + (this.#lag?.(rng) ?? 0);
  }

  perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#do(effect);
  }

  #isStalled(): boolean {
    return this.cluster.now < this.#stalledUntil;
  }

  #do(effect: Effect): void {
    switch (effect.kind) {
      case 'send':
        this.cluster.datagram(this, effect.to, effect.bytes);
        break;
      case 'timer':
        this.cluster.at(this.cluster.now + effect.after, this, effect.timer);
        break;
      case 'exchange':
        this.cluster.exchange(this, effect);
        break;
      case 'joined':
        this.joins.push(effect.outcome);
        break;
      case 'member':
        this.cluster.see(this, effect.member, effect.previous);
        break;
      case 'row':
        this.cluster.seeRow(this, effect.change.row);
        break;
      case 'collected':
        this.saved.delete(`${effect.table}/${effect.key}`);
        break;
      case 'name-conflict':
        this.conflicts++;
        break;
      case 'left':
        this.hasLeft = true;
        break;
      case 'silent':
      case 'forgotten':
        break;
    }
  }
}
