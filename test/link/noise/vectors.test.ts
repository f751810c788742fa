import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../../src/base/package-root.ts';
import { HandshakeState, protocolName } from '../../../src/link/noise/handshake-state.ts';
import { KeyPair, PublicKey } from '../../../src/link/noise/key-pair.ts';
import { PATTERNS, type PatternName } from '../../../src/link/noise/pattern.ts';
import { CIPHERS, HASHES, type Suite } from '../../../src/link/noise/suite.ts';

/** As cacophony writes them; hex throughout. */
interface Vector {
  readonly protocol_name: string;
  readonly init_prologue: string;
  readonly init_psks?: readonly string[];
  readonly init_static: string;
  readonly init_ephemeral: string;
  readonly init_remote_static?: string;
  readonly resp_prologue: string;
  readonly resp_psks?: readonly string[];
  readonly resp_static: string;
  readonly resp_ephemeral: string;
  readonly handshake_hash?: string;
  readonly messages: readonly { readonly payload: string; readonly ciphertext: string }[];
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

const NAMES = new Map<string, { readonly pattern: PatternName; readonly suite: Suite }>();
for (const pattern of Object.keys(PATTERNS) as PatternName[]) {
  for (const cipher of CIPHERS) {
    for (const hash of HASHES) {
      const suite = { cipher, hash };
      NAMES.set(protocolName(pattern, suite), { pattern, suite });
    }
  }
}

function ends(vector: Vector): readonly [HandshakeState, HandshakeState] {
  const named = NAMES.get(vector.protocol_name);
  if (named === undefined) throw new Error(`${vector.protocol_name} is not one of ours`);
  const { init_remote_static: known } = vector;
  const initiator = new HandshakeState({
    ...{ ...named, isInitiator: true, prologue: hex(vector.init_prologue) },
    s: KeyPair.from(hex(vector.init_static)),
    generate: () => KeyPair.from(hex(vector.init_ephemeral)),
    ...(known === undefined ? {} : { rs: PublicKey.from(hex(known)) }),
    ...(vector.init_psks && { psk: hex(vector.init_psks[0] ?? '') }),
  });
  const responder = new HandshakeState({
    ...{ ...named, isInitiator: false, prologue: hex(vector.resp_prologue) },
    s: KeyPair.from(hex(vector.resp_static)),
    generate: () => KeyPair.from(hex(vector.resp_ephemeral)),
    ...(vector.resp_psks && { psk: hex(vector.resp_psks[0] ?? '') }),
  });
  return [initiator, responder];
}

const files = ['noise-25519-chachapoly.json', 'noise-25519-aesgcm.json'];
const vectors = files.flatMap((file) => {
  const text = readFileSync(join(packageRoot, 'test/vectors', file), 'utf8');
  return (JSON.parse(text) as { readonly vectors: readonly Vector[] }).vectors;
});

test('both ciphers, both hashes and every pattern are among the published vectors', (t) => {
  const named = new Set(vectors.map((vector) => vector.protocol_name));
  t.is(named.size, vectors.length);
  for (const part of [...Object.keys(PATTERNS), ...CIPHERS, ...HASHES]) {
    t.true(
      [...named].some((name) => name.split('_').includes(part)),
      part,
    );
  }
});

for (const vector of vectors) {
  test(vector.protocol_name, (t) => {
    const [initiator, responder] = ends(vector);
    const handshake = PATTERNS[NAMES.get(vector.protocol_name)?.pattern ?? 'XX'].messages.length;
    for (const [turn, { payload, ciphertext }] of vector.messages.slice(0, handshake).entries()) {
      const [writer, reader] = turn % 2 === 0 ? [initiator, responder] : [responder, initiator];
      const message = writer.writeMessage(hex(payload));
      t.is(message.toString('hex'), ciphertext);
      t.is(reader.readMessage(message)?.toString('hex'), payload);
    }
    t.true(initiator.isComplete && responder.isComplete);
    t.deepEqual(initiator.handshakeHash, responder.handshakeHash);
    if (vector.handshake_hash) t.is(initiator.handshakeHash.toString('hex'), vector.handshake_hash);
    t.deepEqual(initiator.remoteStatic, KeyPair.from(hex(vector.resp_static)).publicKey);
    t.deepEqual(responder.remoteStatic, KeyPair.from(hex(vector.init_static)).publicKey);
    const [first, second] = [initiator.split(), responder.split()];
    for (const [index, { payload, ciphertext }] of vector.messages.slice(handshake).entries()) {
      const isInitiators = (index + handshake) % 2 === 0;
      const [{ send }, { receive }] = isInitiators ? [first, second] : [second, first];
      const message = send.encryptWithAd(Buffer.alloc(0), hex(payload));
      t.is(message.toString('hex'), ciphertext);
      t.is(receive.decryptWithAd(Buffer.alloc(0), message)?.toString('hex'), payload);
    }
  });
}
