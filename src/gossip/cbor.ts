import { Decoder, Encoder } from 'cbor-x';

/**
 * CBOR values in rows (RFC 8949), in a subset that is safe to decode from anybody: definite lengths,
 * no tags, at most `MAX_DEPTH` deep. The bytes are walked before cbor-x sees them, because it believes
 * array lengths and runs extensions by tag.
 */
const MAX_DEPTH = 16;

const OPTIONS = { useRecords: false, mapsAsObjects: true, tagUint8Array: false, pack: false };
const encoder = new Encoder({ ...OPTIONS, variableMapSize: true });
const decoder = new Decoder(OPTIONS);

const MAJOR = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 };

/** Reads data items and forgets them; throws RangeError at the first thing outside the subset. */
class Walker {
  readonly #view: DataView;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  item(depth: number): void {
    if (depth > MAX_DEPTH) throw new RangeError('too deep');
    const initial = this.#view.getUint8(this.at++);
    const major = initial >> 5;
    const argument = this.#argument(initial & 0x1f);
    if (major === MAJOR.bytes || major === MAJOR.text) this.#skip(argument);
    else if (major === MAJOR.array) this.#items(argument, depth);
    else if (major === MAJOR.map) this.#items(argument * 2, depth);
    else if (major === MAJOR.tag) throw new RangeError('tag');
  }

  /** The number that the initial byte's low bits hold or announce. */
  #argument(low: number): number {
    if (low < 24) return low;
    if (low > 27) throw new RangeError('reserved or indefinite length');
    const width = 2 ** (low - 24);
    const at = this.at;
    this.#skip(width);
    if (width === 1) return this.#view.getUint8(at);
    if (width === 2) return this.#view.getUint16(at);
    if (width === 4) return this.#view.getUint32(at);
    return this.#view.getUint32(at) * 2 ** 32 + this.#view.getUint32(at + 4);
  }

  #skip(count: number): void {
    this.at += count;
    if (this.at > this.#view.byteLength) throw new RangeError('cut short');
  }

  #items(count: number, depth: number): void {
    if (count > this.#view.byteLength - this.at) throw new RangeError('cut short');
    for (let index = 0; index < count; index++) this.item(depth + 1);
  }
}

/** Whether `bytes` are exactly one data item of the subset. O(length), allocates nothing by length fields. */
export function isPlainCbor(bytes: Uint8Array): boolean {
  const walker = new Walker(bytes);
  try {
    walker.item(0);
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
  return walker.at === bytes.length;
}

/** The value in `bytes`, or `undefined` if they are not one item of the subset. */
export function decodeCbor(bytes: Uint8Array): { readonly value: unknown } | undefined {
  if (!isPlainCbor(bytes)) return undefined;
  try {
    return { value: decoder.decode(bytes) as unknown };
  } catch {
    // Well-formed, and still not a value in JavaScript's terms: the bytes' fault, not ours.
    return undefined;
  }
}

/** Fresh bytes that the caller owns; `undefined` if the value needs tags or is too deep. */
export function encodeCbor(value: unknown): Uint8Array | undefined {
  const bytes = Uint8Array.from(encoder.encode(value));
  return isPlainCbor(bytes) ? bytes : undefined;
}
