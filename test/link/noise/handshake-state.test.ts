import test from 'ava';
import { seededRng } from '../../../src/base/rng.ts';
import { CipherState } from '../../../src/link/noise/cipher-state.ts';
import { HandshakeState } from '../../../src/link/noise/handshake-state.ts';
import { KeyPair, PublicKey } from '../../../src/link/noise/key-pair.ts';
import { sendHostile } from './hostile-messages.ts';

const SUITE = { cipher: 'AESGCM', hash: 'SHA256' } as const;
const NOTHING = Buffer.alloc(0);
const PSK = Buffer.alloc(32, 1);

interface Ends {
  readonly prologues?: readonly [string, string];
  readonly psks?: readonly [Uint8Array, Uint8Array];
}

function join({ prologues = ['', ''], psks = [PSK, PSK] }: Ends = {}) {
  const common = { pattern: 'XXpsk3', suite: SUITE } as const;
  const end = (index: 0 | 1) =>
    new HandshakeState({
      ...common,
      isInitiator: index === 0,
      s: KeyPair.generate(),
      prologue: Buffer.from(prologues[index]),
      psk: psks[index],
    });
  return [end(0), end(1)] as const;
}

test('hostile messages are refused without a trace', (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);
  t.deepEqual(sendHostile(2000, seededRng(seed)), [], `SEED=${seed}`);
});

test('another pre-shared key is found out by the message that mixes it', (t) => {
  const [a, b] = join({ psks: [PSK, Buffer.alloc(32, 2)] });
  t.truthy(b.readMessage(a.writeMessage(NOTHING)));
  t.truthy(a.readMessage(b.writeMessage(NOTHING)));
  t.is(b.readMessage(a.writeMessage(NOTHING)), undefined);
  t.false(b.isComplete);
});

test('another prologue is found out by the first message under a key', (t) => {
  const [a, b] = join({ prologues: ['weft 1', 'weft 2'] });
  t.is(b.readMessage(a.writeMessage(NOTHING)), undefined);
});

test('a pre-shared key can be told once the first messages have named it', (t) => {
  const [a, b] = join({ psks: [PSK, Buffer.alloc(32, 2)] });
  b.readMessage(a.writeMessage(NOTHING));
  a.readMessage(b.writeMessage(NOTHING));
  b.setPsk(PSK);
  t.deepEqual(b.readMessage(a.writeMessage(Buffer.from('me'))), Buffer.from('me'));
  const message = b.split().send.encryptWithAd(NOTHING, Buffer.from('secret'));
  t.deepEqual(a.split().receive.decryptWithAd(NOTHING, message), Buffer.from('secret'));
});

test('a message sent back to its sender is refused', (t) => {
  const [a] = join();
  const message = a.writeMessage(NOTHING);
  t.is(a.readMessage(message), undefined);
});

test('a key of a small order is refused', (t) => {
  t.is(KeyPair.generate().dh(PublicKey.from(Buffer.alloc(32))), undefined);
});

test('a private key is the same after it was written and read', (t) => {
  const pair = KeyPair.generate();
  t.deepEqual(KeyPair.from(pair.exportPrivate()).publicKey, pair.publicKey);
});

test('rekey replaces the key on both ends alike, and the last nonce is never a message’s', (t) => {
  const [a, b] = [new CipherState('AESGCM', PSK), new CipherState('AESGCM', PSK)];
  a.rekey();
  t.is(b.decryptWithAd(NOTHING, a.encryptWithAd(NOTHING, NOTHING)), undefined);
  b.rekey();
  a.setNonce(0n);
  t.deepEqual(b.decryptWithAd(NOTHING, a.encryptWithAd(NOTHING, PSK)), PSK);
  a.setNonce(2n ** 64n - 1n);
  t.throws(() => a.encryptWithAd(NOTHING, NOTHING), { message: /run out/ });
});
