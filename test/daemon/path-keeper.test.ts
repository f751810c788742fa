import test from 'ava';
import { randomHex, seededRng, type Rng } from '../../src/base/rng.ts';
import { nullLogger } from '../../src/base/log.ts';
import {
  asMillis,
  asPeerId,
  formatSocketAddress,
  type PeerId,
  type PeerPath,
  type SocketAddress,
} from '../../src/base/types.ts';
import type { Member, MemberState } from '../../src/gossip/member.ts';
import { encodeCandidates } from '../../src/link/candidates.ts';
import { decodeProbe } from '../../src/link/probe-message.ts';
import { locatorOf, tagOf } from '../../src/link/locator.ts';
import { LinkEvents } from '../../src/daemon/link-events.ts';
import { PathKeeper, type PathPlane } from '../../src/daemon/path-keeper.ts';
import { encodeMemberMeta } from '../../src/daemon/peers.ts';
import type { BrokenRecord } from '../../src/daemon/records.ts';
import { ManualClock } from '../fakes/manual-clock.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
const SECOND = 1000;
const HOP_LIMIT = 16;
const META = encodeMemberMeta({
  ...{ version: '1.0.0', vxlanPort: 4789, partialChecksums: false, dualStack: true },
  paths: Uint8Array.from(encodeCandidates([])),
});

/** Hosts whose members are known to all, and whose rows reach those that can be reached. */
class World {
  readonly rng: Rng = seededRng(seed);
  readonly clock = new ManualClock(1000);
  readonly hosts: Host[] = [];
  readonly broken = new Set<string>();
  relayed = 0;
  /** Rows that were written so far. */
  written = 0;
  /** The probes that were sent so far: by whom, and for whom. */
  sent: string[] = [];
  readonly expelled = new Set<PeerId>();
  /** Members that are known to all and do nothing. */
  readonly more: Member[] = [];

  constructor(count: number) {
    for (let index = 0; index < count; index++) this.hosts.push(new Host(this, index));
    for (const host of this.hosts) {
      for (const other of this.hosts) if (other !== host) host.keeper.memberChanged(other.id);
      host.keeper.setOwnAddresses([host.address.address]);
      host.keeper.start();
    }
  }

  /** Nothing passes between two hosts, either way. */
  cut(one: Host, other: Host): void {
    this.broken.add(`${one.id} ${other.id}`).add(`${other.id} ${one.id}`);
  }

  join(one: Host, other: Host): void {
    this.broken.delete(`${one.id} ${other.id}`);
    this.broken.delete(`${other.id} ${one.id}`);
  }

  carry(from: Host, to: SocketAddress, arrive: (host: Host) => void): void {
    const target = this.hosts.find(({ address }) => address.address === to.address);
    if (target === undefined || this.broken.has(`${from.id} ${target.id}`)) return;
    this.clock.after(asMillis(1), () => arrive(target));
  }

  /** Rows are gossiped from neighbour to neighbour. */
  spread(row: Row, at: Host): void {
    for (const host of this.hosts) {
      this.carry(at, host.address, (target) => target.hear(row));
    }
  }

  silentAll(): void {
    for (const host of this.hosts) {
      for (const other of this.hosts) if (other !== host) host.keeper.silent(other.id);
    }
  }
}

interface Row {
  readonly key: string;
  readonly value: BrokenRecord | undefined;
  readonly stamp: number;
}

class Host {
  readonly id: PeerId;
  readonly address: SocketAddress;
  readonly keeper: PathKeeper;
  readonly events: LinkEvents;
  readonly paths = new Map<string, PeerPath>();
  /** As gossip holds them here; who is absent lives. */
  readonly views = new Map<PeerId, Pick<Member, 'state' | 'since'>>();
  /** The hosts that were found though they are held dead. */
  readonly found = new Set<string>();
  readonly routes = new Map<bigint, { readonly to: SocketAddress; readonly isLast: boolean }>();
  relayPeers: ReadonlySet<string> = new Set();
  frames = 0;
  strangers = 0;
  readonly member: Member;
  readonly #rows = new Map<string, Row>();
  readonly #world: World;
  #receive: (bytes: Buffer, from: SocketAddress) => void = () => undefined;

  constructor(world: World, index: number) {
    this.#world = world;
    this.id = asPeerId(randomHex(world.rng, 32));
    this.address = { address: `192.0.2.${index + 1}`, port: 7783 };
    this.member = {
      ...{ id: this.id, name: 'abcdefgh'[index] ?? '', address: this.address, meta: META },
      ...{ incarnation: 1, state: 'alive', protocol: { min: 1, max: 1 } },
      ...{ since: asMillis(0), sinceWall: 0 },
      ...{ key: new Uint8Array(32), signature: new Uint8Array(64) },
    };
    const { clock, rng, hosts } = world;
    this.events = new LinkEvents({ wallNow: () => clock.wallNow(), log: nullLogger });
    const plane: PathPlane = {
      setPath: (place, path) =>
        path === undefined ? this.paths.delete(place) : this.paths.set(place, path),
      setRoute: (tag, next) =>
        next === undefined ? this.routes.delete(tag) : this.routes.set(tag, next),
      setRelayPeers: (addresses) => (this.relayPeers = addresses),
      pathCounters: () => ({ txFrames: this.frames }),
    };
    this.keeper = new PathKeeper({
      ...{ self: this.id, plane, events: this.events, clock, rng, seenChanged: () => undefined },
      ...{ isAgreed: () => false, sharedChanged: () => undefined },
      isExpelled: (id) => world.expelled.has(id),
      pathChanged: () => undefined,
      found: (id) => this.found.add(hosts.find((host) => host.id === id)?.member.name ?? ''),
      members: {
        self: this.member,
        members: () => [
          ...hosts.filter((host) => host !== this).map((host) => this.#view(host)),
          ...world.more,
        ],
        member: (id) => {
          const host = hosts.find((each) => each.id === id);
          return host === undefined ? world.more.find((each) => each.id === id) : this.#view(host);
        },
      },
      probes: {
        sendBy: (bytes, path) => this.send(Buffer.from(bytes), path),
        onReceive: (receive) => (this.#receive = receive),
      },
      broken: {
        get: (key) => this.#rows.get(key)?.value,
        put: (key, value) => this.#write(key, value),
        remove: (key) => this.#write(key, undefined),
        entries: () =>
          [...this.#rows.values()].flatMap(({ key, value }) =>
            value === undefined ? [] : [{ key, value }],
          ),
      },
    });
  }

  #view({ id, member }: Host): Member {
    return { ...member, ...this.views.get(id) };
  }

  /** Gossip here has another state of hosts. */
  hold(state: MemberState, ...others: readonly Host[]): void {
    for (const { id } of others) {
      this.views.set(id, { state, since: this.#world.clock.now() });
      this.keeper.memberChanged(id);
    }
  }

  /** Sends by a path as the data plane does. */
  send(bytes: Buffer, { to, relayTag }: PeerPath): void {
    const receiver = decodeProbe(bytes)?.receiver;
    const host = this.#world.hosts.find(({ id }) => tagOf(id) === receiver);
    this.#world.sent.push(`${this.member.name} ${String(host?.member.name)}`);
    this.#world.carry(this, to, (host) => {
      if (relayTag === undefined) host.#receive(bytes, this.address);
      else host.relay(bytes, relayTag, this.address, HOP_LIMIT);
    });
  }

  /** What arrived at the host that it is for, by the path of the moment; how many hops that took. */
  relay(bytes: Buffer, tag: bigint, from: SocketAddress, hops: number): void {
    if (!this.relayPeers.has(from.address)) {
      this.strangers++;
      return;
    }
    const next = this.routes.get(tag);
    if (next === undefined || hops === 0) return;
    this.#world.relayed++;
    this.#world.carry(this, next.to, (host) => {
      if (next.isLast) host.#receive(bytes, this.address);
      else host.relay(bytes, tag, this.address, hops - 1);
    });
  }

  /** The hosts that a frame for `target` passes, as paths and routes are now; undefined: it is lost. */
  wayTo(target: Host): string | undefined {
    const { hosts, broken } = this.#world;
    const path = this.paths.get(locatorOf(target.id));
    const passed = [this as Host];
    for (let to = path?.to; to !== undefined && passed.length < HOP_LIMIT;) {
      const last = passed.at(-1) as Host;
      const host = hosts.find(({ address }) => address.address === to?.address);
      if (host === undefined || broken.has(`${last.id} ${host.id}`)) return undefined;
      passed.push(host);
      if (host === target) return passed.map(({ member }) => member.name).join('');
      to = host.routes.get(tagOf(target.id))?.to;
    }
    return undefined;
  }

  #write(key: string, value: BrokenRecord | undefined): boolean {
    // As the hybrid clock has it: of two rows that a host writes in one millisecond, the later one is newer.
    const row = { key, value, stamp: ++this.#world.written };
    this.#rows.set(key, row);
    this.#world.spread(row, this);
    return true;
  }

  hear(row: Row): void {
    const known = this.#rows.get(row.key);
    if (known !== undefined && known.stamp >= row.stamp) return;
    this.#rows.set(row.key, row);
    this.keeper.brokenChanged();
    this.#world.spread(row, this);
  }

  /** Shares networks with all. */
  share(...others: readonly Host[]): void {
    this.keeper.setShared(new Set(others.map(({ id }) => id)));
  }

  texts(): string[] {
    return this.events.after(0).map(({ text }) => text);
  }
}

function line(count: number): World {
  const world = new World(count);
  for (const [index, one] of world.hosts.entries()) {
    for (const other of world.hosts.slice(index + 2)) world.cut(one, other);
  }
  for (const host of world.hosts) host.share(...world.hosts.filter((other) => other !== host));
  return world;
}

test('hosts that all reach each other go straight, and gossip nothing', (t) => {
  const world = new World(5);
  for (const host of world.hosts) host.share(...world.hosts.filter((other) => other !== host));
  world.clock.advance(120 * SECOND);
  for (const host of world.hosts) {
    t.deepEqual(host.texts(), []);
    t.is(host.keeper.unreached().size, 0);
  }
  t.is(world.hosts[0]?.wayTo(world.hosts[4] as Host), 'ae');
  t.is(world.relayed, 0);
});

test('in a line of five everybody reaches everybody, by the shortest way', (t) => {
  const world = line(5);
  const [a, , c, , e] = world.hosts as [Host, Host, Host, Host, Host];
  world.clock.advance(15 * SECOND);
  t.is(a.wayTo(e), 'abcde');
  t.is(e.wayTo(a), 'edcba');
  t.is(c.wayTo(a), 'cba');
  for (const one of world.hosts) {
    for (const other of world.hosts) if (one !== other) t.truthy(one.wayTo(other));
    t.is(one.strangers, 0);
  }
  t.true(a.texts().some((text) => /^path to e: direct 192\.0\.2\.5:7783 -> relay b: /.test(text)));
  t.deepEqual(a.keeper.unreached().size, 3);
});

test('a line that is cut in the middle is two halves, and whole within two seconds of another link', (t) => {
  const world = line(5);
  const [a, b, c, d, e] = world.hosts as [Host, Host, Host, Host, Host];
  const busy = (): void => {
    for (const host of world.hosts) host.frames++;
    world.clock.after(asMillis(100), busy);
  };
  busy();
  world.clock.advance(30 * SECOND);
  t.is(a.wayTo(e), 'abcde');
  world.cut(b, c);
  world.cut(c, d);
  world.clock.advance(10 * SECOND);
  t.is(a.wayTo(e), undefined);
  t.false(a.keeper.isReachable(e.id));
  world.join(b, d);
  const start = world.clock.now();
  while (a.wayTo(e) !== 'abde' && world.clock.now() - start < 60 * SECOND) world.clock.advance(10);
  t.log(`whole after ${world.clock.now() - start} ms`);
  t.true(world.clock.now() - start <= 2 * SECOND);
});

test('a host that gossip can not reach is reached by a relay, though no network is shared', (t) => {
  const world = new World(3);
  const [a, b, c] = world.hosts as [Host, Host, Host];
  world.cut(a, b);
  a.keeper.silent(b.id);
  world.clock.advance(3 * SECOND);
  t.is(a.wayTo(b), 'acb');
  t.is(b.wayTo(a), 'acb'.split('').reverse().join(''));
  t.is(formatSocketAddress(a.keeper.pathTo(b.id)?.to ?? c.address), '192.0.2.3:7783');
  world.join(a, b);
  world.clock.advance(90 * SECOND);
  t.is(a.wayTo(b), 'ab');
  t.is(a.keeper.unreached().size, 0);
  t.true(a.texts().includes('b answers directly again'));
});

test('a relay that dies is replaced within two seconds', (t) => {
  const world = new World(4);
  const [a, b] = world.hosts as [Host, Host, Host, Host];
  world.cut(a, b);
  a.share(b);
  b.share(a);
  const busy = (): void => {
    a.frames++;
    b.frames++;
    world.clock.after(asMillis(100), busy);
  };
  busy();
  world.clock.advance(5 * SECOND);
  const [, via = ''] = a.wayTo(b) ?? '';
  const relay = world.hosts.find(({ member }) => member.name === via);
  if (relay === undefined) return t.fail(`no relay in ${String(a.wayTo(b))}`);
  for (const host of world.hosts) if (host !== relay) world.cut(host, relay);
  const start = world.clock.now();
  while (a.wayTo(b) === undefined && world.clock.now() - start < 60 * SECOND)
    world.clock.advance(10);
  t.true(world.clock.now() - start <= 2 * SECOND, `${world.clock.now() - start} ms`);
});

/** The probes that a host sends to another within a span. */
function probes(world: World, from: Host, to: Host, span: number): number {
  world.sent = [];
  world.clock.advance(span);
  const wanted = `${from.member.name} ${to.member.name}`;
  return world.sent.filter((each) => each === wanted).length;
}

test('halves that hold each other dead are found by another link, and whole as soon as gossip says so', (t) => {
  const world = line(5);
  const [a, b, c, d, e] = world.hosts as [Host, Host, Host, Host, Host];
  world.clock.advance(30 * SECOND);
  t.is(a.wayTo(e), 'abcde');
  world.cut(b, c);
  world.cut(c, d);
  const parts = [[a, b], [c], [d, e]];
  for (const part of parts) {
    const others = world.hosts.filter((host) => !part.includes(host));
    for (const host of part) for (const other of others) host.keeper.silent(other.id);
  }
  world.clock.advance(5 * SECOND);
  for (const part of parts) {
    const others = world.hosts.filter((host) => !part.includes(host));
    for (const host of part) {
      host.hold('dead', ...others);
      host.share(...part.filter((other) => other !== host));
    }
  }
  world.clock.advance(300 * SECOND);
  t.is(a.wayTo(e), undefined);
  t.is(b.found.size, 0);

  world.join(b, d);
  world.clock.advance(600);
  t.deepEqual([...b.found], ['d']);
  t.deepEqual([...d.found], ['b']);
  t.true(b.keeper.isInUse(d.address));
  t.false(b.keeper.isInUse(e.address));
  for (const host of [a, b, d, e]) {
    const others = [a, b, d, e].filter((other) => other !== host);
    host.hold('alive', ...others.filter(({ id }) => host.views.get(id) !== undefined));
    host.share(...others);
  }
  const start = world.clock.now();
  while (a.wayTo(e) !== 'abde' && world.clock.now() - start < 60 * SECOND) world.clock.advance(10);
  t.log(`whole after ${world.clock.now() - start} ms`);
  t.true(world.clock.now() - start <= 500);
});

test('a host that dies has no rows written, is looked for the less often the longer it is gone, and forgotten', (t) => {
  const world = new World(5);
  const [a, , , , e] = world.hosts as [Host, Host, Host, Host, Host];
  for (const host of world.hosts) host.share(...world.hosts.filter((other) => other !== host));
  world.clock.advance(30 * SECOND);
  for (const host of world.hosts) {
    if (host === e) continue;
    world.cut(host, e);
    host.hold('dead', e);
    e.hold('dead', host);
  }
  const first = probes(world, a, e, 10 * SECOND);
  t.true(first >= 30 && first <= 40, `${first}`);
  world.clock.advance(3600 * SECOND);
  const later = probes(world, a, e, 36 * SECOND);
  t.true(later >= 9 && later <= 11, `${later}`);
  t.is(world.written, 0);
  t.false(a.paths.has(locatorOf(e.id)));
  world.expelled.add(e.id);
  world.clock.advance(5 * SECOND);
  t.is(probes(world, a, e, 60 * SECOND), 0);
  world.expelled.delete(e.id);
  a.hold('alive', e);
  a.hold('dead', e);
  t.true(probes(world, a, e, 10 * SECOND) >= 30);
  a.hold('left', e);
  t.is(probes(world, a, e, 60 * SECOND), 0);
});

test('who was not found before gossip has it back is told of as broken then', (t) => {
  const world = new World(3);
  const [a, b, c] = world.hosts as [Host, Host, Host];
  for (const host of world.hosts) host.share(...world.hosts.filter((other) => other !== host));
  world.clock.advance(30 * SECOND);
  world.cut(a, b);
  a.hold('dead', b);
  world.clock.advance(10 * SECOND);
  t.is(world.written, 0);
  a.hold('alive', b);
  world.clock.advance(400);
  t.is(a.wayTo(b), 'acb');
  t.true(a.texts().includes('no address of b answers'));
  t.is(c.found.size, 0);
});

test('many hosts look for one of them the less often each', (t) => {
  const world = new World(2);
  const [a, b] = world.hosts as [Host, Host];
  for (let index = 0; index < 200; index++) {
    const address = { address: `198.51.100.${index}`, port: 7783 };
    const id = asPeerId(randomHex(world.rng, 32));
    world.more.push({ ...a.member, id, address, meta: new Uint8Array() });
    a.keeper.memberChanged(id);
  }
  world.cut(a, b);
  a.hold('dead', b);
  world.clock.advance(10 * SECOND);
  const sent = probes(world, a, b, 40 * SECOND);
  t.true(sent >= 99 && sent <= 102, `${sent}`);
});

test('the lost are not looked for where another host lives now', (t) => {
  const world = new World(3);
  const [a, b, c] = world.hosts as [Host, Host, Host];
  world.cut(a, b);
  a.hold('dead', b);
  t.true(probes(world, a, b, 5 * SECOND) > 10);
  Object.assign(c.member, { address: b.address });
  a.keeper.memberChanged(c.id);
  t.is(probes(world, a, b, 5 * SECOND), 0);
});
