import { randomBytes } from 'node:crypto';
import { asPeerId, type Millis, type PeerId, type SocketAddress } from '../base/types.ts';
import { after, endOf, type Field } from '../wire/field.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import type { ActiveKey } from './keyring.ts';
import { decrypt, encrypt, hmac, TAG_BYTES } from './noise/suite.ts';
import { ReplayWindow } from '../encap/replay-window.ts';

/**
 * What seals every control message of a mesh, but handshakes, under one of the mesh's keys. A machine: no
 * sockets and no clock; chance is node:crypto's. Big-endian:
 *
 *   0               8               16                              80                      112
 *   |     kind      |     hint      |            sender tag (64)     |      counter (32)     |   14 bytes
 *   |  sealed …                                                                              |
 *   |  tag of ChaCha20-Poly1305 (128)                                                        |   16 bytes
 *
 *   0x40 datagram        a control datagram, as it is sent openly
 *   0x41 greeting        introduction (20) · quote (12) · isAsking (1)
 *   0x42 request         introduction (20) · quote (12) · message      on a stream, as are these:
 *   0x43 answer          introduction (20) · message
 *   0x44 greet first     introduction (20), instead of an answer
 *
 * An introduction is the sender's floor (4) and its id (16): counters below the floor are not of late.
 *
 * The hint is the first byte of the key's id, and tells which to try. Each daemon draws a tag when it
 * starts, and seals under a key of its own, which is derived from the mesh's and the tag: so no nonce is
 * used twice, whatever was forgotten by a restart. The nonce is the counter. What is before the seal is
 * authenticated with it; an answer also authenticates the tag of the request that it answers.
 *
 * **Replays.** Of each sender it is known which counters have been seen, and what comes again is dropped. A
 * sender whose tag is not known (it has started anew, or this host has) must first show that it is there now:
 * a greeting quotes tag and counter of what the other has sent within the last seconds, and no recorded one
 * can quote that. What came before is held meanwhile, and what is below the sender's floor is dropped.
 *
 *   B                                   A
 *   | datagram (unknown tag)       ---> |   held
 *   | <--- greeting: quotes it, asks    |   B knows A now
 *   | greeting: quotes that        ---> |   A knows B now; what was held is handed up
 */
export const ENVELOPE_KIND = {
  datagram: 0x40,
  greeting: 0x41,
  request: 0x42,
  answer: 0x43,
  greetFirst: 0x44,
} as const;
type Kind = (typeof ENVELOPE_KIND)[keyof typeof ENVELOPE_KIND];

const HINT: Field = { at: 1, bytes: 1 };
const TAG = after(HINT, 8);
const COUNTER = after(TAG, 4);
const HEAD_BYTES = endOf(COUNTER);
/** What sealing adds to a datagram. */
export const ENVELOPE_BYTES = HEAD_BYTES + TAG_BYTES;
const MAX_COUNTER = 2 ** 32 - 1;
/** Counters that may come late: as many as this behind the greatest. */
const WINDOW = 2048;

const QUOTE_BYTES = TAG.bytes + COUNTER.bytes;
const ID_BYTES = 16;
const FLOOR_BYTES = COUNTER.bytes;
const INTRODUCTION_BYTES = FLOOR_BYTES + ID_BYTES;
const QUOTE_END = INTRODUCTION_BYTES + QUOTE_BYTES;
const GREETING_BYTES = QUOTE_END + 1;
const NO_QUOTE = Buffer.alloc(QUOTE_BYTES);
const NOTHING = Buffer.alloc(0);

/** What can be quoted was sent at most twice as long ago, and at least once. */
const QUOTABLE_FOR = 5_000;
/** A sender that is silent for so long has to greet again. */
const REMEMBERED_FOR = 600_000;
const MAX_SENDERS = 16_384;
/** Datagrams of unknown senders that wait for a greeting: of each, of all, and how long. */
const HELD_OF_EACH = 8;
const MAX_HELD_SENDERS = 512;
const HELD_FOR = 3_000;
/** Greetings that ask, a second: who replays much must not have as much sent to others. */
const GREETINGS = { rate: 200, burst: 2_000 };

/** Every message that is refused counts as one of these. */
export const ENVELOPE_REFUSALS = [
  'envelopeMissing', // open, where the mesh is sealed
  'envelopeMalformed', // too short, or of a kind that there is not
  'envelopeForeign', // no key of ours has its hint: of another mesh, or a key that is not here yet
  'envelopeRetired', // sealed with a key that is retired
  'envelopeForged', // not authentic: changed on the way, or of another mesh
  'envelopeReflected', // our own
  'envelopeReplayed', // seen already, or too late to be sure
  'envelopeUnproven', // its sender did not greet in time, or there were too many of them
  'envelopeExpelled', // its sender is expelled
  'envelopeStale', // a greeting that quotes nothing of late
] as const;
export type EnvelopeRefusal = (typeof ENVELOPE_REFUSALS)[number];

/** The keys at the moment. */
export interface EnvelopeKeys {
  readonly primary: ActiveKey;
  /** All that open, the primary among them. */
  readonly active: readonly ActiveKey[];
  /** Ids of keys that open no more. */
  readonly retired: readonly string[];
  readonly isExpelled: (host: PeerId) => boolean;
}

export interface EnvelopeOptions {
  readonly self: PeerId;
  readonly keys: () => EnvelopeKeys;
}

/** A datagram that was opened. */
export interface Opened {
  readonly bytes: Buffer;
  readonly from: SocketAddress;
  readonly sender: PeerId;
}

/** What a datagram leads to: what is handed up, and what is sent back to where it came from. */
export interface Outcome {
  readonly opened: readonly Opened[];
  readonly reply?: Buffer;
}

/** What a request has left with its asker. */
export interface Asked {
  readonly bytes: Buffer;
  readonly key: ActiveKey;
}

/** Tag and counter of a message that was received of late. */
export type Quote = Buffer;

export type StreamAnswer =
  | { readonly kind: 'answer'; readonly bytes: Buffer; readonly sender: PeerId }
  | { readonly kind: 'greet-first'; readonly quote: Quote }
  | { readonly kind: 'none' };

export type StreamRequest =
  /** `seal` makes the answer of its message. */
  | {
      readonly kind: 'request';
      readonly bytes: Buffer;
      readonly sender: PeerId;
      readonly seal: (answer: Uint8Array) => Buffer;
    }
  | { readonly kind: 'greet-first'; readonly answer: Buffer }
  | { readonly kind: 'refused'; readonly refusal: EnvelopeRefusal };

interface Sender {
  readonly id: PeerId;
  readonly window: ReplayWindow;
  /** Counters below it were sent before this host met the sender. */
  readonly floor: number;
  readonly keys: Map<string, Buffer>;
  heardAt: Millis;
}

interface Held {
  /** The latest last. */
  readonly datagrams: {
    readonly bytes: Buffer;
    readonly counter: number;
    readonly from: SocketAddress;
    readonly until: number;
  }[];
}

/** What was authentic, and of whom if that is known. */
interface Message {
  readonly kind: Kind;
  readonly tag: string;
  readonly counter: number;
  readonly key: ActiveKey;
  readonly bytes: Buffer;
  readonly sender: Sender | undefined;
}

const isRefusal = (result: Message | EnvelopeRefusal): result is EnvelopeRefusal =>
  typeof result === 'string';

const subkeyOf = (key: ActiveKey, tag: Uint8Array): Buffer =>
  hmac('BLAKE2s', key.secret, Buffer.from('weft envelope 1'), tag);

/** What an envelope tells of its key in the open. */
export const hintOf = (id: string): number => Number.parseInt(id.slice(0, 2), 16);

export class Envelope {
  readonly #options: EnvelopeOptions;
  readonly #senders = new Map<string, Sender>();
  readonly #held = new Map<string, Held>();
  readonly #greetings = new TokenBucket(GREETINGS);
  readonly #counters = Object.fromEntries(
    ENVELOPE_REFUSALS.map((refusal) => [refusal, 0]),
  ) as Record<EnvelopeRefusal, number>;
  #tag = Buffer.alloc(0);
  #ownKeys = new Map<string, Buffer>();
  #counter = 0;
  /** Counters from `floor` on can be quoted; `next` becomes the floor when its time has come. */
  #quotable = { floor: 0, next: 0, since: -Infinity };

  constructor(options: EnvelopeOptions) {
    this.#options = options;
    this.#begin();
  }

  get self(): PeerId {
    return this.#options.self;
  }

  /** Refused messages since the start, by reason. */
  counters(): Record<EnvelopeRefusal, number> {
    return { ...this.#counters };
  }

  /** What tells, before it is opened, what was sealed by somebody of the mesh. */
  keys(): readonly { readonly hint: number; readonly secret: Uint8Array }[] {
    return this.#options.keys().active.map(({ id, secret }) => ({ hint: hintOf(id), secret }));
  }

  /** Counts what was refused elsewhere, before it was opened. */
  count(refusal: EnvelopeRefusal): void {
    this.#counters[refusal]++;
  }

  /** Senders whose counters are remembered now. */
  get senders(): number {
    return this.#senders.size;
  }

  /** Seals a control datagram. */
  seal(bytes: Uint8Array, now: Millis): Buffer {
    return this.#seal(ENVELOPE_KIND.datagram, this.#options.keys().primary, bytes, now);
  }

  /** Opens a datagram. `bytes` are not kept. */
  open(bytes: Buffer, from: SocketAddress, now: Millis): Outcome {
    const message = this.#read(bytes, NOTHING, now);
    if (isRefusal(message)) return this.#refuse(message);
    if (message.kind === ENVELOPE_KIND.greeting) return this.#onGreeting(message, now);
    if (message.kind !== ENVELOPE_KIND.datagram) return this.#refuse('envelopeMalformed');
    if (message.sender === undefined) return this.#hold(message, from, now);
    const refusal = this.#take(message.sender, message.counter, now);
    if (refusal !== undefined) return this.#refuse(refusal);
    return { opened: [{ bytes: message.bytes, from, sender: message.sender.id }] };
  }

  /**
   * Seals a request for a stream; the second time after `greetFirst` has come for the first, which must
   * then not be taken any more.
   */
  sealRequest(
    bytes: Uint8Array,
    now: Millis,
    again?: { readonly first: Asked; readonly quote: Quote },
  ): Asked {
    const key = this.#options.keys().primary;
    const floor = again === undefined ? 0 : again.first.bytes.readUInt32BE(COUNTER.at) + 1;
    const introduction = this.#introduction(now, floor);
    const body = Buffer.concat([introduction, again?.quote ?? NO_QUOTE, bytes]);
    return { bytes: this.#seal(ENVELOPE_KIND.request, key, body, now), key };
  }

  /** Opens what came for a request that `sealRequest` made. */
  openAnswer({ bytes: request }: Asked, answer: Buffer, now: Millis): StreamAnswer {
    const message = this.#read(answer, request.subarray(-TAG_BYTES), now);
    if (isRefusal(message)) {
      this.#counters[message]++;
      return { kind: 'none' };
    }
    if (message.kind === ENVELOPE_KIND.greetFirst) {
      if (message.bytes.length !== INTRODUCTION_BYTES) return { kind: 'none' };
      const refusal = this.#meet(message, now);
      if (refusal === undefined) return { kind: 'greet-first', quote: quoteOf(answer) };
      this.#counters[refusal]++;
      return { kind: 'none' };
    }
    if (message.kind !== ENVELOPE_KIND.answer || message.bytes.length < INTRODUCTION_BYTES) {
      return { kind: 'none' };
    }
    // It was made for this request: it is of now, whether or not the sender was known.
    const refusal = this.#meet(message, now);
    if (refusal === undefined) {
      const sender = introducedId(message.bytes);
      return { kind: 'answer', bytes: message.bytes.subarray(INTRODUCTION_BYTES), sender };
    }
    this.#counters[refusal]++;
    return { kind: 'none' };
  }

  /** Opens a request; one of an unknown sender has to quote first. */
  openRequest(request: Buffer, now: Millis): StreamRequest {
    const message = this.#read(request, NOTHING, now);
    if (isRefusal(message)) return this.#refuseRequest(message);
    const { bytes, key } = message;
    if (message.kind !== ENVELOPE_KIND.request || bytes.length < QUOTE_END) {
      return this.#refuseRequest('envelopeMalformed');
    }
    const bound = request.subarray(-TAG_BYTES);
    const quote = bytes.subarray(INTRODUCTION_BYTES, QUOTE_END);
    if (message.sender === undefined && !this.#isOfLate(quote, now)) {
      const introduction = this.#introduction(now);
      return {
        kind: 'greet-first',
        answer: this.#seal(ENVELOPE_KIND.greetFirst, key, introduction, now, bound),
      };
    }
    const refusal = this.#meet(message, now);
    if (refusal !== undefined) return this.#refuseRequest(refusal);
    return {
      kind: 'request',
      bytes: bytes.subarray(QUOTE_END),
      sender: introducedId(bytes),
      seal: (answer) => {
        const body = Buffer.concat([this.#introduction(now), answer]);
        return this.#seal(ENVELOPE_KIND.answer, key, body, now, bound);
      },
    };
  }

  #seal(
    kind: Kind,
    key: ActiveKey,
    bytes: Uint8Array,
    now: Millis,
    bound: Uint8Array = NOTHING,
  ): Buffer {
    if (this.#counter > MAX_COUNTER) this.#begin();
    this.#turn(now);
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt8(kind, 0);
    head.writeUInt8(hintOf(key.id), HINT.at);
    this.#tag.copy(head, TAG.at);
    const counter = this.#counter++;
    head.writeUInt32BE(counter, COUNTER.at);
    const subkey = cached(this.#ownKeys, key.id, () => subkeyOf(key, this.#tag));
    const ad = bound.length === 0 ? head : Buffer.concat([head, bound]);
    return Buffer.concat([head, encrypt('ChaChaPoly', subkey, BigInt(counter), ad, bytes)]);
  }

  /** As after a restart: nothing was sealed under the new tag. */
  #begin(): void {
    this.#tag = randomBytes(TAG.bytes);
    this.#ownKeys = new Map();
    this.#counter = 0;
    this.#quotable = { floor: 0, next: 0, since: -Infinity };
  }

  #turn(now: Millis): void {
    const { next, since } = this.#quotable;
    if (now - since < QUOTABLE_FOR) return;
    const floor = now - since < 2 * QUOTABLE_FOR ? next : this.#counter;
    this.#quotable = { floor, next: this.#counter, since: now };
  }

  #isOfLate(quote: Buffer, now: Millis): boolean {
    this.#turn(now);
    const counter = quote.readUInt32BE(TAG.bytes);
    const isOurs = quote.subarray(0, TAG.bytes).equals(this.#tag);
    return isOurs && counter >= this.#quotable.floor && counter < this.#counter;
  }

  /** What is authentic, with one of the keys; changes nothing. */
  #read(bytes: Buffer, bound: Buffer, now: Millis): Message | EnvelopeRefusal {
    if (bytes.length < ENVELOPE_BYTES) return 'envelopeMalformed';
    const tagBytes = bytes.subarray(TAG.at, TAG.at + TAG.bytes);
    if (tagBytes.equals(this.#tag)) return 'envelopeReflected';
    const { active, retired } = this.#options.keys();
    const hint = bytes.readUInt8(HINT.at);
    const candidates = active.filter(({ id }) => hintOf(id) === hint);
    if (candidates.length === 0) {
      return retired.some((id) => hintOf(id) === hint) ? 'envelopeRetired' : 'envelopeForeign';
    }
    const tag = tagBytes.toString('latin1');
    const sender = this.#senderOf(tag, now);
    const counter = bytes.readUInt32BE(COUNTER.at);
    if (sender && !isNew(sender, counter)) return 'envelopeReplayed';
    const head = bytes.subarray(0, HEAD_BYTES);
    const ad = bound.length === 0 ? head : Buffer.concat([head, bound]);
    for (const key of candidates) {
      const derive = (): Buffer => subkeyOf(key, tagBytes);
      const subkey = sender === undefined ? derive() : cached(sender.keys, key.id, derive);
      const body = bytes.subarray(HEAD_BYTES);
      const opened = decrypt('ChaChaPoly', subkey, BigInt(counter), ad, body);
      if (opened === undefined) continue;
      const kind = bytes.readUInt8(0) as Kind;
      return { kind, tag, counter, key, bytes: opened, sender };
    }
    return 'envelopeForged';
  }

  #senderOf(tag: string, now: Millis): Sender | undefined {
    const sender = this.#senders.get(tag);
    if (sender === undefined || now - sender.heardAt < REMEMBERED_FOR) return sender;
    this.#senders.delete(tag);
    return undefined;
  }

  /** Notes a message of a sender that is known. */
  #take(sender: Sender, counter: number, now: Millis): EnvelopeRefusal | undefined {
    if (this.#options.keys().isExpelled(sender.id)) return 'envelopeExpelled';
    sender.window.note(counter);
    sender.heardAt = now;
    return undefined;
  }

  /** A sender is there now: its counters are remembered from this message on. */
  #meet({ tag, counter, bytes, sender: known }: Message, now: Millis): EnvelopeRefusal | undefined {
    if (known !== undefined) return this.#take(known, counter, now);
    const id = introducedId(bytes);
    if (this.#options.keys().isExpelled(id)) return 'envelopeExpelled';
    this.#makeRoom(now);
    const window = new ReplayWindow(WINDOW);
    const floor = Math.min(bytes.readUInt32BE(), counter);
    const sender = { id, window, floor, keys: new Map<string, Buffer>(), heardAt: now };
    window.note(counter);
    this.#senders.set(tag, sender);
    return undefined;
  }

  #makeRoom(now: Millis): void {
    if (this.#senders.size < MAX_SENDERS) return;
    for (const tag of this.#senders.keys()) this.#senderOf(tag, now);
    // Only who has the keys can fill it; then the one that has been known longest greets again.
    const [oldest] = this.#senders.keys();
    if (this.#senders.size >= MAX_SENDERS && oldest !== undefined) this.#senders.delete(oldest);
  }

  /** Keeps what may be fresh until its sender greets; where there is no room, what has waited longest goes. */
  #hold({ tag, counter, key, bytes }: Message, from: SocketAddress, now: Millis): Outcome {
    const held = this.#held.get(tag) ?? { datagrams: [] };
    if (held.datagrams.some((each) => each.counter === counter)) {
      return this.#refuse('envelopeReplayed');
    }
    if (!this.#greetings.take(now)) return this.#refuse('envelopeUnproven');
    held.datagrams.push({ bytes, counter, from, until: now + HELD_FOR });
    if (held.datagrams.length > HELD_OF_EACH) this.#giveUp(held, 1);
    this.#held.delete(tag);
    this.#held.set(tag, held);
    this.#giveUpOld(now);
    const body = this.#greetingBody(quoteBytes(tag, counter), true, now);
    return { opened: [], reply: this.#seal(ENVELOPE_KIND.greeting, key, body, now) };
  }

  #giveUp({ datagrams }: Held, count: number): void {
    this.#counters.envelopeUnproven += datagrams.splice(0, count).length;
  }

  /** Senders are kept by the time of their latest datagram. */
  #giveUpOld(now: Millis): void {
    for (const [tag, held] of this.#held) {
      const isOld = (held.datagrams.at(-1)?.until ?? 0) <= now;
      if (!isOld && this.#held.size <= MAX_HELD_SENDERS) return;
      this.#giveUp(held, held.datagrams.length);
      this.#held.delete(tag);
    }
  }

  #greetingBody(quote: Buffer, isAsking: boolean, now: Millis): Buffer {
    return Buffer.concat([this.#introduction(now), quote, Buffer.of(Number(isAsking))]);
  }

  #introduction(now: Millis, floor = 0): Buffer {
    this.#turn(now);
    const introduction = Buffer.alloc(INTRODUCTION_BYTES);
    introduction.writeUInt32BE(Math.max(floor, this.#quotable.floor));
    introduction.write(this.#options.self, FLOOR_BYTES, 'hex');
    return introduction;
  }

  #onGreeting(message: Message, now: Millis): Outcome {
    const { bytes, tag, counter, key } = message;
    if (bytes.length !== GREETING_BYTES) return this.#refuse('envelopeMalformed');
    const quote = bytes.subarray(INTRODUCTION_BYTES, QUOTE_END);
    if (!this.#isOfLate(quote, now)) return this.#refuse('envelopeStale');
    const refusal = this.#meet(message, now);
    if (refusal !== undefined) return this.#refuse(refusal);
    const opened = this.#release(tag, now);
    if (bytes.readUInt8(QUOTE_END) === 0) return { opened };
    const body = this.#greetingBody(quoteBytes(tag, counter), false, now);
    return { opened, reply: this.#seal(ENVELOPE_KIND.greeting, key, body, now) };
  }

  /** What was held of a sender that has greeted. */
  #release(tag: string, now: Millis): Opened[] {
    const held = this.#held.get(tag);
    const sender = this.#senders.get(tag);
    this.#held.delete(tag);
    if (held === undefined || sender === undefined) return [];
    return held.datagrams.flatMap(({ bytes, counter, from, until }) => {
      if (until <= now || !isNew(sender, counter)) return [];
      return this.#take(sender, counter, now) === undefined
        ? [{ bytes, from, sender: sender.id }]
        : [];
    });
  }

  #refuse(refusal: EnvelopeRefusal): Outcome {
    this.#counters[refusal]++;
    return { opened: [] };
  }

  #refuseRequest(refusal: EnvelopeRefusal): StreamRequest {
    this.#counters[refusal]++;
    return { kind: 'refused', refusal };
  }
}

const isNew = ({ window, floor }: Sender, counter: number): boolean =>
  counter >= floor && window.isNew(counter);

function cached(keys: Map<string, Buffer>, id: string, derive: () => Buffer): Buffer {
  const known = keys.get(id);
  if (known !== undefined) return known;
  const made = derive();
  keys.set(id, made);
  return made;
}

const introducedId = (body: Buffer): PeerId =>
  asPeerId(body.toString('hex', FLOOR_BYTES, INTRODUCTION_BYTES));

/** Tag and counter as they stand in a message. */
const quoteOf = (bytes: Buffer): Quote => Buffer.from(bytes.subarray(TAG.at, HEAD_BYTES));

function quoteBytes(tag: string, counter: number): Quote {
  const quote = Buffer.alloc(QUOTE_BYTES);
  quote.write(tag, 0, 'latin1');
  quote.writeUInt32BE(counter, TAG.bytes);
  return quote;
}
