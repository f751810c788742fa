import test from 'ava';
import { seededRng, randomInt } from '../../src/base/rng.ts';
import { Envelope, ENVELOPE_BYTES, ENVELOPE_KIND } from '../../src/link/envelope.ts';
import { Keyring } from '../../src/link/keyring.ts';
import { KEYRING, keysOf, Wire } from './envelope-world.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
const KINDS = [ENVELOPE_KIND.datagram, ENVELOPE_KIND.greeting];

test('a datagram costs 30 bytes more; who is new greets once, and nothing is lost meanwhile', (t) => {
  const wire = new Wire();
  const [a, b] = [wire.add(), wire.add()];
  for (const text of ['one', 'two', 'three']) a.say(text, b);
  b.say('four', a);
  t.deepEqual(b.heard, ['one', 'two', 'three']);
  t.deepEqual(a.heard, ['four']);
  t.deepEqual(b.senders, [a.id, a.id, a.id]);
  const [asked, greeted] = [KINDS[1], KINDS[1]];
  t.deepEqual(
    wire.log.map(({ bytes }) => bytes[0]),
    [KINDS[0], asked, greeted, KINDS[0], KINDS[0], KINDS[0]],
  );
  t.is(wire.log[0]?.bytes.length, 'one'.length + ENVELOPE_BYTES);
  t.is(ENVELOPE_BYTES, 30);
  t.deepEqual([a.refusals(), b.refusals()], [{}, {}]);
});

test('nothing that is sealed shows, and no two messages are alike', (t) => {
  const wire = new Wire();
  const [a, b] = [wire.add(), wire.add()];
  for (let count = 0; count < 10; count++) a.say('the network is called blue', b);
  const bytes = wire.log.map(({ bytes: each }) => each.toString('latin1'));
  t.is(new Set(bytes).size, bytes.length);
  for (const each of bytes) t.false(each.includes('blue'));
  for (const id of [a.id, b.id]) {
    const name = Buffer.from(id, 'hex').toString('latin1');
    for (const each of bytes) t.false(each.includes(name));
  }
});

test('replay of every recorded gossip datagram, now, later and after restarts', (t) => {
  const wire = new Wire();
  const [a, b] = [wire.add(), wire.add()];
  for (let count = 0; count < 20; count++) {
    a.say(`from a ${count}`, b);
    b.say(`from b ${count}`, a);
    wire.time += 500;
  }
  const heard = [...b.heard];
  t.is(heard.length, 20);
  const recorded = [...wire.log];
  const replayAll = (): void => {
    for (const { bytes, from, to } of recorded) to.receive(bytes, from.address);
  };
  replayAll();
  t.deepEqual(b.heard, heard);
  t.is(b.refusals()['envelopeReplayed'], recorded.filter(({ to }) => to === b).length);

  // Ten minutes of silence: the sender is forgotten, and must greet again.
  wire.time += 700_000;
  replayAll();
  t.deepEqual(b.heard, heard);

  // The receiver has forgotten everything.
  b.restart();
  wire.time += 20_000;
  replayAll();
  t.deepEqual(b.heard, heard);
  a.say('fresh', b);
  replayAll();
  t.deepEqual(b.heard, [...heard, 'fresh']);

  // The sender has begun anew: what it said before is of a sender that answers no more.
  a.restart();
  a.say('again', b);
  wire.time += 700_000;
  replayAll();
  t.deepEqual(b.heard, [...heard, 'fresh', 'again']);
});

test('bit flips in each field: whatever bit is changed, nothing is heard', (t) => {
  const wire = new Wire();
  const [a, b] = [wire.add(), wire.add()];
  a.say('hello', b);
  const sealed = a.envelope.seal(Buffer.from('changed'), wire.now());
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const copy = Buffer.from(sealed);
    copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    b.receive(copy, a.address);
  }
  t.deepEqual(b.heard, ['hello']);
  const counted = Object.values(b.refusals()).reduce((sum, count) => sum + count, 0);
  t.is(counted, sealed.length * 8);
  b.receive(sealed, a.address);
  t.deepEqual(b.heard, ['hello', 'changed'], 'the right one is still heard');
  for (let length = 0; length < sealed.length; length++) {
    b.receive(sealed.subarray(0, length), a.address);
  }
  t.is(b.heard.length, 2, 'cut short');
});

test('reflection: what comes back to its sender is dropped', (t) => {
  const wire = new Wire();
  const [a, b] = [wire.add(), wire.add()];
  a.say('hello', b);
  const own = wire.log.filter(({ from }) => from === a);
  for (const { bytes } of own) a.receive(bytes, b.address);
  t.deepEqual(a.heard, []);
  t.deepEqual(a.refusals(), { envelopeReflected: own.length });
});

test('a mesh of another id on the same port is not heard, and does not hear', (t) => {
  const wire = new Wire();
  const [a, foreign] = [wire.add(), wire.add(Keyring.create(Buffer.alloc(32, 8)))];
  a.say('hello', foreign);
  foreign.say('hello', a);
  t.deepEqual([a.heard, foreign.heard], [[], []]);
  const refused = [...Object.keys(a.refusals()), ...Object.keys(foreign.refusals())];
  for (const reason of refused) t.true(['envelopeForeign', 'envelopeForged'].includes(reason));
  t.is(refused.length, 2);
  t.is(wire.log.length, 2, 'and nobody is answered');
});

test('an older key opens until it is retired; then a host with an old keyring is told apart', (t) => {
  const wire = new Wire();
  const [a, away] = [wire.add(), wire.add()];
  const rotated = KEYRING.withNewKey(false, Buffer.alloc(32, 9));
  a.keys = keysOf(rotated);
  away.say('with the old key', a);
  t.deepEqual(a.heard, ['with the old key']);
  a.say('with the new key', away);
  t.deepEqual(away.heard, []);
  t.deepEqual(away.refusals(), { envelopeForeign: 1 });
  const [old] = KEYRING.active;
  a.keys = keysOf(rotated.retire([old?.id ?? '']));
  away.say('after it was retired', a);
  t.deepEqual(a.heard, ['with the old key']);
  t.deepEqual(a.refusals(), { envelopeRetired: 1 });
});

test('an expelled host is not heard under keys that it still has, from whatever address', (t) => {
  const wire = new Wire();
  const [a, b] = [wire.add(), wire.add()];
  b.say('before', a);
  a.keys = keysOf(KEYRING.judge(b.id, 'b', true));
  b.say('known already', a);
  b.restart();
  a.receive(b.envelope.seal(Buffer.from('elsewhere'), wire.now()), {
    ...{ address: '192.0.2.2', port: 1 },
  });
  t.deepEqual(a.heard, ['before']);
  t.true((a.refusals()['envelopeExpelled'] ?? 0) >= 2);
});

test('forged datagrams leave nothing behind, and unknown senders little', (t) => {
  const wire = new Wire();
  const [a, b] = [wire.add(), wire.add()];
  const rng = seededRng(seed);
  a.say('hello', b);
  const count = 20_000;
  const hint = wire.log[0]?.bytes[1] ?? 0;
  for (let each = 0; each < count; each++) {
    const bytes = Buffer.alloc(14 + randomInt(rng, 100));
    for (let at = 0; at < bytes.length; at++) bytes.writeUInt8(randomInt(rng, 256), at);
    bytes.writeUInt8(0x40 + randomInt(rng, 16), 0);
    bytes.writeUInt8(hint, 1);
    b.receive(bytes, a.address);
  }
  t.deepEqual(b.heard, ['hello'], `SEED=${seed}`);
  t.is(b.envelope.senders, 1);
  t.is(
    Object.values(b.refusals()).reduce((sum, each) => sum + each, 0),
    count,
  );
  // Whoever has recorded many hosts' datagrams and sends them at once.
  const before = wire.log.length;
  for (let host = 0; host < 3000; host++) {
    const other = new Envelope({ self: a.id, keys: () => keysOf(KEYRING) });
    b.receive(other.seal(Buffer.from('old'), wire.now()), { address: '198.51.100.9', port: 9 });
  }
  t.is(wire.log.length, before);
  t.is(b.envelope.senders, 1);
  // 2000 are asked to greet, of which 512 wait.
  t.is(b.refusals()['envelopeUnproven'], 3000 - 512);
});

test('late and reordered datagrams are heard once', (t) => {
  const wire = new Wire();
  const [a, b] = [wire.add(), wire.add()];
  a.say('first', b);
  const late = Array.from({ length: 2000 }, (_, index) =>
    a.envelope.seal(Buffer.from(String(index)), wire.now()),
  );
  for (const bytes of [...late].reverse()) b.receive(bytes, a.address);
  t.is(new Set(b.heard).size, 2001);
  for (const bytes of late) b.receive(bytes, a.address);
  t.is(b.heard.length, 2001);
});
