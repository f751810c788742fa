import { Alarm, coalesce } from '../base/alarm.ts';
import type { Clock, Timer } from '../base/clock.ts';
import { randomHex, type Rng } from '../base/rng.ts';
import {
  asMillis,
  formatPeerPath,
  type PeerId,
  type PeerPath,
  type SocketAddress,
} from '../base/types.ts';
import { OUTER_UDP_BYTES, outerIpBytes, type IpFamily } from '../encap/mtu.ts';
import type { PathChannel } from '../underlay/datagram.ts';
import { familyOf } from '../wire/cidr.ts';
import { PathMtu, SMALLEST_PROBE, type PathMtuEffect, type PathMtuPhase } from './pmtu.ts';
import { pathMtuConfig } from './pmtu-config.ts';
import {
  ANSWER_KIND,
  answerProbe,
  encodeProbe,
  LEAST_PROBE_BYTES,
  parseAnswer,
  PROBE_KIND,
  TOKEN_DIGITS,
} from './pmtu-message.ts';

/** A host whose path is to be known. */
export interface ProbedPath extends PeerPath {
  readonly peer: PeerId;
}

/** A path's MTU is another by now. */
export interface PathMtuChange extends Extract<PathMtuEffect, { kind: 'changed' }> {
  readonly peer: PeerId;
}

/** What is known of the MTU of the path to a host. */
export interface PathMtuStatus {
  readonly peer: PeerId;
  /** Of IP packets, the outer headers included; undefined: nothing was answered yet. */
  readonly mtu: number | undefined;
  readonly phase: PathMtuPhase;
  readonly isSearching: boolean;
  /** Of this host's interface. */
  readonly ceiling: number;
  /** Smoothed, in milliseconds. */
  readonly roundTrip: number | undefined;
}

export interface PathMtuCounters {
  readonly mtuProbesSent: number;
  readonly mtuProbesAnswered: number;
  /** Answers to probes of ours, and those that no probe waits for. */
  readonly mtuAnswers: number;
  readonly mtuAnswersStray: number;
  /** Datagrams that are neither a probe nor an answer. */
  readonly mtuMalformed: number;
  /** Times that large packets stopped getting through while small ones did. */
  readonly mtuBlackHoles: number;
  readonly mtuRaised: number;
}

export interface PathMtuProberOptions {
  /** Sends with "don't fragment" set: probes by the very path that is looked at, answers by whichever. */
  readonly channel: PathChannel;
  /** What the channel adds to a datagram on its way, headers of UDP and IP not counted. */
  readonly overheadBytes: number;
  /** Of the header for a relay. */
  readonly relayBytes: number;
  /** Whether probes are sent from here; those of others are answered in any case. */
  readonly isProbing: boolean;
  /** The paths that are to be known. */
  readonly paths: () => readonly ProbedPath[];
  /** Bytes of frames sent to each host since whenever it was; what is less than before began anew. */
  readonly traffic: () => ReadonlyMap<PeerId, number>;
  /** MTU of this host's interface to the underlay. */
  readonly interfaceMtu: () => Promise<number>;
  readonly changed: (change: PathMtuChange) => void;
  /** Something that `status` tells has changed. */
  readonly settled: () => void;
  readonly clock: Clock;
  readonly rng: Rng;
}

/** How often traffic is looked at: where there is some, and else. */
const LOOK_BUSY = asMillis(500);
const LOOK_IDLE = asMillis(1000);
/** How often the interface is looked at. */
const CEILING_EVERY_MS = 5000;

interface Entry {
  readonly way: PeerPath;
  readonly family: IpFamily;
  readonly machine: PathMtu;
  sent: number;
}

type Counts = { -readonly [K in keyof PathMtuCounters]: number };

/** Drives one `PathMtu` for each path: probes and answers as datagrams, the time, and what is sent. */
export class PathMtuProber {
  readonly #options: PathMtuProberOptions;
  readonly #entries = new Map<PeerId, Entry>();
  /** Who waits for the answer with a token, and to how many bytes of a datagram. */
  readonly #tokens = new Map<string, { readonly peer: PeerId; readonly bytes: number }>();
  readonly #counts: Counts = {
    ...{ mtuProbesSent: 0, mtuProbesAnswered: 0, mtuAnswers: 0, mtuAnswersStray: 0 },
    ...{ mtuMalformed: 0, mtuBlackHoles: 0, mtuRaised: 0 },
  };
  #ceiling: number | undefined;
  #ceilingAt = -Infinity;
  readonly #alarm: Alarm;
  #look: Timer | undefined;
  #isStopped = false;

  constructor(options: PathMtuProberOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, () => this.#expire());
    options.channel.onReceive((bytes, from) => this.#receive(bytes, from));
  }

  /** Looks at the interface and begins; without one, as soon as there is one. */
  async start(): Promise<void> {
    if (!this.#options.isProbing) return;
    await this.#readCeiling();
    this.#scheduleLook(LOOK_IDLE);
  }

  stop(): void {
    this.#isStopped = true;
    this.#alarm.set(undefined);
    this.#look?.cancel();
  }

  /** `paths` may tell others by now: looked at soon. */
  readonly refresh = coalesce(() => {
    if (!this.#isStopped && this.#ceiling !== undefined) this.#refresh();
  });

  /**
   * MTU of the path to a host, its outer headers included but what a relay takes; undefined where it is
   * not known.
   */
  pathMtu(peer: PeerId): number | undefined {
    const entry = this.#entries.get(peer);
    return entry?.machine.mtu === undefined
      ? undefined
      : entry.machine.mtu - this.#relayBytes(entry.way);
  }

  #relayBytes({ relayTag }: PeerPath): number {
    return relayTag === undefined ? 0 : this.#options.relayBytes;
  }

  /** Whether the MTU of the path to a host may be another in a moment. */
  isSearching(peer: PeerId): boolean {
    return this.#entries.get(peer)?.machine.isSearching ?? this.#options.isProbing;
  }

  status(): PathMtuStatus[] {
    return Array.from(this.#entries, ([peer, { machine }]) => ({
      ...{ peer, mtu: machine.mtu, phase: machine.phase, isSearching: machine.isSearching },
      ...{ ceiling: machine.ceiling, roundTrip: machine.roundTrip },
    }));
  }

  counters(): PathMtuCounters {
    return { ...this.#counts };
  }

  #refresh(): void {
    const paths = new Map(this.#options.paths().map((path) => [path.peer, path]));
    for (const [peer, { way }] of this.#entries) {
      const wanted = paths.get(peer);
      if (wanted !== undefined && formatPeerPath(wanted) === formatPeerPath(way)) continue;
      this.#entries.delete(peer);
      this.#forgetTokens(peer);
    }
    for (const [peer, way] of paths) if (!this.#entries.has(peer)) this.#add(peer, way);
    this.#options.settled();
    this.#schedule();
  }

  #add(peer: PeerId, way: PeerPath): void {
    const { rng, clock } = this.#options;
    const family = familyOf(way.to.address);
    const machine = new PathMtu({
      ...{ config: pathMtuConfig(family), ceiling: this.#ceiling ?? 0 },
      token: () => randomHex(rng, TOKEN_DIGITS),
    });
    const sent = this.#options.traffic().get(peer) ?? 0;
    this.#entries.set(peer, { way, family, machine, sent });
    this.#perform(peer, machine.start(clock.now()));
  }

  #receive(bytes: Buffer, from: SocketAddress): void {
    if (this.#isStopped) return;
    if (bytes[0] === PROBE_KIND) {
      this.#answer(bytes, from);
      return;
    }
    const answer = bytes[0] === ANSWER_KIND ? parseAnswer(bytes) : undefined;
    if (answer === undefined) {
      this.#counts.mtuMalformed++;
      return;
    }
    const waiting = this.#tokens.get(answer.token);
    if (waiting?.bytes !== answer.bytes) {
      this.#counts.mtuAnswersStray++;
      return;
    }
    this.#counts.mtuAnswers++;
    this.#tokens.delete(answer.token);
    const machine = this.#entries.get(waiting.peer)?.machine;
    const now = this.#options.clock.now();
    if (machine !== undefined) this.#perform(waiting.peer, machine.acked(answer.token, now));
    this.#schedule();
  }

  #answer(probe: Buffer, from: SocketAddress): void {
    const answer = answerProbe(probe);
    if (answer === undefined) {
      this.#counts.mtuMalformed++;
      return;
    }
    this.#counts.mtuProbesAnswered++;
    this.#options.channel.send(answer, from);
  }

  #perform(peer: PeerId, effects: readonly PathMtuEffect[]): void {
    const entry = this.#entries.get(peer);
    if (entry === undefined) return;
    const { changed, settled } = this.#options;
    for (const effect of effects) {
      if (effect.kind === 'probe') this.#send(peer, entry, effect);
      else {
        if (effect.reason === 'black-hole') this.#counts.mtuBlackHoles++;
        if (effect.reason === 'raised') this.#counts.mtuRaised++;
        changed({ ...effect, peer });
      }
    }
    if (!entry.machine.isSearching) {
      this.#forgetFinished(peer, entry.machine);
      settled();
    }
  }

  #send(
    peer: PeerId,
    { way, family }: Entry,
    { size, token }: Extract<PathMtuEffect, { kind: 'probe' }>,
  ): void {
    const { overheadBytes } = this.#options;
    const below = outerIpBytes(family) + OUTER_UDP_BYTES + overheadBytes + this.#relayBytes(way);
    const bytes = size === SMALLEST_PROBE ? LEAST_PROBE_BYTES : size - below;
    this.#counts.mtuProbesSent++;
    this.#tokens.set(token, { peer, bytes });
    this.#options.channel.sendBy(encodeProbe(token, bytes), way);
  }

  /** Answers of a search that has ended tell nothing more. */
  #forgetFinished(peer: PeerId, machine: PathMtu): void {
    if (machine.phase === 'complete' && !machine.isBusy) this.#forgetTokens(peer);
  }

  #forgetTokens(peer: PeerId): void {
    for (const [token, waiting] of this.#tokens) {
      if (waiting.peer === peer) this.#tokens.delete(token);
    }
  }

  #schedule(): void {
    if (this.#isStopped) return;
    const due = Math.min(...Array.from(this.#entries.values(), ({ machine }) => machine.nextDue));
    this.#alarm.set(due === Infinity ? undefined : asMillis(due));
  }

  #expire(): void {
    const now = this.#options.clock.now();
    for (const [peer, { machine }] of this.#entries) {
      if (machine.nextDue <= now) this.#perform(peer, machine.expire(now));
    }
    this.#schedule();
  }

  #scheduleLook(delay: typeof LOOK_BUSY): void {
    if (this.#isStopped) return;
    this.#look = this.#options.clock.after(delay, () => {
      const isBusy = this.#lookAtTraffic();
      void this.#readCeiling();
      this.#scheduleLook(isBusy ? LOOK_BUSY : LOOK_IDLE);
    });
  }

  #lookAtTraffic(): boolean {
    if (this.#entries.size === 0) return false;
    const { clock, traffic } = this.#options;
    const totals = traffic();
    const now = clock.now();
    let isBusy = false;
    for (const [peer, entry] of this.#entries) {
      const total = totals.get(peer) ?? 0;
      const more = total < entry.sent ? total : total - entry.sent;
      entry.sent = total;
      if (more === 0) continue;
      isBusy = true;
      entry.machine.sent(more, now);
    }
    if (isBusy) this.#schedule();
    return isBusy;
  }

  /** While the interface is gone, what was last known of it stands. */
  async #readCeiling(): Promise<void> {
    const { clock, interfaceMtu } = this.#options;
    const now = clock.now();
    if (now - this.#ceilingAt < CEILING_EVERY_MS) return;
    this.#ceilingAt = now;
    const ceiling = await interfaceMtu().catch(() => this.#ceiling);
    if (ceiling === undefined || ceiling === this.#ceiling || this.#isStopped) return;
    this.#ceiling = ceiling;
    this.refresh();
    for (const [peer, { machine }] of this.#entries) {
      this.#perform(peer, machine.setCeiling(ceiling, clock.now()));
    }
    this.#schedule();
  }
}
