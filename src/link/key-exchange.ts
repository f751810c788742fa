import type { Millis, PeerId } from '../base/types.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import { hostIdOf } from './identity.ts';
import { Keyring } from './keyring.ts';
import { HandshakeState } from './noise/handshake-state.ts';
import { PublicKey, type KeyPair } from './noise/key-pair.ts';

/**
 * How a host of the mesh gets the keys that it lacks from one that has them: `Noise_IK_25519_ChaChaPoly_BLAKE2s`,
 * prologue `weft keyring 1`, in one question (docs/wire-format.md). Both prove the static keys that their
 * ids are made of, and no key of the mesh is needed: who was away while all of them changed can ask as well.
 *
 *   question   message 1, which holds the id of the mesh (8)
 *   answer     | 0 | message 2, which holds the keyring |          or a refusal, one byte that is not 0
 *
 * A question that was recorded is answered by what only its asker could read, and changes nothing.
 */
const SUITE = { cipher: 'ChaChaPoly', hash: 'BLAKE2s' } as const;
const PROLOGUE = Buffer.from('weft keyring 1');

/** First bytes of answers. */
export const KEYRING_REFUSALS = {
  stranger: 1, // by a host that this one does not know, or of another mesh
  expelled: 2,
  busy: 3,
} as const;
export type KeyringRefusal = keyof typeof KEYRING_REFUSALS;

/** Questions, a second. */
const QUESTIONS = { rate: 50, burst: 300 };

export interface KeyringHostOptions {
  readonly identity: KeyPair;
  readonly keyring: () => Keyring;
  /** Whether a host was of this mesh when it was last heard of. */
  readonly isKnown: (host: PeerId) => boolean;
}

/** The side that is asked. */
export class KeyringHost {
  readonly #options: KeyringHostOptions;
  readonly #allowance = new TokenBucket(QUESTIONS);

  constructor(options: KeyringHostOptions) {
    this.#options = options;
  }

  /** Undefined if the bytes are no question of anybody's who knows this host's key. */
  answer(question: Buffer, now: Millis): Uint8Array | undefined {
    if (!this.#allowance.take(now)) return Buffer.of(KEYRING_REFUSALS.busy);
    const { identity, keyring, isKnown } = this.#options;
    const handshake = new HandshakeState({
      ...{ pattern: 'IK', suite: SUITE, isInitiator: false, prologue: PROLOGUE, s: identity },
    });
    const mesh = handshake.readMessage(question);
    const key = handshake.remoteStatic;
    if (mesh === undefined || key === undefined) return undefined;
    const asker = hostIdOf(key);
    if (keyring().isExpelled(asker)) return Buffer.of(KEYRING_REFUSALS.expelled);
    const isOurs = mesh.toString('hex') === keyring().meshId;
    if (!isOurs || !isKnown(asker)) return Buffer.of(KEYRING_REFUSALS.stranger);
    return Buffer.concat([Buffer.of(0), handshake.writeMessage(keyring().encode())]);
  }
}

/** The side that asks; `silent`: no answer, or none of that host's. */
export async function askForKeyring(
  asked: {
    readonly identity: KeyPair;
    /** Of the host that is asked. */
    readonly publicKey: Uint8Array;
    readonly meshId: string;
  },
  ask: (question: Uint8Array) => Promise<Buffer | undefined>,
): Promise<Keyring | KeyringRefusal | 'silent'> {
  const { identity, publicKey, meshId } = asked;
  const handshake = new HandshakeState({
    ...{ pattern: 'IK', suite: SUITE, isInitiator: true, prologue: PROLOGUE, s: identity },
    rs: PublicKey.from(publicKey),
  });
  const answer = await ask(handshake.writeMessage(Buffer.from(meshId, 'hex')));
  if (answer === undefined || answer.length === 0) return 'silent';
  const refusals = Object.keys(KEYRING_REFUSALS) as KeyringRefusal[];
  if (answer[0] !== 0) {
    return refusals.find((name) => KEYRING_REFUSALS[name] === answer[0]) ?? 'silent';
  }
  const encoded = handshake.readMessage(answer.subarray(1));
  return (encoded && Keyring.decode(encoded)) ?? 'silent';
}
