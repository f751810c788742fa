import { randomHex, seededRng, type Rng } from '../../src/base/rng.ts';
import { asMillis, type Millis, type PeerId, type SocketAddress } from '../../src/base/types.ts';
import type { SealingKey } from '../../src/encap/sealed.ts';
import { hostIdOf } from '../../src/link/identity.ts';
import { Keyring } from '../../src/link/keyring.ts';
import { locatorOf } from '../../src/link/locator.ts';
import { KeyPair } from '../../src/link/noise/key-pair.ts';
import { SESSION_DEFAULTS, type SessionConfig } from '../../src/link/session-config.ts';
import { Sessions, type SessionEffect, type SessionPsks } from '../../src/link/sessions.ts';
import { MachineWorld } from './machine-world.ts';

export const SECRET = Buffer.alloc(32, 9);
/** What a data plane holds for one peer at most. */
const MAX_RECEIVE_KEYS = 3;
const EPOCH = Date.UTC(2026, 0, 1);

export interface Weather {
  readonly loss: number;
  readonly duplication: number;
  /** Milliseconds, uniform; far apart ends reorder. */
  readonly latency: readonly [number, number];
}
export const CALM: Weather = { loss: 0, duplication: 0, latency: [1, 1] };

export interface Datagram {
  readonly bytes: Buffer;
  readonly from: Host;
  readonly to: SocketAddress;
}

/** Hosts with sessions and as much of a data plane as holds keys, on one virtual clock. */
export class SessionWorld extends MachineWorld<Host> {
  readonly rng: Rng;
  /** Every handshake datagram that was sent. */
  readonly log: Datagram[] = [];
  /** What must never be: frames that can't be opened, too many keys, a key used by two. */
  readonly faults: string[] = [];
  readonly counts = { frames: 0, unkeyed: 0 };
  weather = CALM;

  constructor(seed: number) {
    super();
    this.rng = seededRng(seed);
  }

  add(options: HostOptions = {}): Host {
    const host = new Host(this, this.hosts.length, options);
    this.hosts.push(host);
    return host;
  }

  /** Carries something through the weather: not at all, once or twice. */
  carry(arrive: () => void): void {
    const { loss, duplication, latency } = this.weather;
    if (this.rng.next() < loss) return;
    const copies = this.rng.next() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      this.after(latency[0] + this.rng.next() * (latency[1] - latency[0]), arrive);
    }
  }

  hostAt({ address }: SocketAddress): Host | undefined {
    return this.hosts.find((host) => host.address.address === address);
  }

  /** Each host sends a frame to each other one every so often, in the same weather. */
  keepSending(every: number): void {
    for (const from of this.hosts) {
      for (const to of this.hosts) if (from !== to) from.sendFrame(to);
    }
    this.after(every, () => this.keepSending(every));
  }
}

/** Handshakes begin with the newest key unless another is named. */
export const psksOf = (keyring: Keyring, primary = keyring.newest): SessionPsks => ({
  ...{ primary, active: keyring.active },
});

interface HostOptions {
  readonly secret?: Uint8Array;
  /** Instead of one key of `secret`. */
  readonly keyring?: Keyring;
  readonly config?: Partial<SessionConfig>;
  readonly isUnknown?: boolean;
}

export class Host {
  readonly identity: KeyPair;
  readonly id: PeerId;
  readonly address: SocketAddress;
  readonly events: SessionEffect[] = [];
  readonly receiveKeys = new Map<number, { readonly key: SealingKey; readonly address: string }>();
  readonly sendKeys = new Map<string, SealingKey>();
  readonly #world: SessionWorld;
  readonly #options: HostOptions;
  sessions: Sessions;
  keyring: Keyring;
  stamp = 0;
  /** How far this host's wall clock is off. */
  wallOffset = 0;

  constructor(world: SessionWorld, number: number, options: HostOptions) {
    this.#world = world;
    this.#options = options;
    this.identity = KeyPair.from(Buffer.from(randomHex(world.rng, 64), 'hex'));
    this.id = hostIdOf(this.identity.publicKey);
    this.keyring = options.keyring ?? Keyring.create(options.secret ?? SECRET);
    this.address = { address: `192.0.2.${number + 1}`, port: 7783 };
    this.sessions = this.#start();
  }

  get isUnknown(): boolean {
    return this.#options.isUnknown ?? false;
  }

  #start(): Sessions {
    return new Sessions({
      ...{ self: this.id, identity: this.identity, keys: psksOf(this.keyring) },
      contact: (id) => {
        const host = this.#world.hosts.find((each) => each.id === id);
        if (host === undefined || host.isUnknown) return undefined;
        return { publicKey: host.identity.publicKey, locator: locatorOf(host.id) };
      },
      ...{ ciphers: ['aes-256-gcm'], rng: this.#world.rng, stampFloor: this.stamp },
      config: { ...SESSION_DEFAULTS, ...this.#options.config },
    });
  }

  /** kill -9 and a new daemon: only what was remembered is left. */
  restart(): void {
    this.receiveKeys.clear();
    this.sendKeys.clear();
    this.sessions = this.#start();
  }

  want(peer: Host): void {
    this.perform(this.sessions.want(peer.id, this.instant()));
  }

  receive(bytes: Buffer, from: SocketAddress): void {
    this.perform(this.sessions.receive(Buffer.from(bytes), from, this.instant()));
  }

  get nextDue(): Millis | undefined {
    return this.sessions.nextDue;
  }

  expire(): void {
    this.perform(this.sessions.expire(this.instant()));
  }

  instant() {
    const { now } = this.#world;
    return { now: asMillis(now), wall: EPOCH + now + this.wallOffset };
  }

  /** A frame under the key of the moment; it must be opened if it arrives at all. */
  sendFrame(to: Host): void {
    const { counts, faults } = this.#world;
    const key = this.sendKeys.get(locatorOf(to.id));
    if (key === undefined) {
      counts.unkeyed++;
      return;
    }
    this.#world.carry(() => {
      counts.frames++;
      const found = to.receiveKeys.get(key.index);
      const isOpened =
        found !== undefined &&
        found.key.cipher === key.cipher &&
        Buffer.from(found.key.key).equals(key.key);
      if (!isOpened) faults.push(`${this.#world.now}: a frame of ${this.id} could not be opened`);
    });
  }

  perform(effects: readonly SessionEffect[]): void {
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: SessionEffect): void {
    const { faults } = this.#world;
    this.events.push(effect);
    switch (effect.kind) {
      case 'send': {
        const bytes = Buffer.from(effect.bytes);
        const to = effect.from ?? this.#world.hosts.find(({ id }) => id === effect.peer)?.address;
        if (to === undefined) break;
        this.#world.log.push({ bytes, from: this, to });
        this.#world.carry(() => this.#world.hostAt(to)?.receive(bytes, this.address));
        break;
      }
      case 'add-receive-key': {
        const { address, key } = effect;
        if (this.receiveKeys.has(key.index)) faults.push(`index ${key.index} is used twice`);
        this.receiveKeys.set(key.index, { key, address });
        const count = [...this.receiveKeys.values()].filter((each) => each.address === address);
        if (count.length > MAX_RECEIVE_KEYS)
          faults.push(`${count.length} receive keys of one peer`);
        break;
      }
      case 'remove-receive-key':
        this.receiveKeys.delete(effect.index);
        break;
      case 'set-send-key':
        for (const known of this.sendKeys.values()) {
          if (Buffer.from(known.key).equals(effect.key.key))
            faults.push('a send key was set twice');
        }
        this.sendKeys.set(effect.address, effect.key);
        break;
      case 'clear-send-key':
        this.sendKeys.delete(effect.address);
        break;
      case 'stamp':
        if (effect.stamp <= this.stamp) faults.push('a stamp is not greater than the last');
        this.stamp = effect.stamp;
        break;
      case 'established':
      case 'lost':
        break;
    }
  }

  established(): number {
    return this.events.filter(({ kind }) => kind === 'established').length;
  }
}

/** Two hosts that both want a session. */
export function pairWorld(seed: number, options: HostOptions = {}) {
  const world = new SessionWorld(seed);
  const [a, b] = [world.add(options), world.add(options)];
  return { world, a, b, lower: a.id < b.id ? a : b, higher: a.id < b.id ? b : a };
}
