import type { Clock } from '../../src/base/clock.ts';
import { AppError } from '../../src/base/errors.ts';
import { seededRng, type Rng } from '../../src/base/rng.ts';
import {
  asMillis,
  formatSocketAddress,
  type Millis,
  type SocketAddress,
} from '../../src/base/types.ts';
import type { DatagramChannel } from '../../src/underlay/datagram.ts';
import { MAX_STREAM_MESSAGE_BYTES, type StreamTransport } from '../../src/underlay/stream.ts';

/** The quality of every path; it may be changed while the network runs. */
export interface LinkQuality {
  /** Chance from 0 to 1 that a datagram vanishes. Streams lose nothing: they are TCP. */
  loss: number;
  /** Chance from 0 to 1 that a datagram arrives twice. */
  duplication: number;
  /** One-way delay, drawn uniformly from this range in milliseconds; so datagrams may overtake. */
  minDelay: number;
  maxDelay: number;
}

export const PERFECT_LINK: LinkQuality = { loss: 0, duplication: 0, minDelay: 1, maxDelay: 1 };

type Receive = (bytes: Buffer, from: SocketAddress) => void;
type Answer = (request: Buffer, from: SocketAddress) => Uint8Array | undefined;

interface Host {
  receive: Receive;
  answer: Answer | undefined;
}

/**
 * An underlay in memory: the twin of both seams, with seeded loss, delay and duplication on a clock
 * that the test advances. Hosts are addresses; a datagram to nobody vanishes, a stream to nobody is refused.
 */
export class MemoryNetwork {
  readonly link: LinkQuality;
  /** Datagrams sent, lost ones included. */
  sent = 0;
  readonly #clock: Clock;
  readonly #rng: Rng;
  readonly #hosts = new Map<string, Host>();
  readonly #cut = new Set<string>();

  constructor(clock: Clock, options: { readonly seed: number } & Partial<LinkQuality>) {
    const { seed, ...link } = options;
    this.#clock = clock;
    this.#rng = seededRng(seed);
    this.link = { ...PERFECT_LINK, ...link };
  }

  /** Both seams of one host. Opening a key that is open replaces it, as a restart would. */
  open(local: SocketAddress): {
    readonly channel: DatagramChannel;
    readonly stream: StreamTransport;
  } {
    const host: Host = { receive: () => undefined, answer: undefined };
    this.#hosts.set(formatSocketAddress(local), host);
    return { channel: this.#channel(local, host), stream: this.#stream(local, host) };
  }

  /** Takes a host away without a word, as a power cut does. */
  remove(local: SocketAddress): void {
    this.#hosts.delete(formatSocketAddress(local));
  }

  /** Cuts or mends the path from one host to another; the way back is separate. */
  setCut(from: SocketAddress, to: SocketAddress, isCut: boolean): void {
    if (isCut) this.#cut.add(pathKey(from, to));
    else this.#cut.delete(pathKey(from, to));
  }

  #channel(local: SocketAddress, host: Host): DatagramChannel {
    return {
      local,
      send: (bytes, to) => {
        if (this.#isLive(local, host)) this.#sendDatagram(bytes, local, to);
      },
      onReceive: (receive) => {
        host.receive = receive;
      },
    };
  }

  #sendDatagram(bytes: Uint8Array, from: SocketAddress, to: SocketAddress): void {
    this.sent++;
    // Every datagram draws the same numbers whatever becomes of it, so that one seed gives one run.
    const [isLost, isTwice] = [this.#draw(this.link.loss), this.#draw(this.link.duplication)];
    const delays = [this.#delay(), this.#delay()];
    if (isLost || this.#cut.has(pathKey(from, to))) return;
    for (const delay of isTwice ? delays : delays.slice(0, 1)) {
      const copy = Buffer.from(bytes);
      this.#clock.after(delay, () => this.#host(to)?.receive(copy, from));
    }
  }

  #stream(local: SocketAddress, host: Host): StreamTransport {
    return {
      local,
      exchange: (to, request, timeout) => this.#exchange(local, to, request, timeout),
      onRequest: (answer) => {
        host.answer = answer;
      },
      close: () => {
        if (this.#isLive(local, host)) this.remove(local);
        return Promise.resolve();
      },
    };
  }

  #exchange(
    from: SocketAddress,
    to: SocketAddress,
    request: Uint8Array,
    timeout: Millis,
  ): Promise<Buffer> {
    const place = formatSocketAddress(to);
    const copy = Buffer.from(request);
    return new Promise((resolve, reject) => {
      const refuse = (why: string): void => {
        reject(new AppError('E_JOIN_UNREACHABLE', `${place} ${why}`));
      };
      if (copy.length > MAX_STREAM_MESSAGE_BYTES) {
        refuse('was not asked: the message is too long');
        return;
      }
      const limit = this.#clock.after(timeout, () => refuse(`did not answer within ${timeout} ms`));
      const settle = (answer: Buffer | string): void => {
        limit.cancel();
        if (typeof answer === 'string') refuse(answer);
        else resolve(answer);
      };
      this.#carry(from, to, () => this.#serve(from, to, copy, settle));
    });
  }

  /** The request has arrived: what comes back is the answer, or why there is none. */
  #serve(
    from: SocketAddress,
    to: SocketAddress,
    request: Buffer,
    settle: (answer: Buffer | string) => void,
  ): void {
    const host = this.#host(to);
    if (host === undefined) {
      settle('refused the connection');
      return;
    }
    const answer = host.answer?.(request, from);
    const copy = answer && Buffer.from(answer);
    this.#carry(to, from, () => settle(copy ?? 'closed the connection before it answered'));
  }

  /** One way of a stream: delayed, never lost, and never there while the path is cut. */
  #carry(from: SocketAddress, to: SocketAddress, arrive: () => void): void {
    if (this.#cut.has(pathKey(from, to))) return;
    this.#clock.after(this.#delay(), arrive);
  }

  #host(at: SocketAddress): Host | undefined {
    return this.#hosts.get(formatSocketAddress(at));
  }

  #isLive(local: SocketAddress, host: Host): boolean {
    return this.#host(local) === host;
  }

  #draw(chance: number): boolean {
    return this.#rng.next() < chance;
  }

  #delay(): Millis {
    const { minDelay, maxDelay } = this.link;
    return asMillis(minDelay + this.#rng.next() * (maxDelay - minDelay));
  }
}

function pathKey(from: SocketAddress, to: SocketAddress): string {
  return `${formatSocketAddress(from)} > ${formatSocketAddress(to)}`;
}
