import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../base/errors.ts';
import type { PeerId, SocketAddress } from '../base/types.ts';
import { hostIdOf } from '../link/identity.ts';
import { Keyring } from '../link/keyring.ts';
import type { KeyPair } from '../link/noise/key-pair.ts';
import { SEED_BYTES, SigningKey } from '../link/signing-key.ts';
import { checkStateFile } from './state-file.ts';
import type { KeyHolder } from './keys.ts';
import type { TokenRecord } from './tokens.ts';
import { LmdbStore, sentenceOf, type Key, type Store } from './store.ts';

/*
 * Keys of the one LMDB database. Rows sort by table, so that a scan reads them in order.
 *   ['meta', 'seed']         of this host's key (src/link/signing-key.ts), 32 bytes
 *   ['meta', 'identity']     in states that are older than seeds: a key that can't sign, and that is refused
 *   ['meta', 'keyring']      the keys of the mesh (src/link/keyring.ts)
 *   ['meta', 'primary-key']  id of the key of the mesh in use, as text
 *   ['meta', 'roster']       JSON of the hosts that can be asked for keys
 *   ['meta', 'secret']       32 bytes, where a state is older than keyrings: the one key of the mesh
 *   ['meta', 'stamp']        what stamps of handshakes have to be above, as decimal text
 *   ['meta', 'incarnation']  the last incarnation announced, as decimal text
 *   ['meta', 'peers']        JSON array of socket addresses to rejoin
 *   ['doing', key]           JSON of what has been begun and not ended
 *   ['note', kind, key]      JSON of what a plugin must remember
 *   ['token', id]            JSON of an invitation
 *   ['pool', id]             what this host has promised for a pool of addresses
 *   ['row', table, key]      an encoded row
 */
/** The daemon's user alone reads what holds its private key. */
const FILE_MODE = 0o600;

const SEED = ['meta', 'seed'];
const OLD_IDENTITY = ['meta', 'identity'];
const KEYRING = ['meta', 'keyring'];
const SECRET = ['meta', 'secret'];
const PRIMARY_KEY = ['meta', 'primary-key'];
const ROSTER = ['meta', 'roster'];
const STAMP = ['meta', 'stamp'];
/** Stamps are noted in advance, rounded up to this many milliseconds, so that few are written. */
const STAMP_STEP = 60_000;
const INCARNATION = ['meta', 'incarnation'];
const PEERS = ['meta', 'peers'];

/** Its own key is in it, since a scan of the store shows values alone. */
interface Note {
  readonly kind: string;
  readonly key: string;
  readonly value: unknown;
}

/** A host of the roster as it lies on disk. */
interface WrittenHolder {
  readonly id: PeerId;
  /** Base64. */
  readonly key: string;
  readonly address: SocketAddress;
}

/** A change on its way to the disk; without bytes, a removal. */
interface Write {
  readonly key: Key;
  readonly bytes?: Buffer;
}

/**
 * What a daemon must remember over a crash: who it is and its key, whom it knows, and every row of the replicated
 * tables. Writes are transactions of LMDB: after a crash each is there whole or not at all. Rows are
 * written in batches off the event loop, since a mesh that heals can bring thousands at once. What the
 * disk refuses is kept and written with the next change, once there is room again.
 */
export class State {
  readonly id: PeerId;
  /** This host's identity, on disk before anybody hears of it. */
  readonly signingKey: SigningKey;
  readonly #store: Store;
  #keyring: Keyring;
  #roster: readonly KeyHolder[] | undefined;
  readonly #pending = new Set<Promise<void>>();
  /** Removals of notes that nobody waits for. */
  readonly #ending = new Set<Promise<void>>();
  /** What was last noted under a meta key: every member event notes, few of them change anything. */
  readonly #noted = new Map<Key, string>();
  /** The last write of a key that the disk has refused. */
  readonly #refused = new Map<string, Write>();
  /** The newest write of each key that is on its way. */
  readonly #last = new Map<string, Write>();
  #why = '';
  /** Why the last note was refused, until the disk takes a write again. */
  #noteRefused: string | undefined;

  /** `firstKey`: of the mesh, if the store has none. Throws what the store throws if it can't be written. */
  constructor(store: Store, firstKey?: Uint8Array) {
    this.#store = store;
    this.signingKey = this.#readIdentity();
    this.#keyring = this.#readKeyring(firstKey);
    this.id = hostIdOf(this.identity.publicKey);
  }

  /** The same key for handshakes. */
  get identity(): KeyPair {
    return this.signingKey.pair;
  }

  /** Opens or creates the state in `directory`; E_STATE if the disk or its permissions refuse. */
  static open(directory: string, firstKey?: Uint8Array): State {
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      const path = join(directory, 'state.mdb');
      checkStateFile(path);
      closeSync(openSync(path, 'a', FILE_MODE));
      chmodSync(path, FILE_MODE);
      return new State(new LmdbStore(path), firstKey);
    } catch (cause) {
      if (cause instanceof AppError) throw cause;
      throw new AppError(
        'E_STATE',
        `The state directory ${directory} can't be used (${sentenceOf(cause)}); make room there, make it writable for this user or name another with --state-dir.`,
        { cause },
      );
    }
  }

  /**
   * An incarnation above every one announced before, stored before it is returned: what this host
   * says after a restart wins over what was said about it meanwhile. E_STATE if it can't be stored.
   */
  nextIncarnation(): number {
    try {
      const next = Number(this.#text(INCARNATION) ?? '0') + 1;
      this.#store.putNow(INCARNATION, Buffer.from(String(next)));
      return next;
    } catch (cause) {
      throw this.#unwritable(sentenceOf(cause), cause);
    }
  }

  /** Remembers an incarnation that a refutation has raised. */
  noteIncarnation(incarnation: number): void {
    this.#note(INCARNATION, String(incarnation));
  }

  /** The keys of the mesh: made at the first start, replaced by joining with a token. */
  get keyring(): Keyring {
    return this.#keyring;
  }

  /** On disk when it returns; E_STATE if the disk refuses it, and then the old one stays. */
  setKeyring(keyring: Keyring): void {
    try {
      this.#store.putNow(KEYRING, keyring.encode());
    } catch (cause) {
      throw this.#unwritable(sentenceOf(cause), cause, '; this host keeps the keys that it had');
    }
    this.#keyring = keyring;
  }

  /** The key of the mesh that this host sealed with last. */
  get primaryKey(): string | undefined {
    return this.#text(PRIMARY_KEY);
  }

  notePrimaryKey(id: string): void {
    this.#note(PRIMARY_KEY, id);
  }

  /** Hosts of this mesh that were heard of, with what it takes to ask them for keys. */
  get roster(): readonly KeyHolder[] {
    this.#roster ??= (JSON.parse(this.#text(ROSTER) ?? '[]') as WrittenHolder[]).map(
      ({ id, key, address }) => ({ id, address, publicKey: Buffer.from(key, 'base64') }),
    );
    return this.#roster;
  }

  setRoster(roster: readonly KeyHolder[]): void {
    this.#roster = roster;
    const written = roster.map(({ id, publicKey, address }): WrittenHolder => {
      return { id, key: Buffer.from(publicKey).toString('base64'), address };
    });
    this.#note(ROSTER, JSON.stringify(written));
  }

  /** What stamps of handshakes have to be above. */
  get stampFloor(): number {
    return Number(this.#text(STAMP) ?? '0');
  }

  noteStamp(stamp: number): void {
    this.#note(STAMP, String(Math.ceil(stamp / STAMP_STEP) * STAMP_STEP));
  }

  get peers(): readonly SocketAddress[] {
    return JSON.parse(this.#text(PEERS) ?? '[]') as SocketAddress[];
  }

  setPeers(peers: readonly SocketAddress[]): void {
    this.#note(PEERS, JSON.stringify(peers));
  }

  /** Every stored row as it was saved, table by table. */
  *rows(): Generator<Uint8Array> {
    yield* this.#store.list('row');
  }

  /** Queues a row for the next transaction; `settled` tells when it is on disk. */
  save(table: string, key: string, bytes: Uint8Array): void {
    this.#write({ key: ['row', table, key], bytes: Buffer.from(bytes) });
  }

  /** Queues the removal of a row. */
  drop(table: string, key: string): void {
    this.#write({ key: ['row', table, key] });
  }

  /** The invitations that were saved. */
  tokens(): TokenRecord[] {
    return Array.from(
      this.#store.list('token'),
      (bytes) => JSON.parse(bytes.toString()) as TokenRecord,
    );
  }

  /** On disk when it returns; E_STATE if the disk refuses it, and then the old one stays. */
  saveToken(token: TokenRecord): void {
    try {
      this.#store.putNow(['token', token.id], Buffer.from(JSON.stringify(token)));
    } catch (cause) {
      throw this.#unwritable(sentenceOf(cause), cause, '; nothing has been changed');
    }
  }

  /** Queues the removal of an invitation. */
  dropToken(id: string): void {
    this.#write({ key: ['token', id] });
  }

  /** What was last saved for a pool of addresses; E_STATE if the disk can't tell. */
  pool(id: string): Uint8Array | undefined {
    try {
      return this.#store.get(['pool', id]);
    } catch (cause) {
      throw this.#unwritable(sentenceOf(cause), cause, '; no address changes hands');
    }
  }

  /** On disk when it returns; E_STATE if the disk refuses, and then nothing may be promised. */
  savePool(id: string, bytes: Uint8Array): void {
    try {
      this.#store.putNow(['pool', id], Buffer.from(bytes));
    } catch (cause) {
      throw this.#unwritable(sentenceOf(cause), cause, '; no address changes hands');
    }
  }

  /** Queues the removal of a pool. */
  dropPool(id: string): void {
    this.#write({ key: ['pool', id] });
  }

  /**
   * Notes that something is begun which a crash could leave half done, and settles when the note is on
   * disk. E_STATE if the disk refuses it: then nothing is noted, and it must not be begun.
   */
  async begin(key: string, what: unknown): Promise<void> {
    try {
      await this.#store.put(['doing', key], Buffer.from(JSON.stringify(what)));
      this.#noteRefused = undefined;
    } catch (cause) {
      this.#noteRefused = sentenceOf(cause);
      throw this.#unwritable(sentenceOf(cause), cause, '; nothing has been changed');
    }
  }

  /**
   * It is done or undone: the note goes with the next transaction, for which `settled` does not wait. A
   * crash before that has it done once more, and nothing later can be on the disk then.
   */
  end(key: string): void {
    this.#write({ key: ['doing', key] }, this.#ending);
  }

  /** What was begun and not ended. */
  begun(): unknown[] {
    return Array.from(
      this.#store.list('doing'),
      (bytes) => JSON.parse(bytes.toString()) as unknown,
    );
  }

  /** What was noted under a kind, by key. */
  notes(kind: string): Map<string, unknown> {
    const notes = Array.from(
      this.#store.list('note'),
      (bytes) => JSON.parse(bytes.toString()) as Note,
    );
    return new Map(notes.flatMap((note) => (note.kind === kind ? [[note.key, note.value]] : [])));
  }

  /** On disk when it settles; E_STATE if the disk refuses it: then nothing is noted. */
  async note(kind: string, key: string, value: unknown): Promise<void> {
    const note: Note = { kind, key, value };
    try {
      await this.#store.put(['note', kind, key], Buffer.from(JSON.stringify(note)));
    } catch (cause) {
      throw this.#unwritable(sentenceOf(cause), cause, '; nothing has been changed');
    }
  }

  /** As `note`. */
  async forgetNote(kind: string, key: string): Promise<void> {
    try {
      await this.#store.remove(['note', kind, key]);
    } catch (cause) {
      throw this.#unwritable(sentenceOf(cause), cause, '; nothing has been changed');
    }
  }

  /** Why something is not on disk, or was not begun for want of it; undefined while writing works. */
  get failure(): string | undefined {
    return this.#refused.size === 0 ? this.#noteRefused : this.#why;
  }

  /**
   * Settles when everything queued so far is on disk, and what was refused before as well, but for notes
   * that have ended; E_STATE if the disk refuses it.
   */
  async settled(): Promise<void> {
    this.#retry();
    await Promise.all(this.#pending);
    if (this.#refused.size > 0) throw this.#unwritable(this.#why);
  }

  /** What the disk still refuses is lost. */
  async close(): Promise<void> {
    this.#retry();
    await Promise.all([...this.#pending, ...this.#ending]);
    await this.#store.close();
  }

  #readIdentity(): SigningKey {
    const seed = this.#store.get(SEED);
    if (seed === undefined) {
      if (this.#store.get(OLD_IDENTITY) === undefined) return this.#makeIdentity();
      throw new AppError(
        'E_STATE',
        "The state directory is of an earlier version of Weft, whose key can't sign what this host says; name a new one with --state-dir and join the mesh again by a token.",
      );
    }
    const key = seed.length === SEED_BYTES ? SigningKey.from(seed) : undefined;
    if (key !== undefined) return key;
    throw new AppError(
      'E_STATE',
      'The key of this host in the state directory is damaged; name a new one with --state-dir and join the mesh again by a token.',
    );
  }

  #makeIdentity(): SigningKey {
    const key = SigningKey.generate();
    this.#store.putNow(SEED, key.exportSeed());
    return key;
  }

  #readKeyring(firstKey: Uint8Array | undefined): Keyring {
    const known = this.#store.get(KEYRING);
    if (known !== undefined) {
      const keyring = Keyring.decode(known);
      if (keyring !== undefined) return keyring;
      throw new AppError(
        'E_STATE',
        'The keys of the mesh in the state directory are damaged; name a new one with --state-dir and join the mesh again by a token.',
      );
    }
    const keyring = Keyring.create(this.#store.get(SECRET) ?? firstKey);
    this.#store.putNow(KEYRING, keyring.encode());
    return keyring;
  }

  #unwritable(
    why: string,
    cause?: unknown,
    consequence = ', or a restart will forget this change',
  ): AppError {
    return new AppError(
      'E_STATE',
      `The state directory can't be written (${why}); make room or mend its permissions${consequence}.`,
      { cause },
    );
  }

  #retry(): void {
    for (const write of [...this.#refused.values()]) this.#write(write);
  }

  #write(write: Write, pending = this.#pending): void {
    const { key, bytes } = write;
    const name = JSON.stringify(key);
    this.#refused.delete(name);
    this.#last.set(name, write);
    const done = bytes === undefined ? this.#store.remove(key) : this.#store.put(key, bytes);
    const tracked = done
      .catch((error: unknown) => {
        // A later change of the key that is on its way, or refused as well, stands.
        if (this.#last.get(name) !== write) return;
        this.#refused.set(name, write);
        this.#why = sentenceOf(error);
      })
      .then(() => {
        pending.delete(tracked);
        if (this.#last.get(name) === write) this.#last.delete(name);
      });
    pending.add(tracked);
  }

  #note(key: Key, text: string): void {
    if (this.#noted.get(key) === text) return;
    this.#noted.set(key, text);
    this.#write({ key, bytes: Buffer.from(text) });
  }

  #text(key: Key): string | undefined {
    return this.#store.get(key)?.toString();
  }
}
