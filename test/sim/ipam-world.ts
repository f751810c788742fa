import { pick, randomInt, seededRng, type Rng } from '../../src/base/rng.ts';
import { asMillis, asPeerId, type PeerId } from '../../src/base/types.ts';
import { CALL_TIMEOUT_MS, Ipam, type Effect } from '../../src/ipam/host.ts';
import type { PoolSpec, PoolStore, StoredPool } from '../../src/ipam/holding.ts';
import type { Outcome, Reply, Request } from '../../src/ipam/message.ts';
import { isVoid, ownerOf, windowsOf, type PoolValue } from '../../src/ipam/pool.ts';
import { contains } from '../../src/ipam/range.ts';
import { EventQueue, type Target } from './event-queue.ts';
import { mergeRow, type EndpointRow } from './ipam-rows.ts';

/** A host goes down in the middle of a step: the store throws it, the world catches it. */
class Crash extends Error {}

export interface WorldOptions {
  readonly seed: number;
  readonly hosts: number;
  readonly founders: number;
  readonly size: bigint;
  readonly leaseMs: number;
  readonly endpointLeaseMs: number;
  /** Shares of messages lost, and sent twice. */
  readonly loss: number;
  readonly duplication: number;
  /** How far a clock's speed may be off: 0.03 is 3 %. */
  readonly drift: number;
}

interface SimHost {
  readonly id: PeerId;
  /** What survives a crash. */
  readonly disk: Map<string, StoredPool>;
  readonly endpoints: Map<bigint, number>;
  /** The endpoint table as this host has it; on its disk as well. */
  readonly rows: Map<number, EndpointRow>;
  readonly rate: number;
  /** Undefined while it is down. */
  ipam: Ipam | undefined;
  run: number;
  clockBase: number;
  startedAt: number;
  /** Writes until it crashes, if it is to. */
  writesLeft: number;
  /** Hosts that it believes wrongly to be alive or dead. */
  readonly errors: Set<PeerId>;
  readonly awaited: Map<number, (outcome: Outcome) => void>;
  /** An operator has said that it will not come back. */
  isCondemned: boolean;
  side: number;
}

export const POOL = 'f'.repeat(32);

/** From one exchange of rows with some other host to the next. */
const EXCHANGE_EVERY_MS = 500;

/** What happens in a schedule is a call. */
const CALLER: Target = { fire: (run) => (run as () => void)() };

/**
 * Hosts with one pool on a virtual clock, over a network that loses, doubles, delays and reorders. The
 * world is the judge: after each step it looks for an address that two live endpoints have, for an
 * acknowledged one that its host no longer owns, and for two different values of one version; at the
 * end, for rows of endpoints that are no more, and endpoints whose rows are gone.
 */
export class IpamWorld {
  readonly options: WorldOptions;
  readonly rng: Rng;
  readonly hosts: SimHost[];
  readonly trace: string[] = [];
  now = 0;
  acknowledged = 0;
  revocations = 0;
  readonly #queue = new EventQueue();
  readonly #spec: PoolSpec;
  /** Live endpoints of the mesh: who has which address. */
  readonly #live = new Map<bigint, { readonly host: SimHost; readonly endpoint: number }>();
  readonly #values = new Map<number, PoolValue>();
  readonly #epochs = new Map<PeerId, number>();
  readonly #compared = new WeakSet<PoolValue>();
  #newest: PoolValue | undefined;
  #endpoints = 0;

  constructor(options: WorldOptions) {
    this.options = options;
    this.rng = seededRng(options.seed);
    this.hosts = Array.from({ length: options.hosts }, (_, index) => ({
      id: asPeerId(String(index + 1).padStart(32, '0')),
      ...{ disk: new Map(), endpoints: new Map(), errors: new Set(), awaited: new Map() },
      rows: new Map(),
      ...{ ipam: undefined, run: 0, clockBase: 0, startedAt: 0, isCondemned: false, side: 0 },
      rate: 1 + options.drift * (2 * this.rng.next() - 1),
      writesLeft: Infinity,
    }));
    this.#spec = {
      id: POOL,
      size: options.size,
      auto: { start: 0n, end: options.size },
      founders: this.hosts.slice(0, options.founders).map(({ id }) => id),
      leaseMs: options.leaseMs,
      excluded: [
        { start: 0n, end: 1n },
        { start: options.size - 1n, end: options.size },
      ],
    };
  }

  get newest(): PoolValue | undefined {
    return this.#newest;
  }

  get live(): number {
    return this.#live.size;
  }

  host(id: PeerId): SimHost {
    const found = this.hosts.find((host) => host.id === id);
    if (found === undefined) throw new Error(`no host ${id}`);
    return found;
  }

  up(): SimHost[] {
    return this.hosts.filter(({ ipam }) => ipam !== undefined);
  }

  down(): SimHost[] {
    return this.hosts.filter(({ ipam }) => ipam === undefined);
  }

  /** Lets `span` ms pass. */
  pass(span: number): void {
    const until = this.now + span;
    while (this.#queue.nextDue <= until) {
      this.now = this.#queue.nextDue;
      this.#queue.fire();
      this.#judge();
    }
    this.now = until;
  }

  at(delay: number, run: () => void): void {
    this.#queue.push(this.now + delay, CALLER, run);
  }

  start(host: SimHost): void {
    this.#note(host, 'starts');
    host.run++;
    host.startedAt = this.now;
    host.clockBase = randomInt(this.rng, 1_000_000);
    host.writesLeft = Infinity;
    host.awaited.clear();
    // The rows of a forgotten host were deleted, and its daemon takes the interfaces away.
    if (host.isCondemned) this.#removeRows(host, (row) => row.host === host.id);
    host.isCondemned = false;
    this.#step(host, () => {
      const ipam = new Ipam(
        {
          self: host.id,
          store: this.#store(host),
          members: this.#members(host),
          rng: this.rng,
          isTaken: () => false,
          endpointLeaseMs: this.options.endpointLeaseMs,
        },
        this.#clock(host),
      );
      host.ipam = ipam;
      this.#exchangeLater(host);
      return ipam.addPool(this.#spec, host.endpoints.keys(), this.#clock(host));
    });
  }

  crash(host: SimHost): void {
    this.#note(host, 'crashes');
    host.ipam = undefined;
    host.run++;
    host.awaited.clear();
  }

  /** The host's next writes but `writes` are its last: it goes down in one, before or after it is safe. */
  crashSoon(host: SimHost, writes: number): void {
    host.writesLeft = writes;
  }

  /** Cuts the network into the sides that `sideOf` tells. */
  partition(sideOf: (host: SimHost) => number): void {
    for (const host of this.hosts) host.side = sideOf(host);
    this.trace.push(`${this.now.toFixed(0)} sides ${this.hosts.map(({ side }) => side).join('')}`);
  }

  /** Attaches an endpoint; it counts as acknowledged once it is on the host's disk. */
  allocate(host: SimHost, wanted?: bigint): void {
    this.#step(host, (ipam) => {
      const { ticket, effects } = ipam.allocate(POOL, wanted, this.#clock(host));
      host.awaited.set(ticket, (outcome) => this.#allocated(host, outcome));
      return effects;
    });
  }

  /** Detaches one of the host's endpoints: the record goes first. */
  release(host: SimHost): void {
    const held = [...host.endpoints.keys()];
    const offset = held[randomInt(this.rng, Math.max(1, held.length))];
    if (offset === undefined) return;
    const endpoint = host.endpoints.get(offset);
    this.#note(host, `releases ${offset}`);
    this.#removeRows(host, (row) => row.endpoint === endpoint);
  }

  forget(host: SimHost, gone: SimHost): void {
    this.#note(host, `forgets ${gone.id.slice(-1)}`);
    this.#condemn(gone);
    gone.isCondemned = true;
    this.#step(host, (ipam) => {
      const { ticket, effects } = ipam.forget(POOL, gone.id, false, this.#clock(host));
      host.awaited.set(ticket, (outcome) => {
        this.#note(host, `forgot: ${outcome.kind}`);
        if (outcome.kind === 'done') this.#sweep(host);
      });
      return effects;
    });
  }

  /** Says what went wrong, with the last steps. */
  fail(what: string): never {
    const last = this.trace.slice(-60).join('\n');
    throw new Error(`SEED=${this.options.seed}: ${what}\n${last}`);
  }

  #allocated(host: SimHost, outcome: Outcome): void {
    if (outcome.kind !== 'address') {
      this.#note(host, `no address: ${outcome.kind}`);
      return;
    }
    const { offset, epoch } = outcome;
    if (--host.writesLeft < 0) throw new Crash();
    this.#judge();
    const other = this.#live.get(offset);
    this.#note(host, `has ${offset}`);
    if (other !== undefined) {
      this.fail(
        `address ${offset} of host ${other.host.id.slice(-1)} given again by ${host.id.slice(-1)}`,
      );
    }
    host.endpoints.set(offset, ++this.#endpoints);
    this.#live.set(offset, { host, endpoint: this.#endpoints });
    this.acknowledged++;
    const endpoint = this.#endpoints;
    this.#tellRow(host, { endpoint, offset, host: host.id, epoch, isDeleted: false });
  }

  /** Brings all views together: what each of them says must be the truth then. */
  checkRows(): void {
    for (let round = 0; round < 2; round++) {
      for (const one of this.hosts) {
        for (const other of this.hosts) this.#takeRows(one, other.rows.values());
      }
      for (const host of this.hosts) this.#sweep(host);
    }
    const live = [...this.#live].map(([offset, { endpoint }]) => `${endpoint} has ${offset}`);
    for (const { id, rows } of this.hosts) {
      const said = [...rows.values()]
        .filter(({ isDeleted }) => !isDeleted)
        .map(({ endpoint, offset }) => `${endpoint} has ${offset}`);
      if (said.sort().join() !== live.sort().join()) {
        this.fail(`rows of ${id.slice(-1)}: ${said.join(', ')}; live: ${live.join(', ')}`);
      }
    }
  }

  /** A host writes a row: it has it, and so have those that its message reaches. */
  #tellRow(host: SimHost, row: EndpointRow): void {
    this.#takeRows(host, [row]);
    for (const other of this.up()) {
      if (other === host || this.#isLost(host, other)) continue;
      this.at(this.#latency(), () => this.#takeRows(other, [row]));
    }
  }

  /** News of a host's own endpoints that are gone make it take them away. */
  #takeRows(host: SimHost, rows: Iterable<EndpointRow>): void {
    for (const row of rows) {
      if (!mergeRow(host.rows, row) || !row.isDeleted || row.host !== host.id) continue;
      const { offset, endpoint } = row;
      if (host.endpoints.get(offset) !== endpoint) continue;
      host.endpoints.delete(offset);
      if (this.#live.get(offset)?.endpoint === endpoint) this.#live.delete(offset);
      host.ipam?.release(POOL, offset, this.#clock(host));
    }
  }

  #removeRows(host: SimHost, isMeant: (row: EndpointRow) => boolean): void {
    for (const row of [...host.rows.values()]) {
      if (!row.isDeleted && isMeant(row)) this.#tellRow(host, { ...row, isDeleted: true });
    }
  }

  /** What the daemon does: whoever knows that a row is void removes it. */
  #sweep(host: SimHost): void {
    const chosen = host.ipam?.holding(POOL)?.chosen;
    if (chosen === undefined) return;
    this.#removeRows(host, (row) => isVoid(chosen, row.host, row.epoch));
  }

  #exchangeLater(host: SimHost): void {
    const { run } = host;
    this.at(EXCHANGE_EVERY_MS * (0.5 + this.rng.next()), () => {
      if (host.run !== run || host.ipam === undefined) return;
      const other = pick(this.rng, this.up());
      if (other.side === host.side) {
        this.#takeRows(host, other.rows.values());
        this.#takeRows(other, host.rows.values());
      }
      this.#sweep(host);
      this.#exchangeLater(host);
    });
  }

  /** The host's endpoints no longer count: somebody has said so, or their lease has ended. */
  #condemn(host: SimHost): void {
    for (const [offset, { host: holder }] of this.#live) {
      if (holder === host) this.#live.delete(offset);
    }
  }

  #judge(): void {
    let isNews = false;
    for (const { ipam } of this.hosts) {
      const chosen = ipam?.holding(POOL)?.chosen;
      if (chosen === undefined) continue;
      if (this.#compared.has(chosen)) continue;
      this.#compared.add(chosen);
      const known = this.#values.get(chosen.version);
      if (known === undefined) {
        this.#values.set(chosen.version, chosen);
        isNews = true;
      } else if (known !== chosen && show(known) !== show(chosen)) {
        this.fail(`version ${chosen.version} has two values:\n${show(known)}\n${show(chosen)}`);
      }
      if (this.#newest === undefined || chosen.version > this.#newest.version)
        this.#newest = chosen;
    }
    if (isNews && this.#newest !== undefined) this.#judgeValue(this.#newest);
  }

  #judgeValue(value: PoolValue): void {
    for (const [id, { kind, epoch }] of value.revoked) {
      if (this.#epochs.get(id) === epoch) continue;
      this.#epochs.set(id, epoch);
      this.revocations++;
      const host = this.host(id);
      this.#note(host, `is revoked (${kind}) in version ${value.version}`);
      if (kind !== 'expired') continue;
      this.#condemn(host);
    }
    for (const [offset, { host }] of this.#live) {
      if (ownerOf(value, offset) !== host.id || !contains(windowsOf(value, host.id), offset)) {
        this.fail(
          `address ${offset} of host ${host.id.slice(-1)} was taken from it in version ${value.version}: ${show(value)}`,
        );
      }
    }
  }

  /** One input to a host, and what it wants done. A crash in between ends both. */
  #step(host: SimHost, input: (ipam: Ipam) => readonly Effect[]): void {
    try {
      const effects = input(host.ipam as Ipam);
      for (const effect of effects) this.#perform(host, effect);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.crash(host);
    }
  }

  #perform(host: SimHost, effect: Effect): void {
    switch (effect.kind) {
      case 'call':
        this.#call(host, effect.call, effect.to, effect.request);
        break;
      case 'timer':
        this.#later(host, effect.ms / host.rate, (ipam) =>
          ipam.expired(effect.wake, this.#clock(host)),
        );
        break;
      case 'ended':
        host.awaited.get(effect.ticket)?.(effect.outcome);
        host.awaited.delete(effect.ticket);
        break;
      case 'revoked':
        this.#note(host, `learns that it was revoked (${effect.why})`);
        break;
      case 'emptied':
        this.#sweep(host);
        break;
    }
  }

  /** Something that happens to this run of a host, if it is still there then. */
  #later(host: SimHost, delay: number, input: (ipam: Ipam) => readonly Effect[]): void {
    const { run } = host;
    this.at(delay, () => {
      if (host.run === run && host.ipam !== undefined) this.#step(host, input);
    });
  }

  #call(host: SimHost, call: number, to: PeerId, request: Request): void {
    let isOver = false;
    const end = (reply: Reply | undefined) => (ipam: Ipam) => {
      if (isOver) return [];
      isOver = true;
      return ipam.answered(call, reply, this.#clock(host));
    };
    this.#later(host, CALL_TIMEOUT_MS / host.rate, end(undefined));
    const target = this.host(to);
    const copies = this.rng.next() < this.options.duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#isLost(host, target)) continue;
      this.at(this.#latency(), () => {
        if (target.ipam === undefined) return;
        this.#step(target, (ipam) => {
          const { reply, effects } = ipam.receive(host.id, request, this.#clock(target));
          if (!this.#isLost(target, host)) this.#later(host, this.#latency(), end(reply));
          return effects;
        });
      });
    }
  }

  #isLost(from: SimHost, to: SimHost): boolean {
    return from.side !== to.side || this.rng.next() < this.options.loss;
  }

  /** Mostly a few milliseconds, sometimes long after the caller has given up. */
  #latency(): number {
    return this.rng.next() < 0.02 ? 3_000 * this.rng.next() : 1 + 20 * this.rng.next();
  }

  #store(host: SimHost): PoolStore {
    return {
      load: (pool) => host.disk.get(pool),
      save: (pool, stored) => {
        const isLast = --host.writesLeft < 0;
        if (!isLast || this.rng.next() < 0.5) host.disk.set(pool, stored);
        if (isLast) throw new Crash();
      },
      drop: (pool) => host.disk.delete(pool),
    };
  }

  /** Gossip's view: true but for some errors, and two seconds late with deaths. */
  #members(host: SimHost) {
    const sees = (other: SimHost): boolean =>
      other === host ||
      (other.ipam !== undefined && other.side === host.side) !== host.errors.has(other.id);
    return {
      isAlive: (id: PeerId) => sees(this.host(id)),
      alive: () => this.hosts.filter(sees).map(({ id }) => id),
      awayMs: (id: PeerId) => (sees(this.host(id)) ? 0 : 1_000_000),
    };
  }

  #clock({ clockBase, startedAt, rate }: SimHost) {
    return asMillis(clockBase + (this.now - startedAt) * rate);
  }

  #note(host: SimHost, what: string): void {
    this.trace.push(`${this.now.toFixed(0)} ${host.id.slice(-1)} ${what}`);
  }
}

const show = (value: PoolValue): string =>
  JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'bigint' ? Number(each) : each instanceof Map ? [...each] : each,
  );
