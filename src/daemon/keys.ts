import type { Clock, Timer } from '../base/clock.ts';
import { AppError } from '../base/errors.ts';
import { Listeners } from '../base/events.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import { asMillis, type Millis, type PeerId, type SocketAddress } from '../base/types.ts';
import type { ExpelledInfo, KeyInfo } from '../api/control.ts';
import type { EnvelopeKeys } from '../link/envelope.ts';
import type { KeyringRefusal } from '../link/key-exchange.ts';
import {
  decodeKeysNotice,
  encodeKeysNotice,
  MAX_ACTIVE_KEYS,
  type Keyring,
  type KeysNotice,
} from '../link/keyring.ts';
import type { SessionPsks } from '../link/sessions.ts';

/** A host of this mesh, as far as it can be asked for keys. */
export interface KeyHolder {
  readonly id: PeerId;
  readonly publicKey: Uint8Array;
  readonly address: SocketAddress;
}

/** A member that is alive, and what it says of its keys. */
export interface KeyMember extends KeyHolder {
  readonly name: string;
  readonly notice: Uint8Array | undefined;
}

export interface KeysState {
  readonly keyring: Keyring;
  setKeyring(keyring: Keyring): void;
  /** The key that this host sealed with last. */
  readonly primaryKey: string | undefined;
  notePrimaryKey(id: string): void;
  /** Hosts of this mesh that were heard of, by id. */
  readonly roster: readonly KeyHolder[];
  setRoster(roster: readonly KeyHolder[]): void;
}

export interface KeysOptions {
  readonly state: KeysState;
  /** Without this host. */
  readonly members: () => readonly KeyMember[];
  /** Messages so far that none of this host's keys opened. */
  readonly unopened: () => number;
  readonly ask: (holder: KeyHolder) => Promise<Keyring | KeyringRefusal | 'silent'>;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Logger;
}

export interface KeysChange {
  /** The keys are those of another mesh than before. */
  readonly isOtherMesh: boolean;
}

/** How long hosts that don't answer keep a new key from being used, and an old one from being retired. */
const WAIT_FOR_ALL = 60_000;
/** From the moment that all seal with a key to the retirement of those before it: datagrams are under way. */
const LATE = 5_000;
/** How often this host looks what is due, and asks again whoever did not answer. */
const LOOK_EVERY = 2_000;
/** Members often change many at a time. */
const SOON = 250;
/** How often hosts that were there and are not are asked for keys, and how many of them. */
const MISSING_EVERY = { first: 10_000, most: 600_000 };
const ASKED_MISSING = 4;
const MAX_ROSTER = 10_000;

/**
 * The keys of the mesh as this host has them, for all who seal and open:
 *
 *   made on one host --> every host asks one that has it --> all have it: each seals with it
 *                                                        --> all seal with it: a successor retires the others
 *
 * Hosts tell by gossip how much their keyrings know (`KeysNotice`), and who knows less asks. A host also
 * asks those that it misses: all keys that it has may be retired by now.
 */
export class Keys {
  readonly #options: KeysOptions;
  readonly #changes = new Listeners<KeysChange>();
  readonly #asking = new Set<PeerId>();
  #primary: string;
  /** Since when the newest key is here, and since when it is in use by all. */
  #newestSince: Millis;
  #usedByAllSince: Millis | undefined;
  #askedMissingAt = -Infinity;
  #missingEvery = MISSING_EVERY.first;
  #unopened = 0;
  #inUse: EnvelopeKeys;
  #isExpelled = false;
  #isStopped = false;
  /** Whether there is nothing to wait for, as far as gossip has told. */
  #isSettled = false;
  #timer: Timer | undefined;
  #soon: Timer | undefined;

  constructor(options: KeysOptions) {
    this.#options = options;
    const { state, clock } = options;
    const last = state.primaryKey;
    const isGood = last !== undefined && state.keyring.key(last)?.secret !== undefined;
    this.#primary = isGood ? last : state.keyring.newest.id;
    this.#newestSince = clock.now();
    this.#inUse = this.#derive();
  }

  get keyring(): Keyring {
    return this.#options.state.keyring;
  }

  /** The same object until something changes. */
  readonly inUse = (): EnvelopeKeys => this.#inUse;

  psks(): SessionPsks {
    return this.#inUse;
  }

  /** What the other hosts are told. */
  notice(): Buffer {
    return encodeKeysNotice({
      version: this.keyring.version,
      digest: this.keyring.digest,
      newest: this.keyring.newest.id,
      primary: this.#primary,
    });
  }

  /** For people: what is wrong with this host's keys. */
  get hindrance(): string | undefined {
    return this.#isExpelled
      ? 'This host was expelled from its mesh: no other host answers it; "weft expel --undo" there takes it back, then join again by a token.'
      : undefined;
  }

  onChange(listener: (change: KeysChange) => void): () => void {
    return this.#changes.add(listener);
  }

  start(): void {
    this.#step();
    this.#look();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#soon?.cancel();
    this.#isStopped = true;
  }

  /** Another mesh's keys, or again those that this host had. On disk, then in use; E_STATE as `State`. */
  replace(keyring: Keyring): void {
    const isOtherMesh = keyring.meshId !== this.keyring.meshId;
    if (isOtherMesh) this.#options.state.setRoster([]);
    this.#store(keyring);
    if (isOtherMesh || this.keyring.key(this.#primary)?.secret === undefined) {
      this.#use(keyring.newest.id);
    }
    this.#isExpelled = false;
    this.#changed({ isOtherMesh });
  }

  /** Makes a key that all seal with as soon as all have it; older ones open until they are retired. */
  rotate(): KeyInfo[] {
    if (this.keyring.active.length >= MAX_ACTIVE_KEYS) {
      throw new AppError(
        'E_USAGE',
        `The mesh has ${MAX_ACTIVE_KEYS} keys that open, which is the most; retire some by "weft keys retire".`,
      );
    }
    this.#adopt(this.keyring.withNewKey(false));
    return this.list();
  }

  /**
   * Has a key open nothing any more; without an id, all but the one in use. E_KEY_MISSING if there is no
   * such key, E_KEY_IN_USE while a host that is alive seals with it.
   */
  retire(id?: string): KeyInfo[] {
    const older = this.keyring.active.filter((key) => key.id !== this.#primary);
    const ids = id === undefined ? older.map((key) => key.id) : [id];
    for (const each of ids) this.#checkUnused(each);
    this.#adopt(this.keyring.retire(ids));
    return this.list();
  }

  /** Refuses a host everywhere, and gives all others a new key that follows those that it has. */
  expel(host: PeerId, name: string): void {
    if (this.keyring.isExpelled(host)) return;
    this.#adopt(this.keyring.judge(host, name, true).withNewKey(true));
    this.#options.log.warn({ peer: name, id: host }, 'host expelled');
  }

  /** The host may join again by a token. E_HOST_MISSING if it is not expelled. */
  takeBack(text: string): ExpelledInfo {
    const found = this.expelled().find(({ id, name }) => id === text || name === text);
    if (found === undefined) {
      const names = this.expelled().map(({ name }) => name);
      throw new AppError(
        'E_HOST_MISSING',
        `Host ${text} is not expelled; ${names.length === 0 ? 'none is' : `these are: ${names.join(', ')}`}.`,
      );
    }
    this.#adopt(this.keyring.judge(found.id as PeerId, found.name, false));
    return found;
  }

  expelled(): ExpelledInfo[] {
    return this.keyring.expelled.map(({ host, name }) => ({ id: host, name }));
  }

  /** By number; without secrets. */
  list(): KeyInfo[] {
    const notices = this.#notices();
    return this.keyring.keys.map(({ id, number, secret }) => ({
      ...{ id, number },
      state:
        secret === undefined
          ? ('retired' as const)
          : id === this.#primary
            ? ('in use' as const)
            : ('opens' as const),
      lackedBy: notices
        .filter(({ notice }) => id === this.keyring.newest.id && notice.newest !== id)
        .map(({ name }) => name),
      sealedWithBy: notices.filter(({ notice }) => notice.primary === id).map(({ name }) => name),
    }));
  }

  /** Whether a host was of this mesh when it was last heard of. */
  isKnown(host: PeerId): boolean {
    const { members, state } = this.#options;
    return members().some(({ id }) => id === host) || state.roster.some(({ id }) => id === host);
  }

  /** Gossip says something else of members. */
  membersChanged(): void {
    if (this.#isStopped) return;
    this.#soon ??= this.#options.clock.after(asMillis(SOON), () => {
      this.#soon = undefined;
      this.#noteRoster();
      this.#step();
    });
  }

  #checkUnused(id: string): void {
    const key = this.keyring.key(id);
    if (key === undefined) {
      const ids = this.keyring.active.map((each) => each.id).join(', ');
      throw new AppError('E_KEY_MISSING', `There is no key ${id}; these open: ${ids}.`);
    }
    const users = this.#notices().filter(({ notice }) => notice.primary === id);
    const names = [
      ...(id === this.#primary ? ['this host'] : []),
      ...users.map((each) => each.name),
    ];
    if (key.secret === undefined || names.length === 0) return;
    throw new AppError(
      'E_KEY_IN_USE',
      `Key ${id} is what ${names.slice(0, 3).join(', ')} seals with; "weft keys rotate" makes another, and "weft keys list" shows when it is in use everywhere.`,
    );
  }

  #notices(): { readonly name: string; readonly id: PeerId; readonly notice: KeysNotice }[] {
    return this.#others().flatMap(({ name, id, notice }) => {
      const read = notice && decodeKeysNotice(notice);
      return read === undefined ? [] : [{ name, id, notice: read }];
    });
  }

  #others(): KeyMember[] {
    return this.#options.members().filter(({ id }) => !this.keyring.isExpelled(id));
  }

  #look(): void {
    this.#timer = this.#options.clock.after(asMillis(LOOK_EVERY), () => {
      if (this.#isSettled) this.#askMissing();
      else this.#step();
      this.#look();
    });
  }

  /** Does what is due. */
  #step(): void {
    const asked = this.#askWhoKnowsMore();
    this.#askMissing();
    this.#useNewest();
    this.#retireOlder();
    const { newest } = this.keyring;
    const isDone = newest.id === this.#primary && !(newest.isSuccessor && this.#older().length > 0);
    this.#isSettled = asked === 0 && isDone;
  }

  /** Ids of the keys that open beside the newest. */
  #older(): string[] {
    const { newest, active } = this.keyring;
    return active.filter(({ number }) => number < newest.number).map(({ id }) => id);
  }

  /** How many are asked. */
  #askWhoKnowsMore(): number {
    let asked = 0;
    const { version, digest } = this.keyring;
    for (const member of this.#others()) {
      const notice = member.notice && decodeKeysNotice(member.notice);
      if (notice === undefined || notice.digest === digest || notice.version < version) continue;
      asked++;
      void this.#ask(member);
    }
    return asked;
  }

  /**
   * Hosts that were there and are not may have keys that this one has missed, and what it says may open
   * nowhere: some of them are asked, soon at first and less and less often, but as soon as there is a sign.
   */
  #askMissing(): void {
    const { state, clock, rng, unopened } = this.#options;
    const now = clock.now();
    if (now - this.#askedMissingAt < MISSING_EVERY.first) return;
    const heard = new Set(this.#others().map(({ id }) => id));
    const isMissing = ({ id }: KeyHolder): boolean =>
      !heard.has(id) && !this.keyring.isExpelled(id);
    const missing = state.roster.filter(isMissing);
    const isSign = heard.size === 0 || unopened() > this.#unopened;
    if (isSign || missing.length === 0) this.#missingEvery = MISSING_EVERY.first;
    if (missing.length === 0 || now - this.#askedMissingAt < this.#missingEvery) return;
    this.#unopened = unopened();
    this.#askedMissingAt = now;
    this.#missingEvery = Math.min(2 * this.#missingEvery, MISSING_EVERY.most);
    const drawn = missing
      .map((holder) => ({ holder, at: rng.next() }))
      .sort((one, other) => one.at - other.at)
      .slice(0, ASKED_MISSING);
    for (const { holder } of drawn) void this.#ask(holder);
  }

  async #ask(holder: KeyHolder): Promise<void> {
    if (this.#asking.has(holder.id)) return;
    this.#asking.add(holder.id);
    const mesh = this.keyring.meshId;
    const answer = await this.#options.ask(holder);
    this.#asking.delete(holder.id);
    if (this.keyring.meshId !== mesh || this.#isStopped) return;
    if (typeof answer === 'string') {
      this.#isExpelled = answer === 'expelled' || (this.#isExpelled && answer === 'silent');
      return;
    }
    this.#isExpelled = false;
    const merged = this.keyring.merge(answer);
    if (merged !== undefined && merged !== this.keyring) this.#tryAdopt(merged);
  }

  /** Keys that a token has brought, of this very mesh. */
  learn(keyring: Keyring): void {
    const merged = this.keyring.merge(keyring);
    this.#isExpelled = false;
    if (merged !== undefined && merged !== this.keyring) this.#adopt(merged);
  }

  /** What another host told is asked for again if the disk does not take it now. */
  #tryAdopt(keyring: Keyring): void {
    try {
      this.#adopt(keyring);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#options.log.error({ err: error }, 'new keys of the mesh could not be saved');
    }
  }

  #adopt(keyring: Keyring): void {
    this.#store(keyring);
    // With a key that is retired nobody would hear this host.
    if (keyring.key(this.#primary)?.secret === undefined) this.#use(keyring.newest.id);
    this.#changed({ isOtherMesh: false });
    this.#step();
  }

  #store(keyring: Keyring): void {
    const { state, clock } = this.#options;
    const before = state.keyring.newest.id;
    state.setKeyring(keyring);
    if (keyring.newest.id === before) return;
    this.#newestSince = clock.now();
    this.#usedByAllSince = undefined;
  }

  #use(id: string): void {
    this.#primary = id;
    this.#options.state.notePrimaryKey(id);
  }

  #useNewest(): void {
    const { newest } = this.keyring;
    if (newest.id === this.#primary) return;
    const haveAll = this.#notices().every(({ notice }) => notice.newest === newest.id);
    const isLate = this.#options.clock.now() - this.#newestSince >= WAIT_FOR_ALL;
    if (!haveAll && !isLate) return;
    this.#use(newest.id);
    this.#options.log.info({ key: newest.id }, 'sealing with a new key of the mesh');
    this.#changed({ isOtherMesh: false });
  }

  #retireOlder(): void {
    const { newest } = this.keyring;
    const { clock } = this.#options;
    const older = this.#older();
    if (!newest.isSuccessor || newest.id !== this.#primary || older.length === 0) return;
    const useIt = this.#notices().every(({ notice }) => notice.primary === newest.id);
    const isLate = clock.now() - this.#newestSince >= 2 * WAIT_FOR_ALL;
    this.#usedByAllSince = useIt ? (this.#usedByAllSince ?? clock.now()) : undefined;
    const isUsed = this.#usedByAllSince !== undefined && clock.now() - this.#usedByAllSince >= LATE;
    if (isUsed || isLate) this.#tryAdopt(this.keyring.retire(older));
  }

  #noteRoster(): void {
    const { state } = this.#options;
    const known = new Map(state.roster.map((holder) => [holder.id, holder]));
    for (const { id, publicKey, address } of this.#others()) {
      known.delete(id);
      known.set(id, { id, publicKey, address });
    }
    const kept = [...known.values()].filter(({ id }) => !this.keyring.isExpelled(id));
    state.setRoster(kept.slice(-MAX_ROSTER));
  }

  #changed(change: KeysChange): void {
    this.#inUse = this.#derive();
    this.#changes.emit(change);
  }

  #derive(): EnvelopeKeys {
    const { keyring } = this;
    const primary = keyring.active.find(({ id }) => id === this.#primary) ?? keyring.newest;
    const retired = keyring.keys.filter(({ secret }) => secret === undefined).map(({ id }) => id);
    return {
      ...{ primary, active: keyring.active, retired },
      isExpelled: (host) => keyring.isExpelled(host),
    };
  }
}
