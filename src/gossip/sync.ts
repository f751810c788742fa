import { AppError } from '../base/errors.ts';
import { randomInt } from '../base/rng.ts';
import { formatSocketAddress, type PeerId, type SocketAddress } from '../base/types.ts';
import { retransmitLimit } from './broadcast.ts';
import { normalizeIp } from './address.ts';
import { encodeClaim, type Cargo } from './cargo.ts';
import { Contact } from './contact.ts';
import type { Core } from './core.ts';
import type { Courier } from './courier.ts';
import { refusalError, unintelligibleAnswer, type JoinOutcome } from './join.ts';
import {
  isActive,
  isSameAddress,
  isUnspecified,
  type Member,
  type MemberRecord,
} from './member.ts';
import { MemberDigest } from './member-digest.ts';
import type { Membership } from './membership.ts';
import { decodeHeader, encodeHeader } from './message.ts';
import { Parcel } from './parcel.ts';
import {
  answerOpening,
  answerRanges,
  isSettled,
  Reconciliation,
  SAID_ALL,
  type Rows,
} from './reconcile.ts';
import type { Replica, Row } from './replica.ts';
import { Session } from './session.ts';
import type { IdOf } from './signatures.ts';
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswerHead,
  encodeMembers,
  encodeRefusal,
  encodeRequestHead,
  type Opening,
  type Purpose,
  type Refusal,
  type SyncAcceptance,
  type SyncRequest,
} from './sync-message.ts';

/** Hosts that wait for their turn while the rows of another are being compared. */
const WAITING_MAX = 4;
/** Syncs that follow each other quickly after lost members have come back. */
const REUNION_SYNCS = 3;

/** Push-pull stays at its interval up to this many hosts; each doubling beyond adds one interval. */
const SCALE_FROM_HOSTS = 32;

/** How much longer than configured the push-pull interval is with `hosts` in the mesh. */
export function pushPullScale(hosts: number): number {
  return hosts <= SCALE_FROM_HOSTS ? 1 : Math.ceil(Math.log2(hosts / SCALE_FROM_HOSTS)) + 1;
}

/** Of a larger mesh only so many hosts call one lost host at a time: the calls to it don't grow with N. */
const REJOIN_CALLERS = 32;

/** Merges what a message carries, as far as it is wanted, and returns how many rows were news. */
export type Take = (cargo: Cargo) => number;

/**
 * Push-pull: two hosts compare digests of what they know over TCP and give each other what differs. It
 * joins a host to the mesh, mends what gossip missed, and calls lost members and seeds again, for ever.
 */
export class Synchroniser {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #membership: Membership;
  readonly #replica: Replica;
  readonly #take: Take;
  readonly #members: MemberDigest;
  readonly #contact: Contact;
  /** Digest of the rows when the contact was saved. */
  #rowsAtContact: Uint8Array = new Uint8Array();
  /** Syncs under way, by the exchange whose answer they wait for. */
  readonly #pending = new Map<number, Session>();
  /** The one sync that may move rows: two at once would bring the same rows twice. */
  #mover: Session | undefined;
  /** The sync whose opening has told what it could be sent, until its answer comes; but not for long. */
  #told: { readonly session: Session; readonly until: number } | undefined;
  /** Hosts whose rows differ, by address, for after that. */
  readonly #waiting = new Map<string, SocketAddress>();
  /** Members that have come back and were not synced with since. */
  readonly #returned = new Set<PeerId>();
  /** Addresses that turned out to be this host. */
  readonly #own = new Set<string>();
  #seeds: readonly SocketAddress[] = [];
  #pushPullRound = 0;
  /** When the next push-pull is due. */
  #nextPushPull = Infinity;
  #rejoinRound = 0;
  #rejoinFailures = 0;
  #nextMeeting = 0;
  /** Push-pulls still to follow each other quickly. */
  #hurried = 0;

  constructor(core: Core, courier: Courier, membership: Membership, replica: Replica, take: Take) {
    this.#core = core;
    this.#courier = courier;
    this.#membership = membership;
    this.#replica = replica;
    this.#take = take;
    this.#members = new MemberDigest(core);
    this.#contact = new Contact({
      retention: core.config.tombstoneRetention,
      started: core.outbox.at.wall,
    });
  }

  /** Takes back, before the start, a note of this host to itself. */
  loadNote(row: Row): void {
    this.#contact.load(row);
  }

  /** Has it saved that this host runs. */
  notePresence(): void {
    const { outbox, self } = this.#core;
    this.#save(this.#contact.presenceRow(self, outbox.at.wall));
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
    this.#waiting.clear();
    this.#returned.clear();
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
   * that no datagram can carry, or too much for gossip.
   */
  hasten(): void {
    this.#hurried = retransmitLimit(this.#core.config, this.#core.hosts);
    this.#bringForward(this.#core.config.gossipDelay);
  }

  /**
   * This host has changed a row. It asks soon whether another has it: what two hosts hold survives the
   * loss of one.
   */
  confirm(): void {
    this.#bringForward(this.#soon());
  }

  /**
   * A member that was held dead lives. Whatever kept it away may have kept many away: each host syncs
   * with a few of them, spread over two probe intervals so that they don't all call at once.
   */
  welcomeBack(id: PeerId): void {
    this.#returned.add(id);
    if (this.#hurried < REUNION_SYNCS) this.#hurried = REUNION_SYNCS;
    this.#bringForward(this.#core.rng.next() * 2 * this.#core.config.probeInterval);
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

  /**
   * A member that is held dead answers at `at`: it is called now, and the other lost soon. Not more often
   * than once in `rejoinMin`: by whom is called the news of all others comes.
   */
  found(id: PeerId, at: SocketAddress): void {
    const { now } = this.#core.outbox.at;
    const buried = this.#core.roster.get(id);
    if (this.#core.phase !== 'attached' || buried?.state !== 'dead') return;
    if (now < this.#nextMeeting) return;
    this.#nextMeeting = now + this.#core.config.rejoinMin;
    this.#rejoinFailures = 0;
    this.#scheduleRejoin(this.#core.config.rejoinMin);
    this.#begin('rejoin', at, { buried });
  }

  pushPullDue(round: number): void {
    if (round !== this.#pushPullRound) return;
    const { rng, config, hosts } = this.#core;
    // An answer that comes after the goodbye would draw this host back.
    const partner = this.#core.phase === 'attached' ? this.#partner() : undefined;
    if (partner !== undefined) this.#begin('push-pull', partner.address);
    const interval = config.pushPullInterval * pushPullScale(hosts) * (0.75 + rng.next() / 2);
    if (this.#hurried > 0) this.#hurried--;
    if (this.#hurried === 0) this.#returned.clear();
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
    const request = header && decodeRequest(bytes, header.bodyAt, this.#idOf);
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
    this.#takeFrom(request);
    const version = Math.min(self.protocol.max, request.protocol.max);
    const appearAs = {
      address: normalizeIp(from.address),
      port: request.self.address.port,
    };
    const { until } = this.#contact;
    const head = encodeAnswerHead(encodeHeader(version, label), this.#core.self, appearAs, until);
    return this.#reply(request, head);
  }

  /** The answer to exchange `exchange` has come. */
  exchanged(exchange: number, bytes: Buffer): void {
    const session = this.#pending.get(exchange);
    this.#pending.delete(exchange);
    if (session === undefined) return;
    this.#core.counters.add('exchangeBytesReceived', bytes.length);
    const header = decodeHeader(bytes);
    const answer = header && decodeAnswer(bytes, header.bodyAt, this.#idOf);
    if (answer === undefined) {
      this.#core.counters.add('dropMalformed');
      this.#failed(exchange, session, unintelligibleAnswer(session.to));
    } else if (answer.refusal !== undefined) {
      this.#refused(exchange, session, answer.refusal);
    } else {
      this.#accepted(exchange, session, answer);
    }
  }

  exchangeFailed(exchange: number, error: AppError): void {
    const session = this.#pending.get(exchange);
    this.#pending.delete(exchange);
    if (session !== undefined) this.#failed(exchange, session, error);
  }

  #begin(
    purpose: Purpose,
    to: SocketAddress,
    { sequel = 0, buried }: { readonly sequel?: number; readonly buried?: Member } = {},
  ): number {
    const { roster, rng, outbox, config } = this.#core;
    const began = this.#replica.reading(outbox.at.wall);
    const salt = randomInt(rng, 2 ** 32);
    // Of several at once only one may be told what it could send, or it would come more than once.
    const isAlone = this.#mover === undefined && !this.#isAnswerDue();
    const { tree, recent, since } = this.#rows();
    const told = isAlone ? recent.describe(since, salt) : SAID_ALL;
    const opening: Opening = {
      rows: tree.root(),
      members: roster.active === 0 ? undefined : this.#members.root(),
      recent: tree.size === 0 ? undefined : told,
    };
    const session = new Session({ to, purpose, salt, began, sequel });
    if (isAlone) this.#told = { session, until: outbox.at.now + config.probeTimeout };
    return this.#ask(session, opening, buried);
  }

  /** A host that was told what it could send may be sending it. */
  #isAnswerDue(): boolean {
    return this.#told !== undefined && this.#core.outbox.at.now < this.#told.until;
  }

  #rows(): Rows {
    const { tree, recent } = this.#replica;
    return { tree, recent, since: this.#contact.until };
  }

  /** Sends the next request of a sync. */
  #ask(session: Session, opening?: Opening, found?: Member): number {
    const { self, counters, outbox, config } = this.#core;
    const { to, salt } = session;
    const exchange = this.#core.nextExchange();
    this.#pending.set(exchange, session);
    const purpose = session.isFirst ? session.purpose : 'push-pull';
    const header = this.#core.headerFor(undefined);
    const sharedUntil = this.#contact.until;
    const about = { protocol: self.protocol, purpose, self, salt, opening, sharedUntil };
    const parcel = new Parcel(encodeRequestHead(header, about));
    // Who is called back from the dead must hear of its death to refute it, in this very answer.
    const buried = found ?? (purpose === 'rejoin' ? this.#buriedAt(to) : undefined);
    if (buried !== undefined) parcel.addSigned(encodeClaim({ record: buried }));
    counters.add('exchangesStarted');
    counters.add('exchangeRowsSent', session.fill(parcel));
    const request = parcel.finish();
    counters.add('exchangeBytesSent', request.length);
    outbox.push({ kind: 'exchange', exchange, to, request, timeout: config.exchangeTimeout });
    return exchange;
  }

  #buriedAt(address: SocketAddress): Member | undefined {
    const members = this.#core.roster.all();
    return members.find((one) => one.state === 'dead' && isSameAddress(one.address, address));
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

  #takeFrom(request: SyncRequest): void {
    const { self } = request;
    // Who does not know its address yet learns it by the answer, and tells then.
    const isPlaced = !isUnspecified(self.address.address);
    if (isPlaced && !this.#membership.merge({ record: self }, 'sync')) return;
    this.#take(this.#judged(request, request.sharedUntil));
    this.#core.counters.add('rangeMalformed', request.malformedRanges);
  }

  /** Members come first: a host that joins learns them, or a hundred of them, by one exchange. */
  #reply({ opening, salt, ...request }: SyncRequest, head: Uint8Array): Uint8Array {
    const parcel = new Parcel(head);
    const rows = this.#rows();
    this.#tellMembers({ opening, salt, ...request }, parcel);
    if (opening !== undefined) answerOpening(rows, opening, salt, parcel);
    answerRanges(rows, request.ranges, salt, parcel);
    return parcel.finish();
  }

  #tellMembers({ self, claims, opening, wanted, salt }: SyncRequest, parcel: Parcel): void {
    const members = this.#members;
    const known = members.known(salt);
    const isNewcomer = opening !== undefined && opening.members === undefined;
    const asked = isNewcomer
      ? [...known.values()].filter(({ id }) => id !== members.self)
      : wanted.map((digest) => known.get(digest)).filter((record) => record !== undefined);
    const isOther = opening?.members !== undefined && !members.root().equals(opening.members);
    const told = [
      ...members.corrections([{ record: self }, ...claims]),
      ...asked.map((record) => encodeClaim({ record })),
    ];
    const isCut = told.some((claim) => !parcel.addSigned(claim));
    // A newcomer to a large mesh asks for the rest.
    if (isOther || (isNewcomer && isCut)) parcel.add(encodeMembers({ known: [...known.keys()] }));
  }

  #accepted(exchange: number, session: Session, answer: SyncAcceptance): void {
    const { self, roster, counters } = this.#core;
    if (isUnspecified(self.address.address)) {
      const { address } = answer.appearAs;
      this.#membership.update({ address: { address, port: self.address.port } });
    }
    // An exchange that began before the goodbye must not undo it.
    if (this.#core.phase !== 'leaving') this.#core.phase = 'attached';
    // A host that knew nobody has nobody to tell what the mesh knows already.
    if (session.isFirst) session.isNewcomer = roster.active === 0 && this.#pending.size === 0;
    let news = 0;
    const take = (): void => {
      if (!this.#membership.merge({ record: answer.self }, 'sync')) return;
      news = this.#take(this.#judged(answer, answer.sharedUntil));
    };
    if (session.isNewcomer) this.#courier.mute(take);
    else take();
    counters.add('exchangeRowsReceived', answer.rows.length);
    counters.add('rangeMalformed', answer.malformedRanges);
    this.#goOn(exchange, session, answer, news);
  }

  #goOn(exchange: number, session: Session, answer: SyncAcceptance, news: number): void {
    const { isFirst } = session;
    const isSame = isSettled(this.#rows(), answer.ranges);
    if (isFirst && !isSame) this.#claimRows(session);
    session.accept(answer, this.#members, news);
    if (isFirst) {
      if (session.purpose !== 'push-pull') this.#bringForward(this.#soon());
      this.#conclude(exchange, session, answer.self);
    }
    if (session.isFruitless) this.#core.counters.add('syncsFruitless');
    const wasCompared = session.rows !== undefined || (isFirst && isSame);
    if (session.isDone && wasCompared) this.#noteContact(session, answer.sharedUntil);
    if (session.isDone || session.isFruitless) this.#end(session);
    else this.#ask(session);
  }

  /**
   * What is left of a message from a host that was away for longer than tombstones are kept: rows that
   * it had in common with the mesh and that are gone here were deleted meanwhile.
   */
  #judged(cargo: Cargo, sharedUntil: number | undefined): Cargo {
    const { outbox, counters, hosts } = this.#core;
    const { wall } = outbox.at;
    const verdict = this.#contact.judge(sharedUntil, wall, hosts <= 2);
    if (verdict === 'take' || sharedUntil === undefined) return cargo;
    const rows = cargo.rows.flatMap((row) => {
      const isNews = row.value === undefined || row.stamp.millis >= sharedUntil;
      if (isNews || this.#replica.has(row.table, row.key)) return [row];
      const burial = verdict === 'bury' ? this.#replica.burial(row, wall) : undefined;
      counters.add(burial === undefined ? 'rowsLeft' : 'rowsBuried');
      return burial === undefined ? [] : [burial];
    });
    return { ...cargo, rows };
  }

  /** A sync has come to its end: what this host held when it began is held by another as well. */
  #noteContact({ began }: Session, peer: number | undefined): void {
    const { outbox } = this.#core;
    const root = this.#replica.tree.root();
    const hasChanged = !root.equals(this.#rowsAtContact);
    if (!this.#contact.note(began, peer, outbox.at.wall, hasChanged)) return;
    this.#rowsAtContact = root;
    this.#save(this.#contact.untilRow(this.#core.self));
  }

  #save(row: Row): void {
    const none = { previous: undefined, value: undefined, previousValue: undefined };
    this.#core.outbox.push({ kind: 'row', change: { row, ...none, origin: 'remote' } });
  }

  /** Makes a sync the one that moves rows, or puts its host on the list for later. */
  #claimRows(session: Session): void {
    const isFree = this.#told?.session === session || !this.#isAnswerDue();
    if (this.#mover === undefined && isFree) {
      this.#mover = session;
      session.rows = new Reconciliation(this.#rows(), session.salt);
      if (this.#told?.session === session) this.#told = undefined;
      return;
    }
    if (this.#waiting.size < WAITING_MAX) {
      this.#waiting.set(formatSocketAddress(session.to), session.to);
    }
    // Should the answer that is due not come, somebody else is asked.
    if (!isFree) this.#bringForward(this.#core.config.probeTimeout);
  }

  /** A sync is over: the next host whose rows differ has its turn. */
  #end(session: Session): void {
    if (this.#mover === session) {
      this.#mover = undefined;
      if (session.isDone && session.wantsSequel) {
        this.#begin('push-pull', session.to, { sequel: session.sequel + 1 });
      }
    } else if (this.#told?.session === session) this.#told = undefined;
    else return;
    const [next] = this.#waiting;
    if (next === undefined || this.#mover !== undefined) return;
    this.#waiting.delete(next[0]);
    this.#begin('push-pull', next[1]);
  }

  #refused(exchange: number, session: Session, refusal: Refusal): void {
    const { self, label } = this.#core;
    if (refusal.reason === 'self') this.#own.add(formatSocketAddress(session.to));
    this.#failed(exchange, session, refusalError(refusal, { target: session.to, self, label }));
  }

  #failed(exchange: number, session: Session, error: AppError): void {
    this.#core.counters.add('exchangesFailed');
    if (session.isFirst) this.#conclude(exchange, session, error);
    this.#end(session);
  }

  /** The first exchange decides whether this host has joined; what follows only completes it. */
  #conclude(exchange: number, { purpose, to }: Session, end: AppError | MemberRecord): void {
    const outcome: JoinOutcome =
      end instanceof Error
        ? { ok: false, target: to, error: end }
        : { ok: true, target: to, id: end.id, name: end.name };
    if (purpose === 'join') this.#core.outbox.push({ kind: 'joined', exchange, outcome });
  }

  /** Who has come back first, then anybody. */
  #partner(): Member | undefined {
    const { roster, rng } = this.#core;
    const isHere = ({ state }: Member): boolean => state === 'alive';
    const [back] = roster.pick(1, rng, (member) => isHere(member) && this.#returned.has(member.id));
    if (back !== undefined) this.#returned.delete(back.id);
    return back ?? roster.pick(1, rng, isHere)[0];
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

  readonly #idOf: IdOf = (key) => this.#core.signatures.idOf(key);

  #hurry(): number {
    return this.#core.config.gossipInterval * (0.5 + this.#core.rng.next());
  }

  /** One to two probe intervals: when many hosts do something at once, what they learn has settled. */
  #soon(): number {
    return this.#core.config.probeInterval * (1 + this.#core.rng.next());
  }

  #bringForward(after: number): void {
    if (this.#core.outbox.at.now + after < this.#nextPushPull) this.#schedulePushPull(after);
  }

  #schedulePushPull(after: number): void {
    this.#nextPushPull = this.#core.outbox.at.now + after;
    this.#core.outbox.timer({ kind: 'push-pull', round: ++this.#pushPullRound }, after);
  }

  #scheduleRejoin(after: number): void {
    this.#core.outbox.timer({ kind: 'rejoin', round: ++this.#rejoinRound }, after);
  }
}
