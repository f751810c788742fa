import type { SocketAddress } from '../base/types.ts';

/**
 * The seam through which control messages (gossip; later handshakes) use the mesh's UDP port. Whoever
 * owns the socket (the data plane) hands up the datagrams whose first byte marks them as control.
 */
export interface DatagramChannel {
  /** Where the socket is bound; the port is the real one even if 0 was asked for. */
  readonly local: SocketAddress;
  /** Queues one datagram; never throws, never blocks. A failed send is counted, not reported. */
  send(bytes: Uint8Array, to: SocketAddress): void;
  /** At most one receiver. `bytes` belongs to the receiver only until it returns. */
  onReceive(receive: (bytes: Buffer, from: SocketAddress) => void): void;
}
