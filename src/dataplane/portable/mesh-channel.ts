import { isIPv6 } from 'node:net';
import type { SocketAddress } from '../../base/types.ts';
import type { DatagramChannel } from '../../underlay/datagram.ts';
import type { UdpSent, UdpSocket } from '../../underlay/udp.ts';
import { DROP } from '../counters.ts';
import { isControlKind } from '../mesh-kind.ts';

type Receive = (bytes: Buffer, from: SocketAddress) => void;

/** Control datagrams are small and few: what waits above this is a socket that has stopped sending. */
const MAX_QUEUED_BYTES = 256 * 1024;

/** The mesh port's control channel: tells kinds apart by the first byte and hands up what is control. */
export class MeshChannel implements DatagramChannel {
  readonly local: SocketAddress;
  readonly #sockets: readonly UdpSocket[];
  readonly #drops: Float64Array;
  readonly #sent: UdpSent = (error) => {
    if (error !== null) this.#drop(DROP.underlay_send_failed);
  };
  #receive: Receive = () => undefined;

  /** `drops` is the data plane's own array of drop counters. */
  constructor(sockets: readonly [UdpSocket, ...UdpSocket[]], drops: Float64Array) {
    this.local = sockets[0].local;
    this.#sockets = sockets;
    this.#drops = drops;
    for (const socket of sockets) {
      socket.onReceive((bytes, address, port) => this.#accept(bytes, address, port));
    }
  }

  send(bytes: Uint8Array, to: SocketAddress): void {
    const isV6 = isIPv6(to.address);
    const socket = this.#sockets.find((each) => isIPv6(each.local.address) === isV6);
    if (socket === undefined) {
      this.#drop(DROP.underlay_send_failed);
      return;
    }
    if (socket.queuedBytes() > MAX_QUEUED_BYTES) {
      this.#drop(DROP.underlay_queue_full);
      return;
    }
    // The caller may reuse its bytes at once, the socket may not have taken them yet: hence a copy.
    const copy = Buffer.from(bytes);
    socket.send(copy, 0, copy.length, to.address, to.port, this.#sent);
  }

  onReceive(receive: Receive): void {
    this.#receive = receive;
  }

  #accept(bytes: Buffer, address: string, port: number): void {
    if (bytes.length === 0 || !isControlKind(bytes[0]!)) {
      this.#drop(DROP.mesh_unknown);
      return;
    }
    this.#receive(bytes, { address, port });
  }

  #drop(reason: number): void {
    this.#drops[reason]!++;
  }
}
