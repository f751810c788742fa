import { Alarm, coalesce } from '../base/alarm.ts';
import type { Clock } from '../base/clock.ts';
import type { Rng } from '../base/rng.ts';
import type { Millis, PeerId, SocketAddress } from '../base/types.ts';
import type { Sealing } from '../dataplane/dataplane.ts';
import { isActive } from '../gossip/member.ts';
import { locatorOf, tagOf } from '../link/locator.ts';
import type { KeyPair } from '../link/noise/key-pair.ts';
import { Trust, type TrustEffect, type TrustState } from '../link/trust.ts';
import { trustKey } from '../link/trust-message.ts';
import type { PathChannel } from '../underlay/datagram.ts';
import { formatCidr, type Cidr } from '../wire/cidr.ts';
import type { PathKeeper } from './path-keeper.ts';
import type { MemberSource } from './peers.ts';
import { isRelayedAddress } from './routed-control.ts';

export interface TrustedPathsOptions {
  readonly self: PeerId;
  readonly identity: KeyPair;
  /** What this host's person trusts. */
  readonly subnets: readonly Cidr[];
  readonly members: MemberSource;
  readonly isExpelled: (id: PeerId) => boolean;
  readonly paths: () => Pick<PathKeeper, 'sharedPaths' | 'agreementChanged'>;
  readonly ownAddresses: () => readonly string[];
  readonly plane: { setUnsealedSources(address: string, sources: readonly SocketAddress[]): void };
  readonly channel: PathChannel;
  readonly clock: Clock;
  readonly rng: Rng;
}

/** Whether frames of sealed networks go to a host in the clear, for `weft links`. */
export interface PathTrust {
  readonly isPlain: boolean;
  readonly why: string;
}

/**
 * Drives the agreements on what goes in the clear: gives the machine time, paths and messages, and tells the
 * data plane what came of it. A host that trusts nothing answers that to those who ask.
 */
export class TrustedPaths {
  readonly #options: TrustedPathsOptions;
  readonly #trust: Trust;
  readonly #alarm: Alarm;
  /** With each host whose key is known; the key of the pair takes a Diffie-Hellman. */
  readonly #keys = new Map<PeerId, Buffer | undefined>();
  /** Of those hosts. */
  readonly #locators = new Map<string, PeerId>();
  #isStopped = false;

  constructor(options: TrustedPathsOptions) {
    const { self, subnets, members, channel, clock, rng, ownAddresses } = options;
    this.#options = options;
    this.#trust = new Trust({
      ...{ self, subnets, rng },
      keyOf: (id) => this.#keyOf(id),
      peerOf: (tag) => members.members().find(({ id }) => tagOf(id) === tag)?.id,
      isOwn: (address) => ownAddresses().includes(address),
    });
    this.#alarm = new Alarm(clock, () => this.#perform(this.#trust.expire(this.#now())));
    channel.onReceive((bytes, from) => {
      // What a relay brought came from no address of its sender.
      if (this.#isStopped || isRelayedAddress(from)) return;
      this.#perform(this.#trust.receive(bytes, from, this.#now()));
    });
  }

  /** For the path keeper. */
  isAgreed(id: PeerId, to: SocketAddress): boolean {
    return this.#trust.isAgreed(id, to);
  }

  /** The hosts that share sealed networks, or the ways to them, are others. */
  readonly pathsChanged = coalesce(() => {
    if (this.#isStopped || this.#options.subnets.length === 0) return;
    this.#perform(this.#trust.setPaths(this.#options.paths().sharedPaths(), this.#now()));
  });

  /** The same keys for the data plane, but that frames are sealed with each new one until it is agreed otherwise. */
  guard(sealing: Sealing): Sealing {
    return {
      setSendKey: (address, key) => {
        this.#keyChanged(address);
        sealing.setSendKey(address, key);
      },
      clearSendKey: (address) => {
        this.#keyChanged(address);
        sealing.clearSendKey(address);
      },
      addReceiveKey: (address, key) => sealing.addReceiveKey(address, key),
      removeReceiveKey: (index) => sealing.removeReceiveKey(index),
    };
  }

  /** Of a host that shares a sealed network; undefined where this host trusts nothing. */
  describe(id: PeerId, name: string): PathTrust | undefined {
    if (this.#options.subnets.length === 0) return undefined;
    const state = this.#trust.state(id);
    return { isPlain: state.kind === 'agreed', why: reason(state, name) };
  }

  /** As CIDRs. */
  get subnets(): readonly string[] {
    return this.#options.subnets.map(formatCidr);
  }

  counters(): Readonly<Record<string, number>> {
    return this.#trust.counters();
  }

  stop(): void {
    this.#isStopped = true;
    this.#alarm.set(undefined);
  }

  #keyChanged(locator: string): void {
    const id = this.#locators.get(locator);
    if (id !== undefined) this.#perform(this.#trust.keyChanged(id, this.#now()));
  }

  #keyOf(id: PeerId): Buffer | undefined {
    const { members, identity, isExpelled } = this.#options;
    const member = members.member(id);
    if (member === undefined || !isActive(member) || isExpelled(id)) return undefined;
    // An id has one key (docs/adr/0041).
    if (!this.#keys.has(id)) {
      this.#keys.set(id, trustKey(identity, member.key));
      this.#locators.set(locatorOf(id), id);
    }
    return this.#keys.get(id);
  }

  #now(): Millis {
    return this.#options.clock.now();
  }

  #perform(effects: readonly TrustEffect[]): void {
    for (const effect of effects) this.#performOne(effect);
    if (!this.#isStopped) this.#alarm.set(this.#trust.nextDue);
  }

  #performOne(effect: TrustEffect): void {
    const { channel, plane, paths } = this.#options;
    switch (effect.kind) {
      case 'send':
        channel.sendBy(effect.bytes, { to: effect.to });
        break;
      case 'take':
        plane.setUnsealedSources(locatorOf(effect.peer), effect.sources);
        break;
      case 'changed':
        paths().agreementChanged(effect.peer);
    }
  }
}

function reason(state: TrustState, name: string): string {
  switch (state.kind) {
    case 'agreed':
      return state.ours === state.theirs
        ? `both ends trust ${state.ours}`
        : `this host trusts ${state.ours}, and ${name} trusts ${state.theirs}`;
    case 'relayed':
      return 'they go by a relay, or nowhere';
    case 'untrusted':
      return `${state.by === 'us' ? 'this host' : name} does not trust ${state.address}`;
    case 'translated':
      return 'there is a NAT on the way';
    case 'unanswered':
      return `${name} has not agreed to anything else yet`;
  }
}
