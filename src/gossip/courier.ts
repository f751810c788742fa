import type { SocketAddress } from '../base/types.ts';
import { BroadcastQueue, retransmitLimit, type Broadcast } from './broadcast.ts';
import { encodeClaim, encodeRow, type Claim } from './cargo.ts';
import type { Core } from './core.ts';
import { isActive, type Member } from './member.ts';
import { encodeDatagramHead, STREAM_KIND, type Body } from './message.ts';
import type { Row } from './replica.ts';

/** Room that every datagram keeps for its header, sender and body, whatever they are. */
const HEAD_BYTES = 128;

/**
 * Sends datagrams, each filled up with news. News that arrives at an idle host leaves after
 * `gossipDelay`, its own rows at once, and then round by round until everything was sent often enough; a host with nothing
 * to tell sets no timer.
 */
export class Courier {
  readonly #core: Core;
  readonly #queue = new BroadcastQueue();
  /** The latest round asked for; timers of earlier ones are pointless. */
  #round = 0;
  /** When it is due; Infinity: none is. */
  #nextRound = Infinity;
  #lastRound = -Infinity;
  #isMuted = false;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Broadcasts waiting to be sent (again). */
  get queued(): number {
    return this.#queue.size;
  }

  /** Sends one datagram. A recipient that is not held alive hears that first, so that it can refute. */
  send(to: SocketAddress, body: Body, recipient: Member | undefined): void {
    this.#dispatch(to, body, recipient, buddyNews(recipient));
  }

  /** A datagram for a stream: no news, but what a recipient in doubt must hear. */
  compose(body: Body, recipient: Member | undefined): Uint8Array {
    const header = this.#core.headerFor(recipient, STREAM_KIND);
    const head = encodeDatagramHead(header, this.#core.self.id, body);
    return Buffer.concat([head, ...buddyNews(recipient)]);
  }

  /** Queues what is now held of a member, in place of anything older about it. */
  announce(claim: Claim): void {
    if (!this.#isMuted) this.#put(`m${claim.record.id}`, encodeClaim(claim));
  }

  /** Queues this host's own record, even while muted. */
  announceSelf(): void {
    const { self } = this.#core;
    this.#put(`m${self.id}`, encodeClaim({ record: self }));
  }

  /** Queues a row; false if it is too large for a datagram, so that only push-pull can carry it. */
  announceRow(row: Row): boolean {
    if (this.#isMuted) return true;
    const chunk = encodeRow(row);
    if (chunk.length > this.#core.config.datagramBytes - HEAD_BYTES) return false;
    this.#put(`r${row.table}/${row.key}`, chunk);
    return true;
  }

  /**
   * This host has news of its own, on which it is about to act: it is told at once, unless the last
   * round is less than `gossipDelay` ago.
   */
  hasten(): void {
    const { config, outbox } = this.#core;
    const earliest = this.#lastRound + config.gossipDelay;
    this.#scheduleRound(Math.max(0, earliest - outbox.at.now));
  }

  /** Runs `action` without queueing what it announces: for news that everybody else has. */
  mute(action: () => void): void {
    this.#isMuted = true;
    action();
    this.#isMuted = false;
  }

  /**
   * One round of gossip: up to `gossipBurst` datagrams to each of `gossipFanout` members, and to one of the
   * freshly dead, lest it lives; what the dead are told does not count as sent.
   */
  round(round: number): void {
    if (round !== this.#round) return;
    this.#nextRound = Infinity;
    const { roster, rng, config, outbox } = this.#core;
    this.#lastRound = outbox.at.now;
    const listeners = roster.pick(config.gossipFanout, rng, isActive);
    if (listeners.length === 0) this.#queue.clear();
    else for (const member of this.#freshlyDead()) this.#tell(member, { isCounted: false });
    for (const listener of listeners) this.#tell(listener, { isCounted: true });
    this.#scheduleRound(config.gossipInterval);
  }

  /** Tells this host's own record to `members` at once. */
  tellSelf(members: readonly Member[]): void {
    const claim = encodeClaim({ record: this.#core.self });
    for (const member of members) {
      this.#dispatch(member.address, { kind: 'news' }, member, [claim]);
    }
  }

  /** Tells one member of a row at once. */
  tellRow(member: Member, row: Row): void {
    this.#dispatch(member.address, { kind: 'news' }, member, [encodeRow(row)]);
  }

  clear(): void {
    this.#queue.clear();
  }

  #freshlyDead(): readonly Member[] {
    const { roster, rng, outbox, config } = this.#core;
    if (roster.active === roster.size) return [];
    const horizon = outbox.at.now - config.gossipToDead;
    return roster.pick(1, rng, ({ state, since }) => state === 'dead' && since > horizon);
  }

  /** Sends a member all the news there is, up to `gossipBurst` datagrams. */
  #tell(member: Member, { isCounted }: { readonly isCounted: boolean }): void {
    const sent: Broadcast[] = [];
    for (let count = 0; count < this.#core.config.gossipBurst && this.#queue.size > 0; count++) {
      sent.push(...this.#fill(member.address, { kind: 'news' }, member, buddyNews(member)));
    }
    this.#queue.giveBack(sent, this.#limit, isCounted);
  }

  #dispatch(
    to: SocketAddress,
    body: Body,
    recipient: Member | undefined,
    first: readonly Uint8Array[],
  ): void {
    this.#queue.giveBack(this.#fill(to, body, recipient, first), this.#limit);
  }

  /** Sends one datagram: head, `first`, and what news fits. Returns the news, taken from the queue. */
  #fill(
    to: SocketAddress,
    body: Body,
    recipient: Member | undefined,
    first: readonly Uint8Array[],
  ): Broadcast[] {
    const { config, counters, outbox, self } = this.#core;
    const head = encodeDatagramHead(this.#core.headerFor(recipient), self.id, body);
    const used = first.reduce((sum, chunk) => sum + chunk.length, head.length);
    const news = this.#queue.take(config.datagramBytes - used);
    const bytes = Buffer.concat([head, ...first, ...news.map(({ chunk }) => chunk)]);
    counters.add('datagramsSent');
    counters.add('datagramBytesSent', bytes.length);
    outbox.push({ kind: 'send', to, bytes });
    return news;
  }

  get #limit(): number {
    return retransmitLimit(this.#core.config, this.#core.hosts);
  }

  #put(key: string, chunk: Uint8Array): void {
    const evicted = this.#queue.put(key, chunk);
    this.#core.counters.add('broadcastsEvicted', evicted);
    if (this.#nextRound === Infinity) this.#scheduleRound(this.#core.config.gossipDelay);
  }

  /** Asks for a round; one that is due earlier stands. */
  #scheduleRound(after: number): void {
    const { outbox } = this.#core;
    const due = outbox.at.now + after;
    if (due >= this.#nextRound || this.#queue.size === 0) return;
    this.#nextRound = due;
    outbox.timer({ kind: 'gossip', round: ++this.#round }, after);
  }
}

/** What a member that is not held alive must hear before all else (Lifeguard's buddy system). */
function buddyNews(recipient: Member | undefined): Uint8Array[] {
  const isDoubted = recipient !== undefined && recipient.state !== 'alive';
  return isDoubted ? [encodeClaim({ record: recipient })] : [];
}
