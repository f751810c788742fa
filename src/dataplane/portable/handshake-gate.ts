import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { TokenBucket, type Rate } from '../../base/token-bucket.ts';
import type { Millis } from '../../base/types.ts';
import { DROP, NO_DROP } from '../counters.ts';

/** First bytes, as src/link/handshake-message.ts has them. */
const FIRST_KIND = 0x10;
const LAST_KIND = 0x1f;
const INITIATION = 0x10;
const RESPONSE = 0x11;
/** Control by a relay, which has 9 bytes in front of the datagram (src/link/relayed.ts). */
const RELAYED_KIND = 0x52;
const RELAYED_BYTES = 9;
const MAC_BYTES = 16;
const HEAD_BYTES = 8;

/** One source is a host, or all that are behind one NAT. */
const SOURCE_RATE: Rate = { rate: 100, burst: 200 };
const SOURCES = 1024;
/** A mesh of a thousand hosts that all start at once is within the burst. */
const VOUCHED_RATE: Rate = { rate: 1000, burst: 2000 };
/** Cookies and confirmations, which have no mac1, and what is malformed. */
const OTHERS_RATE: Rate = { rate: 500, burst: 2000 };

/** Datagrams of one kind: so many from one source, and so many from all. */
class Limit {
  readonly #sources = Array.from({ length: SOURCES }, () => new TokenBucket(SOURCE_RATE));
  readonly #total: TokenBucket;

  constructor(rate: Rate) {
    this.#total = new TokenBucket(rate);
  }

  admits(source: number, now: Millis): boolean {
    return this.#sources[source]!.take(now) && this.#total.take(now);
  }
}

/**
 * How many handshakes go up to the control plane, so that a flood of them costs a hash each
 * (docs/adr/0065). native/core/handshake-gate.hpp is its twin. Those that prove to be of the mesh share
 * nothing with those that can't: who has no key of the mesh takes nothing from who has one, whatever
 * source he forges.
 */
export class HandshakeGate {
  /** Chance, so that nobody can choose a source that shares a bucket with another's. */
  readonly #hashKey = randomBytes(4).readUInt32LE();
  readonly #vouched = new Limit(VOUCHED_RATE);
  readonly #others = new Limit(OTHERS_RATE);
  #keys: readonly Buffer[] | undefined;

  /** Keys of mac1, copied. Until they are set, mac1 is not looked at. */
  setKeys(keys: readonly Uint8Array[]): void {
    this.#keys = keys.map((key) => Buffer.from(key));
  }

  /** The drop counter of a control datagram that does not go up; `NO_DROP` if it does. */
  refuse(datagram: Buffer, address: string, now: Millis): number {
    const handshake = handshakeIn(datagram);
    if (handshake === undefined) return NO_DROP;
    const hasMac = handshake[0] === INITIATION || handshake[0] === RESPONSE;
    if (hasMac && this.#keys?.some((key) => isMadeWith(handshake, key)) === false) {
      return DROP.mesh_handshake_foreign;
    }
    const limit = hasMac ? this.#vouched : this.#others;
    return limit.admits(this.#bucketOf(address), now) ? NO_DROP : DROP.mesh_handshake_shed;
  }

  /** FNV-1a behind a key. */
  #bucketOf(address: string): number {
    let hash = this.#hashKey;
    for (let at = 0; at < address.length; at++) {
      hash = Math.imul(hash ^ address.charCodeAt(at), 0x01000193) >>> 0;
    }
    return hash % SOURCES;
  }
}

/** The handshake that a control datagram is, or that a relay brought in it. */
function handshakeIn(datagram: Buffer): Buffer | undefined {
  const isRelayed = datagram[0] === RELAYED_KIND && datagram.length > RELAYED_BYTES;
  const inner = isRelayed ? datagram.subarray(RELAYED_BYTES) : datagram;
  const kind = inner[0] ?? 0;
  return kind >= FIRST_KIND && kind <= LAST_KIND ? inner : undefined;
}

/** Whether mac1, the last but one of two, is over all before it under this key. */
function isMadeWith(handshake: Buffer, key: Buffer): boolean {
  const end = handshake.length - 2 * MAC_BYTES;
  if (end < HEAD_BYTES) return false;
  const mac = createHmac('blake2s256', key).update(handshake.subarray(0, end)).digest();
  return timingSafeEqual(mac.subarray(0, MAC_BYTES), handshake.subarray(end, end + MAC_BYTES));
}
