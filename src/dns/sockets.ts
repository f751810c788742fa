import type { SocketAddress } from '../base/types.ts';

export type Transport = 'udp' | 'tcp';

/** Where questions are taken. */
export interface ListenAt extends SocketAddress {
  /** Only what comes by this interface; `index` is another one once it was made again. */
  readonly device?: { readonly name: string; readonly index: number };
  /** Whose endpoints ask there; undefined: whoever reaches the address. */
  readonly network?: string;
}

/**
 * What a message becomes: bytes to send back, nothing, or either of them later. The message is the
 * receiver's to keep.
 */
export type Handle = (
  message: Buffer,
  asker: string,
  transport: Transport,
) => Buffer | undefined | Promise<Buffer | undefined>;

/** Something that listens on UDP and TCP until it is closed. */
export interface Listener {
  close(): Promise<void>;
}

/** All sockets that DNS needs. */
export interface DnsSockets {
  /** E_BIND if the kernel gives no such socket; nothing stays open then. */
  listen(at: ListenAt, handle: Handle): Promise<Listener>;
  /**
   * Sends a message to a server from a port of its own, and resolves with the first answer that
   * `isAnswer` takes; with undefined if the server refuses, or once `signal` says so.
   */
  ask(
    server: SocketAddress,
    message: Buffer,
    transport: Transport,
    isAnswer: (bytes: Buffer) => boolean,
    signal: AbortSignal,
  ): Promise<Buffer | undefined>;
}
