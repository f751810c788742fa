import { nullLogger } from '../../src/base/log.ts';
import { pick, seededRng, type Rng } from '../../src/base/rng.ts';
import { asMac, asMillis, asPeerId, asVni, type PeerId } from '../../src/base/types.ts';
import { Addresses } from '../../src/daemon/addresses.ts';
import { Directory, type RowChange, type Rows } from '../../src/daemon/directory.ts';
import { Journal } from '../../src/daemon/journal.ts';
import { Moving } from '../../src/daemon/moving.ts';
import type {
  EndpointRecord,
  MoveRecord,
  UseRecord,
  NetworkRecord,
  VtepRecord,
} from '../../src/daemon/records.ts';
import { Repairs } from '../../src/daemon/repairs.ts';
import { Serial } from '../../src/daemon/serial.ts';
import type { Member } from '../../src/gossip/member.ts';
import { addressesOf, type Endpoint } from '../../src/network/endpoint.ts';
import { ManualClock } from '../fakes/manual-clock.ts';
import { Life } from './mortal.ts';

const STEP_MS = 40;
const EXCHANGE_EVERY_MS = 500;
const TABLES = ['networks', 'endpoints', 'vteps', 'moves', 'uses'] as const;

/** A value, or none where it was removed, and when and by whom. */
interface Version {
  readonly value: unknown;
  readonly count: number;
  readonly by: string;
}
type Disk = Map<string, Version>;

/** A replicated table as one life of a host has it; what it holds outlives it. */
class StampedRows<T> implements Rows<T> {
  readonly #disk: Disk;
  readonly #by: string;
  readonly #listeners: ((change: RowChange<T>) => void)[] = [];

  constructor(disk: Disk, by: string) {
    this.#disk = disk;
    this.#by = by;
  }

  get(key: string): T | undefined {
    return this.#disk.get(key)?.value as T | undefined;
  }

  put(key: string, value: T): void {
    this.#set(key, this.#next(key, value), 'local');
  }

  remove(key: string): void {
    if (this.get(key) !== undefined) this.#set(key, this.#next(key, undefined), 'local');
  }

  entries(): { key: string; value: T }[] {
    return [...this.#disk].flatMap(([key, { value }]) =>
      value === undefined ? [] : [{ key, value: value as T }],
    );
  }

  onChange(listener: (change: RowChange<T>) => void): void {
    this.#listeners.push(listener);
  }

  /** Takes what another host has and is newer. */
  merge(other: Disk): void {
    for (const [key, version] of [...other]) {
      const own = this.#disk.get(key);
      const isNewer =
        own === undefined ||
        version.count > own.count ||
        (version.count === own.count && version.by > own.by);
      if (isNewer) this.#set(key, version, 'remote');
    }
  }

  #next(key: string, value: T | undefined): Version {
    return { value, count: (this.#disk.get(key)?.count ?? 0) + 1, by: this.#by };
  }

  #set(key: string, version: Version, origin: 'local' | 'remote'): void {
    const previous = this.get(key);
    this.#disk.set(key, version);
    const change = { key, value: version.value as T | undefined, previous, origin };
    for (const listener of this.#listeners) listener(change);
  }
}

/** What one life of a host consists of. */
interface Parts {
  readonly life: Life;
  readonly tables: Record<(typeof TABLES)[number], StampedRows<unknown>>;
  readonly directory: Directory;
  readonly addresses: Addresses;
  readonly moving: Moving;
  readonly repairs: Repairs;
  readonly journal: Journal;
}

/** A host with real addresses, plans and moves; its disk and interfaces outlive each of its lives. */
export class RepairHost {
  readonly name: string;
  readonly id: PeerId;
  side: number;
  downSince = 0;
  /** The network's id with each address on an interface that there is, by its endpoint. */
  readonly plugged = new Map<string, readonly string[]>();
  readonly disks = new Map(TABLES.map((table) => [table, new Map() as Disk]));
  readonly #world: RepairWorld;
  readonly #pools = new Map<string, Uint8Array>();
  readonly #notes = new Map<string, unknown>();
  #parts: Parts | undefined;
  #answer: (sender: PeerId, body: Buffer) => Uint8Array | undefined = () => undefined;

  constructor(name: string, side: number, world: RepairWorld) {
    this.name = name;
    this.id = asPeerId(name.repeat(32));
    this.side = side;
    this.#world = world;
  }

  get isUp(): boolean {
    return this.#parts !== undefined && !this.#parts.life.isOver;
  }

  get parts(): Parts {
    if (this.#parts === undefined) throw new Error(`${this.name} never started`);
    return this.#parts;
  }

  kill(): void {
    this.parts.life.kill();
  }

  /** Begins a life on what the last one left. */
  start(): void {
    const life = new Life(this.#world.clock);
    life.atDeath(() => this.#died());
    const rows = <T>(table: (typeof TABLES)[number]): StampedRows<T> =>
      new StampedRows<T>(this.disks.get(table) as Disk, this.name);
    const tables = {
      networks: rows<NetworkRecord>('networks'),
      endpoints: rows<EndpointRecord>('endpoints'),
      vteps: rows<VtepRecord>('vteps'),
      moves: rows<MoveRecord>('moves'),
      uses: rows<UseRecord>('uses'),
    };
    const directory = new Directory(this.id, tables);
    const { clock } = life;
    const { rng } = this.#world;
    const addresses = this.#addresses(life, directory);
    const serial = new Serial();
    const journal = new Journal(this.#journalStore(life));
    const reconcile = (): Promise<void> => life.do(() => this.#plug(directory));
    const unplug = (id: string): Promise<void> => life.do(() => void this.plugged.delete(id));
    const moving = new Moving({
      ...{ self: this.id, directory, moves: tables.moves, addresses, journal, serial },
      reconciler: { reconcile },
      sandboxes: { detach: unplug as never, renewNeighbours: () => Promise.resolve() },
      follow: () => Promise.resolve(),
      isFirst: () => this.#world.reachable(this).every(({ id }) => id > this.id),
      ...{ clock, rng, log: nullLogger },
    });
    const repairs = new Repairs({
      ...{
        directory,
        moves: tables.moves,
        addresses,
        clock,
        nameOf: (id: PeerId) => id.slice(0, 1),
      },
    });
    this.#parts = { life, tables: tables as never, directory, addresses, moving, repairs, journal };
    directory.onNetworks(() => {
      addresses.networksChanged();
      moving.request();
    });
    tables.moves.onChange(() => moving.request());
    directory.onEndpoint((change) => addresses.endpointChanged(change));
    void this.#recover(journal, unplug, reconcile);
    this.#world.membersChanged();
    this.#exchangeLater(life);
  }

  async #recover(
    journal: Journal,
    unplug: (id: string) => Promise<void>,
    reconcile: () => Promise<void>,
  ): Promise<void> {
    const { directory, addresses, moving } = this.parts;
    await journal.recover(directory, nullLogger, unplug);
    addresses.start();
    await reconcile();
    moving.request();
  }

  /** What another host asks of this one's address space. */
  serve(sender: PeerId, body: Buffer): Uint8Array | undefined {
    return this.isUp ? this.#answer(sender, body) : undefined;
  }

  /** Makes an endpoint; undefined if it got no address, or died over it. */
  async attach(id: string, address?: string, address6?: string): Promise<void> {
    const { directory, addresses, life } = this.parts;
    const network = directory.network('blue');
    if (network === undefined) return;
    const wanted = { address, address6 };
    const acquired = await addresses.acquire(network, wanted).catch(() => undefined);
    if (acquired === undefined || life.isOver) return;
    directory.putEndpoint({
      ...{ id, network: 'blue', host: this.id, mac: asMac(1 + this.#world.endpoints.size) },
      ...{ ifname: 'eth0', ...acquired, sandbox: { path: `/run/netns/${id}`, inode: id } },
    });
    this.#plug(directory);
    this.#world.endpoints.add(id);
  }

  /** Removes an endpoint as the daemon does: noted, then the row, then the interface. */
  async detach(endpoint: Endpoint): Promise<void> {
    const { directory, journal, life } = this.parts;
    await journal.during('detach', endpoint, async () => {
      directory.removeEndpoint(endpoint);
      this.#world.endpoints.delete(endpoint.id);
      await life.do(() => void this.plugged.delete(endpoint.id));
    });
  }

  own(): Endpoint[] {
    return this.parts.directory.endpointsOf(this.id);
  }

  #plug(directory: Directory): void {
    const wanted = new Map(
      directory
        .endpointsOf(this.id)
        .map((endpoint) => [
          endpoint.id,
          addressesOf(endpoint).map(
            (address) => `${directory.network(endpoint.network)?.id} ${address}`,
          ),
        ]),
    );
    for (const id of this.plugged.keys()) if (!wanted.has(id)) this.plugged.delete(id);
    for (const [id, places] of wanted) this.plugged.set(id, places);
  }

  #died(): void {
    const { addresses, moving } = this.parts;
    addresses.stop();
    moving.stop();
    this.downSince = this.#world.clock.now();
    this.#world.membersChanged();
  }

  #journalStore(life: Life) {
    return {
      begin: (key: string, note: unknown) => life.do(() => void this.#notes.set(key, note)),
      settled: () => life.do(() => undefined),
      end: (key: string) => {
        if (!life.isOver) this.#notes.delete(key);
      },
      begun: () => [...this.#notes.values()],
    };
  }

  #addresses(life: Life, directory: Directory): Addresses {
    const world = this.#world;
    return new Addresses({
      holds: { has: () => false },
      mesh: {
        self: { id: this.id } as Member,
        members: () => world.others(this).map((host) => this.#member(host)),
        member: (id) => {
          const host = world.others(this).find((each) => each.id === id);
          return host && this.#member(host);
        },
        serve: (_service, answer) => (this.#answer = answer),
        call: (to, _service, body) => world.call(this, life, to, body),
      },
      state: {
        pool: (id) => this.#pools.get(id),
        savePool: (id, bytes) => {
          if (!life.isOver) this.#pools.set(id, bytes);
        },
        dropPool: (id) => void this.#pools.delete(id),
      },
      ...{ directory, clock: life.clock, rng: world.rng, log: nullLogger },
      hostName: (id) => id.slice(0, 1),
      reservations: { get: () => undefined, ofPool: () => [] },
      endpointsLost: () => undefined,
      endpointLeaseMs: 86_400_000,
    });
  }

  #member(host: RepairHost): Member {
    const state = host.isUp && host.side === this.side ? 'alive' : 'dead';
    return { id: host.id, name: host.name, state, since: asMillis(host.downSince) } as Member;
  }

  /** Takes all that is newer from some host it reaches, now and then. */
  #exchangeLater(life: Life): void {
    const after = EXCHANGE_EVERY_MS * (0.5 + this.#world.rng.next());
    life.clock.after(asMillis(after), () => {
      const others = this.#world.reachable(this);
      if (others.length > 0) this.learn(pick(this.#world.rng, others));
      if (!life.isOver) this.#exchangeLater(life);
    });
  }

  learn(from: RepairHost): void {
    for (const table of TABLES) this.parts.tables[table].merge(from.disks.get(table) as Disk);
  }
}

/** Hosts of two meshes that were seeded apart, on one virtual clock. */
export class RepairWorld {
  readonly clock = new ManualClock();
  readonly rng: Rng;
  readonly hosts: RepairHost[];
  /** Of the whole history: none may be lost. */
  readonly endpoints = new Set<string>();

  constructor(seed: number, sizes: readonly [number, number]) {
    this.rng = seededRng(seed);
    this.hosts = ['a', 'b', 'c', 'd', 'e']
      .slice(0, sizes[0] + sizes[1])
      .map((name, index) => new RepairHost(name, Number(index >= sizes[0]), this));
    for (const host of this.hosts) host.start();
  }

  /** The network of one side, made by its first host. */
  found(side: number, subnet: string, subnet6?: string): void {
    const founders = this.hosts.filter((host) => host.side === side).map(({ id }) => id);
    const [first] = this.hosts.filter((host) => host.side === side);
    first?.parts.directory.putNetwork({
      ...{ id: String(side + 1).repeat(32), name: 'blue', vni: asVni(7), subnet, mtu: 1450 },
      ...{ encap: 'vxlan', createdBy: first.id, createdAt: `2026-01-01T00:00:0${side}Z` },
      ...(subnet6 !== undefined && { subnet6 }),
      addressing: { founders, leaseSeconds: 300 },
    });
  }

  others(host: RepairHost): RepairHost[] {
    return this.hosts.filter((each) => each !== host);
  }

  reachable(host: RepairHost): RepairHost[] {
    return this.others(host).filter((each) => each.isUp && each.side === host.side);
  }

  membersChanged(): void {
    for (const host of this.hosts) if (host.isUp) host.parts.addresses.membersChanged();
  }

  split(sideOf: (host: RepairHost) => number): void {
    for (const host of this.hosts) host.side = sideOf(host);
    this.membersChanged();
  }

  call(from: RepairHost, life: Life, to: PeerId, body: Uint8Array): Promise<Buffer | undefined> {
    const delay = (): number => 5 + 45 * this.rng.next();
    const target = this.hosts.find(({ id }) => id === to);
    return new Promise((resolve) => {
      this.clock.after(asMillis(delay()), () => {
        const isThere = target?.isUp === true && target.side === from.side;
        const answer = isThere ? target.serve(from.id, Buffer.from(body)) : undefined;
        life.clock.after(asMillis(delay()), () => resolve(answer && Buffer.from(answer)));
      });
    });
  }

  /** Lets time pass; after each step `look` may judge. */
  async pass(ms: number, look: () => void = () => undefined): Promise<void> {
    for (const end = this.clock.now() + ms; this.clock.now() < end;) {
      this.clock.advance(STEP_MS);
      await new Promise<void>((resolve) => void setImmediate(resolve));
      look();
    }
  }
}
