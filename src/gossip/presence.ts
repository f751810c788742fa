import { decodeCbor, encodeCbor } from './cbor.ts';

/** Of a host that is restarted all the time, the latest. */
const SPANS_MAX = 64;

/** A time in which this host ran, both ends in ms since the Unix epoch by its own clock. */
type Span = readonly [from: number, to: number];

const isSpan = (value: unknown): value is Span =>
  Array.isArray(value) &&
  value.length === 2 &&
  value.every((end) => Number.isSafeInteger(end) && Number(end) >= 0) &&
  value[0] <= value[1];

/**
 * When this host ran, over its restarts. Who ran at a reading of another held what that one had in common
 * with the mesh then, or has deleted it since (see ADR 15).
 */
export class Presence {
  #past: readonly Span[] = [];
  readonly #started: number;

  constructor(started: number) {
    this.#started = started;
  }

  /** Takes back what `encode` made before a restart. Bytes that are something else mean never. */
  load(bytes: Uint8Array | undefined): void {
    const value = bytes === undefined ? undefined : decodeCbor(bytes)?.value;
    this.#past = Array.isArray(value) ? value.filter(isSpan) : [];
  }

  /** CBOR: the latest spans, that of now last. */
  encode(wall: number): Uint8Array {
    const spans = [...this.#past, [this.#started, Math.max(this.#started, wall)]];
    return encodeCbor(spans.slice(-SPANS_MAX)) ?? new Uint8Array();
  }

  /** Whether this host ran at `time`; now it does. */
  covers(time: number): boolean {
    return this.#started <= time || this.#past.some(([from, to]) => from <= time && time <= to);
  }
}
