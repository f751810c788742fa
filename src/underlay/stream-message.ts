/**
 * Framing of the stream transport, both ways:
 *
 *   0                        32
 *   | length n, big-endian    | n bytes of message |
 */
const LENGTH_BYTES = 4;

/** The bytes to put before a message of `length` bytes. */
export function lengthPrefix(length: number): Buffer {
  const prefix = Buffer.alloc(LENGTH_BYTES);
  prefix.writeUInt32BE(length);
  return prefix;
}

/**
 * Gathers one message from the chunks of a stream. Holds what has arrived, never what was merely
 * announced, so a sender can't reserve memory by a large number.
 */
export class MessageAssembler {
  readonly #limit: number;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #announced: number | undefined;

  /** `limit`: longest message accepted, in bytes. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Length that the sender announced, once its four bytes are here. */
  get announced(): number | undefined {
    return this.#announced;
  }

  /**
   * Keeps `chunk`. Bytes after the message are ignored: there is one message in each direction.
   * @returns the message once it is whole; `too_long` if the announced length is over the limit
   */
  push(chunk: Buffer): Buffer | 'too_long' | 'partial' {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#announced === undefined) {
      if (this.#bytes < LENGTH_BYTES) return 'partial';
      this.#announced = Buffer.concat(this.#chunks).readUInt32BE(0);
    }
    if (this.#announced > this.#limit) return 'too_long';
    const end = LENGTH_BYTES + this.#announced;
    if (this.#bytes < end) return 'partial';
    return Buffer.concat(this.#chunks).subarray(LENGTH_BYTES, end);
  }
}
