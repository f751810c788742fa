/** A named range of bytes inside a header. Offsets are never written as numbers elsewhere. */
export interface Field {
  /** Bytes from the header's first byte. */
  readonly at: number;
  readonly bytes: number;
}

/** The field of `bytes` bytes that starts where `previous` ends. */
export function after(previous: Field, bytes: number): Field {
  return { at: previous.at + previous.bytes, bytes };
}

/** Bytes from the header's first byte to the end of `last`. */
export function endOf(last: Field): number {
  return last.at + last.bytes;
}
