import { Listeners } from '../base/events.ts';
import type { Logger } from '../base/log.ts';
import type { LinkEvent } from '../api/control.ts';

/** Older ones are forgotten. */
export const MAX_EVENTS = 1_000;

export interface EventsOptions {
  readonly wallNow: () => number;
  readonly log: Logger;
}

/** What has happened to links of late, in words: in the log, and for `weft events`. */
export class LinkEvents {
  readonly #options: EventsOptions;
  readonly #added = new Listeners<LinkEvent>();
  #events: LinkEvent[] = [];
  #sequence = 0;

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  /** `peer` is the host's name; `text` says the rest: `path to b: direct 192.0.2.7:7783 -> relay c: 3 probes lost`. */
  add(kind: LinkEvent['kind'], peer: string, text: string): void {
    const { wallNow, log } = this.#options;
    const at = new Date(wallNow()).toISOString();
    const event: LinkEvent = { sequence: ++this.#sequence, at, kind, peer, text };
    this.#events.push(event);
    if (this.#events.length > MAX_EVENTS) this.#events = this.#events.slice(-MAX_EVENTS / 2);
    log.info({ peer, event: kind }, text);
    this.#added.emit(event);
  }

  /** Those later than the one of that number, the oldest first. */
  after(sequence: number): readonly LinkEvent[] {
    return this.#events.filter((event) => event.sequence > sequence);
  }

  onEvent(listener: (event: LinkEvent) => void): () => void {
    return this.#added.add(listener);
  }
}
