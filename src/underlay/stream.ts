import { AppError } from '../base/errors.ts';
import type { SocketAddress } from '../base/types.ts';
import type { Millis } from '../base/types.ts';

/**
 * The seam for push-pull over TCP: one request message and one answer message per connection, each
 * with a 4-byte big-endian length before it and none longer than `maxMessageBytes`.
 */
export interface StreamTransport {
  readonly local: SocketAddress;
  /**
   * Connects, sends `request`, resolves with the answer and closes.
   * Rejects with E_JOIN_UNREACHABLE (the sentence names the address and the cause: refused, timed out,
   * closed early, message too long).
   */
  exchange(to: SocketAddress, request: Uint8Array, timeout: Millis): Promise<Buffer>;
  /** At most one answerer. Returning `undefined` closes the connection without an answer. */
  onRequest(answer: (request: Buffer, from: SocketAddress) => Uint8Array | undefined): void;
  /** Stops listening and ends open connections. */
  close(): Promise<void>;
}

/** Longest message accepted or sent on a stream, seal and all: 1 MiB. */
export const MAX_STREAM_MESSAGE_BYTES = 2 ** 20;

/** A stream transport whose failure to connect can be told from later ones. */
export interface ConnectingTransport extends StreamTransport {
  /** Rejects with `NotConnectedError` if there is no connection after `connectWithin`, or was none at all. */
  exchange(
    to: SocketAddress,
    request: Uint8Array,
    timeout: Millis,
    connectWithin?: Millis,
  ): Promise<Buffer>;
}

/** E_JOIN_UNREACHABLE, and no byte of the request can have arrived. */
export class NotConnectedError extends AppError {
  constructor(message: string, cause?: unknown) {
    super('E_JOIN_UNREACHABLE', message, { cause });
  }
}
