import { isAppError } from '../base/errors.ts';
import { Alarm } from '../base/alarm.ts';
import type { Clock, Timer } from '../base/clock.ts';
import type { Rng } from '../base/rng.ts';
import {
  asMillis,
  formatPeerPath,
  formatSocketAddress,
  type Millis,
  type PeerId,
  type PeerPath,
  type SocketAddress,
} from '../base/types.ts';
import { isActive, isSameAddress, type Member } from '../gossip/member.ts';
import { decodeCandidates } from '../link/candidates.ts';
import { locatorOf, tagOf } from '../link/locator.ts';
import { routeKey, type Route } from '../link/path-choice.ts';
import {
  Paths,
  type PathContact,
  type PathEffect,
  type PathInfo,
  type PeerPaths,
} from '../link/paths.ts';
import { relaysTo, type Topology } from '../link/routes.ts';
import type { PathChannel } from '../underlay/datagram.ts';
import type { LinkEvents } from './link-events.ts';
import { memberMeta, type MemberSource } from './peers.ts';
import { arrivedFrom } from './routed-control.ts';
import { brokenRow, brokenTags, type BrokenRecord } from './records.ts';
import { brokenOwner } from './row-owners.ts';

/** What the data plane is told of paths (src/dataplane/dataplane.ts). */
export interface PathPlane {
  setPath(address: string, path: PeerPath | undefined): void;
  setRoute(
    tag: bigint,
    next: { readonly to: SocketAddress; readonly isLast: boolean } | undefined,
  ): void;
  setRelayPeers(addresses: ReadonlySet<string>): void;
  pathCounters(address: string): { readonly txFrames: number };
}

/** The table of pairs that are broken. */
export interface BrokenRows {
  get(key: string): BrokenRecord | undefined;
  put(key: string, value: BrokenRecord): boolean;
  remove(key: string): boolean;
  entries(): readonly { readonly key: string; readonly value: BrokenRecord }[];
}

export interface PathKeeperOptions {
  readonly self: PeerId;
  readonly members: MemberSource;
  readonly plane: PathPlane;
  /** Probes go by a path of their own, whatever the path in use is. */
  readonly probes: Pick<PathChannel, 'sendBy' | 'onReceive'>;
  readonly broken: BrokenRows;
  readonly events: LinkEvents;
  /** Nobody looks for those. */
  readonly isExpelled: (id: PeerId) => boolean;
  /** Whether frames to the host may go in the clear, at that address. */
  readonly isAgreed: (id: PeerId, to: SocketAddress) => boolean;
  /** The hosts that share a sealed network with this one, or the ways to them, are others. */
  readonly sharedChanged: () => void;
  /** How this host is seen has changed: by which addresses, the most often reported first. */
  readonly seenChanged: () => void;
  /** Another way leads to the host from now on. */
  readonly pathChanged: (id: PeerId) => void;
  /** A host that gossip holds dead answers there. */
  readonly found: (id: PeerId, at: SocketAddress) => void;
  readonly clock: Clock;
  readonly rng: Rng;
}

/** How often the data plane is asked whether frames go to a peer. */
const POLL_MS = asMillis(200);
/** How long a host that was silent to gossip is looked after, if nothing is wrong with its paths. */
const SILENT_FOR = 60_000;
/** Hosts that are asked how they see this one, until it is clear that there is no NAT. */
const ANCHORS = 2;
/** Relays that are kept ready for a host. */
const RELAYS = 2;
/** Changes of many rows and members are answered together. */
const SETTLE_MS = asMillis(20);
/** How long what a peer said of this host's address counts. */
const SEEN_FOR = 120_000;
const MAX_SEEN = 2;
/**
 * A host that is held dead is looked for as one that is cut off, but not more often than this part of the
 * time that it has been away, and than once in so many milliseconds for each live host, all of which look.
 */
const LOST_SHARE = 0.001;
const LOST_PER_HOST_MS = 2;

/** One of the places at which a host is known. */
interface Place {
  readonly host: PeerId;
  /** Without its port. */
  readonly address: string;
}

/**
 * Drives the paths: gives the machine time, probes and traffic, and tells the data plane which way frames
 * go, for this host and as a relay for others. Gossips which hosts can't be reached directly, and finds
 * the ways around them.
 */
export class PathKeeper {
  readonly #options: PathKeeperOptions;
  readonly #paths: Paths;
  /** Members by tag, the lost among them. */
  readonly #tags = new Map<bigint, PeerId>();
  /** Members that are held dead: whatever cut them off may pass. */
  readonly #lost = new Set<PeerId>();
  /** Live members by every address that they are known at. */
  #byAddress: Map<string, Place> | undefined;
  /** As rows and members have it; undefined: something has changed since it was looked at. */
  #known: Topology | undefined;
  /** Hosts that share a sealed network with this one. */
  #shared: ReadonlySet<PeerId> = new Set();
  readonly #silent = new Map<PeerId, number>();
  readonly #anchors = new Set<PeerId>();
  readonly #broken = new Set<PeerId>();
  readonly #seen = new Map<PeerId, { readonly address: SocketAddress; readonly at: number }>();
  #own: ReadonlySet<string> = new Set();
  #hasNat = false;
  #announcedSeen = '';
  /** What the data plane was told last. */
  readonly #toldPaths = new Map<PeerId, string>();
  readonly #toldRoutes = new Map<bigint, string>();
  #toldPeers = '';
  readonly #alarm: Alarm;
  #poll: Timer | undefined;
  #settling: Timer | undefined;
  #isStopped = false;

  constructor(options: PathKeeperOptions) {
    const { self, rng, probes, members } = options;
    this.#options = options;
    this.#paths = new Paths({
      ...{ self, rng },
      contact: (id) => this.#contact(members.member(id)),
      hostAt: (address) => this.hostAt(address),
      peerOf: (tag) => this.#tags.get(tag),
      lostPause: (id, now) => this.#lostPause(id, now),
    });
    this.#alarm = new Alarm(options.clock, () => this.#perform(this.#paths.expire(this.#now())));
    probes.onReceive((bytes, from) => {
      if (this.#isStopped) return;
      this.#perform(this.#paths.receive(bytes, arrivedFrom(from), this.#now()));
    });
  }

  start(): void {
    // What an earlier run could not reach, this one may.
    this.#write();
    this.#pollTraffic();
  }

  stop(): void {
    this.#isStopped = true;
    this.#alarm.set(undefined);
    for (const timer of [this.#poll, this.#settling]) timer?.cancel();
  }

  /** Gossip says something else of a member. */
  memberChanged(id: PeerId): void {
    if (this.#isStopped) return;
    const member = this.#options.members.member(id);
    const isLive = member !== undefined && isActive(member);
    if (isLive) this.#regain(id);
    else this.#lose(id, member?.state === 'dead');
    this.#byAddress = undefined;
    this.#known = undefined;
    this.#perform(this.#paths.changed(id, this.#now()));
    if (!isLive) this.#perform(this.#paths.doubt(id, this.#now()));
    if (isLive) this.#giveUpAt(member.address);
    this.#soon();
  }

  /** Another host lives there now: the lost that did is not looked for. */
  #giveUpAt(address: SocketAddress): void {
    for (const id of this.#lost) {
      const last = this.announced(id);
      if (last !== undefined && isSameAddress(last, address)) {
        this.#perform(this.#paths.changed(id, this.#now()));
      }
    }
  }

  #regain(id: PeerId): void {
    this.#tags.set(tagOf(id), id);
    if (this.#lost.delete(id) && this.#paths.isDirect(id) === false) this.#break(id);
  }

  /** What is known of the paths to a host that is held dead is kept: it may come back to just that. */
  #lose(id: PeerId, isDead: boolean): void {
    this.#silent.delete(id);
    this.#anchors.delete(id);
    this.#seen.delete(id);
    if (isDead) {
      this.#tags.set(tagOf(id), id);
      this.#lost.add(id);
      return;
    }
    this.#tags.delete(tagOf(id));
    this.#lost.delete(id);
    this.#unbreak(id);
  }

  #lostPause(id: PeerId, now: number): number | undefined {
    if (!this.#lost.has(id)) return undefined;
    const member = this.#options.members.member(id);
    if (member === undefined) return undefined;
    if (this.#options.isExpelled(id)) return Infinity;
    const live = this.#tags.size - this.#lost.size;
    return Math.max(LOST_SHARE * (now - member.since), LOST_PER_HOST_MS * live);
  }

  /** Somebody's row of broken pairs has changed. */
  brokenChanged(): void {
    this.#known = undefined;
    this.#soon();
  }

  /** A member did not answer gossip directly. */
  silent(id: PeerId): void {
    this.#silent.set(id, this.#now() + SILENT_FOR);
    this.#want();
    this.#perform(this.#paths.doubt(id, this.#now()));
  }

  /** These share a sealed network with this host. */
  setShared(shared: ReadonlySet<PeerId>): void {
    this.#shared = shared;
    this.#want();
    this.#options.sharedChanged();
  }

  /** Addresses of this host's interfaces: who is seen at another is behind a NAT. */
  setOwnAddresses(addresses: readonly string[]): void {
    this.#own = new Set(addresses);
    this.#judgeNat();
    this.#want();
  }

  /** How other hosts see this one, if that is not by its own addresses: behind a NAT. */
  seenAddresses(): SocketAddress[] {
    const counts = new Map<string, { readonly address: SocketAddress; count: number }>();
    const now = this.#now();
    for (const { address, at } of this.#seen.values()) {
      if (this.#own.has(address.address) || now - at > SEEN_FOR) continue;
      const key = formatSocketAddress(address);
      const known = counts.get(key) ?? { address, count: 0 };
      known.count++;
      counts.set(key, known);
    }
    return [...counts.entries()]
      .sort(([a, one], [b, other]) => other.count - one.count || (a < b ? -1 : 1))
      .slice(0, MAX_SEEN)
      .map(([, { address }]) => address);
  }

  /** How control datagrams and frames reach a host at this moment. */
  pathTo(id: PeerId): PeerPath | undefined {
    const announced = this.announced(id);
    const route = this.#paths.route(id);
    if (route === undefined) return announced && { to: announced };
    return this.#resolve(id, route);
  }

  #resolve(id: PeerId, route: Route): PeerPath | undefined {
    if (route.kind === 'direct') return { to: route.to };
    const to = this.#directTo(route.via);
    return to && { to, relayTag: tagOf(id) };
  }

  /** The live host that is known at an address, if any is. */
  hostAt(address: SocketAddress): PeerId | undefined {
    this.#byAddress ??= this.#indexAddresses();
    return this.#byAddress.get(formatSocketAddress(address))?.host;
  }

  /** Whether a host that lives, or is held dead and has been found, is known there. */
  isInUse(address: SocketAddress): boolean {
    if (this.hostAt(address) !== undefined) return true;
    const key = formatSocketAddress(address);
    const isThere = ({ route, state }: PathInfo): boolean =>
      state === 'up' && routeKey(route) === key;
    return this.#paths
      .peers()
      .some(({ peer, paths }) => this.#lost.has(peer) && paths.some(isThere));
  }

  /** What is in use goes before what is said, and where a host is reached before where it might be. */
  #indexAddresses(): Map<string, Place> {
    const index = new Map<string, Place>();
    const note = (host: PeerId, to: SocketAddress): void => {
      index.set(formatSocketAddress(to), { host, address: to.address });
    };
    const live = this.#live();
    for (const member of live) {
      for (const to of candidatesOf(member) ?? []) note(member.id, to);
    }
    for (const { id, address } of live) note(id, address);
    for (const { peer, paths } of this.#paths.peers()) {
      if (this.#lost.has(peer)) continue;
      for (const { route, state } of paths) {
        if (route.kind === 'direct' && state === 'up') note(peer, route.to);
      }
    }
    return index;
  }

  announced(id: PeerId): SocketAddress | undefined {
    return this.#options.members.member(id)?.address;
  }

  /** What the live host with that tag announces. */
  announcedBy(tag: bigint): SocketAddress | undefined {
    const id = this.#tags.get(tag);
    return id === undefined || this.#lost.has(id) ? undefined : this.announced(id);
  }

  peers(): PeerPaths[] {
    return this.#paths.peers();
  }

  counters(): Record<string, number> {
    return this.#paths.counters();
  }

  /** Hosts that this one can't reach directly. */
  unreached(): ReadonlySet<PeerId> {
    return this.#broken;
  }

  /** Whether some way leads to the host, as far as is known. */
  isReachable(id: PeerId): boolean {
    return !this.#broken.has(id) || this.#relays(id).length > 0;
  }

  #live(): Member[] {
    return this.#options.members.members().filter(isActive);
  }

  #contact(member: Member | undefined): PathContact | undefined {
    if (member === undefined || !(isActive(member) || this.#isMissed(member))) return undefined;
    const candidates = candidatesOf(member)?.filter(({ address }) => !this.#own.has(address));
    return { announced: member.address, candidates };
  }

  /** It is lost, and nobody else lives at its address now. */
  #isMissed({ id, address }: Member): boolean {
    return this.#lost.has(id) && this.hostAt(address) === undefined;
  }

  #want(): void {
    if (this.#isStopped) return;
    const now = this.#now();
    for (const [id, until] of this.#silent) {
      if (until <= now && !this.#isElsewhere(id)) this.#silent.delete(id);
    }
    this.#pickAnchors();
    const wanted = new Set([
      ...this.#shared,
      ...this.#silent.keys(),
      ...this.#anchors,
      ...this.#broken,
      ...this.#lost,
    ]);
    // What goes by a relay is no better than the way to the relay.
    for (const id of this.#broken) for (const via of this.#relays(id)) wanted.add(via);
    this.#perform(this.#paths.setWanted(wanted, now));
  }

  /** It is reached, and not where it says: forgotten, that would have to be found out again. */
  #isElsewhere(id: PeerId): boolean {
    const route = this.#paths.route(id);
    const announced = this.announced(id);
    return (
      route?.kind === 'direct' &&
      announced !== undefined &&
      formatSocketAddress(route.to) !== formatSocketAddress(announced)
    );
  }

  #pickAnchors(): void {
    const isClear = this.#seen.size > 0 && !this.#hasNat;
    if (isClear) this.#anchors.clear();
    if (isClear || this.#anchors.size >= ANCHORS) return;
    const able = this.#live().filter((member) => candidatesOf(member) !== undefined);
    for (const { id } of able.slice(0, ANCHORS)) {
      if (this.#anchors.size < ANCHORS) this.#anchors.add(id);
    }
  }

  #topology(): Topology {
    return (this.#known ??= this.#readTopology());
  }

  #readTopology(): Topology {
    const { self, broken } = this.#options;
    const exceptions = new Map<PeerId, ReadonlySet<PeerId>>();
    for (const { key, value } of broken.entries()) {
      const host = brokenOwner(key);
      if (host === undefined || host === self) continue;
      const peers = brokenTags(value).map((tag) =>
        tag === tagOf(self) ? self : this.#tags.get(tag),
      );
      exceptions.set(host, new Set(peers.filter((peer) => peer !== undefined)));
    }
    exceptions.set(self, this.#broken);
    return { self, hosts: [self, ...this.#live().map(({ id }) => id)], exceptions };
  }

  /** Who lives behind a relay is not lost. */
  #relays(id: PeerId): PeerId[] {
    if (this.#lost.has(id)) return [];
    const isProven = (host: PeerId): boolean => this.#paths.isDirect(host) === true;
    return relaysTo(this.#topology(), id, isProven).slice(0, RELAYS);
  }

  /** Soon, ways over relays follow what rows and members say. */
  #soon(): void {
    if (this.#settling !== undefined || this.#isStopped) return;
    this.#settling = this.#options.clock.after(SETTLE_MS, () => {
      this.#settling = undefined;
      this.#reroute();
    });
  }

  #reroute(): void {
    if (this.#isStopped) return;
    this.#want();
    for (const id of this.#broken) {
      this.#perform(this.#paths.setRelays(id, this.#relays(id), this.#now()));
    }
    this.#tell();
  }

  /** Brings the data plane to the paths and routes of this moment, changing only what differs. */
  #tell(): void {
    const live = this.#live();
    const isLive = new Set(live.map(({ id }) => id));
    for (const id of this.#toldPaths.keys()) if (!isLive.has(id)) this.#tellGone(id);
    for (const { id } of live) {
      this.#tellPath(id);
      this.#tellRoute(id);
    }
    this.#tellRelayPeers();
  }

  #tellGone(id: PeerId): void {
    const { plane } = this.#options;
    plane.setPath(locatorOf(id), undefined);
    this.#toldPaths.delete(id);
    if (this.#toldRoutes.delete(tagOf(id))) plane.setRoute(tagOf(id), undefined);
  }

  /** Where frames go to each host that shares a sealed network with this one; undefined: by a relay. */
  sharedPaths(): Map<PeerId, SocketAddress | undefined> {
    const paths = [...this.#shared].map((id) => [id, this.pathTo(id)] as const);
    return new Map(
      paths.map(([id, path]) => [id, path?.relayTag === undefined ? path?.to : undefined]),
    );
  }

  /** `isAgreed` has another answer for the host: its frames follow before this returns. */
  agreementChanged(id: PeerId): void {
    if (this.#toldPaths.has(id)) this.#tellPath(id);
  }

  #tellPath(id: PeerId): void {
    const path = this.#framePath(id);
    if (path === undefined || this.#toldPaths.get(id) === formatPeerPath(path)) return;
    this.#toldPaths.set(id, formatPeerPath(path));
    this.#options.plane.setPath(locatorOf(id), path);
  }

  /** A path that nothing was agreed on for is sealed from its first frame on. */
  #framePath(id: PeerId): PeerPath | undefined {
    const path = this.pathTo(id);
    const isUnsealed =
      path !== undefined && path.relayTag === undefined && this.#options.isAgreed(id, path.to);
    return path && { ...path, isUnsealed };
  }

  /** As a relay: straight to the host, or to the next relay on the way to it. */
  #tellRoute(id: PeerId): void {
    const tag = tagOf(id);
    const [via] = this.#broken.has(id) ? this.#relays(id) : [id];
    const to = via && this.#directTo(via);
    const text = to === undefined ? '' : `${formatSocketAddress(to)} ${via === id}`;
    if ((this.#toldRoutes.get(tag) ?? '') === text) return;
    this.#toldRoutes.set(tag, text);
    this.#options.plane.setRoute(tag, to && { to, isLast: via === id });
  }

  #directTo(id: PeerId): SocketAddress | undefined {
    const route = this.#paths.route(id);
    return route?.kind === 'direct' ? route.to : this.announced(id);
  }

  #tellRelayPeers(): void {
    this.#byAddress = this.#indexAddresses();
    const addresses = new Set(Array.from(this.#byAddress.values(), ({ address }) => address));
    const text = [...addresses].sort().join(' ');
    if (text === this.#toldPeers) return;
    this.#toldPeers = text;
    this.#options.plane.setRelayPeers(addresses);
  }

  #pollTraffic(): void {
    if (this.#isStopped) return;
    const now = this.#now();
    for (const id of this.#shared) {
      const { txFrames } = this.#options.plane.pathCounters(locatorOf(id));
      this.#perform(this.#paths.sent(id, txFrames, now));
    }
    if (this.#silent.size > 0) this.#want();
    this.#poll = this.#options.clock.after(POLL_MS, () => this.#pollTraffic());
  }

  #now(): Millis {
    return this.#options.clock.now();
  }

  #perform(effects: readonly PathEffect[]): void {
    for (const effect of effects) this.#performOne(effect);
    if (!this.#isStopped) this.#alarm.set(this.#paths.nextDue);
  }

  #performOne(effect: PathEffect): void {
    switch (effect.kind) {
      case 'send': {
        const path = this.#resolve(effect.peer, effect.route);
        if (path !== undefined) this.#options.probes.sendBy(effect.bytes, path);
        break;
      }
      case 'path':
        this.#onPath(effect);
        break;
      case 'reach':
        this.#onReach(effect.peer, effect.isDirect);
        break;
      case 'found':
        this.#options.found(effect.peer, effect.at);
        break;
      case 'seen':
        this.#onSeen(effect.by, effect.address);
        break;
      case 'forgotten':
        this.#soon();
    }
  }

  #onPath({ peer, from, to, why }: Extract<PathEffect, { kind: 'path' }>): void {
    if (this.#lost.has(peer)) return;
    if (from !== undefined) {
      const { events } = this.#options;
      const name = this.#name(peer);
      const [before, after] = [from, to].map((route) => this.describe(route));
      events.add('path', name, `path to ${name}: ${before} -> ${after}: ${why}`);
    }
    // Frames are on their way: not soon, now.
    this.#tellPath(peer);
    this.#options.sharedChanged();
    if (from !== undefined) this.#options.pathChanged(peer);
    if (to.kind === 'direct' && this.#paths.isDirect(peer) === true) this.#mend(peer);
    this.#soon();
  }

  #onReach(peer: PeerId, isDirect: boolean): void {
    if (isDirect) {
      // By a relay it goes on until the direct path has proven itself: rows must not flap with it.
      const route = this.#paths.route(peer);
      if (route === undefined) this.#unbreak(peer);
      else if (route.kind === 'direct') this.#mend(peer);
      return;
    }
    // That a host which is gone is not reached need not be told to the mesh.
    if (this.#lost.has(peer)) return;
    this.#break(peer);
    this.#perform(this.#paths.setRelays(peer, this.#relays(peer), this.#now()));
  }

  #break(peer: PeerId): void {
    if (this.#broken.has(peer)) return;
    this.#broken.add(peer);
    this.#write();
    const name = this.#name(peer);
    this.#options.events.add('reach', name, `no address of ${name} answers`);
    this.#soon();
  }

  /** Whether the pair was broken; it counts as that no longer, as the host answers or is not asked any more. */
  #unbreak(peer: PeerId): boolean {
    if (!this.#broken.delete(peer)) return false;
    this.#write();
    return true;
  }

  #mend(peer: PeerId): void {
    if (!this.#unbreak(peer)) return;
    const name = this.#name(peer);
    this.#options.events.add('reach', name, `${name} answers directly again`);
    this.#soon();
  }

  /** The row of this host: none where nothing is broken. */
  #write(): void {
    this.#known = undefined;
    const { broken, self } = this.#options;
    try {
      // There is room for so many: those that live come first.
      const isLost = (id: PeerId): number => Number(this.#lost.has(id));
      const tags = [...this.#broken]
        .sort((a, b) => isLost(a) - isLost(b) || (a < b ? -1 : 1))
        .map(tagOf);
      if (tags.length > 0) broken.put(self, brokenRow(tags));
      else if (broken.get(self) !== undefined) broken.remove(self);
    } catch (error) {
      // A full disk: the others go on without it, and the next change says all of it again.
      if (!isAppError(error)) throw error;
      this.#options.events.add('reach', '', `broken pairs could not be told: ${error.message}`);
    }
  }

  #onSeen(by: PeerId, address: SocketAddress): void {
    this.#seen.set(by, { address, at: this.#now() });
    this.#judgeNat();
  }

  #judgeNat(): void {
    const seen = this.seenAddresses();
    this.#hasNat = seen.length > 0;
    const text = seen.map(formatSocketAddress).join(' ');
    if (text === this.#announcedSeen) return;
    this.#announcedSeen = text;
    this.#options.seenChanged();
  }

  #name(id: PeerId): string {
    return this.#options.members.member(id)?.name ?? id;
  }

  /** `direct 192.0.2.7:7783`, `relay c`. */
  describe(route: Route): string {
    return route.kind === 'direct'
      ? `direct ${formatSocketAddress(route.to)}`
      : `relay ${this.#name(route.via)}`;
  }
}

/** Undefined: the member answers no probes of paths. */
function candidatesOf(member: Member): SocketAddress[] | undefined {
  const bytes = memberMeta(member)?.paths;
  return bytes && decodeCandidates(bytes);
}
