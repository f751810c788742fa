import type { PeerId } from '../base/types.ts';
import { encodeClaim, idBytes, type Claim } from './cargo.ts';
import type { Core } from './core.ts';
import { fold, ROOT_DIGEST_BYTES } from './hash-tree.ts';
import { isActive, supersedes, type MemberRecord } from './member.ts';

interface Hash {
  readonly low: number;
  readonly high: number;
}

/** 64 bits of (id, incarnation). Ids are random; an incarnation has one description. */
function hashOf({ id, incarnation }: MemberRecord): Hash {
  const bytes = Buffer.from(idBytes(id));
  return {
    low: fold(bytes.readInt32BE(0), bytes.readInt32BE(4), incarnation),
    high: fold(bytes.readInt32BE(8), bytes.readInt32BE(12), incarnation),
  };
}

/**
 * Whom this host holds to live, itself included, as digests. The dead and the suspicions are left out:
 * hosts forget and clear them at different times. A death that one side has missed shows as a member
 * too many.
 */
export class MemberDigest {
  readonly #core: Core;
  /** Records are immutable, so a hash is computed once a record. */
  readonly #hashes = new WeakMap<MemberRecord, Hash>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** This host. */
  get self(): PeerId {
    return this.#core.self.id;
  }

  /** XOR of all hashes, 8 bytes. O(N). */
  root(): Buffer {
    let [low, high] = [0, 0];
    for (const record of this.#living()) {
      const hash = this.#hash(record);
      low ^= hash.low;
      high ^= hash.high;
    }
    const digest = Buffer.alloc(ROOT_DIGEST_BYTES);
    digest.writeInt32BE(low, 0);
    digest.writeInt32BE(high, 4);
    return digest;
  }

  /** The living by 4-byte digests. O(N). */
  known(salt: number): Map<number, MemberRecord> {
    const known = new Map<number, MemberRecord>();
    for (const record of this.#living()) {
      const { low, high } = this.#hash(record);
      known.set(fold(low, high, salt), record);
    }
    return known;
  }

  /** What this host knows better than the claims that somebody made, as pieces of a message. */
  corrections(claims: readonly Claim[]): Uint8Array[] {
    return claims.flatMap(({ record }) => {
      const known = this.#core.roster.get(record.id);
      const isBetter =
        known !== undefined &&
        supersedes(known, record) &&
        (known.incarnation > record.incarnation || !isActive(known));
      return isBetter ? [encodeClaim({ record: known })] : [];
    });
  }

  *#living(): Generator<MemberRecord> {
    yield this.#core.self;
    for (const member of this.#core.roster.all()) if (isActive(member)) yield member;
  }

  #hash(record: MemberRecord): Hash {
    const hash = this.#hashes.get(record) ?? hashOf(record);
    this.#hashes.set(record, hash);
    return hash;
  }
}
