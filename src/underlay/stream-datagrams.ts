import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { asMillis, formatSocketAddress, type Millis, type SocketAddress } from '../base/types.ts';
import type { DatagramChannel } from './datagram.ts';
import { IncomingMessage } from './incoming-message.ts';
import { OutgoingMessage } from './outgoing-message.ts';
import {
  decodeExchangeDatagram,
  encodeAcknowledgement,
  encodePiece,
  encodeRefusal,
  EXCHANGE_BYTES,
  lastPiece,
  PIECE_BYTES,
  type ExchangeDatagram,
  type Side,
} from './piece.ts';
import { MAX_STREAM_MESSAGE_BYTES, type StreamTransport } from './stream.ts';

/** Exchanges that others have begun, at once: at most 1 MiB of each is held. */
const MAX_INBOUND = 32;
/** A half done exchange is dropped after so long a silence of who began it. */
const SILENCE = 15_000;
/** An answer of which nobody has acknowledged anything is given up sooner: nobody may have asked. */
const UNHEARD = 5000;
/** Who asked says so again when nothing of an answer has come for so long. */
const REMINDER = asMillis(500);
/** Exchanges that are over and still known, so that what comes late is acknowledged and not taken as new. */
const MAX_ENDED = 1024;

/** The last piece of the longest message, and its bytes. */
const LAST_INDEX = lastPiece(MAX_STREAM_MESSAGE_BYTES);
const LAST_BYTES = MAX_STREAM_MESSAGE_BYTES - LAST_INDEX * PIECE_BYTES;

export interface ExchangeCounters {
  readonly answered: number;
  /** Not begun: `MAX_INBOUND` are under way. */
  readonly refusedBusy: number;
  /** The answerer gave no answer. */
  readonly unanswered: number;
  /** Given up: who asked fell silent. */
  readonly brokenOff: number;
  /** Bytes that mean nothing here: malformed, too long, or pieces of two messages in one. */
  readonly malformed: number;
  /** Pieces sent again. */
  readonly resent: number;
}

interface Asked {
  readonly to: SocketAddress;
  readonly request: Uint8Array;
  readonly sending: OutgoingMessage;
  readonly answer: IncomingMessage;
  readonly resolve: (answer: Buffer) => void;
  readonly reject: (error: AppError) => void;
  readonly deadline: Timer;
  timer?: Timer | undefined;
}

interface Served {
  from: SocketAddress;
  lastHeard: Millis;
  readonly request: IncomingMessage;
  answer?: { readonly bytes: Uint8Array; readonly sending: OutgoingMessage };
  timer?: Timer | undefined;
}

type Answer = (request: Buffer, from: SocketAddress) => Uint8Array | undefined;
type Piece = Extract<ExchangeDatagram, { readonly kind: 'piece' }>;

/**
 * `StreamTransport` over datagrams, for hosts that TCP can't reach: behind a NAT, or beyond a relay. Each
 * message is cut into pieces that are acknowledged and sent again; a request is answered once, however
 * often its pieces come. Who may send is the channel's matter.
 */
export class DatagramStreamTransport implements StreamTransport {
  readonly counters: { -readonly [K in keyof ExchangeCounters]: number } = {
    answered: 0,
    refusedBusy: 0,
    unanswered: 0,
    brokenOff: 0,
    malformed: 0,
    resent: 0,
  };

  readonly #channel: DatagramChannel;
  readonly #clock: Clock;
  readonly #asked = new Map<string, Asked>();
  readonly #served = new Map<string, Served>();
  /** Index behind the last piece that had come, or that there is no answer; by exchange. */
  readonly #ended = new Map<string, number | 'refused'>();
  #answer: Answer = () => undefined;
  #isOpen = true;

  constructor(channel: DatagramChannel, { clock }: { readonly clock: Clock }) {
    this.#channel = channel;
    this.#clock = clock;
    channel.onReceive((bytes, from) => {
      if (this.#isOpen) this.#receive(bytes, from);
    });
  }

  get local(): SocketAddress {
    return this.#channel.local;
  }

  /** Exchanges of others that are under way. */
  get inbound(): number {
    return this.#served.size;
  }

  onRequest(answer: Answer): void {
    this.#answer = answer;
  }

  exchange(to: SocketAddress, request: Uint8Array, timeout: Millis): Promise<Buffer> {
    const place = formatSocketAddress(to);
    if (!this.#isOpen) {
      return Promise.reject(unreachable(`${place} was not asked, since Weft is stopping.`));
    }
    if (request.length > MAX_STREAM_MESSAGE_BYTES) {
      return Promise.reject(
        unreachable(
          `${place} was not asked: a message of ${request.length} bytes, where ${MAX_STREAM_MESSAGE_BYTES} are the most allowed.`,
        ),
      );
    }
    const exchange = randomBytes(EXCHANGE_BYTES).toString('hex');
    return new Promise((resolve, reject) => {
      const now = this.#clock.now();
      const asked: Asked = {
        ...{ to, request, resolve, reject },
        sending: new OutgoingMessage(request.length, true, now),
        answer: new IncomingMessage(),
        deadline: this.#clock.after(timeout, () =>
          this.#fail(exchange, `${place} did not answer within ${timeout} ms over UDP.`),
        ),
      };
      this.#asked.set(exchange, asked);
      this.#sendRequest(exchange, asked);
    });
  }

  close(): Promise<void> {
    this.#isOpen = false;
    for (const [exchange, { to }] of [...this.#asked]) {
      this.#fail(exchange, `${formatSocketAddress(to)} had not answered when Weft stopped.`);
    }
    for (const exchange of [...this.#served.keys()]) this.#forget(exchange);
    return Promise.resolve();
  }

  #receive(bytes: Buffer, from: SocketAddress): void {
    const datagram = decodeExchangeDatagram(bytes);
    switch (datagram?.kind) {
      case 'piece':
        if (datagram.side === 'request') this.#takeRequest(datagram, from);
        else this.#takeAnswer(datagram, from);
        break;
      case 'acknowledgement':
        this.#acknowledged(datagram, from);
        break;
      case 'refusal':
        this.#refused(datagram.exchange);
        break;
      case undefined:
        this.counters.malformed++;
    }
  }

  // Who asks

  #sendRequest(exchange: string, asked: Asked): void {
    if (asked.sending.isDone) {
      this.#awaitAnswer(exchange, asked);
      return;
    }
    this.#sendDue('request', exchange, asked.to, asked.request, asked.sending);
    asked.timer = this.#wait(asked.timer, asked.sending.nextDue, () =>
      this.#sendRequest(exchange, asked),
    );
  }

  /** The last piece once more, now and then: it keeps the answer coming, and draws a lost refusal again. */
  #awaitAnswer(exchange: string, asked: Asked): void {
    const { to, request } = asked;
    const due = asMillis(this.#clock.now() + REMINDER);
    asked.timer = this.#wait(asked.timer, due, () => {
      const reminder = encodePiece('request', exchange, request, lastPiece(request.length));
      this.#channel.send(reminder, to);
      this.#awaitAnswer(exchange, asked);
    });
  }

  #takeAnswer(piece: Piece, from: SocketAddress): void {
    const { exchange } = piece;
    const asked = this.#asked.get(exchange);
    if (asked === undefined) {
      this.#acknowledgeEnded(piece, from);
      return;
    }
    asked.sending.acknowledgedWhole(this.#clock.now());
    this.#awaitAnswer(exchange, asked);
    if (!this.#take(asked.answer, piece, asked.to)) return;
    if (!asked.answer.isWhole) return;
    this.#endAsked(exchange, asked);
    this.#noteEnded(exchange, piece.last + 1);
    asked.resolve(asked.answer.take());
  }

  #refused(exchange: string): void {
    const asked = this.#asked.get(exchange);
    if (asked === undefined) return;
    this.#fail(
      exchange,
      `${formatSocketAddress(asked.to)} gave no answer: it is stopping, busy, or no Weft daemon of this mesh; its log says more.`,
    );
  }

  #fail(exchange: string, message: string): void {
    const asked = this.#asked.get(exchange);
    if (asked === undefined) return;
    this.#endAsked(exchange, asked);
    asked.reject(unreachable(message));
  }

  #endAsked(exchange: string, asked: Asked): void {
    this.#asked.delete(exchange);
    asked.deadline.cancel();
    asked.timer?.cancel();
  }

  // Who answers

  #takeRequest(piece: Piece, from: SocketAddress): void {
    const { exchange } = piece;
    const served = this.#served.get(exchange) ?? this.#begin(piece, from);
    if (served === undefined) return;
    served.from = from;
    served.lastHeard = this.#clock.now();
    const had = served.request.missing;
    if (!this.#take(served.request, piece, from)) return;
    // Once: further pieces of a request that is whole bring nothing new.
    if (served.request.isWhole && served.request.missing > had) this.#reply(exchange, served);
  }

  #begin(piece: Piece, from: SocketAddress): Served | undefined {
    if (this.#ended.has(piece.exchange)) {
      this.#acknowledgeEnded(piece, from);
      return undefined;
    }
    if (this.#served.size >= MAX_INBOUND) {
      this.counters.refusedBusy++;
      this.#channel.send(encodeRefusal(piece.exchange), from);
      return undefined;
    }
    const served: Served = { from, lastHeard: this.#clock.now(), request: new IncomingMessage() };
    this.#served.set(piece.exchange, served);
    this.#watch(piece.exchange, served);
    return served;
  }

  #reply(exchange: string, served: Served): void {
    const bytes = this.#answer(served.request.take(), served.from);
    if (bytes === undefined || bytes.length > MAX_STREAM_MESSAGE_BYTES) {
      this.counters.unanswered++;
      this.#channel.send(encodeRefusal(exchange), served.from);
      this.#forget(exchange, 'refused');
      return;
    }
    const sending = new OutgoingMessage(bytes.length, false, this.#clock.now());
    served.answer = { bytes: Buffer.from(bytes), sending };
    this.#sendAnswer(exchange, served);
  }

  #sendAnswer(exchange: string, served: Served): void {
    const { answer, from } = served;
    if (answer === undefined) return;
    this.#sendDue('answer', exchange, from, answer.bytes, answer.sending);
    this.#watch(exchange, served);
  }

  /** Has the next thing done that an exchange needs if nothing comes: sending again, or giving up. */
  #watch(exchange: string, served: Served): void {
    const sending = served.answer?.sending;
    const isUnheard = sending?.isHeard === false;
    const heard = Math.max(served.lastHeard, sending?.lastHeard ?? 0);
    const end = asMillis(heard + (isUnheard ? UNHEARD : SILENCE));
    const due = sending?.nextDue;
    const next = due === undefined || due > end ? end : due;
    served.timer = this.#wait(served.timer, next, () => {
      if (this.#clock.now() < end) {
        this.#sendAnswer(exchange, served);
        return;
      }
      this.counters.brokenOff++;
      this.#forget(exchange);
    });
  }

  #forget(exchange: string, as?: 'refused'): void {
    const served = this.#served.get(exchange);
    if (served === undefined) return;
    served.timer?.cancel();
    this.#served.delete(exchange);
    this.#noteEnded(exchange, as ?? served.request.missing);
  }

  // Both

  /** Sends what is due of a message. */
  #sendDue(
    side: Side,
    exchange: string,
    to: SocketAddress,
    message: Uint8Array,
    sending: OutgoingMessage,
  ): void {
    const before = sending.sentAgain;
    for (const index of sending.due(this.#clock.now())) {
      this.#channel.send(encodePiece(side, exchange, message, index), to);
    }
    this.counters.resent += sending.sentAgain - before;
  }

  /** Adds a piece to its message and acknowledges; false for one that doesn't fit it. */
  #take(message: IncomingMessage, piece: Piece, to: SocketAddress): boolean {
    const { index, last, bytes } = piece;
    const isTooLong = last > LAST_INDEX || (index === LAST_INDEX && bytes.length > LAST_BYTES);
    const verdict = isTooLong ? 'contradiction' : message.add(index, last, bytes);
    if (verdict === 'contradiction') {
      this.counters.malformed++;
      return false;
    }
    if (verdict === 'acknowledge') {
      const state = message.acknowledgement();
      this.#channel.send(encodeAcknowledgement(piece.side, piece.exchange, state), to);
    }
    return true;
  }

  #acknowledged(
    datagram: ExchangeDatagram & { kind: 'acknowledgement' },
    from: SocketAddress,
  ): void {
    const { exchange, side, missing, later } = datagram;
    const now = this.#clock.now();
    if (side === 'request') {
      const asked = this.#asked.get(exchange);
      if (asked === undefined || asked.sending.isDone) return;
      asked.sending.acknowledged(missing, later, now);
      this.#sendRequest(exchange, asked);
      return;
    }
    const served = this.#served.get(exchange);
    if (served?.answer === undefined) return;
    served.from = from;
    served.lastHeard = now;
    served.answer.sending.acknowledged(missing, later, now);
    if (!served.answer.sending.isDone) {
      this.#sendAnswer(exchange, served);
      return;
    }
    this.counters.answered++;
    this.#forget(exchange);
  }

  /** The other end has not heard that all of the message is here, or that there is no answer. */
  #acknowledgeEnded({ exchange, side }: Piece, to: SocketAddress): void {
    const missing = this.#ended.get(exchange);
    if (missing === undefined) return;
    this.#channel.send(
      missing === 'refused'
        ? encodeRefusal(exchange)
        : encodeAcknowledgement(side, exchange, { missing, later: 0n }),
      to,
    );
  }

  #noteEnded(exchange: string, how: number | 'refused'): void {
    this.#ended.set(exchange, how);
    const [oldest] = this.#ended.keys();
    if (this.#ended.size > MAX_ENDED && oldest !== undefined) this.#ended.delete(oldest);
  }

  #wait(known: Timer | undefined, due: Millis | undefined, run: () => void): Timer | undefined {
    known?.cancel();
    if (due === undefined) return undefined;
    return this.#clock.after(asMillis(Math.max(0, due - this.#clock.now())), run);
  }
}

const unreachable = (message: string): AppError => new AppError('E_JOIN_UNREACHABLE', message);
