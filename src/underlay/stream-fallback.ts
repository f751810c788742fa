import type { Clock } from '../base/clock.ts';
import { asMillis, formatSocketAddress, type Millis, type SocketAddress } from '../base/types.ts';
import { NotConnectedError, type ConnectingTransport, type StreamTransport } from './stream.ts';

/** Longest that TCP may take to connect before datagrams are tried: more than two round trips around the world. */
const CONNECT_WITHIN = 800;
/** For so long after TCP could not connect to a place, datagrams are used at once. */
const REMEMBERED = 60_000;
const MAX_REMEMBERED = 1024;

export interface FallbackOptions {
  readonly tcp: ConnectingTransport;
  readonly datagrams: StreamTransport;
  /** Whether there may be a way to the host at this address that TCP has not; others are asked by TCP alone. */
  readonly mayFallBack: (to: SocketAddress) => boolean;
  readonly clock: Clock;
}

/**
 * TCP, and for hosts to which TCP can't connect (behind a NAT, beyond a relay) the same exchange over
 * datagrams. Nothing is asked twice: only what was never connected is tried again.
 */
export class FallbackStreams implements StreamTransport {
  readonly #options: FallbackOptions;
  /** Places to which TCP did not connect, and until when that is remembered; the oldest first. */
  readonly #unconnected = new Map<string, number>();

  constructor(options: FallbackOptions) {
    this.#options = options;
  }

  get local(): SocketAddress {
    return this.#options.tcp.local;
  }

  onRequest(answer: (request: Buffer, from: SocketAddress) => Uint8Array | undefined): void {
    this.#options.tcp.onRequest(answer);
    this.#options.datagrams.onRequest(answer);
  }

  async exchange(to: SocketAddress, request: Uint8Array, timeout: Millis): Promise<Buffer> {
    const { tcp, datagrams, mayFallBack, clock } = this.#options;
    if (!mayFallBack(to)) return tcp.exchange(to, request, timeout);
    const place = formatSocketAddress(to);
    if ((this.#unconnected.get(place) ?? 0) > clock.now()) {
      return datagrams.exchange(to, request, timeout);
    }
    const start = clock.now();
    try {
      const connectWithin = asMillis(Math.min(CONNECT_WITHIN, timeout / 2));
      return await tcp.exchange(to, request, timeout, connectWithin);
    } catch (error) {
      if (!(error instanceof NotConnectedError)) throw error;
      this.#remember(place);
      const left = asMillis(Math.max(0, timeout - (clock.now() - start)));
      return await datagrams.exchange(to, request, left);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#options.tcp.close(), this.#options.datagrams.close()]);
  }

  #remember(place: string): void {
    this.#unconnected.delete(place);
    this.#unconnected.set(place, this.#options.clock.now() + REMEMBERED);
    const [oldest] = this.#unconnected.keys();
    if (this.#unconnected.size > MAX_REMEMBERED && oldest !== undefined) {
      this.#unconnected.delete(oldest);
    }
  }
}
