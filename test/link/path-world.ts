import { randomHex, seededRng, type Rng } from '../../src/base/rng.ts';
import {
  asMillis,
  asPeerId,
  formatSocketAddress,
  type Millis,
  type PeerId,
  type SocketAddress,
} from '../../src/base/types.ts';
import { tagOf } from '../../src/link/locator.ts';
import { Paths, type PathEffect } from '../../src/link/paths.ts';
import { routeKey, type Route } from '../../src/link/path-choice.ts';
import { MachineWorld } from './machine-world.ts';

const PORT = 7783;
/** What each datagram has beside what it carries: IPv4, UDP, and the envelope at most. */
export const OVERHEAD_BYTES = 20 + 8 + 32;

export const at = (address: string, port = PORT): SocketAddress => ({ address, port });

/** How a NAT maps and filters (RFC 4787 §4.1, §5): the names of RFC 3489. */
export type NatKind = 'full-cone' | 'port-restricted' | 'symmetric';

class Nat {
  readonly #kind: NatKind;
  readonly #address: string;
  readonly #ports = new Map<string, number>();
  readonly #inner = new Map<
    number,
    { readonly inside: SocketAddress; readonly sent: Set<string> }
  >();
  #next = 40_000;

  constructor(kind: NatKind, address: string) {
    this.#kind = kind;
    this.#address = address;
  }

  out(inside: SocketAddress, to: SocketAddress): SocketAddress {
    const text = formatSocketAddress(to);
    const key = formatSocketAddress(inside) + (this.#kind === 'symmetric' ? ` ${text}` : '');
    const port = this.#ports.get(key) ?? this.#next++;
    this.#ports.set(key, port);
    const mapping = this.#inner.get(port) ?? { inside, sent: new Set() };
    mapping.sent.add(text);
    this.#inner.set(port, mapping);
    return { address: this.#address, port };
  }

  in(port: number, from: SocketAddress): SocketAddress | undefined {
    const mapping = this.#inner.get(port);
    const isOpen =
      this.#kind === 'full-cone' || mapping?.sent.has(formatSocketAddress(from)) === true;
    return isOpen ? mapping?.inside : undefined;
  }

  get address(): string {
    return this.#address;
  }
}

export interface PathHostOptions {
  readonly addresses: readonly string[];
  readonly nat?: NatKind;
}

/** Hosts with paths between them on one virtual clock. Addresses of one first number can reach each other, and public ones all. */
export class PathWorld extends MachineWorld<PathHost> {
  readonly rng: Rng;
  /** Pairs of addresses, and single ones, between which nothing passes. */
  readonly cut = new Set<string>();
  /** Milliseconds one way, by the address that is sent to; 1 else. */
  readonly latency = new Map<string, number>();
  loss = 0;

  constructor(seed: number) {
    super();
    this.rng = seededRng(seed);
  }

  add(options: PathHostOptions): PathHost {
    const host = new PathHost(this, this.hosts.length, options);
    this.hosts.push(host);
    return host;
  }

  /** Runs until it is true; how long that took. */
  runUntil(isTrue: () => boolean, most: number): number {
    const start = this.now;
    while (!isTrue() && this.now - start < most) this.run(1);
    return this.now - start;
  }

  carry(
    from: SocketAddress,
    to: SocketAddress,
    arrive: (at: PathHost, from: SocketAddress) => void,
  ) {
    const sender = this.hosts.find(({ addresses }) => addresses.includes(from.address));
    const isCut = [to.address, from.address, `${from.address} ${to.address}`].some((key) =>
      this.cut.has(key),
    );
    if (isCut || this.rng.next() < this.loss) return;
    const isInside = isPrivate(to.address) && sender?.nat !== undefined;
    const source =
      sender?.nat !== undefined && !isPrivate(to.address) ? sender.nat.out(from, to) : from;
    const behind = this.hosts.find(({ nat }) => nat?.address === to.address);
    const inside = behind === undefined ? to : behind.nat?.in(to.port, source);
    if (inside === undefined || (isPrivate(to.address) && !isInside)) return;
    const target = this.hosts.find(({ addresses }) => addresses.includes(inside.address));
    if (target === undefined || (isInside && target.nat !== sender.nat)) return;
    this.after(this.latency.get(to.address) ?? 1, () => arrive(target, source));
  }
}

const isPrivate = (address: string): boolean => address.startsWith('10.');

export class PathHost {
  readonly id: PeerId;
  readonly addresses: readonly string[];
  readonly nat: Nat | undefined;
  readonly paths: Paths;
  readonly events: PathEffect[] = [];
  readonly known = new Map<PathHost, SocketAddress[]>();
  bytesSent = 0;
  /** How others see this host, as they say. */
  readonly seen = new Set<string>();
  readonly #world: PathWorld;
  readonly #wanted = new Set<PeerId>();

  constructor(world: PathWorld, number: number, { addresses, nat }: PathHostOptions) {
    this.#world = world;
    this.addresses = addresses;
    this.id = asPeerId(randomHex(world.rng, 32));
    this.nat = nat && new Nat(nat, `198.51.100.${number + 1}`);
    this.paths = new Paths({
      ...{ self: this.id, rng: world.rng },
      contact: (id) => {
        const host = world.hosts.find((each) => each.id === id);
        if (host === undefined) return undefined;
        const [announced = '', ...others] = host.addresses;
        return {
          announced: at(announced),
          candidates: [...others.map((each) => at(each)), ...(this.known.get(host) ?? [])],
        };
      },
      hostAt: ({ address }) => world.hosts.find((each) => each.addresses.includes(address))?.id,
      peerOf: (tag) => world.hosts.find(({ id }) => tagOf(id) === tag)?.id,
    });
  }

  want(...peers: readonly PathHost[]): void {
    for (const { id } of peers) this.#wanted.add(id);
    this.perform(this.paths.setWanted(this.#wanted, asMillis(this.#world.now)));
  }

  /** Sends frames to the peer for ever. */
  send(peer: PathHost, frames = 1): void {
    this.perform(this.paths.sent(peer.id, frames, asMillis(this.#world.now)));
    this.#world.after(100, () => this.send(peer, frames + 1));
  }

  get nextDue(): Millis | undefined {
    return this.paths.nextDue;
  }

  expire(): void {
    const { now } = this.#world;
    const { nextDue } = this.paths;
    if (nextDue !== undefined && nextDue <= now) this.perform(this.paths.expire(asMillis(now)));
  }

  perform(effects: readonly PathEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') this.#send(effect);
      else if (effect.kind === 'seen') this.seen.add(formatSocketAddress(effect.address));
      else this.events.push(effect);
    }
  }

  #send({ peer, bytes, route }: Extract<PathEffect, { kind: 'send' }>): void {
    this.bytesSent += bytes.length + OVERHEAD_BYTES;
    const isV4 = (address: string): boolean => !address.includes(':');
    if (route.kind === 'direct') {
      const own = this.addresses.find((each) => isV4(each) === isV4(route.to.address)) ?? '';
      const source = sameNet(this.addresses, route.to.address) ?? own;
      this.#world.carry(at(source), route.to, (target, from) => target.receive(bytes, from));
      return;
    }
    const relay = this.#world.hosts.find(({ id }) => id === route.via);
    const target = this.#world.hosts.find(({ id }) => id === peer);
    if (relay === undefined || target === undefined || this.#world.cut.has(relay.id)) return;
    const from = at(relay.addresses[0] ?? '');
    this.#world.after(2, () => target.receive(bytes, from));
  }

  receive(bytes: Buffer, from: SocketAddress): void {
    this.perform(this.paths.receive(bytes, from, asMillis(this.#world.now)));
  }

  routeTo(peer: PathHost): Route | undefined {
    return this.paths.route(peer.id);
  }

  goesBy(peer: PathHost): string {
    const route = this.routeTo(peer);
    return route === undefined ? '' : routeKey(route);
  }

  whyTo(peer: PathHost): string | undefined {
    return this.paths.peers().find((each) => each.peer === peer.id)?.why;
  }

  changes(): number {
    return this.events.filter((event) => event.kind === 'path' && event.from !== undefined).length;
  }
}

/** The own address in the same /24 as another, if there is one. */
function sameNet(own: readonly string[], other: string): string | undefined {
  const net = (address: string): string => address.split('.').slice(0, 3).join('.');
  return own.find((each) => net(each) === net(other));
}
