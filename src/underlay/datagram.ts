import type { PeerId, PeerPath, SocketAddress } from '../base/types.ts';

/**
 * `bytes` belongs to the receiver only until it returns. `sender`: who sealed it, where the channel is
 * sealed; a datagram that came by a relay has the relay's address.
 */
export type DatagramReceive = (bytes: Buffer, from: SocketAddress, sender?: PeerId) => void;

/**
 * The seam through which control messages (gossip; later handshakes) use the mesh's UDP port. Whoever
 * owns the socket (the data plane) hands up the datagrams whose first byte marks them as control.
 */
export interface DatagramChannel {
  /** Where the socket is bound; the port is the real one even if 0 was asked for. */
  readonly local: SocketAddress;
  /** Queues one datagram; never throws, never blocks. A failed send is counted, not reported. */
  send(bytes: Uint8Array, to: SocketAddress): void;
  /** At most one receiver. */
  onReceive(receive: DatagramReceive): void;
}

/** A channel that also sends by a path that the caller has chosen. */
export interface PathChannel extends DatagramChannel {
  sendBy(bytes: Uint8Array, path: PeerPath): void;
}
