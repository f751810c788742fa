/**
 * Big-endian integers in byte arrays. Plain index arithmetic: `Buffer.readUInt32BE` checks its
 * arguments on each call, which costs more than the read. Callers have checked the length.
 */

/** Unsigned 16 bits at `at`. */
export function readU16(buf: Uint8Array, at: number): number {
  return (buf[at]! << 8) | buf[at + 1]!;
}

/** 32 bits at `at` as a signed integer: for hashing and comparing, where the sign doesn't matter. */
export function readI32(buf: Uint8Array, at: number): number {
  return (buf[at]! << 24) | (buf[at + 1]! << 16) | (buf[at + 2]! << 8) | buf[at + 3]!;
}

/** Unsigned 32 bits at `at`. */
export function readU32(buf: Uint8Array, at: number): number {
  return readI32(buf, at) >>> 0;
}

/** Unsigned 24 bits at `at`. */
export function readU24(buf: Uint8Array, at: number): number {
  return (buf[at]! << 16) | (buf[at + 1]! << 8) | buf[at + 2]!;
}

/** Writes the low 16 bits of `value`. */
export function writeU16(buf: Uint8Array, at: number, value: number): void {
  buf[at] = value >>> 8;
  buf[at + 1] = value;
}

/** Writes the low 24 bits of `value`. */
export function writeU24(buf: Uint8Array, at: number, value: number): void {
  buf[at] = value >>> 16;
  buf[at + 1] = value >>> 8;
  buf[at + 2] = value;
}

/** Writes the low 32 bits of `value`. */
export function writeU32(buf: Uint8Array, at: number, value: number): void {
  buf[at] = value >>> 24;
  buf[at + 1] = value >>> 16;
  buf[at + 2] = value >>> 8;
  buf[at + 3] = value;
}
