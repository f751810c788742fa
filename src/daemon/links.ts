import type { Clock, Timer } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import { asMillis, type PeerId } from '../base/types.ts';
import type { Sealing } from '../dataplane/dataplane.ts';
import type { SealingCipher } from '../encap/sealed.ts';
import { isActive, type Member } from '../gossip/member.ts';
import { sessionConfig } from '../link/session-config.ts';
import { Sessions, type Contact, type Instant, type SessionEffect } from '../link/sessions.ts';
import type { DatagramChannel } from '../underlay/datagram.ts';
import type { LinksStatus } from '../api/control.ts';
import { memberKey, type MemberSource } from './peers.ts';
import type { State } from './state.ts';

export interface LinksOptions {
  readonly channel: DatagramChannel;
  /** Undefined where the data plane can't seal: then no handshake is answered. */
  readonly sealing: Sealing | undefined;
  readonly state: State;
  readonly members: MemberSource;
  /** Addresses of the hosts with which this one shares a sealed network. */
  readonly sealedPeers: () => ReadonlySet<string>;
  readonly ciphers: readonly SealingCipher[];
  readonly rekeySeconds: number;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
}

/**
 * Drives the sessions: gives them the time and the mesh port's handshakes, and the data plane their keys.
 * A session is wanted with each host that shares a sealed network with this one.
 */
export class Links {
  readonly #options: LinksOptions;
  readonly #sessions: Sessions;
  readonly #wanted = new Set<PeerId>();
  #timer: Timer | undefined;
  #isRefreshing = false;
  #isStopped = false;

  constructor(options: LinksOptions) {
    const { channel, sealing, state, members, ciphers, rng } = options;
    this.#options = options;
    this.#sessions = new Sessions({
      ...{ self: state.id, identity: state.identity, ciphers, rng },
      secret: sealing && state.meshSecret,
      stampFloor: state.stampFloor,
      contact: (id) => contactOf(members.member(id)),
      config: sessionConfig(options.rekeySeconds),
    });
    channel.onReceive((bytes, from) => {
      if (!this.#isStopped) this.#perform(this.#sessions.receive(bytes, from, this.#now()));
    });
  }

  /** Gossip says something else of a member. */
  memberChanged(id: PeerId): void {
    this.#perform(this.#sessions.changed(id, this.#now()));
    this.refresh();
  }

  /** Has sessions with those that share a sealed network with this host, and no others; soon. */
  refresh(): void {
    if (this.#isRefreshing || this.#isStopped) return;
    this.#isRefreshing = true;
    queueMicrotask(() => {
      this.#isRefreshing = false;
      if (!this.#isStopped) this.#refresh();
    });
  }

  /** The mesh has another secret from now on; it is on disk already. */
  secretChanged(): void {
    const { sealing, state } = this.#options;
    if (sealing !== undefined) {
      this.#perform(this.#sessions.setSecret(state.meshSecret, this.#now()));
    }
  }

  status(): LinksStatus {
    const { clock, members } = this.#options;
    const peers = this.#sessions.sessions(clock.now()).map(({ peer, cipher, age, unanswered }) => ({
      peer: members.member(peer)?.name ?? peer,
      state: cipher === undefined ? ('connecting' as const) : ('sealed' as const),
      ...(cipher === undefined ? {} : { cipher }),
      ...(age === undefined ? {} : { keyAgeSeconds: Math.floor(age / 1000) }),
      unanswered,
    }));
    return { peers, counters: this.#sessions.counters() };
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #refresh(): void {
    const addresses = this.#options.sealedPeers();
    const wanted = this.#options.members
      .members()
      .filter(({ address }) => addresses.has(address.address))
      .map(({ id }) => id);
    const isWanted = new Set(wanted);
    for (const id of this.#wanted) {
      if (isWanted.has(id)) continue;
      this.#wanted.delete(id);
      this.#perform(this.#sessions.unwant(id));
    }
    for (const id of wanted) {
      this.#wanted.add(id);
      this.#perform(this.#sessions.want(id, this.#now()));
    }
  }

  #now(): Instant {
    const { clock } = this.#options;
    return { now: clock.now(), wall: clock.wallNow() };
  }

  #perform(effects: readonly SessionEffect[]): void {
    for (const effect of effects) this.#performOne(effect);
    this.#timer?.cancel();
    this.#timer = undefined;
    const { nextDue } = this.#sessions;
    if (nextDue === undefined || this.#isStopped) return;
    const { clock } = this.#options;
    this.#timer = clock.after(asMillis(Math.max(0, nextDue - clock.now())), () =>
      this.#perform(this.#sessions.expire(this.#now())),
    );
  }

  #performOne(effect: SessionEffect): void {
    const { channel, sealing, state } = this.#options;
    switch (effect.kind) {
      case 'send':
        channel.send(effect.bytes, effect.to);
        break;
      case 'add-receive-key':
        sealing?.addReceiveKey(effect.address, effect.key);
        break;
      case 'remove-receive-key':
        sealing?.removeReceiveKey(effect.index);
        break;
      case 'set-send-key':
        sealing?.setSendKey(effect.address, effect.key);
        break;
      case 'clear-send-key':
        sealing?.clearSendKey(effect.address);
        break;
      case 'stamp':
        state.noteStamp(effect.stamp);
        break;
      case 'established':
      case 'lost':
        this.#tell(effect);
    }
  }

  #tell(event: SessionEvent): void {
    const { log, members } = this.#options;
    const fields = { peer: members.member(event.peer)?.name, id: event.peer };
    if (event.kind === 'lost') log.warn(fields, 'no keys for a peer any more');
    else if (event.isRekey) log.debug(fields, 'new keys for a peer');
    else log.info(fields, 'a link to a peer is sealed');
  }
}

type SessionEvent = Extract<SessionEffect, { readonly kind: 'established' | 'lost' }>;

/** Live members whose id proves their key. */
function contactOf(member: Member | undefined): Contact | undefined {
  if (member === undefined || !isActive(member)) return undefined;
  const publicKey = memberKey(member);
  return publicKey && { publicKey, address: member.address };
}
