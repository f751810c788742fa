import { AppError } from '../base/errors.ts';
import { randomInt } from '../base/rng.ts';
import { formatSocketAddress, type SocketAddress } from '../base/types.ts';
import { retransmitLimit } from './broadcast.ts';
import { encodeClaim, encodeRow, normalizeIp, type Cargo } from './cargo.ts';
import type { Core } from './core.ts';
import type { Courier } from './courier.ts';
import { refusalError, unintelligibleAnswer, type JoinOutcome } from './join.ts';
import { isActive, isSameAddress, isUnspecified, type MemberRecord } from './member.ts';
import type { Membership } from './membership.ts';
import { decodeHeader, encodeHeader } from './message.ts';
import type { Replica } from './replica.ts';
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswerHead,
  encodeRefusal,
  encodeRequestHead,
  type Purpose,
  type Refusal,
  type SyncAcceptance,
  type SyncRequest,
} from './sync-message.ts';

/** Longest request or answer, as the stream transport allows. */
export const MAX_SYNC_BYTES = 16 * 2 ** 20;

/** Push-pull stays at its interval up to this many hosts; each doubling beyond adds one interval. */
const SCALE_FROM_HOSTS = 32;

/** How much longer than configured the push-pull interval is with `hosts` in the mesh. */
export function pushPullScale(hosts: number): number {
  return hosts <= SCALE_FROM_HOSTS ? 1 : Math.ceil(Math.log2(hosts / SCALE_FROM_HOSTS)) + 1;
}

/** Of a larger mesh only so many hosts call one lost host at a time: the calls to it don't grow with N. */
const REJOIN_CALLERS = 32;

interface Pending {
  readonly purpose: Purpose;
  readonly to: SocketAddress;
}

/**
 * Push-pull: two hosts give each other all they know, over TCP. It joins a host to the mesh, mends what
 * gossip missed, and calls lost members and seeds again, for ever.
 */
export class Synchroniser {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #membership: Membership;
  readonly #replica: Replica;
  readonly #take: (cargo: Cargo) => void;
  readonly #pending = new Map<number, Pending>();
  /** Addresses that turned out to be this host. */
  readonly #own = new Set<string>();
  #seeds: readonly SocketAddress[] = [];
  #pushPullRound = 0;
  #rejoinRound = 0;
  #rejoinFailures = 0;
  #nextMeeting = 0;
  /** Push-pulls still to follow each other quickly. */
  #hurried = 0;
  /** Where the next whole state begins in the order of rows, if the last one did not fit. */
  #firstRow = 0;

  /** `take` merges what a message carries. */
  constructor(
    core: Core,
    courier: Courier,
    membership: Membership,
    replica: Replica,
    take: (cargo: Cargo) => void,
  ) {
    this.#core = core;
    this.#courier = courier;
    this.#membership = membership;
    this.#replica = replica;
    this.#take = take;
  }

  /** Begins a join; its end is a `joined` effect with the number returned. */
  join(target: SocketAddress): number {
    return this.#begin('join', target);
  }

  /** Addresses to call for as long as no member is known there. The first call follows at once. */
  setSeeds(seeds: readonly SocketAddress[]): void {
    this.#seeds = seeds;
    this.#rejoinFailures = 0;
    this.#scheduleRejoin(0);
  }

  /** Ends every exchange under way: what comes back must not draw a host that left into the mesh again. */
  abandon(): void {
    this.setSeeds([]);
    const error = new AppError(
      'E_JOIN_UNREACHABLE',
      'This host left the mesh before the join ended; join again.',
    );
    for (const exchange of [...this.#pending.keys()]) this.exchangeFailed(exchange, error);
  }

  /** Sets the periodic exchanges going. */
  start(): void {
    this.#schedulePushPull(this.#core.rng.next() * this.#core.config.pushPullInterval);
  }

  /**
   * Brings the next push-pulls forward, as many as a broadcast is sent times: something must be told
   * that no datagram can carry.
   */
  hasten(): void {
    this.#hurried = retransmitLimit(this.#core.config, this.#core.hosts);
    this.#schedulePushPull(this.#hurry());
  }

  /**
   * Somebody in the mesh whom this host does not know has spoken from `from`: gossip passed this host by,
   * or it forgot. One such host at a time, and not more often than `rejoinMin`, is asked for its state.
   */
  meet(from: SocketAddress): void {
    const { now } = this.#core.outbox.at;
    if (this.#core.phase !== 'attached' || now < this.#nextMeeting) return;
    this.#nextMeeting = now + this.#core.config.rejoinMin;
    this.#begin('push-pull', from);
  }

  pushPullDue(round: number): void {
    if (round !== this.#pushPullRound) return;
    const { roster, rng, config, hosts } = this.#core;
    const [partner] = roster.pick(1, rng, ({ state }) => state === 'alive');
    if (partner !== undefined) this.#begin('push-pull', partner.address);
    const interval = config.pushPullInterval * pushPullScale(hosts) * (0.75 + rng.next() / 2);
    if (this.#hurried > 0) this.#hurried--;
    this.#schedulePushPull(this.#hurried > 0 ? this.#hurry() : interval);
  }

  /** Calls some of the lost, and sets the next call later the longer nobody answers. */
  rejoinDue(round: number): void {
    if (round !== this.#rejoinRound) return;
    const { rng, config } = this.#core;
    const lost = this.#core.phase === 'attached' ? this.#lost() : [];
    this.#rejoinFailures = lost.length === 0 ? 0 : Math.min(30, this.#rejoinFailures + 1);
    for (let calls = 0; calls < config.rejoinTargets && lost.length > 0; calls++) {
      const [target] = lost.splice(randomInt(rng, lost.length), 1);
      const isCaller = rng.next() * this.#core.hosts < REJOIN_CALLERS;
      if (target !== undefined && isCaller) this.#begin('rejoin', target);
    }
    const wait = Math.min(
      config.rejoinMax,
      config.rejoinMin * 2 ** Math.max(0, this.#rejoinFailures - 1),
    );
    this.#scheduleRejoin(wait);
  }

  /**
   * Answers somebody's request, having merged it.
   * @returns the answer, or `undefined` for bytes that deserve none
   */
  answer(bytes: Buffer, from: SocketAddress): Uint8Array | undefined {
    const { counters, self, label } = this.#core;
    const header = decodeHeader(bytes);
    const request = header && decodeRequest(bytes, header.bodyAt);
    if (header === undefined || request === undefined) {
      counters.add(header === undefined ? 'dropKind' : 'dropMalformed');
      return undefined;
    }
    const refusal = this.#refusalOf(request, header.label);
    if (refusal !== undefined) {
      counters.add('exchangesRefused');
      return encodeRefusal(encodeHeader(self.protocol.max, label), refusal);
    }
    counters.add('exchangesAnswered');
    this.#core.phase = 'attached';
    this.#takeFrom(request, from);
    const version = Math.min(self.protocol.max, request.protocol.max);
    const appearAs = {
      address: normalizeIp(from.address),
      port: request.self.address.port,
    };
    const head = encodeAnswerHead(encodeHeader(version, label), this.#core.self, appearAs);
    return this.#withState(head);
  }

  /** The answer to exchange `exchange` has come. */
  exchanged(exchange: number, bytes: Buffer): void {
    const pending = this.#pending.get(exchange);
    this.#pending.delete(exchange);
    if (pending === undefined) return;
    const header = decodeHeader(bytes);
    const answer = header && decodeAnswer(bytes, header.bodyAt);
    if (answer === undefined) {
      this.#core.counters.add('dropMalformed');
      this.#conclude(exchange, pending, unintelligibleAnswer(pending.to));
    } else if (answer.refusal !== undefined) {
      this.#refused(exchange, pending, answer.refusal);
    } else {
      this.#accepted(exchange, pending, answer);
    }
  }

  exchangeFailed(exchange: number, error: AppError): void {
    const pending = this.#pending.get(exchange);
    this.#pending.delete(exchange);
    if (pending !== undefined) this.#conclude(exchange, pending, error);
  }

  #begin(purpose: Purpose, to: SocketAddress): number {
    const { self, counters, outbox, config } = this.#core;
    const exchange = this.#core.nextExchange();
    this.#pending.set(exchange, { purpose, to });
    counters.add('exchangesStarted');
    const header = this.#core.headerFor(undefined);
    const head = encodeRequestHead(header, { protocol: self.protocol, purpose, self });
    const request = this.#withState(head);
    outbox.push({ kind: 'exchange', exchange, to, request, timeout: config.exchangeTimeout });
    return exchange;
  }

  #refusalOf(request: SyncRequest, label: string): Refusal | undefined {
    const { self, phase } = this.#core;
    if (label !== this.#core.label) return { reason: 'label', label: this.#core.label };
    const { min, max } = request.protocol;
    if (min > self.protocol.max || max < self.protocol.min) {
      return { reason: 'version', protocol: self.protocol };
    }
    if (request.self.id === self.id) return { reason: 'self' };
    const isTaken = phase === 'attached' || (phase === 'detached' && request.purpose === 'join');
    if (!isTaken) return { reason: 'detached' };
    const holder = this.#holderOfName(request);
    return holder && { reason: 'name-taken', holder };
  }

  /** Another live host with the requester's name; one that is a member already is not asked again. */
  #holderOfName({ self }: SyncRequest): MemberRecord | undefined {
    const known = this.#core.roster.get(self.id);
    if (known !== undefined && isActive(known)) return undefined;
    return this.#core.self.name === self.name ? this.#core.self : this.#core.namesake(self);
  }

  #takeFrom(request: SyncRequest, from: SocketAddress): void {
    const { self } = request;
    const address = isUnspecified(self.address.address)
      ? { address: normalizeIp(from.address), port: self.address.port }
      : self.address;
    this.#membership.merge({ record: { ...self, address } }, 'sync');
    this.#take(request);
  }

  #accepted(exchange: number, pending: Pending, answer: SyncAcceptance): void {
    const { self, roster } = this.#core;
    if (isUnspecified(self.address.address)) {
      const { address } = answer.appearAs;
      this.#membership.update({ address: { address, port: self.address.port } });
    }
    this.#core.phase = 'attached';
    const take = (): void => {
      this.#membership.merge({ record: answer.self }, 'sync');
      this.#take(answer);
    };
    // A host that knew nobody has nobody to tell what the mesh knows already.
    if (roster.active === 0 && this.#pending.size === 0) this.#courier.mute(take);
    else take();
    if (pending.purpose !== 'push-pull') this.#followUp();
    this.#conclude(exchange, pending, answer.self);
  }

  /**
   * Asks somebody else soon after a join: when many hosts join at once, the first of them are told of
   * the next by few, who soon have many to tell.
   */
  #followUp(): void {
    const { config, rng } = this.#core;
    this.#schedulePushPull(config.probeInterval * (1 + rng.next()));
  }

  #refused(exchange: number, pending: Pending, refusal: Refusal): void {
    const { self, label } = this.#core;
    if (refusal.reason === 'self') this.#own.add(formatSocketAddress(pending.to));
    const error = refusalError(refusal, { target: pending.to, self, label });
    this.#conclude(exchange, pending, error);
  }

  #conclude(exchange: number, { purpose, to }: Pending, end: AppError | MemberRecord): void {
    const outcome: JoinOutcome =
      end instanceof Error
        ? { ok: false, target: to, error: end }
        : { ok: true, target: to, id: end.id, name: end.name };
    if (!outcome.ok) this.#core.counters.add('exchangesFailed');
    if (purpose === 'join') this.#core.outbox.push({ kind: 'joined', exchange, outcome });
  }

  /** Dead members and seeds at whose address no live member, and not this host, is known. O(N). */
  #lost(): SocketAddress[] {
    const { roster, self } = this.#core;
    const isDead = roster.active < roster.size;
    const dead = isDead ? roster.all().filter(({ state }) => state === 'dead') : [];
    const byText = new Map(
      [
        ...dead.map(({ address }) => address),
        ...this.#membership.lastAddresses,
        ...this.#seeds,
      ].map((address) => [formatSocketAddress(address), address]),
    );
    if (byText.size === 0) return [];
    for (const { address } of roster.all().filter(isActive)) {
      byText.delete(formatSocketAddress(address));
    }
    for (const own of this.#own) byText.delete(own);
    return [...byText.values()].filter((address) => !isSameAddress(address, self.address));
  }

  #hurry(): number {
    return this.#core.config.gossipInterval * (0.5 + this.#core.rng.next());
  }

  #schedulePushPull(after: number): void {
    this.#core.outbox.timer({ kind: 'push-pull', round: ++this.#pushPullRound }, after);
  }

  #scheduleRejoin(after: number): void {
    this.#core.outbox.timer({ kind: 'rejoin', round: ++this.#rejoinRound }, after);
  }

  /**
   * `head` and after it the whole state: all members, then the rows, as many as fit. Those left over
   * come first in the next exchange.
   */
  #withState(head: Uint8Array): Uint8Array {
    const pieces = [head];
    let used = head.length;
    for (const record of this.#core.roster.all()) {
      const piece = encodeClaim({ record });
      pieces.push(piece);
      used += piece.length;
    }
    const rows = [...this.#replica.all()];
    const start = this.#firstRow % Math.max(1, rows.length);
    let sent = 0;
    for (; sent < rows.length; sent++) {
      const piece = encodeRow(rows[(start + sent) % rows.length] as (typeof rows)[number]);
      if (used + piece.length > MAX_SYNC_BYTES) break;
      pieces.push(piece);
      used += piece.length;
    }
    this.#firstRow = sent === rows.length ? 0 : start + sent;
    this.#core.counters.add('rowsPostponed', rows.length - sent);
    return Buffer.concat(pieces, used);
  }
}
