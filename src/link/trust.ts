import { randomInt, type Rng } from '../base/rng.ts';
import {
  formatSocketAddress,
  type Millis,
  type PeerId,
  type SocketAddress,
} from '../base/types.ts';
import { containsAddress, formatCidr, parseAddress, subnetOf, type Cidr } from '../wire/cidr.ts';
import { tagOf } from './locator.ts';
import { decodeTrust, encodeTrust, isTrustAuthentic, type TrustMessage } from './trust-message.ts';

/**
 * Which hosts frames of sealed networks go to in the clear, and from where they are taken in the clear: where
 * each of the two hosts lists a subnet that has the other's address, as its person has told it. A machine: no
 * sockets, no clock.
 *
 * Each host asks for what it sends: it offers a host at an address that it trusts to send in the clear, and
 * does so once that host has answered that it takes it, from the very address that the offer came from. An
 * agreement holds for that one address, for a minute, and ends with the key under which it was made. So
 * whatever is not agreed on is sealed: another path, a relay, a NAT, a host that has started anew.
 *
 * The offer repeats a challenge of the other host, and the answer the token of the offer, under a key that
 * only the two have: neither can be made up, or recorded and used again.
 */

/** What the driver has to do, in this order. */
export type TrustEffect =
  | { readonly kind: 'send'; readonly bytes: Buffer; readonly to: SocketAddress }
  /** Frames of the host are taken in the clear from these, and from nowhere else. */
  | { readonly kind: 'take'; readonly peer: PeerId; readonly sources: readonly SocketAddress[] }
  /** `isAgreed` has another answer for the host. */
  | { readonly kind: 'changed'; readonly peer: PeerId };

/** Every datagram that is refused counts as one of these. */
const TRUST_REFUSALS = [
  'trustMalformed',
  'trustMisdirected', // for another host
  'trustStranger', // from no live host of this mesh that proves a key
  'trustForged', // by who has not the key of that host
  'trustUnasked', // answers nothing that still waits
] as const;
type TrustRefusal = (typeof TRUST_REFUSALS)[number];

export interface TrustOptions {
  readonly self: PeerId;
  /** What this host's person trusts. */
  readonly subnets: readonly Cidr[];
  /** The key of this host and that one (`trustKey`); undefined: it is no host to agree with. */
  readonly keyOf: (id: PeerId) => Buffer | undefined;
  /** The live host with that tag. */
  readonly peerOf: (tag: bigint) => PeerId | undefined;
  /** Whether an interface of this host has the address. */
  readonly isOwn: (address: string) => boolean;
  readonly rng: Rng;
}

/** Whether frames to a host go in the clear, and why. */
export type TrustState =
  | { readonly kind: 'agreed'; readonly ours: string; readonly theirs: string }
  /** The path is a relay's. */
  | { readonly kind: 'relayed' }
  /** This host, or the other, does not trust that address. */
  | { readonly kind: 'untrusted'; readonly address: string; readonly by: 'us' | 'them' }
  /** One end does not have the address that the other sees. */
  | { readonly kind: 'translated' }
  | { readonly kind: 'unanswered' };

/** Frames are taken for longer than they are sent: the answer takes its time to arrive. */
export const AGREED_FOR = 60_000;
export const TAKEN_FOR = 90_000;
const RENEW_AFTER = 30_000;
/** Between offers that nobody answers: doubles from the first to the last. */
const RETRY_LEAST = 1_000;
const RETRY_MOST = 60_000;
/** Offers in a row after which a challenge that is always another is not believed at once. */
const STALE_AT_ONCE = 2;
/** As the data plane has it. */
const MAX_SOURCES = 8;
const NO_CHALLENGE = 0n;
const HALF = 2 ** 32;

interface Asked {
  readonly token: bigint;
  readonly to: SocketAddress;
  readonly at: number;
}

interface Agreement {
  readonly to: string;
  readonly until: number;
  readonly theirs: string;
}

interface Peer {
  readonly id: PeerId;
  readonly tag: bigint;
  /** Where frames to it go; undefined: by a relay, or there are none. */
  to: SocketAddress | undefined;
  asked: Asked | undefined;
  nextAt: number;
  tries: number;
  /** What it wants repeated. */
  theirChallenge: bigint;
  agreed: Agreement | undefined;
  refused: TrustState | undefined;
  /** What we want repeated. */
  ourChallenge: bigint;
  readonly sources: Map<string, { readonly from: SocketAddress; readonly until: number }>;
}

export class Trust {
  readonly #options: TrustOptions;
  readonly #tag: bigint;
  readonly #peers = new Map<PeerId, Peer>();
  readonly #counters = Object.fromEntries(TRUST_REFUSALS.map((name) => [name, 0])) as Record<
    TrustRefusal,
    number
  >;
  #effects: TrustEffect[] = [];

  constructor(options: TrustOptions) {
    this.#options = options;
    this.#tag = tagOf(options.self);
  }

  /** Refused datagrams since the start, by reason. */
  counters(): Record<TrustRefusal, number> {
    return { ...this.#counters };
  }

  /** When `expire` has something to do at the earliest; undefined: not before something else happens. */
  get nextDue(): Millis | undefined {
    const dues = [...this.#peers.values()].flatMap((peer) => [
      ...(peer.to === undefined ? [] : [peer.nextAt]),
      ...(peer.agreed === undefined ? [] : [peer.agreed.until]),
      ...Array.from(peer.sources.values(), ({ until }) => until),
    ]);
    const due = Math.min(...dues);
    return due === Infinity ? undefined : (due as Millis);
  }

  /** Whether what goes to the host, at that address, may go in the clear. */
  isAgreed(id: PeerId, to: SocketAddress): boolean {
    return this.#peers.get(id)?.agreed?.to === formatSocketAddress(to);
  }

  /** Why frames to a host of `setPaths` go as they do. */
  state(id: PeerId): TrustState {
    const peer = this.#peers.get(id);
    if (peer?.to === undefined) return { kind: 'relayed' };
    const { address } = peer.to;
    const ours = this.#subnetOf(address);
    if (ours === undefined) return { kind: 'untrusted', address, by: 'us' };
    if (peer.agreed !== undefined && this.isAgreed(id, peer.to)) {
      return { kind: 'agreed', ours: formatCidr(ours), theirs: peer.agreed.theirs };
    }
    return peer.refused ?? { kind: 'unanswered' };
  }

  /** Makes these the hosts that frames go to, and where; undefined: by a relay. */
  setPaths(paths: ReadonlyMap<PeerId, SocketAddress | undefined>, now: Millis): TrustEffect[] {
    for (const peer of this.#peers.values()) if (!paths.has(peer.id)) peer.to = undefined;
    for (const [id, to] of paths) this.#follow(this.#peer(id), to, now);
    return this.expire(now);
  }

  /** Frames to the host are sealed with another key from now on: it may be another process that has it. */
  keyChanged(id: PeerId, now: Millis): TrustEffect[] {
    const peer = this.#peers.get(id);
    if (peer === undefined) return [];
    this.#end(peer);
    this.#restart(peer, now);
    return this.#take();
  }

  /** Offers and renews what is due, and ends what nobody has renewed. */
  expire(now: Millis): TrustEffect[] {
    for (const peer of [...this.#peers.values()]) {
      if (peer.agreed !== undefined && peer.agreed.until <= now) this.#end(peer);
      this.#endSources(peer, now);
      if (peer.to !== undefined && peer.nextAt <= now) this.#offer(peer, peer.to, now);
      if (peer.to === undefined && peer.sources.size === 0) this.#forget(peer);
    }
    return this.#take();
  }

  /** One datagram that came directly from there. `bytes` are not kept. */
  receive(bytes: Buffer, from: SocketAddress, now: Millis): TrustEffect[] {
    const refusal = this.#receive(bytes, from, now);
    if (refusal !== undefined) this.#counters[refusal]++;
    return this.#take();
  }

  #receive(bytes: Buffer, from: SocketAddress, now: number): TrustRefusal | undefined {
    const message = decodeTrust(bytes);
    if (message === undefined) return 'trustMalformed';
    if (message.receiver !== this.#tag) return 'trustMisdirected';
    const id = this.#options.peerOf(message.sender);
    const key = id && this.#options.keyOf(id);
    if (id === undefined || key === undefined) return 'trustStranger';
    if (!isTrustAuthentic(bytes, key)) return 'trustForged';
    if (message.kind === 'answer') return this.#onAnswer(message, this.#peer(id), now);
    this.#onOffer(message, this.#peer(id), key, from, now);
    return undefined;
  }

  #onOffer(offer: TrustMessage, peer: Peer, key: Buffer, from: SocketAddress, now: number): void {
    const subnet = this.#subnetOf(from.address);
    const verdict =
      subnet === undefined
        ? 'untrusted'
        : !this.#options.isOwn(offer.address.address)
          ? 'translated'
          : offer.challenge === peer.ourChallenge
            ? 'taken'
            : 'stale';
    if (verdict === 'taken') {
      // Used up: who has recorded this offer can't make another of it.
      peer.ourChallenge = this.#chance();
      this.#takeFrom(peer, from, now);
    }
    const answer = encodeTrust(
      {
        ...{ kind: 'answer', verdict, prefixLength: subnet?.prefixLength ?? 0 },
        ...{ token: offer.token, sender: this.#tag, receiver: peer.tag },
        ...{ challenge: peer.ourChallenge, address: from },
      },
      key,
    );
    this.#effects.push({ kind: 'send', bytes: answer, to: from });
  }

  #onAnswer(
    answer: Extract<TrustMessage, { kind: 'answer' }>,
    peer: Peer,
    now: number,
  ): TrustRefusal | undefined {
    const { asked } = peer;
    if (asked === undefined || asked.token !== answer.token) return 'trustUnasked';
    peer.asked = undefined;
    peer.theirChallenge = answer.challenge;
    const { address } = answer.address;
    if (answer.verdict === 'stale') {
      // That is how the challenge is learned.
      if (peer.tries <= STALE_AT_ONCE) peer.nextAt = now;
    } else if (answer.verdict === 'untrusted') {
      this.#refuse(peer, { kind: 'untrusted', address, by: 'them' }, now);
    } else if (answer.verdict === 'translated' || !this.#options.isOwn(address)) {
      this.#refuse(peer, { kind: 'translated' }, now);
    } else {
      this.#agree(peer, asked, answer);
    }
    if (peer.to !== undefined && peer.nextAt <= now) this.#offer(peer, peer.to, now);
    return undefined;
  }

  #agree(
    peer: Peer,
    { to, at }: Asked,
    { address, prefixLength }: Extract<TrustMessage, { kind: 'answer' }>,
  ): void {
    const seen = parseAddress(address.address);
    const theirs = seen === undefined ? '' : formatCidr(subnetOf({ address: seen, prefixLength }));
    const before = peer.agreed?.to;
    peer.agreed = { to: formatSocketAddress(to), until: at + AGREED_FOR, theirs };
    peer.refused = undefined;
    peer.tries = 0;
    peer.nextAt = at + RENEW_AFTER;
    if (before !== peer.agreed.to) this.#effects.push({ kind: 'changed', peer: peer.id });
  }

  #refuse(peer: Peer, refused: TrustState, now: number): void {
    peer.refused = refused;
    peer.nextAt = now + RETRY_MOST;
    this.#end(peer);
  }

  #end(peer: Peer): void {
    if (peer.agreed === undefined) return;
    peer.agreed = undefined;
    this.#effects.push({ kind: 'changed', peer: peer.id });
  }

  #follow(peer: Peer, to: SocketAddress | undefined, now: number): void {
    const before = peer.to && formatSocketAddress(peer.to);
    peer.to = to;
    if (before !== (to && formatSocketAddress(to))) this.#restart(peer, now);
  }

  #restart(peer: Peer, now: number): void {
    peer.asked = undefined;
    peer.refused = undefined;
    peer.tries = 0;
    peer.nextAt = now;
  }

  #offer(peer: Peer, to: SocketAddress, now: number): void {
    peer.nextAt = now + Math.min(RETRY_MOST, RETRY_LEAST * 2 ** peer.tries);
    const key = this.#options.keyOf(peer.id);
    if (key === undefined || this.#subnetOf(to.address) === undefined) {
      peer.nextAt = now + RETRY_MOST;
      return;
    }
    peer.tries++;
    const token = this.#chance();
    peer.asked = { token, to, at: now };
    const offer = encodeTrust(
      {
        ...{ kind: 'offer', token, sender: this.#tag, receiver: peer.tag },
        ...{ challenge: peer.theirChallenge, address: to },
      },
      key,
    );
    this.#effects.push({ kind: 'send', bytes: offer, to });
  }

  #takeFrom(peer: Peer, from: SocketAddress, now: number): void {
    const key = formatSocketAddress(from);
    const isNew = !peer.sources.delete(key);
    // The oldest comes first.
    for (const oldest of [...peer.sources.keys()].slice(0, peer.sources.size + 1 - MAX_SOURCES)) {
      peer.sources.delete(oldest);
    }
    peer.sources.set(key, { from, until: now + TAKEN_FOR });
    if (isNew) this.#tellSources(peer);
  }

  #endSources(peer: Peer, now: number): void {
    const before = peer.sources.size;
    for (const [key, { until }] of peer.sources) if (until <= now) peer.sources.delete(key);
    if (peer.sources.size < before) this.#tellSources(peer);
  }

  #tellSources({ id, sources }: Peer): void {
    const from = Array.from(sources.values(), (source) => source.from);
    this.#effects.push({ kind: 'take', peer: id, sources: from });
  }

  #forget(peer: Peer): void {
    this.#end(peer);
    this.#peers.delete(peer.id);
  }

  #peer(id: PeerId): Peer {
    const known = this.#peers.get(id);
    if (known !== undefined) return known;
    const peer: Peer = {
      ...{ id, tag: tagOf(id), to: undefined, asked: undefined, nextAt: 0, tries: 0 },
      ...{ theirChallenge: NO_CHALLENGE, agreed: undefined, refused: undefined },
      ...{ ourChallenge: this.#chance(), sources: new Map() },
    };
    this.#peers.set(id, peer);
    return peer;
  }

  #subnetOf(text: string): Cidr | undefined {
    const address = parseAddress(text);
    if (address === undefined) return undefined;
    return this.#options.subnets.find((subnet) => containsAddress(subnet, address));
  }

  /** Never 0. */
  #chance(): bigint {
    const { rng } = this.#options;
    const [high, low] = [randomInt(rng, HALF), randomInt(rng, HALF - 1) + 1].map(BigInt);
    return ((high ?? 0n) << 32n) | (low ?? 1n);
  }

  #take(): TrustEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
