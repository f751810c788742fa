/*
 * DNS over TCP (RFC 7766 §8): each message behind its length, 16 bits, big-endian.
 */
const LENGTH_BYTES = 2;

/** A message as it goes over TCP; at most 65,535 bytes, which every encoder here keeps to. */
export function frameMessage(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(LENGTH_BYTES + message.length);
  framed.writeUInt16BE(message.length, 0);
  framed.set(message, LENGTH_BYTES);
  return framed;
}

/** Takes bytes as they come and gives messages as they become whole. Holds one message at most, and its rest. */
export class MessageReader {
  #bytes: Buffer = Buffer.alloc(0);

  add(bytes: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
  }

  /** The next whole message, which is the caller's; undefined until more bytes have come. */
  next(): Buffer | undefined {
    if (this.#bytes.length < LENGTH_BYTES) return undefined;
    const end = LENGTH_BYTES + this.#bytes.readUInt16BE(0);
    if (this.#bytes.length < end) return undefined;
    const message = Buffer.from(this.#bytes.subarray(LENGTH_BYTES, end));
    this.#bytes = this.#bytes.subarray(end);
    return message;
  }
}
