import test from 'ava';
import fc from 'fast-check';
import { randomHex, seededRng } from '../../src/base/rng.ts';
import {
  asMillis,
  asPeerId,
  formatSocketAddress,
  type Millis,
  type PeerId,
  type SocketAddress,
} from '../../src/base/types.ts';
import { tagOf } from '../../src/link/locator.ts';
import { KeyPair } from '../../src/link/noise/key-pair.ts';
import { AGREED_FOR, TAKEN_FOR, Trust, type TrustEffect } from '../../src/link/trust.ts';
import {
  decodeTrust,
  encodeTrust,
  isTrustAuthentic,
  trustKey,
} from '../../src/link/trust-message.ts';
import { parseCidr, type Cidr } from '../../src/wire/cidr.ts';

const cidrs = (...texts: readonly string[]): Cidr[] =>
  texts.flatMap((text) => parseCidr(text) ?? []);

interface Sent {
  readonly from: Host;
  readonly bytes: Buffer;
  readonly to: SocketAddress;
}

/** Hosts that hear each other at their addresses, at once unless somebody holds datagrams back. */
class World {
  readonly rng = seededRng(1);
  readonly hosts: Host[] = [];
  now = 1_000;
  /** Whoever is on the way may change where a datagram seems to come from, or take it away. */
  onTheWay: (sent: Sent, from: SocketAddress) => SocketAddress | undefined = (_, from) => from;
  readonly log: Sent[] = [];
  #queue: Sent[] = [];

  host(address: string, ...subnets: readonly string[]): Host {
    const host = new Host(this, { address, port: 7783 }, cidrs(...subnets));
    this.hosts.push(host);
    return host;
  }

  perform(host: Host, effects: readonly TrustEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') this.#queue.push({ from: host, ...effect });
      else if (effect.kind === 'take') host.takes.set(effect.peer, effect.sources);
      else host.changes.push(effect.peer);
    }
  }

  settle(): void {
    for (let sent = this.#queue.shift(); sent !== undefined; sent = this.#queue.shift()) {
      this.log.push(sent);
      const from = this.onTheWay(sent, sent.from.address);
      const { to } = sent;
      const target = this.hosts.find(({ address }) => address.address === to.address);
      if (from !== undefined && target !== undefined) target.receive(sent.bytes, from);
    }
  }

  run(duration: number): void {
    const end = this.now + duration;
    for (;;) {
      const due = Math.min(...this.hosts.map(({ trust }) => trust.nextDue ?? Infinity));
      if (due > end) break;
      this.now = Math.max(this.now, due);
      for (const host of this.hosts) this.perform(host, host.trust.expire(this.millis));
      this.settle();
    }
    this.now = end;
  }

  get millis(): Millis {
    return asMillis(this.now);
  }
}

class Host {
  readonly id: PeerId;
  readonly keys = KeyPair.generate();
  readonly trust: Trust;
  readonly takes = new Map<PeerId, readonly SocketAddress[]>();
  readonly changes: PeerId[] = [];
  readonly own: string[];
  readonly address: SocketAddress;
  readonly world: World;

  constructor(world: World, address: SocketAddress, subnets: readonly Cidr[]) {
    this.world = world;
    this.address = address;
    this.own = [address.address];
    this.id = asPeerId(randomHex(world.rng, 32));
    this.trust = new Trust({
      ...{ self: this.id, subnets, rng: world.rng },
      keyOf: (id) => {
        const other = world.hosts.find((host) => host.id === id);
        return other && trustKey(this.keys, other.keys.publicKey);
      },
      peerOf: (tag) => world.hosts.find(({ id }) => tagOf(id) === tag)?.id,
      isOwn: (text) => this.own.includes(text),
    });
  }

  sendTo(peer: Host, to: SocketAddress | undefined = peer.address): void {
    const { world } = this;
    world.perform(this, this.trust.setPaths(new Map([[peer.id, to]]), world.millis));
    world.settle();
  }

  relayTo(peer: Host): void {
    const { world } = this;
    world.perform(this, this.trust.setPaths(new Map([[peer.id, undefined]]), world.millis));
    world.settle();
  }

  receive(bytes: Buffer, from: SocketAddress): void {
    const { world } = this;
    world.perform(this, this.trust.receive(bytes, from, world.millis));
  }

  isPlainTo(peer: Host, to = peer.address): boolean {
    return this.trust.isAgreed(peer.id, to);
  }

  takesFrom(peer: Host): string[] {
    return (this.takes.get(peer.id) ?? []).map(formatSocketAddress);
  }
}

function pair(subnetsA: readonly string[], subnetsB: readonly string[]) {
  const world = new World();
  const a = world.host('10.1.0.1', ...subnetsA);
  const b = world.host('10.2.0.2', ...subnetsB);
  a.sendTo(b);
  b.sendTo(a);
  return { world, a, b };
}

test('where each lists the other both go plain, and each says which subnets', (t) => {
  const { a, b } = pair(['10.0.0.0/8'], ['192.0.2.0/24', '10.0.0.0/8']);
  t.true(a.isPlainTo(b));
  t.true(b.isPlainTo(a));
  t.deepEqual(a.takesFrom(b), ['10.2.0.2:7783']);
  t.deepEqual(b.takesFrom(a), ['10.1.0.1:7783']);
  t.deepEqual(a.trust.state(b.id), { kind: 'agreed', ours: '10.0.0.0/8', theirs: '10.0.0.0/8' });
});

test('each lists the other by a subnet of its own', (t) => {
  const { a, b } = pair(['10.2.0.0/16'], ['10.1.0.0/16', '10.3.0.0/16']);
  t.deepEqual(a.trust.state(b.id), { kind: 'agreed', ours: '10.2.0.0/16', theirs: '10.1.0.0/16' });
  t.deepEqual(b.trust.state(a.id), { kind: 'agreed', ours: '10.1.0.0/16', theirs: '10.2.0.0/16' });
});

test('where one of the two does not list the other, both seal, and each says why', (t) => {
  for (const theirs of [[], ['10.2.0.0/16']]) {
    const { world, a, b } = pair(['10.0.0.0/8'], theirs);
    world.run(300_000);
    t.false(a.isPlainTo(b));
    t.false(b.isPlainTo(a));
    t.deepEqual([a.takesFrom(b), b.takesFrom(a)], [[], []]);
    const address = '10.1.0.1';
    t.deepEqual(a.trust.state(b.id), { kind: 'untrusted', address, by: 'them' });
    t.deepEqual(b.trust.state(a.id), { kind: 'untrusted', address, by: 'us' });
  }
});

test('an agreement is renewed in time, and both ends let it go when it is not', (t) => {
  const { world, a, b } = pair(['10.0.0.0/8'], ['10.0.0.0/8']);
  const changes = a.changes.length;
  world.run(20 * AGREED_FOR);
  t.true(a.isPlainTo(b));
  t.deepEqual(b.takesFrom(a), ['10.1.0.1:7783']);
  t.is(a.changes.length, changes, 'nothing changed meanwhile');
  const perMinute = (60 * world.log.length) / (20 * (AGREED_FOR / 1000));
  t.true(perMinute <= 10, `${perMinute} datagrams a minute`);

  world.onTheWay = () => undefined;
  world.run(AGREED_FOR);
  t.false(a.isPlainTo(b));
  t.deepEqual(a.trust.state(b.id), { kind: 'unanswered' });
  t.deepEqual(b.takesFrom(a), ['10.1.0.1:7783'], 'it takes for longer than the other sends');
  world.run(TAKEN_FOR - AGREED_FOR);
  t.deepEqual(b.takesFrom(a), []);
});

test('another path is sealed until it is agreed on by itself, a relay always', (t) => {
  const { a, b } = pair(['10.0.0.0/8'], ['10.0.0.0/8']);
  const other = { address: '203.0.113.2', port: 7783 };
  t.false(a.isPlainTo(b, other));
  t.false(a.isPlainTo(b, { ...b.address, port: 7784 }), 'nor another port of that address');
  a.sendTo(b, other);
  t.false(a.isPlainTo(b, other));
  t.deepEqual(a.trust.state(b.id), { kind: 'untrusted', address: other.address, by: 'us' });
  a.relayTo(b);
  t.deepEqual(a.trust.state(b.id), { kind: 'relayed' });
  a.sendTo(b);
  t.deepEqual(a.trust.state(b.id).kind, 'agreed');
});

test('frames are sealed with every new key until the other end has agreed again', (t) => {
  const { world, a, b } = pair(['10.0.0.0/8'], ['10.0.0.0/8']);
  world.perform(a, a.trust.keyChanged(b.id, world.millis));
  t.false(a.isPlainTo(b), 'at once');
  world.run(0);
  t.true(a.isPlainTo(b), 'and back after a round trip');
});

test('a host that has started anew without the subnet is not sent a plain frame for long', (t) => {
  const { world, a, b } = pair(['10.0.0.0/8'], ['10.0.0.0/8']);
  const anew = new Host(world, b.address, []);
  Object.assign(anew, { id: b.id, keys: b.keys });
  const deaf = new Trust({
    ...{ self: b.id, subnets: [], rng: world.rng },
    keyOf: () => trustKey(b.keys, a.keys.publicKey),
    peerOf: () => a.id,
    isOwn: () => true,
  });
  Object.assign(b, { trust: deaf });
  // It makes new keys first, and those begin sealed.
  world.perform(a, a.trust.keyChanged(b.id, world.millis));
  world.run(AGREED_FOR);
  t.false(a.isPlainTo(b));
  t.is(a.trust.state(b.id).kind, 'untrusted');
});

test('through a NAT nothing goes plain: neither end has the address that the other sees', (t) => {
  const world = new World();
  const a = world.host('10.1.0.1', '10.0.0.0/8');
  const b = world.host('10.2.0.2', '10.0.0.0/8');
  world.onTheWay = ({ from }, address) =>
    from === a ? { address: '10.9.9.9', port: 40_000 } : address;
  world.hosts.push(
    Object.assign(Object.create(a) as Host, { address: { address: '10.9.9.9', port: 40_000 } }),
  );
  a.sendTo(b);
  world.run(1_000);
  t.false(a.isPlainTo(b));
  t.deepEqual(a.trust.state(b.id), { kind: 'translated' });

  const behind = new World();
  const c = behind.host('10.1.0.1', '10.0.0.0/8');
  const d = behind.host('10.2.0.2', '10.0.0.0/8');
  d.own.splice(0, 1, '192.168.0.2');
  c.sendTo(d);
  t.false(c.isPlainTo(d));
  t.deepEqual(d.takesFrom(c), []);
  t.deepEqual(c.trust.state(d.id), { kind: 'translated' });
});

test('a spoofed source makes no path plain, and no recorded offer is taken twice', (t) => {
  const { world, a, b } = pair(['10.0.0.0/8'], ['10.0.0.0/8']);
  const recorded = [...world.log];
  for (const { bytes, from } of recorded) {
    const target = from === a ? b : a;
    target.receive(bytes, { address: '10.6.6.6', port: 666 });
  }
  world.settle();
  t.deepEqual(b.takesFrom(a), ['10.1.0.1:7783']);
  t.deepEqual(a.takesFrom(b), ['10.2.0.2:7783']);
  t.false(a.isPlainTo(b, { address: '10.6.6.6', port: 666 }));
});

test('a third host of the mesh can speak for neither of the two', (t) => {
  const world = new World();
  const a = world.host('10.1.0.1', '10.0.0.0/8');
  const b = world.host('10.2.0.2');
  const thief = world.host('10.3.0.3', '10.0.0.0/8');
  const message = {
    ...({ kind: 'answer', verdict: 'taken', prefixLength: 8 } as const),
    ...{ sender: tagOf(b.id), receiver: tagOf(a.id), challenge: 1n, address: a.address },
  };
  // On the way it reads the offer's token, and answers in the name of b.
  world.onTheWay = ({ bytes, to }, from) => {
    const offer = decodeTrust(bytes);
    const key = trustKey(thief.keys, a.keys.publicKey);
    if (offer?.kind === 'offer' && to.address === b.address.address && key !== undefined) {
      a.receive(encodeTrust({ ...message, token: offer.token }, key), b.address);
    }
    return from;
  };
  a.sendTo(b);
  world.run(1_000);
  t.false(a.isPlainTo(b));
  t.true(a.trust.counters().trustForged >= 1);
});

test('what is changed, cut, misdirected, unasked or of a stranger is counted by name', (t) => {
  const { world, a, b } = pair(['10.0.0.0/8'], ['10.0.0.0/8']);
  const before = b.takesFrom(a);
  const [offer] = world.log.filter(({ from }) => from === a);
  if (offer === undefined) return t.fail();
  const counted = () => b.trust.counters();
  for (let at = 0; at < offer.bytes.length; at++) {
    const forged = Buffer.from(offer.bytes);
    forged[at] = (forged[at] ?? 0) ^ 0x01;
    b.receive(forged, a.address);
  }
  const refused = Object.values(counted()).reduce((sum, count) => sum + count);
  t.is(refused, offer.bytes.length, 'every flipped bit is noticed');
  const { trustMalformed } = counted();
  for (let length = 0; length < offer.bytes.length; length++) {
    b.receive(offer.bytes.subarray(0, length), a.address);
  }
  t.is(counted().trustMalformed, trustMalformed + offer.bytes.length);
  a.receive(offer.bytes, b.address);
  t.is(a.trust.counters().trustMisdirected, 1, 'reflection');
  const [answer] = world.log.filter(({ from, bytes }) => from === b && bytes[0] === 0x55);
  a.receive(answer?.bytes ?? Buffer.alloc(0), b.address);
  t.is(a.trust.counters().trustUnasked, 1, 'an answer that comes twice');
  t.deepEqual(b.takesFrom(a), before);
});

test('an offer and an answer have the documented bytes', (t) => {
  const key = Buffer.alloc(32, 7);
  const offer = encodeTrust(
    {
      ...({ kind: 'offer', token: 1n, sender: 2n, receiver: 3n, challenge: 4n } as const),
      address: { address: '10.0.0.1', port: 7783 },
    },
    key,
  );
  const words = ['0000000000000001', '0000000000000002', '0000000000000003', '0000000000000004'];
  t.is(offer.subarray(0, 43).toString('hex'), `54000000${words.join('')}040a0000011e67`);
  t.is(offer.length, 59);
  const answer = encodeTrust(
    {
      ...({ kind: 'answer', verdict: 'untrusted', prefixLength: 64 } as const),
      ...{ token: 1n, sender: 2n, receiver: 3n, challenge: 4n },
      address: { address: 'fd00::1', port: 1 },
    },
    key,
  );
  t.is(answer.subarray(0, 4).toString('hex'), '55024000');
  t.is(answer.length, 71);
  t.true(isTrustAuthentic(answer, key));
  t.false(isTrustAuthentic(answer, Buffer.alloc(32, 8)));
});

test('no bytes make the reader fail', (t) => {
  const property = fc.property(
    fc.uint8Array({ maxLength: 90 }),
    fc.constantFrom(0x54, 0x55),
    (bytes, kind) => {
      const message = decodeTrust(Buffer.from([kind, ...bytes]));
      return message === undefined || bytes.length >= 58;
    },
  );
  t.notThrows(() => fc.assert(property));
});
