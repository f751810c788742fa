import { randomInt, type Rng } from '../base/rng.ts';
import type { Millis, PeerId, SocketAddress } from '../base/types.ts';
import { tagOf } from './locator.ts';
import {
  bestOf,
  isPreferred,
  ORIGIN_WORDS,
  routeKey,
  whyBetter,
  type PathOrigin,
  type Rated,
  type Route,
} from './path-choice.ts';
import { PATH_DEFAULTS, type PathConfig } from './path-config.ts';
import { PathMeter } from './path-meter.ts';
import { decodeProbe, encodeProbe, type PathProbe } from './probe-message.ts';

/**
 * Which way datagrams take to each host: one of its addresses, or a relay. A machine: no sockets, no clock.
 *
 *               answer                   3 misses in a row
 *   untried ------------> up ------------------------------> down
 *      |                   ^          answer                  |
 *      |  3 misses         +----------------------------------+
 *      +--------------------------------------------------> down
 *
 * The hosts that are wanted have their paths probed, each by itself, for ever: the one in use often while
 * frames are sent by it, so that its death is known within a second, and the others seldom. An answer proves
 * that a path works both ways, and says how a NAT shows this host to others. Each end chooses for what it
 * sends; the other end need not take the same path back.
 */

/** What is known of a host from elsewhere. */
export interface PathContact {
  /** Where it says that it is reached. */
  readonly announced: SocketAddress;
  /** Its other addresses; undefined: it answers no probes, and is sent to where it says. */
  readonly candidates: readonly SocketAddress[] | undefined;
}

/** What the driver has to do, in this order. */
export type PathEffect =
  | { readonly kind: 'send'; readonly peer: PeerId; readonly bytes: Buffer; readonly route: Route }
  /** Frames and control datagrams to the host go another way from now on. */
  | {
      readonly kind: 'path';
      readonly peer: PeerId;
      readonly from: Route | undefined;
      readonly to: Route;
      readonly why: string;
    }
  /** Whether any of its addresses answers has changed. */
  | { readonly kind: 'reach'; readonly peer: PeerId; readonly isDirect: boolean }
  /** A host that is held to be gone (`lostPause`) has answered there. */
  | { readonly kind: 'found'; readonly peer: PeerId; readonly at: SocketAddress }
  /** Nothing is known of its paths any more: it is sent to where it says. */
  | { readonly kind: 'forgotten'; readonly peer: PeerId }
  /** The host sees this one at that address. */
  | { readonly kind: 'seen'; readonly by: PeerId; readonly address: SocketAddress };

/** Every probe datagram that is refused counts as one of these. */
export const PROBE_REFUSALS = [
  'probeMalformed',
  'probeMisdirected', // for another host: two have the same private address
  'probeStranger', // from no host of this mesh
  'probeUnawaited', // answers nothing that still waits
] as const;
export type ProbeRefusal = (typeof PROBE_REFUSALS)[number];

export interface PathsOptions {
  readonly self: PeerId;
  readonly contact: (id: PeerId) => PathContact | undefined;
  /** The host whose datagrams come from there: who passed on a relayed one. */
  readonly hostAt: (address: SocketAddress) => PeerId | undefined;
  /** The host with that tag, if `contact` knows it. */
  readonly peerOf: (tag: bigint) => PeerId | undefined;
  /**
   * Undefined for a host that is there. One that is held to be gone has all its paths probed as if none led
   * to it, with at least this pause.
   */
  readonly lostPause?: (id: PeerId, now: number) => number | undefined;
  readonly rng: Rng;
  readonly config?: Partial<PathConfig>;
}

/** One way to a host, for people. */
export interface PathInfo {
  readonly route: Route;
  readonly origin: PathOrigin;
  readonly state: 'untried' | 'up' | 'down';
  readonly isCurrent: boolean;
  readonly rtt: number | undefined;
  readonly jitter: number;
  readonly loss: number;
}

export interface PeerPaths {
  readonly peer: PeerId;
  readonly current: Route;
  readonly since: Millis;
  readonly why: string;
  /** How often the path in use has changed since the host was first wanted. */
  readonly flaps: number;
  readonly isDirect: boolean;
  readonly paths: readonly PathInfo[];
}

interface Outstanding {
  readonly token: bigint;
  readonly sentAt: number;
  deadline: number;
}

interface Entry {
  readonly route: Route;
  readonly origin: PathOrigin;
  readonly meter: PathMeter;
  state: 'untried' | 'up' | 'down';
  hasAnswered: boolean;
  /** It went down after it had answered: from then on it has to prove itself before it is preferred. */
  hasFailed: boolean;
  /** In a row. */
  misses: number;
  answers: number;
  upSince: number;
  outstanding: Outstanding[];
  nextAt: number;
}

interface Peer {
  readonly id: PeerId;
  readonly tag: bigint;
  readonly entries: Map<string, Entry>;
  isWanted: boolean;
  courtesyUntil: number;
  /** What it last sent frames at, and how many by then. */
  activeUntil: number;
  sentFrames: number;
  current: Entry;
  since: number;
  why: string;
  flaps: number;
  /** Undefined: nothing has been found out yet. */
  isDirect: boolean | undefined;
}

/** Addresses that a host's datagrams come from, beside those that it tells of: more are not remembered. */
const MAX_SEEN = 4;
const TOKEN_HALF = 2 ** 32;

export class Paths {
  readonly #options: PathsOptions;
  readonly #config: PathConfig;
  readonly #tag: bigint;
  readonly #peers = new Map<PeerId, Peer>();
  readonly #awaited = new Map<bigint, { readonly peer: Peer; readonly entry: Entry }>();
  readonly #counters = Object.fromEntries(PROBE_REFUSALS.map((name) => [name, 0])) as Record<
    ProbeRefusal,
    number
  >;
  #effects: PathEffect[] = [];
  /** Nothing is due before. */
  #due = Infinity;
  #active = 0;
  #cutOff = 0;

  constructor(options: PathsOptions) {
    this.#options = options;
    this.#config = { ...PATH_DEFAULTS, ...options.config };
    this.#tag = tagOf(options.self);
  }

  /** Refused datagrams since the start, by reason. */
  counters(): Record<ProbeRefusal, number> {
    return { ...this.#counters };
  }

  /** When `expire` has something to do at the earliest; undefined: not before something else happens. */
  get nextDue(): Millis | undefined {
    return this.#due === Infinity ? undefined : (this.#due as Millis);
  }

  /** The way to a host that is or was wanted; undefined: to where it says. */
  route(id: PeerId): Route | undefined {
    return this.#peers.get(id)?.current.route;
  }

  /** Whether an address of the host answers; undefined: nobody has asked yet. */
  isDirect(id: PeerId): boolean | undefined {
    return this.#peers.get(id)?.isDirect;
  }

  /** Every host whose paths are probed. */
  peers(): PeerPaths[] {
    return [...this.#peers.values()].map((peer) => ({
      ...{ peer: peer.id, current: peer.current.route, since: peer.since as Millis },
      ...{ why: peer.why, flaps: peer.flaps, isDirect: peer.isDirect ?? true },
      paths: [...peer.entries.values()].map((entry) => infoOf(entry, entry === peer.current)),
    }));
  }

  /** Makes these the hosts whose paths are known, and forgets what is known of others. */
  setWanted(wanted: ReadonlySet<PeerId>, now: Millis): PathEffect[] {
    for (const peer of this.#peers.values()) {
      peer.isWanted = wanted.has(peer.id);
      this.#forgetUnless(peer, now);
    }
    for (const id of wanted) {
      const peer = this.#peer(id, now);
      if (peer !== undefined) peer.isWanted = true;
    }
    return this.#take();
  }

  /** What `contact` says of the host has changed. */
  changed(id: PeerId, now: Millis): PathEffect[] {
    const peer = this.#peers.get(id);
    const contact = this.#options.contact(id);
    if (peer !== undefined && contact === undefined) this.#forget(peer);
    else if (peer !== undefined && contact !== undefined) this.#sync(peer, contact, now);
    return this.#take();
  }

  /** Something says that the host is not reached: its paths are asked now, and not when it is their turn. */
  doubt(id: PeerId, now: Millis): PathEffect[] {
    for (const entry of this.#peers.get(id)?.entries.values() ?? []) {
      if (entry.outstanding.length === 0) entry.nextAt = now;
      this.#note(entry);
    }
    return this.#take();
  }

  /** The hosts that might pass on what is for `id`, the best first; none while it is reached directly. */
  setRelays(id: PeerId, relays: readonly PeerId[], now: Millis): PathEffect[] {
    const peer = this.#peers.get(id);
    if (peer === undefined) return [];
    const routes = relays.map((via): Route => ({ kind: 'relay', via }));
    const keys = new Set(routes.map(routeKey));
    for (const [key, entry] of peer.entries) {
      if (entry.origin === 'relay' && !keys.has(key)) this.#drop(peer, key, entry, now);
    }
    for (const route of routes) {
      this.#add(peer, route, 'relay', now);
      // What lies behind the relay may have changed: it is asked as often as if it were new.
      const entry = peer.entries.get(routeKey(route));
      if (entry !== undefined && entry.state !== 'up') {
        entry.misses = 0;
        entry.nextAt = Math.min(
          entry.nextAt,
          now + (entry.outstanding.length > 0 ? this.#config.hunt : 0),
        );
        this.#note(entry);
      }
    }
    return this.#take();
  }

  /** Frames sent to the host so far, by the data plane: a pair is active while they grow. */
  sent(id: PeerId, frames: number, now: Millis): PathEffect[] {
    const peer = this.#peers.get(id);
    if (peer === undefined || frames === peer.sentFrames) return [];
    // A data plane that counts from 0 again has a new VTEP for the host.
    const hasGrown = frames > peer.sentFrames;
    peer.sentFrames = frames;
    if (!hasGrown) return [];
    const wasActive = peer.activeUntil > now;
    peer.activeUntil = now + this.#config.activeFor;
    if (!wasActive) {
      this.#countActive(now);
      this.#hastenAll(peer, now);
    }
    return this.#take();
  }

  /** One datagram of a probe kind. `bytes` are not kept. */
  receive(bytes: Buffer, from: SocketAddress, now: Millis): PathEffect[] {
    const probe = decodeProbe(bytes);
    const refusal = probe === undefined ? 'probeMalformed' : this.#receive(probe, from, now);
    if (refusal !== undefined) this.#counters[refusal]++;
    return this.#take();
  }

  /** Does what is due: probes, and gives up what has not answered. */
  expire(now: Millis): PathEffect[] {
    const late = now - this.#due;
    if (late > this.#config.stall) this.#putOff(late);
    this.#countActive(now);
    this.#due = Infinity;
    for (const peer of [...this.#peers.values()]) this.#expire(peer, now);
    return this.#take();
  }

  #expire(peer: Peer, now: number): void {
    if (this.#forgetUnless(peer, now)) return;
    for (const [key, entry] of [...peer.entries]) {
      this.#endOverdue(peer, entry, now);
      if (entry.origin === 'seen' && entry.state === 'down' && entry !== peer.current) {
        this.#drop(peer, key, entry, now);
      } else if (entry.nextAt <= now) {
        this.#probe(peer, entry, now);
      }
    }
    for (const entry of peer.entries.values()) this.#note(entry);
    if (!peer.isWanted) this.#due = Math.min(this.#due, peer.courtesyUntil);
  }

  #note({ nextAt, outstanding }: Entry): void {
    this.#due = Math.min(this.#due, nextAt, ...outstanding.map(({ deadline }) => deadline));
  }

  /** This host stood still: answers may lie in its sockets. */
  #putOff(late: number): void {
    for (const { entries } of this.#peers.values()) {
      for (const { outstanding } of entries.values()) {
        for (const each of outstanding) each.deadline += late;
      }
    }
  }

  #countActive(now: number): void {
    this.#active = 0;
    this.#cutOff = 0;
    for (const peer of this.#peers.values()) {
      if (peer.activeUntil > now) this.#active++;
      if (isCutOff(peer)) this.#cutOff++;
    }
  }

  #endOverdue(peer: Peer, entry: Entry, now: number): void {
    for (const each of entry.outstanding.filter(({ deadline }) => deadline <= now)) {
      this.#awaited.delete(each.token);
      entry.outstanding = entry.outstanding.filter((other) => other !== each);
      this.#miss(peer, entry, now);
    }
  }

  #miss(peer: Peer, entry: Entry, now: number): void {
    entry.meter.missed();
    entry.misses++;
    entry.answers = 0;
    if (entry.state !== 'down' && entry.misses >= this.#missesToDown(entry)) {
      entry.state = 'down';
      entry.hasFailed = entry.hasAnswered;
      this.#judgeReach(peer);
    }
    if (entry.state !== 'down' && (entry === peer.current || entry.hasAnswered)) {
      // In doubt it is asked again at once, and so are the others: if it is dead, they have answered by then.
      entry.nextAt = now;
      if (entry === peer.current && entry.misses === 1) this.#askOthers(peer, now);
    }
    this.#choose(peer, now);
  }

  /** Three in a row happen by themselves on a path that loses one of twenty. */
  #missesToDown({ meter }: Entry): number {
    const { missesToDown, lossyFrom } = this.#config;
    return missesToDown + (meter.lossBefore >= lossyFrom ? 1 : 0);
  }

  #askOthers(peer: Peer, now: number): void {
    for (const other of peer.entries.values()) {
      const isAsked = other.outstanding.length > 0 || other === peer.current;
      if (!isAsked && (other.state !== 'down' || other.hasAnswered)) other.nextAt = now;
    }
  }

  #probe(peer: Peer, entry: Entry, now: number): void {
    const token = this.#newToken();
    const isRelayed = entry.route.kind === 'relay';
    const addressed = { sender: this.#tag, receiver: peer.tag, isRelayed };
    entry.outstanding.push({ token, sentAt: now, deadline: now + this.#timeout(entry) });
    this.#awaited.set(token, { peer, entry });
    entry.nextAt = now + this.#interval(peer, entry, now);
    this.#note(entry);
    const bytes = encodeProbe({ kind: 'probe', token, ...addressed });
    this.#effects.push({ kind: 'send', peer: peer.id, bytes, route: entry.route });
  }

  #timeout({ meter }: Entry): number {
    const { timeoutLeast, timeoutMost } = this.#config;
    const expected = meter.rtt === undefined ? timeoutLeast : meter.rtt + 4 * meter.jitter + 50;
    return Math.min(timeoutMost, Math.max(timeoutLeast, expected));
  }

  #interval(peer: Peer, entry: Entry, now: number): number {
    const config = this.#config;
    const isActive = peer.activeUntil > now;
    const least = this.#options.lostPause?.(peer.id, now);
    if (least !== undefined) return Math.max(least, this.#cutOffPause());
    if (entry.state === 'up') {
      if (entry === peer.current) {
        return isActive
          ? Math.max(config.currentActive, config.activeShare * this.#active)
          : config.currentIdle;
      }
      // Not yet trusted: it is asked until it is, so that the way back is short.
      const isSettling = !entry.meter.isMeasured;
      if (isSettling) return config.lostActive;
      return isActive ? config.otherActive : this.#otherIdle(peer);
    }
    if (isCutOff(peer)) return this.#cutOffPause();
    if (isActive && entry.hasAnswered) return config.lostActive;
    const rounds = Math.max(0, entry.misses - config.missesToDown + 1);
    return Math.min(this.#huntMost(peer, isActive), config.hunt * 2 ** Math.min(rounds, 16));
  }

  #cutOffPause(): number {
    return Math.max(this.#config.cutOff, this.#config.cutOffShare * this.#cutOff);
  }

  /** The longest pause between probes of a path that does not answer. */
  #huntMost(peer: Peer, isActive: boolean): number {
    return isActive && peer.isDirect === false ? this.#config.huntMost : this.#otherIdle(peer);
  }

  /** All that are not in use share what an idle pair may cost. */
  #otherIdle({ entries }: Peer): number {
    return this.#config.otherIdle * Math.max(1, entries.size - 1);
  }

  /** The pair has become active, or has no way any more: what would be late is asked sooner. */
  #hastenAll(peer: Peer, now: number): void {
    for (const entry of peer.entries.values()) this.#hasten(peer, entry, now);
  }

  #hasten(peer: Peer, entry: Entry, now: number): void {
    entry.nextAt = Math.min(entry.nextAt, now + this.#interval(peer, entry, now));
    this.#note(entry);
  }

  #receive(probe: PathProbe, from: SocketAddress, now: number): ProbeRefusal | undefined {
    if (probe.receiver !== this.#tag) return 'probeMisdirected';
    const id = this.#options.peerOf(probe.sender);
    if (id === undefined) return 'probeStranger';
    if (probe.kind === 'probe') return this.#onProbe(probe, id, from, now);
    return this.#onAnswer(probe, id, now);
  }

  #onProbe(
    probe: PathProbe,
    id: PeerId,
    from: SocketAddress,
    now: number,
  ): ProbeRefusal | undefined {
    const peer = this.#peer(id, now);
    if (peer === undefined) return 'probeStranger';
    const addressed = { sender: this.#tag, receiver: peer.tag, token: probe.token };
    if (!probe.isRelayed) {
      this.#meet(peer, from, now);
      const route: Route = { kind: 'direct', to: from };
      const bytes = encodeProbe({ kind: 'answer', ...addressed, isRelayed: false, seen: from });
      this.#effects.push({ kind: 'send', peer: id, bytes, route });
      return undefined;
    }
    peer.courtesyUntil = now + this.#config.courtesyFor;
    const route = this.#wayBack(peer, from);
    this.#revive(peer.entries.get(routeKey(route)), now);
    const isRelayed = route.kind === 'relay';
    const bytes = encodeProbe({ kind: 'answer', ...addressed, isRelayed });
    this.#effects.push({ kind: 'send', peer: id, bytes, route });
    return undefined;
  }

  /** By the relay that it came by, so that this very way is measured. */
  #wayBack(peer: Peer, from: SocketAddress): Route {
    const via = this.#options.hostAt(from);
    return via === undefined || via === peer.id ? peer.current.route : { kind: 'relay', via };
  }

  /** A probe came from that address: perhaps a NAT's, which lets answers in. */
  #meet(peer: Peer, from: SocketAddress, now: number): void {
    const route: Route = { kind: 'direct', to: from };
    const known = peer.entries.get(routeKey(route));
    if (known !== undefined) {
      this.#revive(known, now);
      return;
    }
    const seen = [...peer.entries.values()].filter(({ origin }) => origin === 'seen');
    if (seen.length < MAX_SEEN) this.#add(peer, route, 'seen', now);
  }

  /** The host reaches us that way: if we thought it dead, it may have come back. What waits was lost, then. */
  #revive(entry: Entry | undefined, now: number): void {
    if (entry === undefined || entry.state === 'up') return;
    const isAsked = entry.outstanding.some(({ sentAt }) => now - sentAt < this.#config.reviveAfter);
    if (isAsked) return;
    entry.nextAt = now;
    this.#note(entry);
  }

  #onAnswer(probe: PathProbe, id: PeerId, now: number): ProbeRefusal | undefined {
    const asked = this.#awaited.get(probe.token);
    if (asked === undefined || asked.peer.id !== id) return 'probeUnawaited';
    const { peer, entry } = asked;
    this.#awaited.delete(probe.token);
    const sent = entry.outstanding.find(({ token }) => token === probe.token);
    entry.outstanding = entry.outstanding.filter((each) => each !== sent);
    if (sent === undefined) return 'probeUnawaited';
    if (entry.state === 'down') entry.meter.restart();
    entry.meter.answered(Math.max(0, now - sent.sentAt), now);
    entry.misses = 0;
    entry.answers++;
    entry.hasAnswered = true;
    if (entry.state !== 'up') {
      entry.state = 'up';
      entry.upSince = now;
      this.#judgeReach(peer);
    }
    entry.nextAt = now + this.#interval(peer, entry, now);
    this.#note(entry);
    if (entry.route.kind === 'direct') this.#onDirectAnswer(id, entry.route.to, probe.seen, now);
    this.#choose(peer, now);
    return undefined;
  }

  #onDirectAnswer(
    peer: PeerId,
    at: SocketAddress,
    seen: SocketAddress | undefined,
    now: number,
  ): void {
    if (this.#options.lostPause?.(peer, now) !== undefined) {
      this.#effects.push({ kind: 'found', peer, at });
    } else if (seen !== undefined) {
      this.#effects.push({ kind: 'seen', by: peer, address: seen });
    }
  }

  #judgeReach(peer: Peer): void {
    const direct = [...peer.entries.values()].filter(({ route }) => route.kind === 'direct');
    const isUp = direct.some(({ state }) => state === 'up');
    const isDown = direct.every(({ state }) => state === 'down');
    if ((!isUp && !isDown) || peer.isDirect === isUp) return;
    peer.isDirect = isUp;
    this.#effects.push({ kind: 'reach', peer: peer.id, isDirect: isUp });
  }

  /** Changes the path in use if it is dead, or if another has proven to be better for a while. */
  #choose(peer: Peer, now: number): void {
    const { current } = peer;
    const up = [...peer.entries.values()].filter(({ state }) => state === 'up');
    if (current.state !== 'up') {
      const isGivenUp = current.state === 'down' || current.misses > 0;
      const best = bestOf(up.map(rate));
      if (best !== undefined && isGivenUp) this.#use(peer, best.entry, this.#lament(current), now);
      else if (isCutOff(peer)) this.#hastenAll(peer, now);
      return;
    }
    const rated = rate(current);
    const better = up
      .filter(
        (entry) => this.#isProven(entry, now) || (!entry.hasFailed && isPreferred(entry, rated)),
      )
      .map(rate)
      .filter((each) => each.entry !== current && whyBetter(each, rated) !== undefined);
    const best = bestOf(better);
    if (best !== undefined) this.#use(peer, best.entry, whyBetter(best, rated) ?? '', now);
    else if (peer.why === UNMEASURED) peer.why = ANSWERS;
  }

  #isProven({ upSince, answers }: Entry, now: number): boolean {
    const { settleFor, settleAnswers } = this.#config;
    return now - upSince >= settleFor && answers >= settleAnswers;
  }

  #lament({ misses, hasAnswered, route }: Entry): string {
    const what = route.kind === 'relay' ? 'the relay' : routeKey(route);
    return hasAnswered ? `${misses} probes lost` : `${what} does not answer`;
  }

  #use(peer: Peer, entry: Entry, why: string, now: number): void {
    const from = peer.current.route;
    peer.current = entry;
    peer.since = now;
    peer.why = why;
    peer.flaps++;
    this.#hasten(peer, entry, now);
    this.#effects.push({ kind: 'path', peer: peer.id, from, to: entry.route, why });
  }

  /** The host's entry; made for hosts that answer probes, and undefined for all others. */
  #peer(id: PeerId, now: number): Peer | undefined {
    const known = this.#peers.get(id);
    if (known !== undefined) return known;
    const contact = this.#options.contact(id);
    if (contact?.candidates === undefined) return undefined;
    const route: Route = { kind: 'direct', to: contact.announced };
    const current = newEntry(route, 'announced', now);
    const peer: Peer = {
      ...{ id, tag: tagOf(id), entries: new Map([[routeKey(route), current]]), isWanted: false },
      ...{ courtesyUntil: now + this.#config.courtesyFor, activeUntil: 0, sentFrames: 0 },
      ...{ current, since: now, why: UNMEASURED, flaps: 0, isDirect: undefined },
    };
    this.#peers.set(id, peer);
    this.#note(current);
    this.#effects.push({ kind: 'path', peer: id, from: undefined, to: route, why: UNMEASURED });
    this.#sync(peer, contact, now);
    return peer;
  }

  /** Brings the direct paths to what the host says of itself. */
  #sync(peer: Peer, { announced, candidates = [] }: PathContact, now: number): void {
    const told = [announced, ...candidates].map((to): Route => ({ kind: 'direct', to }));
    const keys = new Set(told.map(routeKey));
    for (const [index, route] of told.entries()) {
      this.#add(peer, route, index === 0 ? 'announced' : 'candidate', now);
    }
    for (const [key, entry] of peer.entries) {
      const isTold = entry.origin === 'announced' || entry.origin === 'candidate';
      if (isTold && !keys.has(key)) this.#drop(peer, key, entry, now);
    }
  }

  #add(peer: Peer, route: Route, origin: PathOrigin, now: number): void {
    const key = routeKey(route);
    const known = peer.entries.get(key);
    if (known?.origin === origin) return;
    if (known !== undefined) {
      const renamed = { ...known, origin };
      for (const { token } of known.outstanding) this.#awaited.set(token, { peer, entry: renamed });
      peer.entries.set(key, renamed);
      if (peer.current === known) peer.current = renamed;
      return;
    }
    const entry = newEntry(route, origin, now);
    peer.entries.set(key, entry);
    this.#note(entry);
  }

  #drop(peer: Peer, key: string, entry: Entry, now: number): void {
    for (const { token } of entry.outstanding) this.#awaited.delete(token);
    peer.entries.delete(key);
    if (entry !== peer.current) return;
    const others = [...peer.entries.values()];
    const up = bestOf(others.filter(({ state }) => state === 'up').map(rate))?.entry;
    const next = up ?? others.find(({ origin }) => origin === 'announced') ?? others[0];
    const why =
      entry.origin === 'relay' ? 'the relay is no longer one' : 'the host has that address no more';
    if (next !== undefined) this.#use(peer, next, why, now);
    if (isCutOff(peer)) this.#hastenAll(peer, now);
  }

  /** True if nobody wants the host any more. */
  #forgetUnless(peer: Peer, now: number): boolean {
    if (peer.isWanted || peer.courtesyUntil > now) return false;
    this.#forget(peer);
    return true;
  }

  #forget(peer: Peer): void {
    for (const { outstanding } of peer.entries.values()) {
      for (const { token } of outstanding) this.#awaited.delete(token);
    }
    this.#peers.delete(peer.id);
    if (peer.isDirect === false) {
      this.#effects.push({ kind: 'reach', peer: peer.id, isDirect: true });
    }
    this.#effects.push({ kind: 'forgotten', peer: peer.id });
  }

  #newToken(): bigint {
    const { rng } = this.#options;
    const halves = [randomInt(rng, TOKEN_HALF), randomInt(rng, TOKEN_HALF)].map(BigInt);
    return ((halves[0] ?? 0n) << 32n) | (halves[1] ?? 0n);
  }

  #take(): PathEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}

const UNMEASURED = `${ORIGIN_WORDS.announced}, which has not answered yet`;
const ANSWERS = `${ORIGIN_WORDS.announced} answers`;

/** No address of it answers, and the path in use does not either: there is no way that is known to work. */
const isCutOff = ({ isDirect, current }: Peer): boolean =>
  isDirect === false && current.state !== 'up';

const newEntry = (route: Route, origin: PathOrigin, now: number): Entry => ({
  ...{
    route,
    origin,
    meter: new PathMeter(),
    state: 'untried',
    hasAnswered: false,
    hasFailed: false,
  },
  ...{ misses: 0, answers: 0, upSince: 0, outstanding: [], nextAt: now },
});

const rate = (entry: Entry): Rated & { readonly entry: Entry } => ({
  ...{ entry, route: entry.route, origin: entry.origin },
  ...{ rtt: entry.meter.leastRtt ?? Infinity, loss: entry.meter.loss },
  isMeasured: entry.meter.isMeasured,
});

function infoOf(entry: Entry, isCurrent: boolean): PathInfo {
  const { route, origin, state, meter } = entry;
  const { rtt, jitter, loss } = meter;
  return { route, origin, state, isCurrent, rtt, jitter, loss };
}
