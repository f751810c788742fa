import { isAppError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { formatSocketAddress } from '../base/types.ts';
import { AnswerCache, type KeptAnswer } from './answer-cache.ts';
import type { DnsCounter, DnsCounts } from './counters.ts';
import type { Forwarder } from './forwarder.ts';
import { encodeRefusal, encodeReply, parseQuery, RCODE, type Query, type Reply } from './packet.ts';
import type { Resolver } from './resolver.ts';
import type { DnsSockets, Listener, ListenAt, Transport } from './sockets.ts';
import type { View } from './zone.ts';

/** What somebody may see who asks; undefined: nothing at all. */
export interface Permission {
  readonly view: View;
  /** Whether questions that are not ours to answer go to the host's name servers. */
  readonly mayForward: boolean;
}

export interface DnsServerOptions {
  readonly resolver: Pick<Resolver, 'resolve'>;
  readonly forwarder: Pick<Forwarder, 'forward'>;
  readonly sockets: Pick<DnsSockets, 'listen'>;
  readonly permit: (at: ListenAt, asker: string) => Permission | undefined;
  /** Another one whenever `resolver` or `permit` could say something else than before; it only grows. */
  readonly version: () => number;
  readonly counts: DnsCounts;
  readonly log: Logger;
}

const TC = 0x02;
const FLAGS_AT = 2;

/** Where somebody asks, with the answers that were given there. */
interface Place {
  readonly at: ListenAt;
  readonly cache: AnswerCache;
}

const keyOf = ({ address, port, device }: ListenAt): string =>
  JSON.stringify([address, port, device?.name, device?.index]);

/** Answers questions where it is told to listen. */
export class DnsServer {
  readonly #options: DnsServerOptions;
  readonly #listeners = new Map<string, { readonly at: ListenAt; readonly listener: Listener }>();
  /** Why it does not listen where it should. */
  readonly #failures = new Map<string, string>();
  #turn: Promise<void> = Promise.resolve();

  constructor(options: DnsServerOptions) {
    this.#options = options;
  }

  /** Listens at these places and no others. What can't be had is logged once, and tried again next time. */
  listenAt(wanted: readonly ListenAt[]): Promise<void> {
    this.#turn = this.#turn.then(() => this.#listenAt(wanted));
    return this.#turn;
  }

  listening(): readonly ListenAt[] {
    return Array.from(this.#listeners.values(), ({ at }) => at);
  }

  /** Sentences. */
  failures(): readonly string[] {
    return [...new Set(this.#failures.values())];
  }

  async #listenAt(wanted: readonly ListenAt[]): Promise<void> {
    const next = new Map(wanted.map((at) => [keyOf(at), at]));
    for (const [key, { at, listener }] of this.#listeners) {
      if (next.get(key)?.network === at.network && next.has(key)) continue;
      this.#listeners.delete(key);
      await listener.close();
    }
    for (const key of this.#failures.keys()) if (!next.has(key)) this.#failures.delete(key);
    for (const [key, at] of next) if (!this.#listeners.has(key)) await this.#open(key, at);
  }

  async #open(key: string, at: ListenAt): Promise<void> {
    const { sockets, log } = this.#options;
    const where = { address: formatSocketAddress(at), device: at.device?.name };
    try {
      const cache = new AnswerCache();
      const listener = await sockets.listen(at, (message, asker, transport) =>
        this.#handle({ at, cache }, message, asker, transport),
      );
      this.#listeners.set(key, { at, listener });
      this.#failures.delete(key);
      log.debug(where, 'names are answered here');
    } catch (error) {
      if (!isAppError(error)) throw error;
      if (this.#failures.get(key) === error.message) return;
      this.#failures.set(key, error.message);
      log.warn({ ...where, reason: error.message }, 'names can not be answered here');
    }
  }

  #handle(
    { at, cache }: Place,
    message: Buffer,
    asker: string,
    transport: Transport,
  ): Buffer | undefined | Promise<Buffer | undefined> {
    const { counts, version } = this.#options;
    counts[transport]++;
    if (transport === 'tcp') return this.#answer(at, message, asker, transport);
    const kept = cache.find(message, asker, version());
    if (kept === undefined) return this.#answer(at, message, asker, transport, cache);
    for (const counter of kept.counts) counts[counter]++;
    return kept.bytes;
  }

  /** `cache` is given where the answer may be kept. */
  #answer(
    at: ListenAt,
    message: Buffer,
    asker: string,
    transport: Transport,
    cache?: AnswerCache,
  ): Buffer | undefined | Promise<Buffer | undefined> {
    const { counts, permit } = this.#options;
    const parsed = parseQuery(message);
    if (parsed.kind === 'ignore') {
      counts.ignored++;
      return undefined;
    }
    if (parsed.kind === 'refuse') {
      counts.malformed++;
      return encodeRefusal(message, parsed.rcode);
    }
    const { query } = parsed;
    const permission = permit(at, asker);
    if (permission === undefined) {
      counts.strangers++;
      return encodeReply(query, { rcode: RCODE.refused }, transport);
    }
    const verdict = this.#options.resolver.resolve(query, permission.view);
    if (verdict.kind === 'forward' && permission.mayForward) {
      return this.#forward(query, message, transport);
    }
    const reply = verdict.kind === 'reply' ? verdict.reply : { rcode: RCODE.refused };
    const answer = this.#reply(query, reply, transport);
    for (const counter of answer.counts) counts[counter]++;
    // Several addresses come in another order each time.
    if ((reply.answers?.length ?? 0) <= 1) cache?.keep(message, asker, answer);
    return answer.bytes;
  }

  async #forward(query: Query, message: Buffer, transport: Transport): Promise<Buffer> {
    const answer = await this.#options.forwarder.forward(query, message, transport);
    return answer ?? encodeReply(query, { rcode: RCODE.serverFailure }, transport);
  }

  #reply(query: Query, reply: Reply, transport: Transport): KeptAnswer {
    const bytes = encodeReply(query, reply, transport);
    const isCut = ((bytes[FLAGS_AT] ?? 0) & TC) !== 0;
    return { bytes, counts: [kindOf(reply), ...(isCut ? (['truncated'] as const) : [])] };
  }
}

function kindOf({ rcode, answers }: Reply): DnsCounter {
  if (rcode === RCODE.nameError) return 'noName';
  if (rcode !== RCODE.noError) return 'refused';
  return answers?.length === 0 ? 'noData' : 'answered';
}
