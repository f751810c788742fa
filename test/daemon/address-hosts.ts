import { nullLogger } from '../../src/base/log.ts';
import { seededRng } from '../../src/base/rng.ts';
import { asMillis, asPeerId, asVni, asMac, type PeerId } from '../../src/base/types.ts';
import { Addresses } from '../../src/daemon/addresses.ts';
import { Directory } from '../../src/daemon/directory.ts';
import type {
  EndpointRecord,
  NetworkRecord,
  UseRecord,
  VtepRecord,
} from '../../src/daemon/records.ts';
import type { Member } from '../../src/gossip/member.ts';
import type { Endpoint } from '../../src/network/endpoint.ts';
import type { Addressing, NetworkDefinition } from '../../src/network/network.ts';
import { ManualClock } from '../fakes/manual-clock.ts';
import { MemoryRows } from '../fakes/memory-rows.ts';

const HOUR_MS = 3_600_000;
const LATENCY = asMillis(5);
/** So many turns of the event loop bring one answer through all its promises. */
const TURNS = 4;

/** Every row that was written, by whom it is known. */
type Tables = {
  readonly networks: MemoryRows<NetworkRecord>;
  readonly endpoints: MemoryRows<EndpointRecord>;
  readonly vteps: MemoryRows<VtepRecord>;
  readonly uses: MemoryRows<UseRecord>;
};

/** A host that has tables and addresses, and neither gossip nor kernel. */
export class AddressHost {
  readonly name: string;
  readonly id: PeerId;
  readonly tables: Tables = {
    networks: new MemoryRows(),
    endpoints: new MemoryRows(),
    vteps: new MemoryRows(),
    uses: new MemoryRows(),
  };
  readonly directory: Directory;
  readonly disk = new Map<string, Uint8Array>();
  /** How often the daemon was told to take interfaces away. */
  losses = 0;
  /** Cut off from the others, or off. */
  isAway = false;
  awaySince = 0;
  answer: (sender: PeerId, body: Buffer) => Uint8Array | undefined = () => undefined;
  addresses: Addresses;
  readonly #world: AddressWorld;
  #endpoints = 0;

  constructor(name: string, world: AddressWorld) {
    this.name = name;
    this.id = asPeerId(name.repeat(32).slice(0, 32));
    this.#world = world;
    this.directory = new Directory(this.id, this.tables);
    this.directory.onEndpoint((change) => this.addresses.endpointChanged(change));
    this.directory.onNetworks(() => this.addresses.networksChanged());
    this.addresses = this.#addresses();
  }

  /** Begins, or begins anew with what is on its disk. */
  start(): void {
    this.addresses.stop();
    this.addresses = this.#addresses();
    this.addresses.start();
  }

  async attach(network: NetworkDefinition, address?: string, address6?: string): Promise<Endpoint> {
    const wanted = { address, address6 };
    const acquired = await this.#world.until(this.addresses.acquire(network, wanted));
    const endpoint: Endpoint = {
      ...{ id: `${this.name}${this.#endpoints++}`.padEnd(32, '0'), network: network.name },
      ...{ host: this.id, mac: asMac(1 + this.#endpoints), ifname: 'eth0', ...acquired },
      sandbox: { path: '/run/netns/x', inode: '4:/run/netns/x' },
    };
    this.directory.putEndpoint(endpoint);
    return endpoint;
  }

  #addresses(): Addresses {
    const { clock, hosts } = this.#world;
    return new Addresses({
      holds: { has: () => false },
      mesh: {
        self: { id: this.id } as Member,
        members: () => hosts.filter((host) => host !== this).map((host) => this.#member(host)),
        member: (id) => {
          const host = hosts.find((each) => each.id === id && each !== this);
          return host && this.#member(host);
        },
        serve: (_service, answer) => (this.answer = answer),
        call: (to, _service, body) => this.#world.call(this, to, body),
      },
      state: {
        pool: (id) => this.disk.get(id),
        savePool: (id, bytes) => void this.disk.set(id, bytes),
        dropPool: (id) => void this.disk.delete(id),
      },
      reservations: { get: () => undefined, ofPool: () => [] },
      ...{ directory: this.directory, clock, rng: this.#world.rng, log: nullLogger },
      hostName: (id) => hosts.find((host) => host.id === id)?.name ?? id,
      endpointsLost: () => this.losses++,
      endpointLeaseMs: 24 * HOUR_MS,
    });
  }

  #member(host: AddressHost): Member {
    const state = host.isAway || this.isAway ? 'dead' : 'alive';
    const since = asMillis(Math.max(host.awaySince, this.awaySince));
    return { id: host.id, name: host.name, state, since } as Member;
  }
}

/** Hosts whose rows are everywhere at once, and who talk about addresses on a virtual clock. */
export class AddressWorld {
  readonly clock = new ManualClock();
  readonly rng = seededRng(7);
  readonly hosts: AddressHost[] = [];
  #isTelling = false;

  constructor(...names: readonly string[]) {
    for (const name of names) this.hosts.push(new AddressHost(name, this));
    for (const host of this.hosts) {
      for (const table of ['networks', 'endpoints', 'vteps'] as const) this.#replicate(host, table);
      host.start();
    }
  }

  network(
    name: string,
    subnet: string,
    addressing: Partial<Addressing> = {},
    subnet6?: string,
  ): NetworkDefinition {
    const [first] = this.hosts as [AddressHost];
    const founders = this.hosts.map(({ id }) => id).slice(0, 5);
    const network: NetworkDefinition = {
      ...{ id: name.charCodeAt(0).toString(16).repeat(16), name, vni: asVni(7), subnet },
      ...{ mtu: 1450, encap: 'vxlan', createdBy: first.id, createdAt: '2026-01-01T00:00:00Z' },
      ...(subnet6 !== undefined && { subnet6 }),
      addressing: { founders, leaseSeconds: 300, ...addressing },
    };
    first.directory.putNetwork(network);
    return network;
  }

  setAway(host: AddressHost, isAway: boolean): void {
    host.isAway = isAway;
    host.awaySince = this.clock.now();
    for (const each of this.hosts) each.addresses.membersChanged();
  }

  async pass(ms: number, step = 1_000): Promise<void> {
    for (const end = this.clock.now() + ms; this.clock.now() < end;) {
      this.clock.advance(step);
      await turn();
    }
  }

  /** Lets time pass until `done` settles. */
  async until<T>(done: Promise<T>): Promise<T> {
    const waiting = { isOver: false };
    const end = (): void => void (waiting.isOver = true);
    void done.then(end, end);
    while (!waiting.isOver) {
      this.clock.advance(5);
      await turn();
    }
    return done;
  }

  async call(from: AddressHost, to: PeerId, body: Uint8Array): Promise<Buffer | undefined> {
    const target = this.hosts.find(({ id }) => id === to);
    await new Promise<void>((resolve) => void this.clock.after(LATENCY, resolve));
    if (target === undefined || target.isAway || from.isAway) return undefined;
    const answer = target.answer(from.id, Buffer.from(body));
    return answer && Buffer.from(answer);
  }

  /** What one host writes the others have, unless one of the two is away. */
  #replicate(host: AddressHost, name: keyof Tables): void {
    host.tables[name].onChange(({ key, value }) => {
      if (this.#isTelling || host.isAway) return;
      this.#isTelling = true;
      for (const other of this.hosts) {
        if (other === host || other.isAway) continue;
        const table = other.tables[name] as MemoryRows<unknown>;
        if (value === undefined) table.remove(key);
        else table.put(key, value);
      }
      this.#isTelling = false;
    });
  }
}

async function turn(): Promise<void> {
  for (let count = 0; count < TURNS; count++) await Promise.resolve();
}
