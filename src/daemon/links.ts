import { Alarm, coalesce } from '../base/alarm.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import type { PeerId } from '../base/types.ts';
import type { DataPlane, Sealing } from '../dataplane/dataplane.ts';
import type { SealingCipher } from '../encap/sealed.ts';
import { isActive, type Member } from '../gossip/member.ts';
import { sessionConfig } from '../link/session-config.ts';
import {
  Sessions,
  type Contact,
  type Instant,
  type SessionEffect,
  type SessionInfo,
} from '../link/sessions.ts';
import type { PathChannel } from '../underlay/datagram.ts';
import { locatorOf } from '../link/locator.ts';
import type { LinksStatus } from '../api/control.ts';
import type { LinkEvents } from './link-events.ts';
import type { PathKeeper } from './path-keeper.ts';
import { isRelayedAddress } from './routed-control.ts';
import type { Keys, KeysChange } from './keys.ts';
import type { MemberSource } from './peers.ts';
import type { State } from './state.ts';

export interface LinksOptions {
  readonly channel: PathChannel;
  readonly paths: PathKeeper;
  readonly events: LinkEvents;
  readonly sealing: Sealing;
  /** What stands before handshakes that come. */
  readonly gate: Pick<DataPlane, 'setHandshakeKeys'>;
  readonly state: State;
  readonly keys: Keys;
  readonly members: MemberSource;
  /** Locators of the hosts with which this one shares a sealed network. */
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
  readonly #alarm: Alarm;
  #isStopped = false;

  constructor(options: LinksOptions) {
    const { channel, state, keys, members, ciphers, rng } = options;
    this.#options = options;
    this.#sessions = new Sessions({
      ...{ self: state.id, identity: state.identity, ciphers, rng },
      keys: keys.psks(),
      stampFloor: state.stampFloor,
      contact: (id) => (keys.keyring.isExpelled(id) ? undefined : contactOf(members.member(id))),
      config: sessionConfig(options.rekeySeconds),
    });
    this.#openGate();
    this.#alarm = new Alarm(options.clock, () => this.#perform(this.#sessions.expire(this.#now())));
    channel.onReceive((bytes, from) => {
      if (!this.#isStopped) this.#perform(this.#sessions.receive(bytes, from, this.#now()));
    });
  }

  /** Gossip says something else of a member. */
  memberChanged(id: PeerId): void {
    this.#perform(this.#sessions.changed(id));
    this.refresh();
  }

  /** Frames and control datagrams to the host go another way. */
  pathChanged(id: PeerId): void {
    if (!this.#isStopped) this.#perform(this.#sessions.pathChanged(id, this.#now()));
  }

  /** Has sessions with those that share a sealed network with this host, and no others; soon. */
  readonly refresh = coalesce(() => {
    if (!this.#isStopped) this.#refresh();
  });

  /** The mesh has other keys from now on, or this host is of another mesh; they are on disk already. */
  keysChanged({ isOtherMesh }: KeysChange): void {
    const { keys, members } = this.#options;
    if (this.#isStopped) return;
    if (isOtherMesh) this.#perform(this.#sessions.moveTo(keys.psks(), this.#now()));
    else this.#sessions.setKeys(keys.psks());
    this.#openGate();
    // Whoever is expelled is no contact any more.
    for (const { id } of members.members()) this.memberChanged(id);
  }

  status(): Omit<LinksStatus, 'sent'> {
    const { clock, members } = this.#options;
    const peers = this.#sessions.sessions(clock.now()).map(({ peer, cipher, age, unanswered }) => ({
      peer: members.member(peer)?.name ?? peer,
      state: cipher === undefined ? ('connecting' as const) : ('sealed' as const),
      ...(cipher === undefined ? {} : { cipher }),
      ...(age === undefined ? {} : { keyAgeSeconds: Math.floor(age / 1000) }),
      unanswered,
    }));
    const counters = { ...this.#sessions.counters(), ...this.#options.paths.counters() };
    return { peers, counters };
  }

  /** Every session, for `weft links`. */
  sessions(): SessionInfo[] {
    return this.#sessions.sessions(this.#options.clock.now());
  }

  stop(): void {
    this.#isStopped = true;
    this.#alarm.set(undefined);
  }

  /** To all that was made with a key of the mesh, and to nothing else. */
  #openGate(): void {
    this.#options.gate.setHandshakeKeys(this.#sessions.macOneKeys());
  }

  #refresh(): void {
    const { sealedPeers, members, paths } = this.#options;
    const locators = sealedPeers();
    const wanted = members
      .members()
      .filter(({ id }) => locators.has(locatorOf(id)))
      .map(({ id }) => id);
    const isWanted = new Set(wanted);
    paths.setShared(isWanted);
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
    if (!this.#isStopped) this.#alarm.set(this.#sessions.nextDue);
  }

  #performOne(effect: SessionEffect): void {
    const { sealing, state } = this.#options;
    switch (effect.kind) {
      case 'send':
        this.#send(effect);
        break;
      case 'add-receive-key':
        sealing.addReceiveKey(effect.address, effect.key);
        break;
      case 'remove-receive-key':
        sealing.removeReceiveKey(effect.index);
        break;
      case 'set-send-key':
        sealing.setSendKey(effect.address, effect.key);
        break;
      case 'clear-send-key':
        sealing.clearSendKey(effect.address);
        break;
      case 'stamp':
        state.noteStamp(effect.stamp);
        break;
      case 'established':
      case 'lost':
        this.#tell(effect);
    }
  }

  /** What answers a datagram goes back to where that came from, or by the path to its sender if a relay brought it. */
  #send({ bytes, peer, from }: Extract<SessionEffect, { readonly kind: 'send' }>): void {
    const { channel, paths } = this.#options;
    if (from !== undefined && isRelayedAddress(from)) {
      channel.send(bytes, from);
      return;
    }
    const path = from === undefined ? peer && paths.pathTo(peer) : { to: from };
    if (path !== undefined) channel.sendBy(bytes, path);
  }

  #tell(event: SessionEvent): void {
    const { log, members, events } = this.#options;
    const name = members.member(event.peer)?.name ?? event.peer;
    if (event.kind === 'lost') events.add('keys', name, `no keys for ${name} any more`);
    else if (event.isRekey) log.debug({ peer: name, id: event.peer }, 'new keys for a peer');
    else events.add('keys', name, `the link to ${name} is sealed`);
  }
}

type SessionEvent = Extract<SessionEffect, { readonly kind: 'established' | 'lost' }>;

/** Whom a link can be made to. */
function contactOf(member: Member | undefined): Contact | undefined {
  if (member === undefined || !isActive(member)) return undefined;
  return { publicKey: member.key, locator: locatorOf(member.id) };
}
