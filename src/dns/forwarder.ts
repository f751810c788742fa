import type { Clock } from '../base/clock.ts';
import { randomInt, type Rng } from '../base/rng.ts';
import { asMillis, type SocketAddress } from '../base/types.ts';
import type { DnsCounts } from './counters.ts';
import { isReplyTo, withId, type Query } from './packet.ts';
import type { DnsSockets, Transport } from './sockets.ts';

/** Askers give up after 5 s (resolv.conf(5)); two servers must have had their turn by then. */
const TRY_FOR = asMillis(2000);
const MAX_TRIES = 2;
/** Each has a socket. What a host's containers have outstanding at once stays far below. */
export const MAX_OUTSTANDING = 256;
const IDS = 0x1_0000;

export interface ForwarderOptions {
  readonly sockets: Pick<DnsSockets, 'ask'>;
  /** The servers to ask, best first, as of now. */
  readonly upstreams: () => readonly SocketAddress[];
  /** Whether we listen there ourselves: a question would come back for ever. */
  readonly isOurs: (server: SocketAddress) => boolean;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly counts: DnsCounts;
}

/**
 * Asks the host's own name servers, and keeps no answer: a cache is theirs. Each question has an id and
 * a port of its own, so that nobody who does not see it can forge an answer (RFC 5452).
 */
export class Forwarder {
  readonly #options: ForwarderOptions;
  #outstanding = 0;

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** The first server's answer with the asker's id, or undefined if there is none. */
  async forward(query: Query, message: Buffer, transport: Transport): Promise<Buffer | undefined> {
    const { counts } = this.#options;
    if (this.#outstanding >= MAX_OUTSTANDING) {
      counts.forwardOverflow++;
      return undefined;
    }
    this.#outstanding++;
    try {
      for (const server of this.#servers()) {
        const answer = await this.#ask(server, query, message, transport);
        if (answer === undefined) continue;
        counts.forwarded++;
        return withId(answer, query.id);
      }
    } finally {
      this.#outstanding--;
    }
    counts.forwardFailed++;
    return undefined;
  }

  #servers(): readonly SocketAddress[] {
    const { upstreams, isOurs, counts } = this.#options;
    const all = upstreams();
    const others = all.filter((server) => !isOurs(server));
    if (others.length < all.length) counts.forwardLoop++;
    return others.slice(0, MAX_TRIES);
  }

  async #ask(
    server: SocketAddress,
    query: Query,
    message: Buffer,
    transport: Transport,
  ): Promise<Buffer | undefined> {
    const { sockets, clock, rng } = this.#options;
    const id = randomInt(rng, IDS);
    const stop = new AbortController();
    const timer = clock.after(TRY_FOR, () => stop.abort());
    const isAnswer = (bytes: Buffer): boolean => isReplyTo(bytes, id, query);
    try {
      return await sockets.ask(server, withId(message, id), transport, isAnswer, stop.signal);
    } finally {
      timer.cancel();
    }
  }
}
