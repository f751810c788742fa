import test from 'ava';
import { randomInt, seededRng } from '../../src/base/rng.ts';
import { asMillis } from '../../src/base/types.ts';
import {
  encodeOffer,
  KIND,
  makeInitiation,
  ReceiverKeys,
} from '../../src/link/handshake-message.ts';
import { ReadInitiations } from '../../src/link/cookies.ts';
import { locatorOf } from '../../src/link/locator.ts';
import { HandshakeState } from '../../src/link/noise/handshake-state.ts';
import { KeyPair, PublicKey } from '../../src/link/noise/key-pair.ts';
import { Keyring } from '../../src/link/keyring.ts';
import {
  pairWorld,
  psksOf,
  SECRET,
  SessionWorld,
  type Datagram,
  type Host,
} from './session-world.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
const ROUNDS = Number(process.env['ROUNDS'] ?? 40);
const MINUTE = 60_000;
const isKind = (kind: number) => (datagram: Datagram) => datagram.bytes[0] === kind;

function refusals(host: Host): Record<string, number> {
  const counters = Object.entries(host.sessions.counters());
  return Object.fromEntries(counters.filter(([, count]) => count > 0));
}

test('who wants a session has it after one round trip, and the other half of one later', (t) => {
  const { world, a, b } = pairWorld(seed);
  a.want(b);
  world.run(2);
  t.is(a.sendKeys.size, 1);
  t.is(b.sendKeys.size, 0);
  world.run(1);
  t.is(b.sendKeys.size, 1);
  t.deepEqual(
    world.log.map(({ bytes }) => [bytes[0], bytes.length]),
    [
      [KIND.initiation, 149],
      [KIND.response, 97],
      [KIND.confirmation, 24],
    ],
  );
  a.sendFrame(b);
  b.sendFrame(a);
  world.run(1);
  t.is(world.counts.frames, 2);
  t.deepEqual(world.faults, []);
  t.deepEqual([refusals(a), refusals(b)], [{}, {}]);
  t.like(a.sessions.sessions(asMillis(world.now))[0], { peer: b.id, cipher: 'aes-256-gcm' });
});

test('both want it at once: the lower id goes on, and there is one session', (t) => {
  const { world, lower, higher } = pairWorld(seed);
  lower.want(higher);
  higher.want(lower);
  world.run(MINUTE);
  t.is(lower.established(), 1);
  t.is(higher.established(), 1);
  t.deepEqual(refusals(lower), { handshakeCollided: 1 });
  t.deepEqual(world.faults, []);
});

test('keys change every two minutes at the latest, and no frame is lost by it', (t) => {
  const { world, a, b } = pairWorld(seed);
  a.want(b);
  b.want(a);
  world.run(1000);
  world.keepSending(10);
  world.run(30 * MINUTE);
  t.true(a.established() >= 15 && a.established() <= 18, `${a.established()} sessions`);
  t.is(a.established(), b.established());
  t.deepEqual(world.counts, { frames: world.counts.frames, unkeyed: 0 });
  t.true(world.counts.frames > 300_000);
  t.deepEqual(world.faults, []);
});

test('loss, duplication and reordering cost time, never a frame under a key that the other end lacks', (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const { world, a, b } = pairWorld(seed + round);
    world.weather = {
      loss: world.rng.next() * 0.4,
      duplication: world.rng.next() * 0.3,
      latency: [1, 1 + world.rng.next() * 400],
    };
    world.after(randomInt(world.rng, 50), () => a.want(b));
    world.after(randomInt(world.rng, 50), () => b.want(a));
    world.keepSending(50);
    world.run(10 * MINUTE);
    const label = `SEED=${seed + round}`;
    t.deepEqual(world.faults.slice(0, 3), [], label);
    t.true(a.established() >= 4, label);
    // Half a minute of both directions, in ten.
    t.true(world.counts.unkeyed < 1200, `${label}: ${world.counts.unkeyed} frames without a key`);
    for (const host of [a, b]) t.true(host.receiveKeys.size <= 3, label);
  }
});

test('a host that was killed has a new session as soon as it wants one', (t) => {
  const { world, a, b } = pairWorld(seed);
  a.want(b);
  b.want(a);
  world.run(5000);
  b.restart();
  a.sendFrame(b);
  world.run(10);
  t.is(world.faults.length, 1, 'the old key went with the host');
  // Its clock was set back by a day meanwhile: what was remembered still makes its stamps greater.
  b.wallOffset = -86_400_000;
  b.want(a);
  world.run(100);
  a.sendFrame(b);
  b.sendFrame(a);
  world.run(100);
  t.is(world.faults.length, 1);
  t.is(world.counts.frames, 3);
});

test('what a dead path has swallowed is asked anew as soon as another leads to the peer', (t) => {
  const { world, a, b } = pairWorld(seed);
  const calm = world.weather;
  world.weather = { ...calm, loss: 1 };
  a.want(b);
  world.run(20_000);
  world.weather = calm;
  const asked = world.log.length;
  a.perform(a.sessions.pathChanged(b.id, a.instant()));
  world.run(5);
  a.sendFrame(b);
  t.is(world.counts.unkeyed, 0);
  t.true(world.log.length > asked);
  // With a session there is nothing to ask.
  const done = world.log.length;
  a.perform(a.sessions.pathChanged(b.id, a.instant()));
  t.is(world.log.length, done);
});

test('nothing is sent to a host that nobody wants any more, and its keys are gone soon after three minutes', (t) => {
  const { world, a, b } = pairWorld(seed);
  a.want(b);
  world.run(1000);
  a.perform(a.sessions.unwant(b.id));
  const sent = world.log.length;
  world.run(3 * MINUTE + 11_000);
  t.is(world.log.length, sent);
  for (const host of [a, b]) t.is(host.receiveKeys.size + host.sendKeys.size, 0);
  t.is(a.sessions.nextDue, undefined);
});

test('replay of every recorded datagram: refused, and nothing is sent or changed by it', (t) => {
  const { world, a, b } = pairWorld(seed);
  a.want(b);
  b.want(a);
  world.run(5 * MINUTE);
  const recorded = [...world.log];
  const keys = [a, b].map((host) => [...host.receiveKeys.keys(), ...host.sendKeys.keys()]);
  const events = [a.events.length, b.events.length];
  for (const { bytes, from } of recorded) {
    for (const host of [a, b]) host.receive(bytes, from.address);
  }
  t.deepEqual(
    [a, b].map((host) => [...host.receiveKeys.keys(), ...host.sendKeys.keys()]),
    keys,
  );
  // The last session's response, which came again, gets its confirmation again: that is all.
  const more = [a, b].flatMap((host, index) => host.events.slice(events[index]));
  t.true(more.every(({ kind }) => kind === 'send'));
  t.true(world.log.slice(recorded.length).every(isKind(KIND.confirmation)));
  t.true(world.log.length - recorded.length <= 1);
  t.true(a.sessions.counters().handshakeReplayed + b.sessions.counters().handshakeReplayed > 0);
});

test('a flipped bit in any byte of any message: refused, and the right one is still taken', (t) => {
  for (const kind of [KIND.initiation, KIND.response, KIND.confirmation]) {
    const { world, a, b } = pairWorld(seed);
    a.want(b);
    for (let step = 0; !world.log.some(isKind(kind)); step++) world.run(1);
    const message = world.log.find(isKind(kind));
    if (message === undefined) return t.fail();
    const target = message.from === a ? b : a;
    const before = target.events.length;
    for (let at = 0; at < message.bytes.length; at++) {
      const forged = Buffer.from(message.bytes);
      forged.writeUInt8(forged.readUInt8(at) ^ 0x10, at);
      // Without load nobody looks at mac2, and nothing but its own receiver made it.
      const isMac2 = kind !== KIND.confirmation && at >= forged.length - 16;
      if (!isMac2) target.receive(forged, message.from.address);
    }
    t.is(target.events.length, before, `kind ${kind}`);
    world.run(1000);
    t.is(a.sendKeys.size + b.sendKeys.size, 2);
    t.deepEqual(world.faults, []);
  }
});

test('reflection: what a host has sent is refused when it comes back', (t) => {
  const { world, a, b } = pairWorld(seed);
  a.want(b);
  world.run(1000);
  for (const { bytes, from } of [...world.log]) from.receive(bytes, b.address);
  t.is(a.established(), 1);
  t.deepEqual(world.faults, []);
  t.is(a.sessions.counters().handshakeForeign, 1);
});

test('a mesh of another secret, and a key that no member has', (t) => {
  const world = new SessionWorld(seed);
  const a = world.add();
  const foreign = world.add({ secret: Buffer.alloc(32, 8) });
  const stranger = world.add({ isUnknown: true });
  foreign.want(a);
  stranger.want(a);
  world.run(1000);
  t.is(a.events.length, 0);
  t.true(a.sessions.counters().handshakeForeign > 0);
  t.true(a.sessions.counters().handshakeStranger > 0);
  t.is(a.sessions.nextDue, undefined, 'nothing is kept of either');
});

test('a key that was stolen does not let the thief play a third host to its owner', (t) => {
  const world = new SessionWorld(seed);
  const [owner, third] = [world.add(), world.add()];
  // The thief has the owner's private key and the mesh's secret, and says that it is the third host.
  const pretended = {
    publicKey: third.identity.publicKey,
    dh: (remote: PublicKey) =>
      remote.bytes.equals(owner.identity.publicKey)
        ? owner.identity.dh(PublicKey.from(third.identity.publicKey))
        : KeyPair.generate().dh(remote),
  } as unknown as KeyPair;
  const handshake = new HandshakeState({
    ...{ pattern: 'IKpsk2', suite: { cipher: 'ChaChaPoly', hash: 'BLAKE2s' }, isInitiator: true },
    ...{ prologue: Buffer.from('weft link 1'), s: pretended, psk: SECRET },
    rs: PublicKey.from(owner.identity.publicKey),
  });
  const payload = encodeOffer({ stamp: 1, ciphers: 1, used: 0 });
  const macs = new ReceiverKeys(SECRET, owner.identity.publicKey).macs();
  owner.receive(makeInitiation(77, handshake.writeMessage(payload), macs), third.address);
  const response = world.log.find(isKind(KIND.response));
  if (response === undefined) return t.fail('the first message does not show the theft');
  t.is(handshake.readMessage(response.bytes.subarray(12, 65)), undefined);
  world.run(4 * MINUTE);
  t.is(owner.sendKeys.size + owner.receiveKeys.size, 0, 'and the answer is forgotten');
});

test('under load a cookie is asked for, which only who receives at its address can show', (t) => {
  const config = { unproven: { rate: 0, burst: 0 } };
  const { world, a, b } = pairWorld(seed, { config });
  a.want(b);
  world.run(1);
  t.is(b.events.filter(({ kind }) => kind === 'add-receive-key').length, 0);
  t.true(world.log.some(isKind(KIND.cookie)));
  t.is(b.sessions.counters().handshakeUnproven, 1);
  world.run(1);
  // From another address, the next initiation has the cookie of the first.
  const proven = world.log.filter(isKind(KIND.initiation)).at(-1);
  b.receive(proven?.bytes ?? Buffer.alloc(0), { address: '198.51.100.1', port: 7783 });
  t.is(b.sessions.counters().handshakeUnproven, 2);
  world.run(10);
  t.is(a.established(), 1);
});

test('cookies are held to so many a second, and who has one needs no other', (t) => {
  const config = { unproven: { rate: 0, burst: 0 }, cookieReplies: { rate: 1, burst: 2 } };
  const { world, a, b } = pairWorld(seed, { config });
  a.want(b);
  world.run(2);
  t.true(world.log.some(isKind(KIND.cookie)));
  const macs = new ReceiverKeys(SECRET, b.identity.publicKey).macs();
  for (let count = 0; count < 100; count++) {
    b.receive(makeInitiation(count, Buffer.alloc(109, count), macs), {
      address: '198.51.100.1',
      port: count + 1,
    });
  }
  t.is(world.log.filter(isKind(KIND.cookie)).length, 2);
  t.like(b.sessions.counters(), { handshakeUnproven: 2, handshakeShed: 99 });
  world.run(10);
  t.is(a.established(), 1);
});

test('an initiation that was read is known again by its mac1, and costs nothing of what is held back', (t) => {
  const config = { unproven: { rate: 0, burst: 1 } };
  const { world, a, b } = pairWorld(seed, { config });
  a.want(b);
  world.run(10);
  const [initiation] = world.log;
  if (initiation === undefined) return t.fail();
  const sent = world.log.length;
  for (let count = 0; count < 10_000; count++) b.receive(initiation.bytes, a.address);
  t.is(b.sessions.counters().handshakeReplayed, 10_000);
  t.is(world.log.length, sent);
});

test('of initiations that were read the last 1024 are known again', (t) => {
  const read = new ReadInitiations();
  const macs = new ReceiverKeys(SECRET, Buffer.alloc(32)).macs();
  const made = Array.from({ length: 1025 }, (_, index) =>
    makeInitiation(index, Buffer.alloc(109), macs),
  );
  for (const initiation of made) read.add(initiation);
  t.deepEqual(
    made.map((initiation) => read.has(initiation)),
    made.map((_, index) => index > 0),
  );
});

test('forged initiations cost a hash each and leave nothing behind', (t) => {
  const { world, a, b } = pairWorld(seed);
  const rng = seededRng(seed);
  a.want(b);
  const [initiation] = world.log;
  if (initiation === undefined) return t.fail();
  const forged = Buffer.from(initiation.bytes);
  for (let at = 4; at < forged.length; at++) forged.writeUInt8(randomInt(rng, 256), at);
  const started = process.cpuUsage();
  for (let count = 0; count < 10_000; count++) {
    forged.writeUInt32BE(count, 8);
    b.receive(forged, { address: `198.51.100.${count % 250}`, port: count });
  }
  const { user, system } = process.cpuUsage(started);
  t.is(b.sessions.counters().handshakeForeign, 10_000);
  t.is(b.events.length, 0);
  t.is(b.sessions.nextDue, undefined);
  t.log(`${((user + system) / 10_000).toFixed(1)} µs each`);
  world.run(100);
  t.is(a.established(), 1);
});

test('a peer that moves keeps its session; one that is gone loses it', (t) => {
  const { world, a, b } = pairWorld(seed);
  a.want(b);
  world.run(100);
  Object.assign(b, { address: { address: '192.0.2.99', port: 7783 } });
  a.perform(a.sessions.changed(b.id));
  world.run(5 * MINUTE);
  a.sendFrame(b);
  world.run(100);
  t.deepEqual([...a.sendKeys.keys()], [locatorOf(b.id)]);
  t.deepEqual([world.faults, world.counts.frames], [[], 1]);
  world.hosts.splice(world.hosts.indexOf(b), 1);
  a.perform(a.sessions.changed(b.id));
  t.is(a.sendKeys.size + a.receiveKeys.size, 0);
});

test('another mesh ends every session, and those that are wanted begin anew', (t) => {
  const { world, a, b } = pairWorld(seed);
  a.want(b);
  world.run(100);
  for (const host of [a, b]) {
    host.perform(host.sessions.moveTo(psksOf(Keyring.create(Buffer.alloc(32, 5))), host.instant()));
  }
  world.run(1000);
  t.is(a.established(), 2);
  a.sendFrame(b);
  world.run(10);
  t.deepEqual(world.faults, []);
});

test('bytes that are no handshake', (t) => {
  const { a, b } = pairWorld(seed);
  const rng = seededRng(seed);
  for (let count = 0; count < 2000; count++) {
    const bytes = Buffer.alloc(randomInt(rng, 200));
    for (let at = 0; at < bytes.length; at++) bytes.writeUInt8(randomInt(rng, 256), at);
    if (bytes.length > 1) bytes.writeUInt8(0x10 + randomInt(rng, 6), 0);
    if (bytes.length > 1) bytes.writeUInt8(1, 1);
    b.receive(bytes, a.address);
  }
  t.is(b.events.length, 0);
  const counted = Object.values(b.sessions.counters()).reduce((sum, count) => sum + count, 0);
  t.is(counted, 2000);
});
