import test from 'ava';
import { State } from '../../src/daemon/state.ts';
import { Tokens } from '../../src/daemon/tokens.ts';
import { Keyring } from '../../src/link/keyring.ts';
import { parseToken } from '../../src/link/token.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

const HOUR = 3_600_000;
const [B, C] = [Buffer.alloc(32, 2), Buffer.alloc(32, 3)];

test('a token is valid, then spent, then expired; a restart remembers all of it', async (t) => {
  const directory = temporaryDirectory(t);
  const clock = { wall: Date.UTC(2026, 0, 1) };
  const first = State.open(directory);
  const tokens = new Tokens({ state: first, wallNow: () => clock.wall });
  const { id, token } = tokens.create({});
  t.is(parseToken(token)?.meshId, first.keyring.meshId);
  t.deepEqual(tokens.keyOf(id), parseToken(token)?.key);
  t.like(tokens.list()[0], { id, state: 'valid', uses: 1, used: 0 });
  t.is(tokens.use(id, B), 'used');
  await first.close();

  const second = State.open(directory);
  const restarted = new Tokens({ state: second, wallNow: () => clock.wall });
  t.is(second.keyring.digest, first.keyring.digest);
  t.is(restarted.use(id, B), 'used', 'its answer may have got lost');
  t.is(restarted.use(id, C), 'spent');
  t.like(restarted.list()[0], { state: 'spent', used: 1 });
  clock.wall += HOUR;
  t.is(restarted.keyOf(id), 'expired');
  restarted.revoke(id);
  t.is(restarted.keyOf(id), 'revoked');
  t.is(restarted.keyOf('00'), 'unknown');
  t.throws(() => restarted.revoke('00'), { code: 'E_TOKEN_MISSING' });
  clock.wall += 8 * 24 * HOUR;
  restarted.create({ uses: 2, ttlSeconds: 60 });
  t.is(restarted.list().length, 1, 'the old one is forgotten');
  await second.close();
});

test('a ttl or number of uses out of range is refused with the range', async (t) => {
  const state = State.open(temporaryDirectory(t));
  const tokens = new Tokens({ state, wallNow: () => 0 });
  t.throws(() => tokens.create({ ttlSeconds: 0 }), { code: 'E_USAGE', message: /1 to 2592000/ });
  t.throws(() => tokens.create({ uses: 10_001 }), { code: 'E_USAGE', message: /1 to 10000/ });
  t.deepEqual(tokens.list(), []);
  await state.close();
});

test('other keys and the stamps of handshakes survive a restart', async (t) => {
  const directory = temporaryDirectory(t);
  const first = State.open(directory);
  t.is(first.stampFloor, 0);
  first.noteStamp(1_000_001);
  const keyring = Keyring.create(Buffer.alloc(32, 9)).withNewKey(false);
  first.setKeyring(keyring);
  await first.settled();
  await first.close();
  const second = State.open(directory);
  t.deepEqual(second.keyring.encode(), keyring.encode());
  t.true(second.stampFloor >= 1_000_001);
  await second.close();
});
