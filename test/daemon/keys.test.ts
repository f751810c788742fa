import test from 'ava';
import { nullLogger } from '../../src/base/log.ts';
import { seededRng } from '../../src/base/rng.ts';
import { asMillis, type PeerId, type SocketAddress } from '../../src/base/types.ts';
import { Keys, type KeyHolder, type KeysState } from '../../src/daemon/keys.ts';
import { hostIdOf } from '../../src/link/identity.ts';
import { askForKeyring, KeyringHost } from '../../src/link/key-exchange.ts';
import { Keyring } from '../../src/link/keyring.ts';
import { KeyPair } from '../../src/link/noise/key-pair.ts';
import { ManualClock } from '../fakes/manual-clock.ts';

const FIRST = Keyring.create(Buffer.alloc(32, 1));

class MemoryState implements KeysState {
  keyring = FIRST;
  primaryKey: string | undefined;
  roster: readonly KeyHolder[] = [];
  setKeyring(keyring: Keyring): void {
    this.keyring = keyring;
  }
  notePrimaryKey(id: string): void {
    this.primaryKey = id;
  }
  setRoster(roster: readonly KeyHolder[]): void {
    this.roster = roster;
  }
}

/** Hosts whose gossip carries notices at once, to all that are not cut off. */
class KeyWorld {
  readonly clock = new ManualClock();
  readonly hosts: KeyHost[] = [];
  /** Questions about keys that were put, and what was said on the wire for them. */
  readonly wire: Buffer[] = [];

  add(): KeyHost {
    const host = new KeyHost(this, this.hosts.length + 1);
    this.hosts.push(host);
    host.keys.start();
    for (const each of this.hosts) each.keys.membersChanged();
    return host;
  }

  hears(one: KeyHost, other: KeyHost): boolean {
    if (one === other || one.isCut || other.isCut) return false;
    // Gossip is sealed: who lacks the key that the other seals with does not hear it.
    const { active } = one.keys.inUse();
    const { primary } = other.keys.inUse();
    const isOpened = active.some(({ id }) => id === primary.id);
    return isOpened && !one.keys.keyring.isExpelled(other.id);
  }

  async run(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 250) {
      this.clock.advance(250);
      for (const host of this.hosts) host.keys.membersChanged();
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
      this.check();
    }
  }

  /** No host seals with a key that another which is there lacks, unless that one is expelled. */
  check = (): void => undefined;
}

class KeyHost {
  readonly id: PeerId;
  readonly name: string;
  readonly address: SocketAddress;
  readonly identity = KeyPair.generate();
  readonly state = new MemoryState();
  readonly #world: KeyWorld;
  keys: Keys;
  isCut = false;

  constructor(world: KeyWorld, number: number) {
    this.#world = world;
    this.id = hostIdOf(this.identity.publicKey);
    this.name = `h${number}`;
    this.address = { address: `192.0.2.${number}`, port: 7783 };
    this.keys = this.#start();
  }

  #start(): Keys {
    const keys = new Keys({
      state: this.state,
      members: () =>
        this.#world.hosts
          .filter((other) => this.#world.hears(this, other))
          .map(({ id, name, address, identity, keys: theirs }) => ({
            ...{ id, name, address, publicKey: identity.publicKey, notice: theirs.notice() },
          })),
      ask: ({ id, publicKey }) =>
        askForKeyring(
          { identity: this.identity, publicKey, meshId: this.state.keyring.meshId },
          (question) => Promise.resolve(this.#put(id, Buffer.from(question))),
        ),
      unopened: () => 0,
      ...{ clock: this.#world.clock, rng: seededRng(1), log: nullLogger },
    });
    return keys;
  }

  #put(id: PeerId, question: Buffer): Buffer | undefined {
    const other = this.#world.hosts.find((host) => host.id === id);
    if (other === undefined || other.isCut || this.isCut) return undefined;
    const answer = other.answer(question);
    this.#world.wire.push(question, ...(answer === undefined ? [] : [answer]));
    return answer;
  }

  answer(question: Buffer): Buffer | undefined {
    const host = new KeyringHost({
      ...{ identity: this.identity, keyring: () => this.state.keyring },
      isKnown: (asker) => this.keys.isKnown(asker),
    });
    const answer = host.answer(question, asMillis(0));
    return answer && Buffer.from(answer);
  }

  restart(): void {
    this.keys.stop();
    this.keys = this.#start();
    this.keys.start();
  }

  get primary(): string {
    return this.keys.inUse().primary.id;
  }
}

async function worldOf(count: number): Promise<{ world: KeyWorld; hosts: KeyHost[] }> {
  const world = new KeyWorld();
  const hosts = Array.from({ length: count }, () => world.add());
  await world.run(1000);
  return { world, hosts };
}

const digests = (hosts: readonly KeyHost[]): number =>
  new Set(hosts.map(({ keys }) => keys.keyring.digest)).size;

test('rotation: all get the key before anybody seals with it, and then all do', async (t) => {
  const { world, hosts } = await worldOf(5);
  const [first] = hosts as [KeyHost];
  const before = first.primary;
  world.check = () => {
    for (const host of hosts) {
      for (const other of hosts) {
        t.truthy(
          other.keys.inUse().active.find(({ id }) => id === host.primary),
          other.name,
        );
      }
    }
  };
  first.keys.rotate();
  t.is(first.primary, before, 'not before the others have it');
  await world.run(5000);
  t.is(digests(hosts), 1);
  for (const { primary } of hosts) t.is(primary, first.keys.keyring.newest.id);
  for (const secret of hosts.flatMap(({ state }) =>
    state.keyring.active.map((key) => key.secret),
  )) {
    for (const bytes of world.wire) t.false(bytes.includes(secret));
  }
});

test('two hosts that rotate at once: all end with one key in use', async (t) => {
  const { world, hosts } = await worldOf(4);
  hosts[0]?.keys.rotate();
  hosts[1]?.keys.rotate();
  await world.run(5000);
  t.is(digests(hosts), 1);
  t.is(new Set(hosts.map(({ primary }) => primary)).size, 1);
  t.is(hosts[0]?.keys.keyring.active.length, 3);
});

test('a key in use is not retired; an old one is, everywhere', async (t) => {
  const { world, hosts } = await worldOf(3);
  const [first, second] = hosts;
  const [old] = FIRST.active;
  t.throws(() => first?.keys.retire(old?.id), { code: 'E_KEY_IN_USE', message: /this host/ });
  t.throws(() => first?.keys.retire('00000000'), { code: 'E_KEY_MISSING' });
  first?.keys.rotate();
  await world.run(5000);
  first?.keys.retire(old?.id);
  await world.run(5000);
  t.is(digests(hosts), 1);
  t.deepEqual(
    second?.keys.list().map(({ number, state }) => [number, state]),
    [
      [1, 'retired'],
      [2, 'in use'],
    ],
  );
});

test('a host that was away catches up: while its key opens, and after it was retired', async (t) => {
  const { world, hosts } = await worldOf(3);
  const [first, , away] = hosts as [KeyHost, KeyHost, KeyHost];
  away.isCut = true;
  first.keys.rotate();
  await world.run(70_000);
  t.not(first.primary, away.primary);
  first.keys.retire();
  await world.run(5000);
  first.keys.rotate();
  await world.run(70_000);
  first.keys.retire();
  await world.run(5000);
  away.restart();
  away.isCut = false;
  t.false(world.hears(first, away), 'nobody opens what it says');
  await world.run(30_000);
  t.is(digests(hosts), 1);
  t.is(away.primary, first.primary);
});

test('an expelled host is refused, gets no key, and keys that it has open nothing soon', async (t) => {
  const { world, hosts } = await worldOf(5);
  const [first, expelled] = hosts as [KeyHost, KeyHost];
  const stay = hosts.filter((host) => host !== expelled);
  first.keys.expel(expelled.id, expelled.name);
  await world.run(20_000);
  t.is(digests(stay), 1);
  for (const host of stay) {
    t.true(host.keys.keyring.isExpelled(expelled.id));
    t.deepEqual(
      host.keys.keyring.active.map(({ number }) => number),
      [2],
    );
  }
  t.is(expelled.keys.keyring.digest, FIRST.digest);
  // It returns with its identity, at another address, and asks everybody.
  expelled.restart();
  await world.run(60_000);
  t.is(expelled.keys.keyring.digest, FIRST.digest);
  t.regex(expelled.keys.hindrance ?? '', /was expelled/);
  // And with another identity, and the key that it still has.
  const disguised = world.add();
  disguised.state.roster = stay.map(({ id, address, identity }) => ({
    ...{ id, address, publicKey: identity.publicKey },
  }));
  await world.run(60_000);
  t.is(disguised.keys.keyring.digest, FIRST.digest);
  t.deepEqual(first.keys.expelled(), [{ id: expelled.id, name: expelled.name }]);
  first.keys.takeBack(expelled.name);
  await world.run(5000);
  t.is(digests(stay), 1);
  t.deepEqual(stay.at(-1)?.keys.expelled(), []);
});

test('who is away while a host is expelled learns it later, and expulsion survives restarts', async (t) => {
  const { world, hosts } = await worldOf(4);
  const [first, away, expelled] = hosts as [KeyHost, KeyHost, KeyHost];
  away.isCut = true;
  await world.run(1000);
  first.keys.expel(expelled.id, expelled.name);
  await world.run(150_000);
  for (const host of hosts) host.restart();
  t.true(first.keys.keyring.isExpelled(expelled.id));
  away.isCut = false;
  await world.run(30_000);
  t.true(away.keys.keyring.isExpelled(expelled.id));
  t.is(away.primary, first.primary);
  t.is(expelled.keys.keyring.digest, FIRST.digest);
});

test('questions about keys: strangers, another mesh, changed bits and replays get nothing', async (t) => {
  const { hosts } = await worldOf(2);
  const [a, b] = hosts as [KeyHost, KeyHost];
  const { publicKey } = a.identity;
  const ask = (identity: KeyPair, meshId: string, change = (bytes: Buffer) => bytes) =>
    askForKeyring({ identity, publicKey, meshId }, (question) =>
      Promise.resolve(a.answer(change(Buffer.from(question)))),
    );
  t.is(await ask(KeyPair.generate(), FIRST.meshId), 'stranger');
  t.is(await ask(b.identity, '00'.repeat(8)), 'stranger');
  const got = await ask(b.identity, FIRST.meshId);
  t.is(typeof got === 'string' ? got : got.digest, FIRST.digest);
  const recorded: Buffer[] = [];
  await ask(b.identity, FIRST.meshId, (bytes) => {
    recorded.push(bytes);
    return bytes;
  });
  const secret = FIRST.newest.secret;
  const again = a.answer(recorded[0] ?? Buffer.alloc(0));
  t.false(again?.includes(secret) ?? false);
  for (let at = 0; at < (recorded[0]?.length ?? 0); at++) {
    const flipped = await ask(b.identity, FIRST.meshId, (bytes) => {
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      return bytes;
    });
    t.is(typeof flipped, 'string', `byte ${at}`);
  }
});
