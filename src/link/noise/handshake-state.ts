import assert from 'node:assert/strict';
import type { CipherState } from './cipher-state.ts';
import { DH_BYTES, KeyPair, PublicKey } from './key-pair.ts';
import { PATTERNS, usesPsk, type PatternName, type Token } from './pattern.ts';
import { TAG_BYTES, type Suite } from './suite.ts';
import { SymmetricState } from './symmetric-state.ts';

/** Noise §3: no message is longer. */
export const MAX_MESSAGE_BYTES = 65_535;

export interface HandshakeOptions {
  readonly pattern: PatternName;
  readonly suite: Suite;
  readonly isInitiator: boolean;
  /** What both ends must agree on beside the messages (§6). */
  readonly prologue: Uint8Array;
  /** This end's static key. */
  readonly s: KeyPair;
  /** The responder's static key, where the pattern has the initiator know it. */
  readonly rs?: PublicKey;
  /** 32 bytes, for patterns with `psk`. It may be told later, by `setPsk`, before it is mixed. */
  readonly psk?: Uint8Array;
  /** Tests alone choose it. */
  readonly generate?: () => KeyPair;
}

/** Everything that messages change; replaced as a whole, so that one that is refused leaves no trace. */
interface Progress {
  readonly symmetric: SymmetricState;
  /** Messages so far, sent and received. */
  step: number;
  e: KeyPair | undefined;
  re: PublicKey | undefined;
  rs: PublicKey | undefined;
}

/** `Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s` and the like (§8). */
export function protocolName(pattern: PatternName, { cipher, hash }: Suite): string {
  return `Noise_${pattern}_25519_${cipher}_${hash}`;
}

/**
 * One end of a handshake (Noise §5.3):
 *
 *   my turn --writeMessage--> the other's --readMessage--> mine … until `isComplete`; then `split`
 *
 * A message that is refused changes nothing: what is forged or late can't end a handshake that is under
 * way, and the right message is still read after it.
 */
export class HandshakeState {
  readonly #options: HandshakeOptions;
  #psk: Uint8Array | undefined;
  #now: Progress;

  /** Initialize(handshake_pattern, initiator, prologue, s, e, rs, re). */
  constructor(options: HandshakeOptions) {
    const { pattern, suite, isInitiator, prologue, s, rs } = options;
    const { knowsResponder } = PATTERNS[pattern];
    assert((rs !== undefined) === (knowsResponder && isInitiator));
    this.#options = options;
    this.#psk = options.psk;
    const symmetric = new SymmetricState(suite, protocolName(pattern, suite));
    symmetric.mixHash(prologue);
    if (knowsResponder) symmetric.mixHash(rs?.bytes ?? s.publicKey);
    this.#now = { symmetric, step: 0, e: undefined, re: undefined, rs };
  }

  get isComplete(): boolean {
    return this.#now.step === PATTERNS[this.#options.pattern].messages.length;
  }

  /** The other end's static key, once it is known. Whose it is has to be judged by the caller. */
  get remoteStatic(): Buffer | undefined {
    return this.#now.rs?.bytes;
  }

  /** h: unique to this handshake once it is complete (§11.2). */
  get handshakeHash(): Buffer {
    return this.#now.symmetric.handshakeHash;
  }

  /** Says which pre-shared key it is, once the first messages have told. */
  setPsk(psk: Uint8Array): void {
    assert(psk.length === 32);
    this.#psk = psk;
  }

  /** WriteMessage(payload). It must be this end's turn. */
  writeMessage(payload: Uint8Array): Buffer {
    const { tokens, isMine } = this.#turn();
    assert(isMine, 'it is the other end that has to speak');
    const next = this.#copy();
    const parts = tokens.map((token) => this.#write(token, next));
    const message = Buffer.concat([...parts, next.symmetric.encryptAndHash(payload)]);
    assert(message.length <= MAX_MESSAGE_BYTES);
    next.step++;
    this.#now = next;
    return message;
  }

  /**
   * ReadMessage(message): the payload. Undefined if it is not the message that is due, by someone who has
   * the keys, or if it is not the other end's turn; then this state is what it was.
   */
  readMessage(message: Uint8Array): Buffer | undefined {
    const { tokens, isMine } = this.#turn();
    if (isMine || tokens.length === 0 || message.length > MAX_MESSAGE_BYTES) return undefined;
    const next = this.#copy();
    const reader = new Reader(message);
    for (const token of tokens) if (!this.#read(token, next, reader)) return undefined;
    const payload = next.symmetric.decryptAndHash(reader.rest());
    if (payload === undefined) return undefined;
    next.step++;
    this.#now = next;
    return payload;
  }

  /** Split(), of a complete handshake: the keys to send and to receive with. */
  split(): { readonly send: CipherState; readonly receive: CipherState } {
    assert(this.isComplete, 'the handshake is not over');
    const [first, second] = this.#now.symmetric.split();
    return this.#options.isInitiator
      ? { send: first, receive: second }
      : { send: second, receive: first };
  }

  #turn(): { readonly tokens: readonly Token[]; readonly isMine: boolean } {
    const { pattern, isInitiator } = this.#options;
    const { step } = this.#now;
    return {
      tokens: PATTERNS[pattern].messages[step] ?? [],
      isMine: (step % 2 === 0) === isInitiator,
    };
  }

  #copy(): Progress {
    return { ...this.#now, symmetric: this.#now.symmetric.clone() };
  }

  #write(token: Token, next: Progress): Buffer {
    const { symmetric } = next;
    if (token === 's') return symmetric.encryptAndHash(this.#options.s.publicKey);
    if (token === 'e') {
      next.e = (this.#options.generate ?? KeyPair.generate)();
      this.#mixEphemeral(symmetric, next.e.publicKey);
      return next.e.publicKey;
    }
    assert(this.#mix(token, next), 'the other end has a key of a small order');
    return Buffer.alloc(0);
  }

  #read(token: Token, next: Progress, reader: Reader): boolean {
    const { symmetric } = next;
    if (token === 'e') {
      const bytes = reader.take(DH_BYTES);
      if (bytes === undefined) return false;
      next.re = PublicKey.from(bytes);
      this.#mixEphemeral(symmetric, bytes);
      return true;
    }
    if (token !== 's') return this.#mix(token, next);
    const sealed = reader.take(DH_BYTES + (symmetric.hasKey ? TAG_BYTES : 0));
    const bytes = sealed && symmetric.decryptAndHash(sealed);
    if (bytes === undefined) return false;
    next.rs = PublicKey.from(bytes);
    return true;
  }

  #mixEphemeral(symmetric: SymmetricState, publicKey: Uint8Array): void {
    symmetric.mixHash(publicKey);
    if (usesPsk(PATTERNS[this.#options.pattern])) symmetric.mixKey(publicKey);
  }

  /** The tokens that move nothing over the wire; false if the other end's key is worth nothing. */
  #mix(token: Exclude<Token, 'e' | 's'>, { symmetric, e, re, rs }: Progress): boolean {
    if (token === 'psk') {
      assert(this.#psk?.length === 32, 'the pattern takes a pre-shared key of 32 bytes');
      symmetric.mixKeyAndHash(this.#psk);
      return true;
    }
    const [initiators, responders] = token;
    const { isInitiator, s } = this.#options;
    const mine = (isInitiator ? initiators : responders) === 'e' ? e : s;
    const theirs = (isInitiator ? responders : initiators) === 'e' ? re : rs;
    assert(mine !== undefined && theirs !== undefined, 'the pattern uses a key before it is sent');
    const shared = mine.dh(theirs);
    if (shared === undefined) return false;
    symmetric.mixKey(shared);
    return true;
  }
}

/** Takes a message apart from its front. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  take(count: number): Uint8Array | undefined {
    const end = this.#at + count;
    if (end > this.#bytes.length) return undefined;
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }
}
