import { randomBytes } from 'node:crypto';
import type { Millis } from '../base/types.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import { hostIdOf } from './identity.ts';
import { Keyring } from './keyring.ts';
import { HandshakeState } from './noise/handshake-state.ts';
import type { KeyPair } from './noise/key-pair.ts';
import type { Token } from './token.ts';

/**
 * How a new host gets the keys of the mesh for a token: `Noise_XXpsk3_25519_ChaChaPoly_BLAKE2s`, prologue
 * `weft join 2` and the token's id, in two questions (docs/wire-format.md).
 *
 *   question 1   | 1 | token's id (8) | message 1 |            answer   | 0 | conversation (8) | message 2 |
 *   question 2   | 2 | conversation (8) | message 3 |          answer   | 0 | the keyring, sealed |
 *
 * An answer whose first byte is not 0 is a refusal.
 */
const QUESTION = { first: 1, second: 2 } as const;
const ID_BYTES = 8;
const NOTHING = Buffer.alloc(0);
const SUITE = { cipher: 'ChaChaPoly', hash: 'BLAKE2s' } as const;

/** First bytes of answers. */
export const JOIN_REFUSALS = {
  unknown: 1, // no token of that id was made on this host, or it has long been forgotten
  expired: 2,
  spent: 3,
  revoked: 4,
  wrong: 5, // the id is known, and its key is another
  busy: 6, // too many questions: they are counted, so that keys can't be guessed
  lost: 7, // the second question came too late
  expelled: 9, // the host that asks is
  failed: 8, // the use of the token could not be written to the disk
} as const;
export type JoinRefusal = keyof typeof JOIN_REFUSALS;

/** The tokens of a host, as far as joining needs them. */
export interface Invitations {
  /** The key of a token, or why it is none. */
  keyOf(id: string): Buffer | 'unknown' | 'expired' | 'revoked';
  /**
   * Counts a use by the host with this static key, on disk when it returns; a host that has used the token
   * before may do so again, since an answer can get lost.
   */
  use(id: string, joiner: Uint8Array): 'used' | 'spent' | 'failed';
}

export interface JoinHostOptions {
  readonly identity: KeyPair;
  /** Of the mesh, at the moment. */
  readonly keyring: () => Keyring;
  readonly invitations: Invitations;
}

interface Conversation {
  readonly handshake: HandshakeState;
  readonly token: string;
  readonly until: number;
}

/** What waits for its second question at a time, and for how long. */
const MAX_CONVERSATIONS = 64;
const CONVERSATION_LIFE = 10_000;
/** First questions, a second: keys of 256 bits can't be guessed, and this keeps the work bounded. */
const QUESTIONS = { rate: 10, burst: 40 };

function makeHandshake(token: string, s: KeyPair, isInitiator: boolean): HandshakeState {
  const prologue = Buffer.concat([Buffer.from('weft join 2'), Buffer.from(token, 'hex')]);
  return new HandshakeState({ pattern: 'XXpsk3', suite: SUITE, isInitiator, prologue, s });
}

/** The inviting host's side: answers questions. */
export class JoinHost {
  readonly #options: JoinHostOptions;
  readonly #conversations = new Map<string, Conversation>();
  readonly #allowance = new TokenBucket(QUESTIONS);

  constructor(options: JoinHostOptions) {
    this.#options = options;
  }

  /** Undefined if the bytes are no question. */
  answer(question: Buffer, now: Millis): Uint8Array | undefined {
    const [kind] = question;
    if (kind !== QUESTION.first && kind !== QUESTION.second) return undefined;
    const id = question.toString('hex', 1, 1 + ID_BYTES);
    const message = question.subarray(1 + ID_BYTES);
    const answer =
      kind === QUESTION.first ? this.#first(id, message, now) : this.#second(id, message, now);
    return typeof answer === 'string' ? Buffer.of(JOIN_REFUSALS[answer]) : answer;
  }

  #first(token: string, message: Buffer, now: Millis): Uint8Array | JoinRefusal {
    if (!this.#allowance.take(now)) return 'busy';
    const key = this.#options.invitations.keyOf(token);
    if (typeof key === 'string') return key;
    for (const [known, { until }] of this.#conversations) {
      if (until <= now) this.#conversations.delete(known);
    }
    if (this.#conversations.size >= MAX_CONVERSATIONS) return 'busy';
    const handshake = makeHandshake(token, this.#options.identity, false);
    handshake.setPsk(key);
    if (handshake.readMessage(message) === undefined) return 'wrong';
    const conversation = randomBytes(ID_BYTES);
    const until = now + CONVERSATION_LIFE;
    this.#conversations.set(conversation.toString('hex'), { handshake, token, until });
    return Buffer.concat([Buffer.of(0), conversation, handshake.writeMessage(NOTHING)]);
  }

  #second(id: string, message: Buffer, now: Millis): Uint8Array | JoinRefusal {
    const { keyring, invitations } = this.#options;
    const conversation = this.#conversations.get(id);
    this.#conversations.delete(id);
    if (conversation === undefined || conversation.until <= now) return 'lost';
    const { handshake, token } = conversation;
    const isRead = handshake.readMessage(message) !== undefined;
    const joiner = handshake.remoteStatic;
    if (!isRead || joiner === undefined) return 'wrong';
    if (keyring().isExpelled(hostIdOf(joiner))) return 'expelled';
    // It may have expired, or been revoked, since the first question.
    const key = invitations.keyOf(token);
    if (typeof key === 'string') return key;
    const use = invitations.use(token, joiner);
    if (use !== 'used') return use;
    const sealed = handshake.split().send.encryptWithAd(NOTHING, keyring().encode());
    return Buffer.concat([Buffer.of(0), sealed]);
  }
}

/** Puts a question to the inviting host; undefined if there is no answer. */
export type Ask = (question: Uint8Array) => Promise<Buffer | undefined>;

/** The new host's side: the keys of the mesh, or why there are none. `silent`: no answer, or none of ours. */
export async function askForKeys(
  { id, key }: Token,
  identity: KeyPair,
  ask: Ask,
): Promise<Keyring | JoinRefusal | 'silent'> {
  const handshake = makeHandshake(id, identity, true);
  handshake.setPsk(key);
  const token = Buffer.from(id, 'hex');
  const first = Buffer.concat([Buffer.of(QUESTION.first), token, handshake.writeMessage(NOTHING)]);
  const answer = readAnswer(await ask(first));
  if (typeof answer === 'string') return answer;
  const conversation = answer.subarray(0, ID_BYTES);
  if (handshake.readMessage(answer.subarray(ID_BYTES)) === undefined) return 'silent';
  const last = handshake.writeMessage(NOTHING);
  const sealed = readAnswer(
    await ask(Buffer.concat([Buffer.of(QUESTION.second), conversation, last])),
  );
  if (typeof sealed === 'string') return sealed;
  const keyring = handshake.split().receive.decryptWithAd(NOTHING, sealed);
  return (keyring && Keyring.decode(keyring)) ?? 'silent';
}

function readAnswer(bytes: Buffer | undefined): Buffer | JoinRefusal | 'silent' {
  if (bytes === undefined || bytes.length === 0) return 'silent';
  if (bytes[0] === 0) return bytes.subarray(1);
  const names = Object.keys(JOIN_REFUSALS) as JoinRefusal[];
  return names.find((name) => JOIN_REFUSALS[name] === bytes[0]) ?? 'silent';
}
