import type { Clock } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { asMillis, formatSocketAddress, type Millis, type SocketAddress } from '../base/types.ts';
import type { StreamTransport } from '../underlay/stream.ts';
import {
  ENVELOPE_KIND,
  type Asked,
  type Envelope,
  type EnvelopeRefusal,
  type Quote,
} from './envelope.ts';

/**
 * First bytes of stream messages that are not sealed by the envelope: what they carry is sealed on its own,
 * since one of the two hosts lacks the mesh's keys.
 *
 *   0x46 joining, 0x47 keyring     request and answer: kind (8) · body
 *   0x45 refusal                   instead of an answer: kind (8) · reason (8)
 */
export const BARE_KIND = { refusal: 0x45, joining: 0x46, keyring: 0x47 } as const;
export type BareKind = (typeof BARE_KIND)['joining' | 'keyring'];

const REFUSAL = { keys: 1, open: 2, sealed: 3, self: 4 } as const;

/** The body of the answer to a question of this kind; undefined refuses it. */
export type BareHandler = (body: Buffer, from: SocketAddress) => Uint8Array | undefined;

export interface MeshStreamsOptions {
  readonly inner: StreamTransport;
  /** Undefined in a mesh whose gossip is open. */
  readonly envelope: Envelope | undefined;
  readonly clock: Clock;
}

type Answerer = (request: Buffer, from: SocketAddress) => Uint8Array | undefined;

/**
 * The mesh port's streams: seals each request and its answer, and answers questions about keys, which come
 * bare. A request that was recorded is answered with nothing but that its sender has to greet first.
 */
export class MeshStreams implements StreamTransport {
  readonly #options: MeshStreamsOptions;
  readonly #bare = new Map<number, BareHandler>();
  #answer: Answerer = () => undefined;

  constructor(options: MeshStreamsOptions) {
    this.#options = options;
    options.inner.onRequest((request, from) => this.#onRequest(request, from));
  }

  get local(): SocketAddress {
    return this.#options.inner.local;
  }

  onRequest(answer: Answerer): void {
    this.#answer = answer;
  }

  /** Answers bare questions of a kind, once per kind. */
  serveBare(kind: BareKind, handler: BareHandler): void {
    this.#bare.set(kind, handler);
  }

  /** Puts a bare question; undefined if there is no answer, or none of its kind. */
  async askBare(
    kind: BareKind,
    to: SocketAddress,
    body: Uint8Array,
    timeout: Millis,
  ): Promise<Buffer | undefined> {
    const question = Buffer.concat([Buffer.of(kind), body]);
    try {
      const answer = await this.#options.inner.exchange(to, question, timeout);
      return answer[0] === kind ? answer.subarray(1) : undefined;
    } catch (error) {
      if (error instanceof AppError) return undefined;
      throw error;
    }
  }

  /** As `StreamTransport.exchange`; E_MESH_KEYS if the other has other keys, or is open where this is not. */
  async exchange(to: SocketAddress, request: Uint8Array, timeout: Millis): Promise<Buffer> {
    const { inner, envelope, clock } = this.#options;
    if (envelope === undefined) {
      return checkRefusal(await inner.exchange(to, request, timeout), to);
    }
    const until = clock.now() + timeout;
    const first = await this.#exchange(envelope, { to, request, timeout });
    if (Buffer.isBuffer(first)) return first;
    const left = asMillis(Math.max(1, until - clock.now()));
    const second = await this.#exchange(envelope, { to, request, timeout: left }, first);
    if (Buffer.isBuffer(second)) return second;
    throw unintelligible(to);
  }

  async #exchange(
    envelope: Envelope,
    { to, request, timeout }: Question,
    again?: Greeting,
  ): Promise<Buffer | Greeting> {
    const { inner, clock } = this.#options;
    const asked = envelope.sealRequest(request, clock.now(), again);
    const sealed = checkRefusal(await inner.exchange(to, asked.bytes, timeout), to);
    const answer = envelope.openAnswer(asked, sealed, clock.now());
    if (answer.kind === 'answer') return answer.bytes;
    if (answer.kind === 'greet-first') return { first: asked, quote: answer.quote };
    throw unintelligible(to);
  }

  #onRequest(request: Buffer, from: SocketAddress): Uint8Array | undefined {
    const kind = request[0] ?? 0;
    const handler = this.#bare.get(kind);
    if (handler !== undefined) {
      const answer = handler(request.subarray(1), from);
      return answer && Buffer.concat([Buffer.of(kind), answer]);
    }
    const { envelope } = this.#options;
    if (envelope === undefined) {
      return kind === ENVELOPE_KIND.request ? refusal('open') : this.#answer(request, from);
    }
    if (kind !== ENVELOPE_KIND.request) {
      envelope.count('envelopeMissing');
      return refusal('sealed');
    }
    return this.#onSealed(envelope, request, from);
  }

  #onSealed(envelope: Envelope, request: Buffer, from: SocketAddress): Uint8Array | undefined {
    const opened = envelope.openRequest(request, this.#options.clock.now());
    if (opened.kind === 'greet-first') return opened.answer;
    if (opened.kind === 'refused') return refusalFor(opened.refusal);
    const answer = this.#answer(opened.bytes, from);
    return answer && opened.seal(answer);
  }

  close(): Promise<void> {
    return this.#options.inner.close();
  }
}

/** What the second try of a request needs of the first. */
interface Greeting {
  readonly first: Asked;
  readonly quote: Quote;
}

interface Question {
  readonly to: SocketAddress;
  readonly request: Uint8Array;
  readonly timeout: Millis;
}

const refusal = (reason: keyof typeof REFUSAL): Buffer =>
  Buffer.of(BARE_KIND.refusal, REFUSAL[reason]);

/** What was recorded is not answered at all. */
function refusalFor(why: EnvelopeRefusal): Buffer | undefined {
  if (why === 'envelopeReplayed') return undefined;
  return refusal(why === 'envelopeReflected' ? 'self' : 'keys');
}

/** Whoever is on the way can forge a refusal, as he can cut the connection. */
function checkRefusal(answer: Buffer, to: SocketAddress): Buffer {
  if (answer[0] !== BARE_KIND.refusal) return answer;
  const place = formatSocketAddress(to);
  if (answer[1] === REFUSAL.keys) {
    throw new AppError(
      'E_MESH_KEYS',
      `The host at ${place} does not know this host's keys; run "weft token" there, and here "weft join HOST --token-file FILE" with the word that it prints.`,
    );
  }
  if (answer[1] === REFUSAL.self) {
    throw new AppError('E_JOIN_SELF', `${place} is this very host; name another host to join.`);
  }
  const [theirs, ours] = answer[1] === REFUSAL.open ? ['open', 'sealed'] : ['sealed', 'open'];
  throw new AppError(
    'E_MESH_KEYS',
    `The gossip of the host at ${place} is ${theirs} and that of this host ${ours}; start all hosts of a mesh with the same --gossip.`,
  );
}

const unintelligible = (to: SocketAddress): AppError =>
  new AppError(
    'E_JOIN_UNREACHABLE',
    `What answers at ${formatSocketAddress(to)} can't be read with this mesh's keys; check that the address and port are those of a Weft host.`,
  );
