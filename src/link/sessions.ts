import { randomInt, type Rng } from '../base/rng.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import { asMillis, type Millis, type PeerId, type SocketAddress } from '../base/types.ts';
import type { SealingCipher, SealingKey } from '../encap/sealed.ts';
import { COOKIE_LIFE, Cookies, ReadInitiations } from './cookies.ts';
import {
  decodeChoice,
  decodeOffer,
  encodeChoice,
  encodeOffer,
  indexOf,
  initiationNoise,
  isConfirmation,
  isWellFormed,
  KIND,
  macOne,
  makeConfirmation,
  makeInitiation,
  makeResponse,
  HANDSHAKE_VERSION,
  ReceiverKeys,
  responseNoise,
  responseSender,
} from './handshake-message.ts';
import { hostIdOf } from './identity.ts';
import type { ActiveKey } from './keyring.ts';
import { HandshakeState } from './noise/handshake-state.ts';
import { PublicKey, type KeyPair } from './noise/key-pair.ts';
import { SESSION_DEFAULTS, type SessionConfig } from './session-config.ts';
import { chooseCipher, chosenCipher, CIPHER_BITS, sessionKeys } from './session-keys.ts';

/**
 * The keys between this host and each peer that it shares a sealed network with: IKpsk2 with a key of the
 * mesh as the pre-shared key; which one, mac1 tells. A machine: no sockets and no clock; chance for keys is node:crypto's.
 *
 *            want, rekey                     response
 *   nothing -------------> attempt (initiator) ------> current session: sends with the new key, confirms
 *
 *            initiation                          confirmation
 *   nothing -------------> offer (responder) ----------------> current session: sends with the new key
 *
 * Whoever responds sends with the new key only when the initiator has confirmed it, and takes frames under
 * it from the moment it answers: so there is no frame that the other end can't open, whatever is lost or
 * late. An answer is sent again until it is confirmed, and both messages tell which key their sender uses: a
 * host that initiates anew confirms by that what it has begun to use. Of each peer there are at most three receive keys: the session before, the current one, the offer's.
 */

/** What is known of a peer from elsewhere. */
export interface Contact {
  /** 32 bytes, proven by the id. */
  readonly publicKey: Uint8Array;
  /** What its VTEPs go by (locator.ts), wherever it is reached. */
  readonly locator: string;
}

/** What the driver has to do, in this order. */
export type SessionEffect =
  /** To the peer by its path; `from`: it answers what came from there. No peer: to nobody that is known yet. */
  | {
      readonly kind: 'send';
      readonly bytes: Uint8Array;
      readonly peer: PeerId | undefined;
      readonly from: SocketAddress | undefined;
    }
  | { readonly kind: 'add-receive-key'; readonly address: string; readonly key: SealingKey }
  | { readonly kind: 'remove-receive-key'; readonly index: number }
  | { readonly kind: 'set-send-key'; readonly address: string; readonly key: SealingKey }
  | { readonly kind: 'clear-send-key'; readonly address: string }
  /** To be remembered over a restart: later stamps have to be greater. */
  | { readonly kind: 'stamp'; readonly stamp: number }
  | { readonly kind: 'established'; readonly peer: PeerId; readonly isRekey: boolean }
  | { readonly kind: 'lost'; readonly peer: PeerId };

/** Every datagram that is refused counts as one of these. */
export const HANDSHAKE_REFUSALS = [
  'handshakeMalformed', // not as long as its kind is, or another version
  'handshakeForeign', // mac1 is wrong: not made for this host, or by nobody of this mesh
  'handshakeForged', // the Noise message is not authentic
  'handshakeStranger', // its key is that of no live host
  'handshakeReplayed', // stamped no later than one that was taken already
  'handshakeCollided', // crossed with our own, which goes on
  'handshakeUnproven', // under load, and without the cookie that was sent back instead
  'handshakeShed', // under load in spite of cookies, or no cookie is left to be sent
  'handshakeUnasked', // answers nothing that waits for an answer
] as const;
export type HandshakeRefusal = (typeof HANDSHAKE_REFUSALS)[number];

export interface SessionsOptions {
  readonly self: PeerId;
  readonly identity: KeyPair;
  readonly keys: SessionPsks;
  readonly contact: (id: PeerId) => Contact | undefined;
  /** Ciphers that are fast here; ChaCha20-Poly1305 always is one. */
  readonly ciphers: readonly SealingCipher[];
  readonly rng: Rng;
  /** The last stamp that was remembered. */
  readonly stampFloor: number;
  readonly config?: SessionConfig;
}

/** The keys of the mesh. */
export interface SessionPsks {
  /** What this host begins handshakes with. */
  readonly primary: ActiveKey;
  /** All that it answers to. */
  readonly active: readonly ActiveKey[];
}

/** When something happens: monotonic, and milliseconds since 1970. */
export interface Instant {
  readonly now: Millis;
  readonly wall: number;
}

/** What one peer's link is like, for people. */
export interface SessionInfo {
  readonly peer: PeerId;
  readonly isEstablished: boolean;
  readonly cipher: SealingCipher | undefined;
  /** Since the handshake of the current session. */
  readonly age: Millis | undefined;
  /** Initiations without an answer, in a row. */
  readonly unanswered: number;
}

interface Session {
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly cipher: SealingCipher;
  readonly bornAt: Millis;
  readonly rekeyAt: number;
  /** Of the session's initiator: what it answered, and what it says when that comes again. */
  readonly response?: Buffer;
  readonly confirmation?: Buffer;
}

interface Attempt {
  readonly localIndex: number;
  readonly handshake: HandshakeState;
  readonly key: ActiveKey;
  readonly startedAt: Millis;
  readonly macOne: Buffer;
}

interface Offer {
  readonly session: Session;
  readonly sendKey: SealingKey;
  readonly confirmKey: Buffer;
  readonly response: Buffer;
  readonly from: SocketAddress;
  resendAt: number;
  resends: number;
}

interface Peer {
  readonly id: PeerId;
  readonly locator: string;
  readonly publicKey: PublicKey;
  /** By the id of the mesh's key. */
  readonly keys: Map<string, ReceiverKeys>;
  isWanted: boolean;
  /** The greatest stamp of an initiation that was taken. */
  latestStamp: number;
  attempt: Attempt | undefined;
  retryAt: number;
  unanswered: number;
  offer: Offer | undefined;
  current: Session | undefined;
  previous: Session | undefined;
  cookie: { readonly value: Buffer; readonly until: number } | undefined;
}

const SUITE = { cipher: 'ChaChaPoly', hash: 'BLAKE2s' } as const;
const PROLOGUE = Buffer.from(`weft link ${HANDSHAKE_VERSION}`);
const MAX_INDEX = 2 ** 32;

export class Sessions {
  readonly #options: SessionsOptions;
  readonly #config: SessionConfig;
  readonly #peers = new Map<PeerId, Peer>();
  /** Whose attempt, offer or session an index of ours is. */
  readonly #indices = new Map<number, Peer>();
  readonly #cookies = new Cookies();
  readonly #unproven: TokenBucket;
  readonly #proven: TokenBucket;
  readonly #replies: TokenBucket;
  readonly #read = new ReadInitiations();
  readonly #ciphers: number;
  readonly #counters = Object.fromEntries(
    HANDSHAKE_REFUSALS.map((refusal) => [refusal, 0]),
  ) as Record<HandshakeRefusal, number>;
  #psks: SessionPsks;
  #own: readonly { readonly key: ActiveKey; readonly receiver: ReceiverKeys }[] = [];
  #lastStamp: number;
  #effects: SessionEffect[] = [];

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#config = options.config ?? SESSION_DEFAULTS;
    this.#unproven = new TokenBucket(this.#config.unproven);
    this.#proven = new TokenBucket(this.#config.proven);
    this.#replies = new TokenBucket(this.#config.cookieReplies);
    this.#ciphers = options.ciphers.reduce<number>(
      (bits, cipher) => bits | CIPHER_BITS[cipher],
      CIPHER_BITS['chacha20-poly1305'],
    );
    this.#lastStamp = options.stampFloor;
    this.#psks = options.keys;
    this.#setKeys(options.keys);
  }

  /** Refused datagrams since the start, by reason. */
  counters(): Record<HandshakeRefusal, number> {
    return { ...this.#counters };
  }

  /** Every peer with which there is a session or an attempt at one. */
  sessions(now: Millis): SessionInfo[] {
    return [...this.#peers.values()]
      .filter(({ current, attempt, offer }) => current ?? attempt ?? offer)
      .map(({ id, current, unanswered }) => ({
        ...{ peer: id, isEstablished: current !== undefined, unanswered },
        cipher: current?.cipher,
        age: current && asMillis(now - current.bornAt),
      }));
  }

  /**
   * The mesh has other keys from now on. Sessions stay: what they seal with was agreed on by both hosts'
   * own keys as well, and the next handshake is made with the keys of now.
   */
  setKeys(keys: SessionPsks): void {
    this.#setKeys(keys);
  }

  /** Of all keys of the mesh: what is for this host was made with one of these. */
  macOneKeys(): readonly Uint8Array[] {
    return this.#own.map(({ receiver }) => receiver.macOneKey);
  }

  /** This host is of another mesh: every session was made in the old one, and ends. */
  moveTo(keys: SessionPsks, at: Instant): SessionEffect[] {
    const wanted = [...this.#peers.values()].filter(({ isWanted }) => isWanted);
    for (const id of [...this.#peers.keys()]) this.#forget(id);
    this.#setKeys(keys);
    for (const { id } of wanted) this.#want(id, at);
    return this.#take();
  }

  /** Has a session with the peer made and kept, until `unwant`. */
  want(id: PeerId, at: Instant): SessionEffect[] {
    this.#want(id, at);
    return this.#take();
  }

  /** The session, if there is one, is used up and not made anew. */
  unwant(id: PeerId): SessionEffect[] {
    const peer = this.#peers.get(id);
    if (peer !== undefined) {
      peer.isWanted = false;
      this.#endAttempt(peer);
    }
    return this.#take();
  }

  /** What `contact` says of the peer has changed: one that is gone loses its session, one that moves keeps it. */
  changed(id: PeerId): SessionEffect[] {
    if (this.#options.contact(id) === undefined) this.#forget(id);
    return this.#take();
  }

  /** Another way leads to the peer: what was asked by the one before, and has no answer, is asked anew. */
  pathChanged(id: PeerId, at: Instant): SessionEffect[] {
    const peer = this.#peers.get(id);
    if (peer?.attempt !== undefined) {
      peer.unanswered = 0;
      this.#initiate(peer, at);
    }
    return this.#take();
  }

  /** One datagram of a handshake kind. `bytes` are not kept. */
  receive(bytes: Buffer, from: SocketAddress, at: Instant): SessionEffect[] {
    if (isWellFormed(bytes)) {
      const refusal = this.#receive(Buffer.from(bytes), from, at);
      if (refusal !== undefined) this.#counters[refusal]++;
    } else {
      this.#counters.handshakeMalformed++;
    }
    return this.#take();
  }

  /** When `expire` has something to do next; undefined: not before something else happens. */
  get nextDue(): Millis | undefined {
    let next = Infinity;
    for (const peer of this.#peers.values()) next = Math.min(next, this.#dueOf(peer));
    return next === Infinity ? undefined : asMillis(next);
  }

  /** Does what is due: sends again, begins the next session, forgets keys that are too old. */
  expire(at: Instant): SessionEffect[] {
    for (const peer of this.#peers.values())
      if (this.#dueOf(peer) <= at.now) this.#expire(peer, at);
    return this.#take();
  }

  #dueOf(peer: Peer): number {
    const { attempt, offer, current, previous, retryAt } = peer;
    const { rejectAfter, lateFor } = this.#config;
    const opensUntil = rejectAfter + lateFor;
    return Math.min(
      attempt === undefined ? this.#attemptDue(peer) : retryAt,
      offer === undefined ? Infinity : Math.min(offer.resendAt, offer.session.bornAt + opensUntil),
      current === undefined ? Infinity : current.bornAt + rejectAfter,
      previous === undefined ? Infinity : previous.bornAt + opensUntil,
    );
  }

  /** When to begin a handshake. An answer that waits for its confirmation is given some time first. */
  #attemptDue({ isWanted, offer, current }: Peer): number {
    if (!isWanted) return Infinity;
    const answered = offer === undefined ? 0 : offer.session.bornAt + this.#config.confirmWithin;
    return Math.max(answered, current?.rekeyAt ?? 0);
  }

  #expire(peer: Peer, at: Instant): void {
    const { rejectAfter, lateFor } = this.#config;
    // As `#dueOf` adds it up: the other way round, a rounding error could make it due and not old.
    const isOld = (session: Session | undefined, age: number): boolean =>
      session !== undefined && session.bornAt + age <= at.now;
    if (isOld(peer.previous, rejectAfter + lateFor)) this.#endPrevious(peer);
    if (isOld(peer.current, rejectAfter)) this.#endCurrent(peer);
    if (isOld(peer.offer?.session, rejectAfter + lateFor)) this.#endOffer(peer);
    if (peer.offer !== undefined && peer.offer.resendAt <= at.now)
      this.#resend(peer, peer.offer, at.now);
    const due = peer.attempt === undefined ? this.#attemptDue(peer) : peer.retryAt;
    if (due <= at.now) this.#initiate(peer, at);
  }

  #want(id: PeerId, at: Instant): void {
    const peer = this.#peer(id);
    if (peer === undefined || peer.isWanted) return;
    peer.isWanted = true;
    if (peer.attempt === undefined && this.#attemptDue(peer) <= at.now) this.#initiate(peer, at);
  }

  #initiate(peer: Peer, { now, wall }: Instant): void {
    this.#endAttempt(peer);
    const key = this.#psks.primary;
    const { identity } = this.#options;
    const handshake = new HandshakeState({
      ...{ pattern: 'IKpsk2', suite: SUITE, isInitiator: true, prologue: PROLOGUE },
      ...{ s: identity, rs: peer.publicKey, psk: key.secret },
    });
    const localIndex = this.#newIndex(peer);
    const cookie =
      peer.cookie !== undefined && peer.cookie.until > now ? peer.cookie.value : undefined;
    const noise = handshake.writeMessage(this.#makeOffer(peer, wall));
    const message = makeInitiation(localIndex, noise, receiverOf(peer, key).macs(cookie));
    peer.attempt = { localIndex, handshake, key, startedAt: now, macOne: macOne(message) };
    peer.retryAt = now + this.#backoff(peer.unanswered);
    peer.unanswered++;
    this.#send(message, peer.id);
  }

  /** Doubles, and is drawn from its upper half so that two hosts don't keep crossing. */
  #backoff(unanswered: number): number {
    const { retryFirst, retryMost } = this.#config;
    const most = Math.min(retryMost, retryFirst * 2 ** Math.min(unanswered, 16));
    return most * (0.75 + this.#options.rng.next() / 4);
  }

  /** Stamps only grow, also when the wall clock is set back, and over restarts by what was remembered. */
  #makeOffer({ current }: Peer, wall: number): Buffer {
    const stamp = Math.max(Math.floor(wall), this.#lastStamp + 1);
    this.#lastStamp = stamp;
    this.#effects.push({ kind: 'stamp', stamp });
    return encodeOffer({ stamp, ciphers: this.#ciphers, used: current?.remoteIndex ?? 0 });
  }

  #receive(bytes: Buffer, from: SocketAddress, at: Instant): HandshakeRefusal | undefined {
    const [kind] = bytes;
    if (kind === KIND.initiation) return this.#onInitiation(bytes, from, at);
    if (kind === KIND.response) return this.#onResponse(bytes, at.now);
    if (kind === KIND.cookie) return this.#onCookie(bytes, at);
    return this.#onConfirmation(bytes);
  }

  #onInitiation(bytes: Buffer, from: SocketAddress, at: Instant): HandshakeRefusal | undefined {
    // Not worth a hash: it would be found to be a replay, after three exchanges of keys.
    if (this.#read.has(bytes)) return 'handshakeReplayed';
    const own = this.#ownFor(bytes);
    if (own === undefined) return 'handshakeForeign';
    const shed = this.#admit(own.receiver, bytes, from, at.now);
    if (shed !== undefined) return shed;
    const handshake = new HandshakeState({
      ...{ pattern: 'IKpsk2', suite: SUITE, isInitiator: false, prologue: PROLOGUE },
      ...{ s: this.#options.identity, psk: own.key.secret },
    });
    this.#read.add(bytes);
    const payload = handshake.readMessage(initiationNoise(bytes));
    const key = handshake.remoteStatic;
    if (payload === undefined || key === undefined) return 'handshakeForged';
    const peer = this.#peer(hostIdOf(key));
    if (peer === undefined) return 'handshakeStranger';
    const offered = decodeOffer(payload);
    if (offered.stamp <= peer.latestStamp) return 'handshakeReplayed';
    peer.latestStamp = offered.stamp;
    if (this.#goesFirst(peer, at.now)) return 'handshakeCollided';
    this.#heed(peer, offered.used);
    this.#respond(peer, { handshake, key: own.key, bytes, from, now: at.now }, offered.ciphers);
    return undefined;
  }

  /** Whether there is time for an initiation; otherwise why not, and a cookie for who has none. */
  #admit(
    own: ReceiverKeys,
    bytes: Buffer,
    from: SocketAddress,
    now: Millis,
  ): HandshakeRefusal | undefined {
    if (this.#unproven.take(now)) return undefined;
    if (this.#cookies.isKnown(bytes, from, now)) {
      return this.#proven.take(now) ? undefined : 'handshakeShed';
    }
    if (!this.#replies.take(now)) return 'handshakeShed';
    const cookie = this.#cookies.cookieFor(from, now);
    this.#send(own.makeCookieReply(bytes, cookie, this.#cookies.nonce()), undefined, from);
    return 'handshakeUnproven';
  }

  /** Of two initiations that cross, the lower id's goes on; of one that has long been out, the other's. */
  #goesFirst({ id, attempt }: Peer, now: Millis): boolean {
    return (
      attempt !== undefined &&
      now - attempt.startedAt < this.#config.collisionWithin &&
      this.#options.self < id
    );
  }

  #respond(
    peer: Peer,
    asked: {
      readonly handshake: HandshakeState;
      readonly key: ActiveKey;
      readonly bytes: Buffer;
      readonly from: SocketAddress;
      readonly now: Millis;
    },
    offered: number,
  ): void {
    const { handshake, key, bytes, from, now } = asked;
    this.#endAttempt(peer);
    this.#endOffer(peer);
    const cipher = chooseCipher(offered, this.#ciphers);
    const used = peer.current?.remoteIndex ?? 0;
    const [localIndex, remoteIndex] = [this.#newIndex(peer), indexOf(bytes)];
    const noise = handshake.writeMessage(encodeChoice({ cipher: CIPHER_BITS[cipher], used }));
    const indices = { receiver: remoteIndex, sender: localIndex };
    const response = makeResponse(indices, noise, receiverOf(peer, key).macs());
    const { send, receive } = sessionKeys(handshake);
    const { rekeyAfter, rekeyGrace, retryFirst } = this.#config;
    peer.offer = {
      session: {
        ...{ localIndex, remoteIndex, cipher, bornAt: now },
        rekeyAt: now + rekeyAfter + rekeyGrace,
      },
      sendKey: { cipher, key: send.frames, index: remoteIndex },
      ...{ confirmKey: receive.confirmation, response, from },
      ...{ resendAt: now + retryFirst, resends: 0 },
    };
    // Before the answer leaves: the initiator seals as soon as it has it.
    this.#addReceiveKey(peer, { cipher, key: receive.frames, index: localIndex });
    this.#send(response, peer.id, from);
  }

  #resend({ id }: Peer, offer: Offer, now: Millis): void {
    offer.resends++;
    const { retryFirst, retryMost } = this.#config;
    offer.resendAt = now + Math.min(retryMost, retryFirst * 2 ** Math.min(offer.resends, 16));
    this.#send(offer.response, id, offer.from);
  }

  #onResponse(bytes: Buffer, now: Millis): HandshakeRefusal | undefined {
    if (this.#ownFor(bytes) === undefined) return 'handshakeForeign';
    const peer = this.#indices.get(indexOf(bytes));
    const { attempt, current } = peer ?? {};
    if (peer === undefined || attempt?.localIndex !== indexOf(bytes)) {
      const isAgain = current?.response?.equals(bytes) === true;
      if (!isAgain || current.confirmation === undefined || !peer) return 'handshakeUnasked';
      this.#send(current.confirmation, peer.id);
      return undefined;
    }
    const payload = attempt.handshake.readMessage(responseNoise(bytes));
    if (payload === undefined) return 'handshakeForged';
    const choice = decodeChoice(payload);
    const cipher = chosenCipher(choice.cipher, this.#ciphers);
    if (cipher === undefined) return 'handshakeForged';
    this.#heed(peer, choice.used);
    this.#begin(peer, attempt, { bytes, cipher, now });
    return undefined;
  }

  /** The initiator's side is done: it sends with the new key from now on, and tells so. */
  #begin(
    peer: Peer,
    { handshake, localIndex }: Attempt,
    answer: { readonly bytes: Buffer; readonly cipher: SealingCipher; readonly now: Millis },
  ): void {
    const { bytes, cipher, now } = answer;
    const { send, receive } = sessionKeys(handshake);
    const remoteIndex = responseSender(bytes);
    peer.attempt = undefined;
    this.#endOffer(peer);
    const { rekeyAfter, rekeySpread } = this.#config;
    const confirmation = makeConfirmation(remoteIndex, send.confirmation);
    const session: Session = {
      ...{ localIndex, remoteIndex, cipher, bornAt: now, response: bytes, confirmation },
      rekeyAt: now + rekeyAfter - this.#options.rng.next() * rekeySpread,
    };
    this.#makeRoom(peer);
    this.#addReceiveKey(peer, { cipher, key: receive.frames, index: localIndex });
    this.#establish(peer, session, { cipher, key: send.frames, index: remoteIndex });
    this.#send(confirmation, peer.id);
  }

  #onConfirmation(bytes: Buffer): HandshakeRefusal | undefined {
    const peer = this.#indices.get(indexOf(bytes));
    const { offer, current } = peer ?? {};
    if (peer === undefined || offer?.session.localIndex !== indexOf(bytes)) {
      // The answer had been sent twice, and so comes this.
      return current?.localIndex === indexOf(bytes) ? undefined : 'handshakeUnasked';
    }
    if (!isConfirmation(bytes, offer.confirmKey)) return 'handshakeForged';
    this.#confirm(peer, offer);
    return undefined;
  }

  /** The peer says which key it uses: if that is our offer's, its confirmation got lost. */
  #heed(peer: Peer, used: number): void {
    const { offer } = peer;
    if (offer !== undefined && offer.session.localIndex === used) this.#confirm(peer, offer);
  }

  #confirm(peer: Peer, offer: Offer): void {
    peer.offer = undefined;
    this.#makeRoom(peer);
    this.#establish(peer, offer.session, offer.sendKey);
  }

  #onCookie(bytes: Buffer, at: Instant): HandshakeRefusal | undefined {
    const peer = this.#indices.get(indexOf(bytes));
    const attempt = peer?.attempt;
    if (peer === undefined || attempt?.localIndex !== indexOf(bytes)) return 'handshakeUnasked';
    const value = receiverOf(peer, attempt.key).openCookie(bytes, attempt.macOne);
    if (value === undefined) return 'handshakeForged';
    peer.cookie = { value, until: at.now + COOKIE_LIFE };
    this.#initiate(peer, at);
    return undefined;
  }

  /** The current session becomes the one before; what was before it ends. */
  #makeRoom(peer: Peer): void {
    this.#endPrevious(peer);
    peer.previous = peer.current;
  }

  #establish(peer: Peer, session: Session, key: SealingKey): void {
    peer.current = session;
    peer.unanswered = 0;
    this.#effects.push({ kind: 'set-send-key', address: peer.locator, key });
    const isRekey = peer.previous !== undefined;
    this.#effects.push({ kind: 'established', peer: peer.id, isRekey });
  }

  #addReceiveKey(peer: Peer, key: SealingKey): void {
    this.#effects.push({ kind: 'add-receive-key', address: peer.locator, key });
  }

  #endAttempt(peer: Peer): void {
    if (peer.attempt !== undefined) this.#indices.delete(peer.attempt.localIndex);
    peer.attempt = undefined;
  }

  #endOffer(peer: Peer): void {
    if (peer.offer !== undefined) this.#removeReceiveKey(peer.offer.session.localIndex);
    peer.offer = undefined;
  }

  #endPrevious(peer: Peer): void {
    if (peer.previous !== undefined) this.#removeReceiveKey(peer.previous.localIndex);
    peer.previous = undefined;
  }

  /** Nothing more is sealed with its key; what is late is still opened. */
  #endCurrent(peer: Peer): void {
    if (peer.current === undefined) return;
    this.#makeRoom(peer);
    peer.current = undefined;
    this.#effects.push({ kind: 'clear-send-key', address: peer.locator });
    this.#effects.push({ kind: 'lost', peer: peer.id });
  }

  #removeReceiveKey(index: number): void {
    this.#indices.delete(index);
    this.#effects.push({ kind: 'remove-receive-key', index });
  }

  #forget(id: PeerId): void {
    const peer = this.#peers.get(id);
    if (peer === undefined) return;
    this.#endAttempt(peer);
    this.#endOffer(peer);
    this.#endCurrent(peer);
    this.#endPrevious(peer);
    this.#peers.delete(id);
  }

  /** The peer's entry; made for live hosts alone, and undefined for all others. */
  #peer(id: PeerId): Peer | undefined {
    const known = this.#peers.get(id);
    if (known !== undefined) return known;
    const contact = this.#options.contact(id);
    if (contact === undefined) return undefined;
    const peer: Peer = {
      ...{ id, locator: contact.locator, publicKey: PublicKey.from(contact.publicKey) },
      keys: new Map<string, ReceiverKeys>(),
      ...{ isWanted: false, latestStamp: 0, attempt: undefined, retryAt: 0, unanswered: 0 },
      ...{ offer: undefined, current: undefined, previous: undefined, cookie: undefined },
    };
    this.#peers.set(id, peer);
    return peer;
  }

  #newIndex(peer: Peer): number {
    // 0 stands for none.
    let index = 0;
    while (index === 0 || this.#indices.has(index)) index = randomInt(this.#options.rng, MAX_INDEX);
    this.#indices.set(index, peer);
    return index;
  }

  #setKeys(keys: SessionPsks): void {
    this.#psks = keys;
    const { publicKey } = this.#options.identity;
    this.#own = keys.active.map((key) => ({
      key,
      receiver: new ReceiverKeys(key.secret, publicKey),
    }));
    const active = new Set(keys.active.map(({ id }) => id));
    for (const peer of this.#peers.values()) {
      for (const id of peer.keys.keys()) if (!active.has(id)) peer.keys.delete(id);
    }
  }

  /** The key of the mesh with which a message was made for this host. */
  #ownFor(bytes: Buffer): { readonly key: ActiveKey; readonly receiver: ReceiverKeys } | undefined {
    return this.#own.find(({ receiver }) => receiver.isForUs(bytes));
  }

  #send(bytes: Uint8Array, peer: PeerId | undefined, from?: SocketAddress): void {
    this.#effects.push({ kind: 'send', bytes, peer, from });
  }

  #take(): SessionEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}

function receiverOf({ keys, publicKey }: Peer, key: ActiveKey): ReceiverKeys {
  const known = keys.get(key.id);
  if (known !== undefined) return known;
  const made = new ReceiverKeys(key.secret, publicKey.bytes);
  keys.set(key.id, made);
  return made;
}
