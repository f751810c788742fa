import test from 'ava';
import { seededRng, randomInt } from '../../src/base/rng.ts';
import { asPeerId } from '../../src/base/types.ts';
import { Keyring, meshIdOf } from '../../src/link/keyring.ts';

const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
const X = asPeerId('11'.repeat(16));

test('a keyring has one key at first, and survives being written and read', (t) => {
  const secret = Buffer.alloc(32, 1);
  const first = Keyring.create(secret);
  t.is(first.meshId, meshIdOf(secret));
  t.deepEqual(
    first.active.map(({ number }) => number),
    [1],
  );
  const grown = first.withNewKey(true).withNewKey(false).judge(X, 'x', true);
  const read = Keyring.decode(grown.encode());
  t.deepEqual(read?.encode(), grown.encode());
  t.is(read?.digest, grown.digest);
  t.not(first.digest, grown.digest);
  t.is(grown.newest.number, 3);
  t.true(read?.isExpelled(X));
  t.is(grown.meshId, first.meshId, 'a mesh keeps its id');
});

test('bytes that are no keyring', (t) => {
  const good = Keyring.create().withNewKey(false).judge(X, 'x', true).encode();
  const rng = seededRng(seed);
  for (let count = 0; count < 3000; count++) {
    const bytes = Buffer.from(good);
    bytes.writeUInt8(randomInt(rng, 256), randomInt(rng, bytes.length));
    t.notThrows(() => Keyring.decode(bytes));
  }
  for (const text of ['', '{', '[]', '{"mesh":"00","keys":[],"expelled":[]}']) {
    t.is(Keyring.decode(Buffer.from(text)), undefined, text);
  }
  const wrong = JSON.parse(good.toString()) as { keys: { secret: string }[] };
  for (const key of wrong.keys) key.secret = '00'.repeat(32);
  t.is(Keyring.decode(Buffer.from(JSON.stringify(wrong))), undefined, 'ids are made of secrets');
  const keyless = JSON.parse(good.toString()) as { keys: { secret?: string }[] };
  for (const key of keyless.keys) delete key.secret;
  t.is(Keyring.decode(Buffer.from(JSON.stringify(keyless))), undefined, 'no key opens');
});

test('the newest key is never retired; a retired key stays so, whoever still has it', (t) => {
  const first = Keyring.create();
  const [old] = first.active;
  const id = old?.id ?? '';
  t.deepEqual(first.retire([id]).active, first.active);
  const rotated = first.withNewKey(false);
  const retired = rotated.retire([id]);
  t.deepEqual(
    retired.active.map(({ number }) => number),
    [2],
  );
  t.is(retired.key(id)?.secret, undefined);
  t.false(retired.encode().includes(old?.secret.toString('hex') ?? ''));
  for (const other of [first, rotated]) {
    t.deepEqual(retired.merge(other)?.encode(), retired.encode());
    t.deepEqual(other.merge(retired)?.encode(), retired.encode());
  }
});

test('keyrings of one mesh merge into one, in whatever order they meet; others do not', (t) => {
  const rng = seededRng(seed);
  const first = Keyring.create();
  for (let round = 0; round < 100; round++) {
    const rings = [first, first, first, first];
    for (let step = 0; step < 12; step++) {
      const at = randomInt(rng, rings.length);
      const ring = rings[at] ?? first;
      const ids = ring.active.map(({ id }) => id);
      const changed = [
        () => ring.withNewKey(randomInt(rng, 2) === 0),
        () => ring.retire([ids[randomInt(rng, ids.length)] ?? '']),
        () => ring.judge(X, 'x', randomInt(rng, 2) === 0),
        () => ring.merge(rings[randomInt(rng, rings.length)] ?? first) ?? first,
      ][randomInt(rng, 4)];
      rings[at] = changed?.() ?? ring;
    }
    const merged = (order: readonly Keyring[]): string =>
      order.reduce((all, ring) => all.merge(ring) ?? all).digest;
    const digests = [rings, [...rings].reverse(), [...rings, ...rings]].map(merged);
    t.is(new Set(digests).size, 1, `SEED=${seed}`);
  }
  t.is(first.merge(Keyring.create()), undefined);
  t.is(first.merge(first), first);
});

test('a host can be taken back, and the later word counts', (t) => {
  const first = Keyring.create();
  const expelled = first.judge(X, 'x', true);
  const back = expelled.judge(X, 'x', false);
  t.false(back.isExpelled(X));
  t.deepEqual(back.merge(expelled)?.encode(), back.encode());
  t.deepEqual(expelled.merge(back)?.encode(), back.encode());
});
