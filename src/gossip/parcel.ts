import { SIGNED_MAX } from './cargo.ts';

/** Longest request or answer of a sync, header included. Longer ones are refused unread. */
export const MAX_SYNC_BYTES = 2 ** 20 - 1024;

/** Most rows looked at for one message, whatever the other side asks for. */
export const VISITS_MAX = 2 ** 19;

/** A message in the making: pieces that join by concatenation, bounded in bytes and in the work they cost both sides. */
export class Parcel {
  readonly #pieces: Uint8Array[];
  #room: number;
  readonly #signedMax: number;
  #signed = 0;
  #visits = VISITS_MAX;

  /**
   * `head` is the message's header and fixed fields.
   * @param signed  most claims and rows, which the recipient verifies
   */
  constructor(head: Uint8Array, bytes = MAX_SYNC_BYTES, signed = SIGNED_MAX) {
    this.#pieces = [head];
    this.#room = bytes - head.length;
    this.#signedMax = signed;
  }

  /** Whether anything follows the head. */
  get isEmpty(): boolean {
    return this.#pieces.length === 1;
  }

  /** Bytes that are left. */
  get room(): number {
    return this.#room;
  }

  /** Claims and rows that may still be added. */
  get signed(): number {
    return this.#signedMax - this.#signed;
  }

  /** Adds a claim or a row; false if there is no room for it. */
  addSigned(piece: Uint8Array): boolean {
    if (this.signed === 0 || !this.add(piece)) return false;
    this.#signed++;
    return true;
  }

  /** Adds all that another parcel holds; false if there is no room for it. */
  addAll(other: Parcel): boolean {
    if (other.#signed > this.signed || !this.add(other.finish())) return false;
    this.#signed += other.#signed;
    return true;
  }

  /** Adds a piece; false if there is no room for it. */
  add(piece: Uint8Array): boolean {
    if (piece.length > this.#room) return false;
    this.#pieces.push(piece);
    this.#room -= piece.length;
    return true;
  }

  /** Pays for looking at `count` rows; false if that is more than is left. */
  visit(count: number): boolean {
    if (count > this.#visits) return false;
    this.#visits -= count;
    return true;
  }

  /** Keeps `bytes` of the room back, for what must be added at the end. */
  reserve(bytes: number): void {
    this.#room -= bytes;
  }

  release(bytes: number): void {
    this.#room += bytes;
  }

  finish(): Uint8Array {
    return Buffer.concat(this.#pieces);
  }
}
