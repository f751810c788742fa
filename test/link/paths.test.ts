import test from 'ava';
import { asMillis, formatSocketAddress } from '../../src/base/types.ts';
import { decodeCandidates, encodeCandidates, MAX_CANDIDATES } from '../../src/link/candidates.ts';
import { locatorOf } from '../../src/link/locator.ts';
import { whyBetter, type PathOrigin, type Rated } from '../../src/link/path-choice.ts';
import { decodeProbe, encodeProbe } from '../../src/link/probe-message.ts';
import { at, PathWorld, type NatKind, type PathHost } from './path-world.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
const ROUNDS = Number(process.env['ROUNDS'] ?? 30);
const SECOND = 1000;
/** Of 50; MTU probes and handshakes have the rest. */
const IDLE_MOST = 25;

/** Two hosts on two underlays, of which the first is announced. */
function twoUnderlays(worldSeed = seed): { world: PathWorld; a: PathHost; b: PathHost } {
  const world = new PathWorld(worldSeed);
  const a = world.add({ addresses: ['192.0.2.1', '203.0.113.1'] });
  const b = world.add({ addresses: ['192.0.2.2', '203.0.113.2'] });
  a.want(b);
  b.want(a);
  return { world, a, b };
}

const cutBoth = (world: PathWorld, ...addresses: readonly string[]): void => {
  for (const address of addresses) world.cut.add(address);
};

test('the announced address is used from the start, and stays if it answers', (t) => {
  const { world, a, b } = twoUnderlays();
  t.is(a.goesBy(b), '192.0.2.2:7783');
  t.regex(a.whyTo(b) ?? '', /has not answered yet/);
  world.run(60 * SECOND);
  t.is(a.goesBy(b), '192.0.2.2:7783');
  t.is(a.whyTo(b), 'the announced address answers');
  t.is(a.changes(), 0);
  const [paths] = a.paths.peers();
  t.deepEqual(
    paths?.paths.map(({ state, rtt, loss }) => [state, rtt, loss]),
    [
      ['up', 2, 0],
      ['up', 2, 0],
    ],
  );
  t.deepEqual(a.seen, new Set(['192.0.2.1:7783', '203.0.113.1:7783']));
});

test('under traffic a dead path is left within a second, whenever it dies, and taken again within ten', (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const { world, a, b } = twoUnderlays(seed + round);
    world.run(5 * SECOND + 1000 * world.rng.next());
    a.send(b);
    world.run(5 * SECOND + 1000 * world.rng.next());
    cutBoth(world, '192.0.2.1', '192.0.2.2');
    const took = world.runUntil(() => a.goesBy(b) === '203.0.113.2:7783', 10 * SECOND);
    t.true(took <= SECOND, `seed ${seed + round}: ${took} ms`);
    t.is(a.whyTo(b), '3 probes lost');
    world.run(60 * SECOND * world.rng.next());
    world.cut.clear();
    const back = world.runUntil(() => a.goesBy(b) === '192.0.2.2:7783', 60 * SECOND);
    t.true(back <= 10 * SECOND && back >= 3 * SECOND, `seed ${seed + round}: ${back} ms`);
    t.is(a.whyTo(b), 'the announced address answers and is no worse');
    world.run(60 * SECOND);
    t.is(a.changes(), 2);
  }
});

test('a pair that sends nothing finds out within a second of a doubt what it would know after half a minute', (t) => {
  const { world, a, b } = twoUnderlays();
  world.run(60 * SECOND);
  cutBoth(world, '192.0.2.1', '192.0.2.2');
  world.run(SECOND);
  t.is(a.goesBy(b), '192.0.2.2:7783');
  a.perform(a.paths.doubt(b.id, asMillis(world.now)));
  const took = world.runUntil(() => a.goesBy(b) === '203.0.113.2:7783', 10 * SECOND);
  t.true(took <= SECOND, `${took} ms`);
});

test('a shorter path is taken once it has proven itself, and like ones do not take turns', (t) => {
  const { world, a, b } = twoUnderlays();
  world.latency.set('192.0.2.1', 20).set('192.0.2.2', 20);
  a.send(b);
  const took = world.runUntil(() => a.goesBy(b) === '203.0.113.2:7783', 60 * SECOND);
  t.true(took >= 3 * SECOND && took <= 10 * SECOND, `${took} ms`);
  t.regex(a.whyTo(b) ?? '', /^2\.0 ms against 40\.0 ms$/);
  t.is(b.goesBy(a), '192.0.2.1:7783', 'who sends nothing is in no hurry');
  world.latency.set('203.0.113.1', 19).set('203.0.113.2', 19);
  world.run(300 * SECOND);
  t.is(a.changes(), 2, 'no worse is good enough for the announced address');
});

test('where one of seventeen probes is lost on every path, it is changed seldom', (t) => {
  let changes = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const { world, a, b } = twoUnderlays(seed + round);
    world.loss = 0.03;
    a.send(b);
    b.send(a);
    world.run(120 * SECOND);
    changes += a.changes();
  }
  t.true(changes <= ROUNDS, `seed ${seed}: ${changes} changes in ${2 * ROUNDS} minutes`);
});

test('an idle pair costs little of 50 bytes a second, and a pair that nobody wants nothing', (t) => {
  const { world, a, b } = twoUnderlays();
  const stranger = world.add({ addresses: ['192.0.2.3'] });
  world.run(300 * SECOND);
  const before = a.bytesSent + b.bytesSent;
  world.run(600 * SECOND);
  const rate = (a.bytesSent + b.bytesSent - before) / 600;
  t.true(rate <= IDLE_MOST, `${rate} B/s`);
  t.is(stranger.bytesSent, 0);
  // The same when one of the two paths is dead for good.
  cutBoth(world, '203.0.113.1');
  world.run(300 * SECOND);
  const then = a.bytesSent + b.bytesSent;
  world.run(600 * SECOND);
  t.true((a.bytesSent + b.bytesSent - then) / 600 <= IDLE_MOST);
});

test('an idle pair of hosts with many addresses costs no more', (t) => {
  const world = new PathWorld(seed);
  const [a, b] = [1, 2].map((number) =>
    world.add({ addresses: Array.from({ length: 8 }, (_, net) => `198.51.${net}.${number}`) }),
  );
  if (!a || !b) return t.fail();
  a.want(b);
  b.want(a);
  world.run(1000 * SECOND);
  const before = a.bytesSent + b.bytesSent;
  world.run(1000 * SECOND);
  const rate = (a.bytesSent + b.bytesSent - before) / 1000;
  t.true(rate <= IDLE_MOST, `${rate} B/s`);
});

test('a host that stood still does not take its own pause for a dead path', (t) => {
  const { world, a, b } = twoUnderlays();
  a.send(b);
  world.run(10 * SECOND);
  const stall = 5 * SECOND;
  // Nothing is handled for so long; then the timers come, before the answers that wait in the socket.
  const due = a.paths.nextDue ?? asMillis(world.now);
  a.perform(a.paths.expire(asMillis(due)));
  const effects = a.paths.expire(asMillis(due + stall));
  t.deepEqual(
    effects.filter(({ kind }) => kind === 'path'),
    [],
  );
  t.is(a.goesBy(b), '192.0.2.2:7783');
});

test('a host that moves is followed, and one that is gone is forgotten', (t) => {
  const { world, a, b } = twoUnderlays();
  world.run(SECOND);
  Object.assign(b, { addresses: ['203.0.113.2'] });
  a.perform(a.paths.changed(b.id, asMillis(world.now)));
  t.is(a.goesBy(b), '203.0.113.2:7783');
  t.regex(a.whyTo(b) ?? '', /has that address no more/);
  world.hosts.splice(world.hosts.indexOf(b), 1);
  a.perform(a.paths.changed(b.id, asMillis(world.now)));
  t.is(a.routeTo(b), undefined);
  t.is(a.events.at(-1)?.kind, 'forgotten');
  t.is(
    a.paths.nextDue === undefined || a.paths.expire(asMillis(world.now + 1e6)).length === 0,
    true,
  );
});

/** Two hosts, each behind a NAT or on a public address, that know how a third sees them. */
function throughNat(one: NatKind | 'public', other: NatKind | 'public', worldSeed: number) {
  const world = new PathWorld(worldSeed);
  const host = (nat: NatKind | 'public', number: number): PathHost =>
    nat === 'public'
      ? world.add({ addresses: [`192.0.2.${number}`] })
      : world.add({ addresses: ['10.0.0.5'].map((each) => `${each}${number}`), nat });
  const [a, b] = [host(one, 1), host(other, 2)];
  const public_ = world.add({ addresses: ['192.0.2.9'] });
  for (const each of [a, b]) each.want(public_);
  world.run(2 * SECOND);
  for (const [here, there] of [
    [a, b],
    [b, a],
  ] as const) {
    here.known.set(
      there,
      [...there.seen].map((text) => at(text.split(':')[0] ?? '', Number(text.split(':')[1]))),
    );
  }
  a.want(b);
  b.want(a);
  for (const each of [a, b])
    each.paths.setRelays(each === a ? b.id : a.id, [public_.id], asMillis(world.now));
  a.send(b);
  b.send(a);
  world.run(20 * SECOND);
  return { world, a, b, relay: public_ };
}

const NATS: readonly (NatKind | 'public')[] = [
  'public',
  'full-cone',
  'port-restricted',
  'symmetric',
];
for (const [index, one] of NATS.entries()) {
  for (const other of NATS.slice(index)) {
    const isOpen = other !== 'symmetric' || one === 'public' || one === 'full-cone';
    test(`${one} to ${other}: ${isOpen ? 'direct' : 'by a relay'}`, (t) => {
      const { a, b, relay } = throughNat(one, other, seed);
      const by = [a.routeTo(b)?.kind, b.routeTo(a)?.kind];
      t.deepEqual(by, isOpen ? ['direct', 'direct'] : ['relay', 'relay']);
      if (!isOpen) t.is(a.goesBy(b), `relay ${relay.id}`);
    });
  }
}

test('a relay is left for the next within two seconds, and for a direct path as soon as there is one', (t) => {
  const world = new PathWorld(seed);
  const [a, b, c, d] = [1, 2, 3, 4].map((number) =>
    world.add({ addresses: [`192.0.2.${number}`] }),
  );
  if (!a || !b || !c || !d) return t.fail();
  cutBoth(world, '192.0.2.1 192.0.2.2', '192.0.2.2 192.0.2.1');
  a.want(b);
  a.send(b);
  const noticed = world.runUntil(() => a.paths.isDirect(b.id) === false, 10 * SECOND);
  t.true(noticed <= SECOND);
  a.perform(a.paths.setRelays(b.id, [c.id, d.id], asMillis(world.now)));
  world.run(SECOND);
  const [first, second] = a.goesBy(b) === `relay ${c.id}` ? [c, d] : [d, c];
  t.is(a.goesBy(b), `relay ${first.id}`);
  world.cut.add(first.id);
  const took = world.runUntil(() => a.goesBy(b) === `relay ${second.id}`, 10 * SECOND);
  t.true(took <= 2 * SECOND, `${took} ms`);
  world.cut.clear();
  const back = world.runUntil(() => a.goesBy(b) === '192.0.2.2:7783', 60 * SECOND);
  t.true(back <= 10 * SECOND, `${back} ms`);
  t.is(a.whyTo(b), 'a direct path answers');
});

test('a pair that has no way is asked for one often, used or not, until it has one again', (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const { world, a, b } = twoUnderlays(seed + round);
    world.run(60 * SECOND + 15 * SECOND * world.rng.next());
    cutBoth(world, '192.0.2.2', '203.0.113.2');
    world.runUntil(() => a.paths.isDirect(b.id) === false, 60 * SECOND);
    world.run(60 * SECOND * world.rng.next());
    world.cut.delete(world.rng.next() < 0.5 ? '192.0.2.2' : '203.0.113.2');
    const took = world.runUntil(
      () => a.paths.isDirect(b.id) === true && b.paths.isDirect(a.id) === true,
      60 * SECOND,
    );
    t.true(took <= 310, `seed ${seed + round}: ${took} ms`);
  }
});

test('many pairs without a way share what asking may cost', (t) => {
  const world = new PathWorld(seed);
  const self = world.add({ addresses: ['192.0.2.1'] });
  const others = Array.from({ length: 200 }, (_, index) =>
    world.add({ addresses: [`198.51.100.${index}`] }),
  );
  self.want(...others);
  cutBoth(world, '192.0.2.1');
  world.run(20 * SECOND);
  const before = self.bytesSent;
  world.run(10 * SECOND);
  const rate = (self.bytesSent - before) / 10;
  t.true(rate <= 200 * 88, `${rate} B/s`);
});

test('a relay that brings a probe is asked at once, though it did not answer before', (t) => {
  const { world, a, b } = twoUnderlays();
  const relay = world.add({ addresses: ['192.0.2.9'] });
  world.run(20 * SECOND);
  cutBoth(world, '192.0.2.1', '192.0.2.2', '203.0.113.1', '203.0.113.2', relay.id);
  world.runUntil(() => a.paths.isDirect(b.id) === false, 60 * SECOND);
  a.perform(a.paths.setRelays(b.id, [relay.id], asMillis(world.now)));
  world.run(100);
  world.cut.delete(relay.id);
  // b has just found that relay, and asks it.
  b.perform(b.paths.setRelays(a.id, [relay.id], asMillis(world.now)));
  const took = world.runUntil(() => a.goesBy(b) === `relay ${relay.id}`, SECOND);
  t.true(took <= 10, `${took} ms`);
});

test('probes of strangers, for others, replayed and malformed are counted, and change nothing', (t) => {
  const { world, a, b } = twoUnderlays();
  world.run(SECOND);
  const before = JSON.stringify(
    a.paths.peers().map(({ paths }) => paths.map(({ route }) => route)),
  );
  const probe = { kind: 'probe', token: 1n, sender: 2n, receiver: 3n, isRelayed: false } as const;
  const own = BigInt(`0x${a.id.slice(0, 16)}`);
  const peer = BigInt(`0x${b.id.slice(0, 16)}`);
  const sent = a.bytesSent;
  a.receive(encodeProbe(probe), at('192.0.2.66'));
  a.receive(encodeProbe({ ...probe, receiver: own }), at('192.0.2.66'));
  a.receive(
    encodeProbe({ ...probe, kind: 'answer', sender: peer, receiver: own }),
    at('192.0.2.66'),
  );
  a.receive(encodeProbe(probe).subarray(1), at('192.0.2.66'));
  t.deepEqual(a.paths.counters(), {
    probeMalformed: 1,
    probeMisdirected: 1,
    probeStranger: 1,
    probeUnawaited: 1,
  });
  t.is(a.bytesSent, sent);
  t.is(JSON.stringify(a.paths.peers().map(({ paths }) => paths.map(({ route }) => route))), before);
});

test('probes have these bytes', (t) => {
  const probe = {
    ...({ kind: 'answer', token: 0x0102030405060708n, sender: 0x11n, receiver: 0x22n } as const),
    ...{ isRelayed: false, seen: at('192.0.2.7', 0x1234) },
  };
  const bytes = encodeProbe(probe);
  t.is(
    bytes.toString('hex'),
    '51000000' + '0102030405060708' + '0000000000000011' + '0000000000000022' + '04c00002071234',
  );
  t.deepEqual(decodeProbe(bytes), probe);
  for (let length = 0; length < bytes.length; length++) {
    const cut = decodeProbe(bytes.subarray(0, length));
    t.true(cut === undefined || length === 28, `${length} bytes`);
  }
  t.is(decodeProbe(Buffer.concat([bytes, Buffer.of(0)])), undefined);
});

test('candidates are read as they were written; lists that are no such are refused', (t) => {
  const list = [at('192.0.2.1'), at('2001:db8::1', 1), at('10.0.0.1', 65_535)];
  t.deepEqual(decodeCandidates(encodeCandidates(list)), list);
  t.deepEqual(decodeCandidates(Buffer.alloc(0)), []);
  t.is(decodeCandidates(Buffer.of(4, 1, 2, 3)), undefined);
  t.is(decodeCandidates(Buffer.of(5, 1, 2, 3, 4, 5, 6)), undefined);
  t.is(decodeCandidates(Buffer.of(4, 1, 2, 3, 4, 0, 0)), undefined, 'nobody listens on port 0');
  const many = Array.from({ length: 20 }, (_, index) => at(`2001:db8::${index + 1}`));
  const encoded = encodeCandidates(many);
  t.is(decodeCandidates(encoded)?.length, MAX_CANDIDATES);
  t.true(encoded.length <= 152);
  t.is(decodeCandidates(Buffer.concat([encoded, encoded])), undefined);
});

test('what is better is not so the other way round', (t) => {
  const { world } = twoUnderlays();
  const origins: readonly PathOrigin[] = ['announced', 'candidate', 'seen'];
  const rated = (origin: PathOrigin): Rated => ({
    route: { kind: 'direct', to: at('192.0.2.1') },
    ...{ origin, rtt: 100 * world.rng.next(), isMeasured: true },
    loss: world.rng.next() / 2,
  });
  for (let round = 0; round < 10_000; round++) {
    const [one, other] = [0, 1].map(() =>
      rated(origins[Math.floor(3 * world.rng.next())] ?? 'seen'),
    ) as [Rated, Rated];
    t.false(whyBetter(one, other) !== undefined && whyBetter(other, one) !== undefined);
  }
});

test('a locator is a unique local address made of the id', (t) => {
  const { a, b } = twoUnderlays();
  t.regex(locatorOf(a.id), /^fd[0-9a-f]{2}:[0-9a-f:]+$/);
  t.not(locatorOf(a.id), locatorOf(b.id));
  t.is(
    locatorOf('00112233445566778899aabbccddeeff' as typeof a.id),
    'fd00:1122:3344:5566:7788:99aa:bbcc:ddee',
  );
  t.is(formatSocketAddress(at(locatorOf('0'.repeat(32) as typeof a.id), 1)), '[fd00::]:1');
});
