import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { asPeerId, type PeerId } from '../base/types.ts';

/**
 * The keys of a mesh, and who may not have them: a value that never changes. Two keyrings of one mesh merge
 * into the same one in whatever order and as often as they meet: keys are only added, a key that is retired
 * stays so, and of what is said of an expelled host the later word counts.
 */
export interface MeshKey {
  /** Names the key without telling it: 8 hex digits. */
  readonly id: string;
  /** Keys are numbered as they are made; two hosts may make one of the same number at once. */
  readonly number: number;
  /** 32 bytes; gone once the key is retired. */
  readonly secret: Buffer | undefined;
  /** Keys of lower numbers are retired by each host once it seals with this one. */
  readonly isSuccessor: boolean;
}

/** A key that seals and opens. */
export type ActiveKey = MeshKey & { readonly secret: Buffer };

export interface Expulsion {
  readonly host: PeerId;
  /** Its name when it was expelled. */
  readonly name: string;
  readonly isExpelled: boolean;
  /** Grows with every word about the host. */
  readonly version: number;
}

export const MESH_KEY_BYTES = 32;
const KEY_ID_BYTES = 4;
const MESH_ID_BYTES = 8;
const DIGEST_BYTES = 4;
export const KEYS_NOTICE_BYTES = 16;
/** Keys that open at a time; one more has to wait until another is retired. */
export const MAX_ACTIVE_KEYS = 8;
/** Retired keys that are remembered, the latest. */
const MAX_RETIRED_KEYS = 64;
export const MAX_EXPELLED = 256;
/** What a keyring takes at most, encoded: both lists full. */
export const MAX_KEYRING_BYTES = 60_000;

const named = (context: string, secret: Uint8Array, bytes: number): string =>
  createHash('sha256').update(context).update(secret).digest().toString('hex', 0, bytes);

/** Names a mesh without telling its first key: 16 hex digits, the same on all its hosts for ever. */
export const meshIdOf = (firstSecret: Uint8Array): string =>
  named('weft mesh id 1', firstSecret, MESH_ID_BYTES);

const keyIdOf = (secret: Uint8Array): string => named('weft key id 1', secret, KEY_ID_BYTES);

const hex = (bytes: number): z.ZodString =>
  z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`));

const encoded = z.object({
  mesh: hex(MESH_ID_BYTES),
  keys: z
    .array(
      z.object({
        id: hex(KEY_ID_BYTES),
        number: z
          .int()
          .min(1)
          .max(2 ** 32),
        secret: hex(MESH_KEY_BYTES).exactOptional(),
        successor: z.boolean(),
      }),
    )
    .max(MAX_ACTIVE_KEYS * 4 + MAX_RETIRED_KEYS),
  expelled: z
    .array(
      z.object({
        host: hex(16),
        name: z.string().max(64),
        expelled: z.boolean(),
        version: z
          .int()
          .min(1)
          .max(2 ** 48),
      }),
    )
    .max(MAX_EXPELLED),
});

/** What a host tells the others of its keyring, which is no secret. */
export interface KeysNotice {
  readonly version: number;
  readonly digest: string;
  /** Ids of its newest key, and of the one that it seals with. */
  readonly newest: string;
  readonly primary: string;
}

/** | version (32) | digest (32) | id of the newest key (32) | of the one in use (32) | */
export function encodeKeysNotice({ version, digest, newest, primary }: KeysNotice): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(version);
  return Buffer.concat([bytes, Buffer.from(digest + newest + primary, 'hex')]);
}

/** Undefined if the bytes are none. */
export function decodeKeysNotice(bytes: Uint8Array): KeysNotice | undefined {
  const notice = Buffer.from(bytes);
  if (notice.length !== KEYS_NOTICE_BYTES) return undefined;
  const part = (at: number): string => notice.toString('hex', at, at + KEY_ID_BYTES);
  const [digest, newest, primary] = [part(4), part(8), part(12)];
  return { version: notice.readUInt32BE(), digest, newest, primary };
}

const byNumber = (a: MeshKey, b: MeshKey): number =>
  a.number - b.number || (a.id < b.id ? -1 : Number(a.id > b.id));

const isActiveKey = (key: MeshKey): key is ActiveKey => key.secret !== undefined;

export class Keyring {
  readonly meshId: string;
  /** By number, the retired among them. */
  readonly keys: readonly MeshKey[];
  /** Every host of which something was ever said. */
  readonly expulsions: readonly Expulsion[];
  readonly #encoded: Buffer;

  private constructor(
    meshId: string,
    keys: readonly MeshKey[],
    expulsions: readonly Expulsion[] = [],
  ) {
    this.meshId = meshId;
    const sorted = [...keys].sort(byNumber);
    const retired = sorted.filter((key) => !isActiveKey(key));
    const forgotten = new Set(retired.slice(0, -MAX_RETIRED_KEYS));
    this.keys = sorted.filter((key) => !forgotten.has(key));
    this.expulsions = [...expulsions]
      .sort((a, b) => (a.host < b.host ? -1 : 1))
      .slice(0, MAX_EXPELLED);
    this.#encoded = this.#encode();
  }

  /** A new mesh with one key. */
  static create(secret: Uint8Array = randomBytes(MESH_KEY_BYTES)): Keyring {
    const bytes = Buffer.from(secret);
    return new Keyring(meshIdOf(bytes), [
      { id: keyIdOf(bytes), number: 1, secret: bytes, isSuccessor: false },
    ]);
  }

  /** Undefined if the bytes are no keyring with a key that opens. */
  static decode(bytes: Uint8Array): Keyring | undefined {
    if (bytes.length > MAX_KEYRING_BYTES) return undefined;
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(bytes).toString('utf8'));
    } catch {
      return undefined;
    }
    const { data } = encoded.safeParse(value);
    if (data === undefined) return undefined;
    const keys = data.keys.map(({ id, number, secret, successor }) => ({
      ...{ id, number, isSuccessor: successor },
      secret: secret === undefined ? undefined : Buffer.from(secret, 'hex'),
    }));
    const isSound = keys.every(({ id, secret }) => secret === undefined || keyIdOf(secret) === id);
    const isUnique = new Set(keys.map(({ id }) => id)).size === keys.length;
    if (!isSound || !isUnique || !keys.some(isActiveKey)) return undefined;
    const expulsions = data.expelled.map(({ host, name, expelled, version }) => ({
      ...{ host: asPeerId(host), name, isExpelled: expelled, version },
    }));
    return new Keyring(data.mesh, keys, expulsions);
  }

  /** The same bytes for the same keyring: secrets among them. */
  encode(): Buffer {
    return Buffer.from(this.#encoded);
  }

  /** Tells keyrings apart: 8 hex digits, no secret. */
  get digest(): string {
    return named('weft keyring 1', this.#encoded, DIGEST_BYTES);
  }

  /**
   * How much it knows: grows with every change, and merging never makes it less. Keys are numbered from 1,
   * so that the number of the first tells how many are forgotten.
   */
  get version(): number {
    const known = this.keys.reduce((sum, key) => sum + (isActiveKey(key) ? 1 : 2), 0);
    const said = this.expulsions.reduce((sum, { version }) => sum + version, 0);
    return known + said + 2 * ((this.keys[0]?.number ?? 1) - 1);
  }

  /** Keys that open, by number. */
  get active(): readonly ActiveKey[] {
    return this.keys.filter(isActiveKey);
  }

  /** The key that all shall seal with once all have it. */
  get newest(): ActiveKey {
    const key = this.active.at(-1);
    if (key === undefined) throw new Error('a keyring always has a key that opens');
    return key;
  }

  key(id: string): MeshKey | undefined {
    return this.keys.find((key) => key.id === id);
  }

  get expelled(): readonly Expulsion[] {
    return this.expulsions.filter(({ isExpelled }) => isExpelled);
  }

  isExpelled(host: PeerId): boolean {
    return this.expulsions.some((each) => each.host === host && each.isExpelled);
  }

  /** With a key more; as a successor it retires those before it, on each host once it is in use there. */
  withNewKey(isSuccessor: boolean, secret: Uint8Array = randomBytes(MESH_KEY_BYTES)): Keyring {
    const number = (this.keys.at(-1)?.number ?? 0) + 1;
    const bytes = Buffer.from(secret);
    const key = { id: keyIdOf(bytes), number, secret: bytes, isSuccessor };
    return new Keyring(this.meshId, [...this.keys, key], this.expulsions);
  }

  /** Without these keys; the newest always stays. */
  retire(ids: readonly string[]): Keyring {
    const { newest } = this;
    const keys = this.keys.map((key) =>
      ids.includes(key.id) && key.id !== newest.id ? { ...key, secret: undefined } : key,
    );
    return new Keyring(this.meshId, keys, this.expulsions);
  }

  /** Says of a host that it is expelled, or no longer. */
  judge(host: PeerId, name: string, isExpelled: boolean): Keyring {
    const before = this.expulsions.find((each) => each.host === host);
    const word = { host, name, isExpelled, version: (before?.version ?? 0) + 1 };
    const others = this.expulsions.filter((each) => each !== before);
    return new Keyring(this.meshId, this.keys, [...others, word]);
  }

  /** What both know; this very keyring if the other has nothing new, undefined if it is of another mesh. */
  merge(other: Keyring): Keyring | undefined {
    if (other.meshId !== this.meshId) return undefined;
    const keys = new Map(this.keys.map((key) => [key.id, key]));
    for (const key of other.keys) {
      const own = keys.get(key.id);
      const isRetired = own !== undefined && (!isActiveKey(own) || !isActiveKey(key));
      keys.set(key.id, isRetired ? { ...own, secret: undefined } : key);
    }
    const words = new Map(this.expulsions.map((word) => [word.host, word]));
    for (const word of other.expulsions) {
      const own = words.get(word.host);
      if (own === undefined || isLater(word, own)) words.set(word.host, word);
    }
    const merged = new Keyring(this.meshId, [...keys.values()], [...words.values()]);
    if (merged.active.length === 0) return undefined;
    return merged.#encoded.equals(this.#encoded) ? this : merged;
  }

  #encode(): Buffer {
    const keys = this.keys.map(({ id, number, secret, isSuccessor }) => ({
      ...{ id, number, successor: isSuccessor },
      ...(secret === undefined ? {} : { secret: secret.toString('hex') }),
    }));
    const expelled = this.expulsions.map(({ host, name, isExpelled, version }) => ({
      ...{ host, name, expelled: isExpelled, version },
    }));
    return Buffer.from(JSON.stringify({ mesh: this.meshId, keys, expelled }));
  }
}

/** Of two words of one version, which two hosts said at once, that which expels. */
function isLater(word: Expulsion, than: Expulsion): boolean {
  if (word.version !== than.version) return word.version > than.version;
  if (word.isExpelled !== than.isExpelled) return word.isExpelled;
  return word.name > than.name;
}
