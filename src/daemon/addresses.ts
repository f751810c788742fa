import assert from 'node:assert/strict';
import type { Clock, Timer } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import { asMillis, type Millis, type PeerId } from '../base/types.ts';
import {
  decodeReply,
  decodeRequest,
  decodeStored,
  encodeReply,
  encodeRequest,
  encodeStored,
} from '../ipam/codec.ts';
import type { Holding } from '../ipam/holding.ts';
import { CALL_TIMEOUT_MS, Ipam, type Effect } from '../ipam/host.ts';
import type { Failure, Outcome, PoolId, Reply } from '../ipam/message.ts';
import { epochOf, isVoid } from '../ipam/pool.ts';
import type { Mesh } from '../gossip/driver.ts';
import { isActive } from '../gossip/member.ts';
import {
  addressesOf,
  givenTo,
  rowOfGiven,
  type Endpoint,
  type EndpointAddresses,
  type GivenAddress,
} from '../network/endpoint.ts';
import type { NetworkDefinition } from '../network/network.ts';
import { poolsOf, type AddressPool } from '../network/subnets.ts';
import { bareAddress, familyOf } from '../wire/cidr.ts';
import { AddressIndex } from './address-index.ts';
import { addressError, disputedAddress } from './address-sentences.ts';
import type { ClusterHolds } from './cluster-holds.ts';
import { shared } from './conflicts.ts';
import { plainName, type Directory, type RowChange } from './directory.ts';
import { addressAt, offsetOf, poolSpec } from './pool-spec.ts';
import type { EndpointRecord } from './records.ts';
import { endpointId, endpointKey } from './row-owners.ts';
import type { Reservations } from './reservations.ts';
import type { State } from './state.ts';

const SERVICE = 'ipam';
/** Void rows go together, this long after it became known that there are some. */
const SWEEP_AFTER = asMillis(50);
/** A wall clock that has gone this much further than the monotonic one: the machine slept. */
const SLEPT_MS = 2_000;

export interface AddressesOptions {
  readonly mesh: Pick<Mesh, 'self' | 'members' | 'member' | 'serve' | 'call'>;
  readonly state: Pick<State, 'pool' | 'savePool' | 'dropPool'>;
  readonly directory: Directory;
  readonly hostName: (host: PeerId) => string;
  readonly reservations: Pick<Reservations, 'get' | 'ofPool'>;
  readonly holds: Pick<ClusterHolds, 'has'>;
  /** Endpoints of this host have lost their addresses; their rows are gone, their interfaces must go. */
  readonly endpointsLost: () => void;
  /** How long a host's endpoints keep their addresses without it. */
  readonly endpointLeaseMs: number;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
}

/** What each gives; if `second` fails, what `first` gave is released. */
export async function bothOrNone(
  first: () => Promise<GivenAddress>,
  second: (() => Promise<GivenAddress>) | undefined,
  release: (address: string) => void,
): Promise<EndpointAddresses> {
  const given = await first();
  try {
    return rowOfGiven(given, await second?.());
  } catch (error) {
    release(given.address);
    throw error;
  }
}

/** The very addresses that an endpoint is to have, bare or as CIDRs; where none is named, any. */
export interface WantedAddresses {
  readonly address?: string | undefined;
  readonly address6?: string | undefined;
}

/** Drives this host's `Ipam`: gives it time, members, messages and the disk, and does what it asks. */
export class Addresses {
  readonly #options: AddressesOptions;
  readonly #ipam: Ipam;
  readonly #index = new AddressIndex();
  /** The pools that are held, one or two of a network. */
  readonly #pools = new Map<PoolId, AddressPool>();
  readonly #awaited = new Map<number, (outcome: Outcome) => void>();
  readonly #timers = new Set<Timer>();
  readonly #lost = new Map<string, string>();
  /** Pools of other networks of the same name. */
  readonly #twins = new Map<PoolId, readonly AddressPool[]>();
  #sweeping: Timer | undefined;
  #malformed = 0;
  #slept = 0;
  #isStopped = false;

  constructor(options: AddressesOptions) {
    this.#options = options;
    const { mesh, state, rng, endpointLeaseMs } = options;
    this.#slept = this.#wallAhead();
    this.#ipam = new Ipam(
      {
        self: mesh.self.id,
        store: {
          load: (pool) => {
            const bytes = state.pool(pool);
            return bytes && decodeStored(bytes);
          },
          save: (pool, stored) => state.savePool(pool, encodeStored(stored)),
          drop: (pool) => state.dropPool(pool),
        },
        members: {
          isAlive: (host) => this.#isAlive(host),
          alive: () => this.#alive(),
          awayMs: (host) => this.#awayMs(host),
        },
        ...{ rng, endpointLeaseMs },
        isTaken: (pool, offset, mover) => this.#isTaken(pool, offset, mover),
      },
      options.clock.now(),
    );
  }

  /** Takes up the pools of the networks that there are, and begins to answer other hosts. */
  start(): void {
    const { directory, mesh } = this.#options;
    for (const endpoint of directory.endpoints()) {
      this.#index.add(endpointKey(endpoint), endpoint);
    }
    mesh.serve(SERVICE, (sender, body) => this.#answer(sender, body));
    this.networksChanged();
    this.#sweepSoon();
  }

  stop(): void {
    this.#isStopped = true;
    this.#sweeping?.cancel();
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  /** A network was made, removed, or is another by that name: pools follow. */
  networksChanged(): void {
    const { directory } = this.#options;
    const pools = new Map(
      directory.networks().flatMap((network) => poolsOf(network).map((pool) => [pool.id, pool])),
    );
    for (const id of [...this.#pools.keys()]) {
      if (pools.has(id)) continue;
      this.#ipam.removePool(id);
      this.#pools.delete(id);
    }
    for (const pool of pools.values()) {
      // The same by another name, or on another VNI.
      if (this.#pools.has(pool.id)) this.#pools.set(pool.id, pool);
      else this.#addPool(pool);
    }
    this.#twins.clear();
    for (const group of shared([...pools.values()], ({ name }) => plainName(name))) {
      for (const { id, name } of group)
        this.#twins.set(
          id,
          group.filter((other) => other.name !== name),
        );
    }
  }

  /** A row of the endpoint table has changed, here or elsewhere: an address is taken, or rests. */
  endpointChanged({ key, value, previous }: RowChange<EndpointRecord>): void {
    if (previous !== undefined) this.#index.remove(key, previous);
    if (value !== undefined) this.#index.add(key, value);
    if (value !== undefined && this.#isVoid({ id: endpointId(key), ...value })) this.#sweepSoon();
    if (previous === undefined || previous.host !== this.#options.mesh.self.id) return;
    const kept = value?.host === previous.host ? addressesOf(value) : [];
    const gone = addressesOf(previous).filter((address) => !kept.includes(address));
    const network = this.#options.directory.network(previous.network);
    if (network !== undefined) this.release(network, ...gone);
  }

  membersChanged(): void {
    if (this.#isStopped) return;
    this.#try(() => this.#ipam.nudge(this.#now()));
    this.#sweepSoon();
  }

  /**
   * Gets an endpoint one address of each of the network's pools, or none at all, and holds them until
   * `release`. Rejects as `acquireFrom`.
   */
  async acquire(
    network: NetworkDefinition,
    { address, address6 }: WantedAddresses = {},
  ): Promise<EndpointAddresses> {
    const [pool, pool6] = poolsOf(network);
    return bothOrNone(
      () => this.acquireFrom(pool, address),
      pool6 && (() => this.acquireFrom(pool6, address6)),
      (given) => this.release(network, given),
    );
  }

  /**
   * Gets an address of a pool, `wanted` (CIDR or bare) or one that is free, and holds it until
   * `release`. `mover` is an endpoint that has it already in another network of the same name, and
   * moves from there: it is not in its own way. Rejects with E_ADDRESS_EXHAUSTED, E_ADDRESS_NO_MAJORITY, E_ADDRESS_AWAY, E_ADDRESS_TAKEN,
   * E_ADDRESS_BUSY.
   */
  async acquireFrom(pool: AddressPool, wanted?: string, mover?: string): Promise<GivenAddress> {
    const offset = wanted === undefined ? undefined : offsetOf(pool, wanted);
    const now = this.#now();
    // The disk may have kept this host from taking the pool up when the network came.
    if (!this.#pools.has(pool.id)) this.networksChanged();
    const local = offset === undefined ? this.#ipam.take(pool.id, now) : undefined;
    const outcome = local ?? (await this.#await(this.#ipam.allocate(pool.id, offset, now, mover)));
    if (outcome.kind === 'address') {
      const { offset: at, epoch } = outcome;
      return { address: addressAt(pool, at), ...(epoch === 0 ? {} : { epoch }) };
    }
    assert(outcome.kind !== 'done', 'an allocation ends with an address or a failure');
    throw this.#error(outcome, pool, wanted, mover);
  }

  /** What the row of an endpoint says of an address that is held for a cluster, here or elsewhere. */
  lent(pool: AddressPool, wanted: string): GivenAddress {
    const offset = offsetOf(pool, wanted);
    assert(offset !== undefined, 'the address was checked');
    const { chosen } = this.#ipam.holding(pool.id) ?? {};
    const epoch = chosen === undefined ? 0 : epochOf(chosen, this.#options.mesh.self.id);
    return { address: addressAt(pool, offset), ...(epoch === 0 ? {} : { epoch }) };
  }

  /** The endpoint is gone, or was never made; what is reserved stays held. */
  release(network: NetworkDefinition, ...addresses: readonly string[]): void {
    const { reservations } = this.#options;
    for (const address of addresses) {
      if (reservations.get(network.id, address) !== undefined) continue;
      for (const pool of poolsOf(network)) {
        const offset = offsetOf(pool, address);
        if (offset !== undefined) this.#ipam.release(pool.id, offset, this.#now());
      }
    }
  }

  /** Takes from a host what it has in every network. Rejects with E_HOST_ALIVE, E_ADDRESS_NO_MAJORITY. */
  async forget(host: PeerId, isForced: boolean): Promise<void> {
    for (const pool of [...this.#pools.values()]) {
      const begun = this.#ipam.forget(pool.id, host, isForced, this.#now());
      const outcome = await this.#await(begun);
      if (outcome.kind === 'done' || outcome.kind === 'address') continue;
      throw this.#error(outcome, pool, undefined);
    }
  }

  /** Every pool, for whoever shows them. */
  pools(): { readonly pool: AddressPool; readonly holding: Holding }[] {
    return [...this.#pools.values()].flatMap((pool) => {
      const holding = this.#ipam.holding(pool.id);
      return holding === undefined ? [] : [{ pool, holding }];
    });
  }

  now(): Millis {
    return this.#now();
  }

  /** What this host was told that it had lost since it started: one sentence a network. */
  get losses(): readonly string[] {
    return [...new Set(this.#lost.values())];
  }

  /** Messages that were none. */
  counters(): Record<string, number> {
    return { ipamMalformed: this.#malformed };
  }

  #addPool(pool: AddressPool): void {
    const { directory, mesh, reservations } = this.#options;
    const spec = poolSpec(pool);
    if (spec === undefined) return;
    const own = directory.endpointsAt({ network: pool.name, host: mesh.self.id });
    const reserved = reservations.ofPool(directory.network(pool.name)?.id ?? pool.id);
    const addresses = [...own.flatMap(addressesOf), ...reserved.map(({ address }) => address)];
    const held = addresses.flatMap((address) => offsetOf(pool, address) ?? []);
    this.#try(() => {
      const effects = this.#ipam.addPool(spec, held, this.#now());
      this.#pools.set(pool.id, pool);
      return effects;
    });
  }

  #answer(sender: PeerId, body: Buffer): Uint8Array | undefined {
    const request = decodeRequest(body);
    if (request === undefined) {
      this.#malformed++;
      return undefined;
    }
    if (this.#isStopped) return undefined;
    let answer: Reply | undefined;
    this.#try(() => {
      const { reply, effects } = this.#ipam.receive(sender, request, this.#now());
      answer = reply;
      return effects;
    });
    return answer && encodeReply(answer);
  }

  #await({
    ticket,
    effects,
  }: {
    readonly ticket: number;
    readonly effects: readonly Effect[];
  }): Promise<Outcome> {
    return new Promise((resolve) => {
      this.#awaited.set(ticket, resolve);
      this.#perform(effects);
    });
  }

  #perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.#do(effect);
  }

  #do(effect: Effect): void {
    switch (effect.kind) {
      case 'call':
        return void this.#call(effect);
      case 'timer':
        this.#wait(effect.ms, effect.wake);
        break;
      case 'ended':
        this.#awaited.get(effect.ticket)?.(effect.outcome);
        this.#awaited.delete(effect.ticket);
        break;
      case 'revoked':
        this.#tellLoss(effect);
        break;
      case 'emptied':
        this.#sweepSoon();
        break;
    }
  }

  async #call({ call, to, request }: Extract<Effect, { kind: 'call' }>): Promise<void> {
    const { mesh } = this.#options;
    const bytes = encodeRequest(request);
    const answer = await mesh.call(to, SERVICE, bytes, asMillis(CALL_TIMEOUT_MS));
    if (this.#isStopped) return;
    const reply = answer && decodeReply(answer);
    if (answer !== undefined && reply === undefined) this.#malformed++;
    this.#try(() => this.#ipam.answered(call, reply, this.#now()));
  }

  #wait(ms: number, wake: number): void {
    if (this.#isStopped) return;
    const timer = this.#options.clock.after(asMillis(ms), () => {
      this.#timers.delete(timer);
      this.#try(() => this.#ipam.expired(wake, this.#now()));
    });
    this.#timers.add(timer);
  }

  /** A disk that refuses stops what was under way; the next round tries again. */
  #try(input: () => readonly Effect[]): void {
    try {
      this.#perform(input());
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#options.log.error({ err: error }, 'a change of addresses could not be saved');
    }
  }

  #tellLoss({ pool, why }: Extract<Effect, { kind: 'revoked' }>): void {
    const name = this.#pools.get(pool)?.name ?? pool;
    const what =
      why === 'lapsed'
        ? `free addresses of network ${name} went to other hosts while this one was away`
        : `all addresses of network ${name} were taken from this host while it was away (${why}), those of its endpoints too: what was attached to it here must be attached again`;
    this.#lost.set(pool, `${what.charAt(0).toUpperCase()}${what.slice(1)}.`);
    this.#options.log.warn({ network: name, why }, what);
  }

  #error(
    failure: Failure,
    pool: AddressPool,
    address: string | undefined,
    mover?: string,
  ): AppError {
    const { hostName } = this.#options;
    const { name, subnet } = pool;
    const offset = address === undefined ? undefined : offsetOf(pool, address);
    if (failure.kind === 'in-use' && address !== undefined) {
      const [rival] = this.#twinHolders(pool, address).filter(({ id }) => id !== mover);
      if (rival !== undefined) return disputedAddress(bareAddress(address), name, rival, hostName);
    }
    const [holder] = offset === undefined ? [] : this.#holders(pool, offset);
    const isHeld = failure.kind === 'in-use' && holder !== undefined;
    const told: Failure = isHeld ? { kind: 'in-use', owner: holder.host } : failure;
    return addressError(told, { network: name, subnet, address, hostName });
  }

  #isTaken(id: PoolId, offset: bigint, mover: string | undefined): boolean {
    const pool = this.#pools.get(id);
    if (pool === undefined) return false;
    const { directory, holds } = this.#options;
    const address = addressAt(pool, offset);
    if (holds.has(directory.network(pool.name)?.id ?? pool.id, address)) return true;
    const rivals = this.#twinHolders(pool, address);
    return [...this.#holders(pool, offset), ...rivals].some((each) => each.id !== mover);
  }

  /** Endpoints that have an address of this pool in another network of its name. */
  #twinHolders({ id }: AddressPool, address: string): Endpoint[] {
    return (this.#twins.get(id) ?? []).flatMap((twin) => {
      const offset = offsetOf(twin, bareAddress(address));
      return offset === undefined ? [] : this.#holders(twin, offset);
    });
  }

  /** Endpoints that have an address, and still a right to it. */
  #holders(pool: AddressPool, offset: bigint): Endpoint[] {
    const { directory } = this.#options;
    const place = { network: pool.name, address: addressAt(pool, offset) };
    return [...this.#index.at(place)].flatMap((key) => {
      const endpoint = directory.endpointOf(key);
      return endpoint === undefined || this.#isVoidIn(pool, endpoint) ? [] : [endpoint];
    });
  }

  /** Whether an endpoint has an address that its host has lost: then it loses the other one as well. */
  #isVoid(endpoint: Endpoint): boolean {
    const network = this.#options.directory.network(endpoint.network);
    return network !== undefined && poolsOf(network).some((pool) => this.#isVoidIn(pool, endpoint));
  }

  /** Whether an endpoint's host has lost everything in the pool since it gave the address out. */
  #isVoidIn(pool: AddressPool, endpoint: Endpoint): boolean {
    const chosen = this.#ipam.holding(pool.id)?.chosen;
    const family = familyOf(pool.subnet);
    const given = givenTo(endpoint).find(({ address }) => familyOf(address) === family);
    return (
      chosen !== undefined && given !== undefined && isVoid(chosen, endpoint.host, given.epoch ?? 0)
    );
  }

  #sweepSoon(): void {
    if (this.#isStopped || this.#sweeping !== undefined) return;
    this.#sweeping = this.#options.clock.after(SWEEP_AFTER, () => {
      this.#sweeping = undefined;
      this.#sweep();
    });
  }

  /**
   * Removes void rows: each host its own, the first host that is alive those of hosts that are not. Whoever
   * else does it as well, seeing the mesh otherwise, does no harm.
   */
  #sweep(): void {
    const { directory, mesh, log } = this.#options;
    const isFirst = this.#alive()[0] === mesh.self.id;
    const hosts = this.pools().flatMap(({ pool, holding }) =>
      [...holding.chosen.revoked]
        .filter(([, { emptied }]) => emptied > 0)
        .filter(([host]) => host === mesh.self.id || (isFirst && !this.#isAlive(host)))
        .map(([host]) => ({ network: pool.name, host })),
    );
    const seen = hosts.flatMap((place) => directory.endpointsAt(place));
    const gone = [...new Map(seen.map((endpoint) => [endpoint.id, endpoint])).values()].filter(
      (endpoint) => this.#isVoid(endpoint),
    );
    for (const { id, network, host, address } of gone) {
      directory.removeEndpoint({ id, host });
      const why = 'its host has lost its addresses';
      log.info({ endpoint: id, network, host, address, why }, 'endpoint forgotten');
    }
    if (gone.some(({ host }) => host === mesh.self.id)) this.#options.endpointsLost();
  }

  #isAlive(host: PeerId): boolean {
    const { mesh } = this.#options;
    const member = mesh.member(host);
    return host === mesh.self.id || (member !== undefined && isActive(member));
  }

  #alive(): PeerId[] {
    const { mesh } = this.#options;
    return [
      mesh.self.id,
      ...mesh
        .members()
        .filter(isActive)
        .map(({ id }) => id),
    ].sort();
  }

  #awayMs(host: PeerId): number {
    const member = this.#options.mesh.member(host);
    return member === undefined ? Infinity : this.#options.clock.now() - member.since;
  }

  /** The time; a lease that was counted while the machine slept is worth nothing. */
  #now(): Millis {
    const now = this.#options.clock.now();
    const ahead = this.#wallAhead();
    if (ahead - this.#slept > SLEPT_MS) {
      this.#slept = ahead;
      this.#perform(this.#ipam.dropLeases(now));
    } else if (ahead < this.#slept) this.#slept = ahead;
    return now;
  }

  #wallAhead(): number {
    const { clock } = this.#options;
    return clock.wallNow() - clock.now();
  }
}
