import test from 'ava';
import { asMillis } from '../../src/base/types.ts';
import {
  askForKeys,
  JOIN_REFUSALS,
  JoinHost,
  type Invitations,
} from '../../src/link/invitation.ts';
import { Keyring } from '../../src/link/keyring.ts';
import { KeyPair } from '../../src/link/noise/key-pair.ts';
import { formatToken, makeToken, parseToken, type Token } from '../../src/link/token.ts';

const SECRET = Buffer.alloc(32, 3);
const KEYRING = Keyring.create(SECRET);

/** Of the keyring that was given, or why there is none. */
async function digestOf(answer: Promise<Keyring | string>): Promise<string> {
  const keyring = await answer;
  return typeof keyring === 'string' ? keyring : keyring.digest;
}

function inviting(token: Token, uses = 1) {
  const joiners = new Set<string>();
  const refusal: { now?: 'unknown' | 'expired' | 'revoked' } = {};
  const invitations: Invitations = {
    keyOf: (id) => refusal.now ?? (id === token.id ? token.key : 'unknown'),
    use(_id, joiner) {
      const name = Buffer.from(joiner).toString('hex');
      if (joiners.has(name)) return 'used';
      if (joiners.size >= uses) return 'spent';
      joiners.add(name);
      return 'used';
    },
  };
  const host = new JoinHost({ identity: KeyPair.generate(), keyring: () => KEYRING, invitations });
  const clock = { now: 0 };
  const log: Buffer[] = [];
  const ask = (question: Uint8Array): Promise<Buffer | undefined> => {
    log.push(Buffer.from(question));
    const answer = host.answer(Buffer.from(question), asMillis(clock.now));
    if (answer) log.push(Buffer.from(answer));
    return Promise.resolve(answer && Buffer.from(answer));
  };
  return { host, ask, log, clock, refusal };
}

test('a token gives its host the keys, which nobody on the way sees', async (t) => {
  const token = makeToken('0123456789abcdef');
  const { ask, log } = inviting(token);
  const joiner = KeyPair.generate();
  t.is(await digestOf(askForKeys(token, joiner, ask)), KEYRING.digest);
  const seen = Buffer.concat(log);
  for (const hidden of [SECRET, Buffer.from(SECRET.toString('hex')), token.key, joiner.publicKey])
    t.false(seen.includes(hidden));
});

test('a token is used as often as it may be; a host whose answer got lost may ask again', async (t) => {
  const token = makeToken('0123456789abcdef');
  const { ask } = inviting(token, 2);
  const [first, second, third] = [KeyPair.generate(), KeyPair.generate(), KeyPair.generate()];
  for (const joiner of [first, second, first]) {
    t.is(await digestOf(askForKeys(token, joiner, ask)), KEYRING.digest);
  }
  t.is(await askForKeys(token, third, ask), 'spent');
});

test('wrong, unknown, expired and revoked tokens are told apart', async (t) => {
  const token = makeToken('0123456789abcdef');
  const { ask, refusal } = inviting(token);
  const joiner = KeyPair.generate();
  t.is(await askForKeys({ ...token, key: Buffer.alloc(32, 1) }, joiner, ask), 'wrong');
  t.is(await askForKeys(makeToken('0123456789abcdef'), joiner, ask), 'unknown');
  for (const now of ['expired', 'revoked'] as const) {
    refusal.now = now;
    t.is(await askForKeys(token, joiner, ask), now);
  }
});

test('a token that is revoked between the two questions gives nothing', async (t) => {
  const token = makeToken('0123456789abcdef');
  const { ask, refusal } = inviting(token);
  let asked = 0;
  const answer = await askForKeys(token, KeyPair.generate(), (question) => {
    if (++asked === 2) refusal.now = 'revoked';
    return ask(question);
  });
  t.is(answer, 'revoked');
});

test('a token guessed online: the questions are counted', async (t) => {
  const token = makeToken('0123456789abcdef');
  const { ask, clock } = inviting(token);
  const guess = () => askForKeys({ ...token, key: Buffer.alloc(32) }, KeyPair.generate(), ask);
  const answers = new Set<unknown>();
  for (let count = 0; count < 45; count++) answers.add(await guess());
  t.deepEqual(answers, new Set(['wrong', 'busy']));
  clock.now = 10_000;
  t.is(await digestOf(askForKeys(token, KeyPair.generate(), ask)), KEYRING.digest);
});

test('a second question that is late, replayed or of nobody', async (t) => {
  const token = makeToken('0123456789abcdef');
  const { host, ask, log, clock } = inviting(token, 9);
  await askForKeys(token, KeyPair.generate(), ask);
  const second = log[2] ?? Buffer.alloc(0);
  t.deepEqual(host.answer(second, asMillis(0)), Buffer.of(JOIN_REFUSALS.lost));
  let asked = 0;
  const answer = await askForKeys(token, KeyPair.generate(), (question) => {
    if (++asked === 2) clock.now += 10_000;
    return ask(question);
  });
  t.is(answer, 'lost');
  for (const bytes of [Buffer.alloc(0), Buffer.of(9), Buffer.of(2), Buffer.alloc(40, 7)]) {
    const reply = host.answer(bytes, asMillis(0));
    t.true(reply === undefined || reply.length === 1);
  }
});

test('bits flipped on the way, either way, give nothing', async (t) => {
  const token = makeToken('0123456789abcdef');
  for (let target = 0; target < 4; target++) {
    const { ask } = inviting(token, 100);
    let message = 0;
    const flip = (bytes: Uint8Array): Buffer => {
      const copy = Buffer.from(bytes);
      if (message++ === target)
        copy.writeUInt8(copy.readUInt8(copy.length - 1) ^ 1, copy.length - 1);
      return copy;
    };
    const answer = await askForKeys(token, KeyPair.generate(), async (question) => {
      const reply = await ask(flip(question));
      return reply && flip(reply);
    });
    t.true(typeof answer === 'string', String(target));
  }
});

test('a token is one word, and one that was cut or mistyped is none', (t) => {
  const token = makeToken('0123456789abcdef');
  const word = formatToken(token);
  t.deepEqual(parseToken(word), token);
  t.false(/\s/.test(word));
  for (let at = 0; at < word.length; at++) {
    t.is(parseToken(word.slice(0, at)), undefined);
    const other = word[at] === 'A' ? 'B' : 'A';
    t.is(parseToken(word.slice(0, at) + other + word.slice(at + 1)), undefined, String(at));
    t.is(parseToken(`${word.slice(0, at)} ${word.slice(at)}`), undefined);
  }
  const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const read = Array.from(last, (digit) => parseToken(word.slice(0, -1) + digit));
  t.is(read.filter((one) => one !== undefined).length, 1);
});
