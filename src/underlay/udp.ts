import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { SocketAddress } from '../base/types.ts';
import { bindEach, type Bound } from './bind.ts';

/**
 * Called for each datagram. `datagram` belongs to the receiver; `address` is textual, without zone.
 */
export type UdpReceive = (datagram: Buffer, address: string, port: number) => void;

/** Called once the kernel has taken a datagram, or with the error for which it did not. */
export type UdpSent = (error: Error | null) => void;

/** A UDP socket bound to one address, as the portable data plane needs it. */
export interface UdpSocket extends Bound {
  /** What the kernel granted for the receive buffer, in bytes; Linux reports double the payload room. */
  readonly receiveBufferBytes: number;
  /** Bytes that wait in user space because the kernel's send buffer is full. */
  queuedBytes(): number;
  /**
   * Sends `buffer[start, end)`, which must stay untouched until `sent` is called, never within this
   * call. Never throws: after `close`, or to a port outside 1..65535, it reports an error.
   */
  send(
    buffer: Buffer,
    start: number,
    end: number,
    address: string,
    port: number,
    sent: UdpSent,
  ): void;
  /** At most one receiver; datagrams without one are drained and forgotten. */
  onReceive(receive: UdpReceive): void;
}

/** Opens one socket for each address, all on one port. */
export type BindUdp = (
  addresses: readonly string[],
  port: number,
) => Promise<readonly [UdpSocket, ...UdpSocket[]]>;

/** Asked of the kernel, which cuts it to net.core.rmem_max and wmem_max: some 2700 full frames. */
const SOCKET_BUFFER_BYTES = 4 * 2 ** 20;

/** Binds UDP sockets of node:dgram. @throws AppError E_BIND or E_ADDRESS_INVALID, see `bindEach` */
export const bindUdp: BindUdp = (addresses, port) =>
  bindEach('UDP', { addresses, port }, DgramSocket.bind);

type Lookup = NonNullable<SocketOptions['lookup']>;

/** Every address here is a literal: answering at once spares node:dgram a resolver call per datagram. */
const literal =
  (family: 4 | 6): Lookup =>
  (hostname, _options, answer) =>
    answer(null, hostname, family);

class DgramSocket implements UdpSocket {
  readonly local: SocketAddress;
  readonly receiveBufferBytes: number;
  readonly #socket: Socket;
  #isOpen = true;

  private constructor(socket: Socket) {
    const { address, port } = socket.address();
    this.local = { address, port };
    this.#socket = socket;
    this.receiveBufferBytes = enlargeBuffers(socket);
    // The kernel reports here what has no datagram to blame, such as a lack of memory while it read.
    // The socket stays usable, and an 'error' without a listener would end the process.
    socket.on('error', () => undefined);
  }

  static readonly bind = (address: string, port: number): Promise<DgramSocket> =>
    new Promise((resolve, reject) => {
      const isV6 = isIPv6(address);
      const socket = createSocket({
        type: isV6 ? 'udp6' : 'udp4',
        ipv6Only: isV6,
        lookup: literal(isV6 ? 6 : 4),
      });
      const fail = (error: Error): void => {
        socket.close(() => reject(error));
      };
      socket.once('error', fail);
      socket.bind({ address, port, exclusive: true }, () => {
        socket.off('error', fail);
        resolve(new DgramSocket(socket));
      });
    });

  queuedBytes(): number {
    return this.#isOpen ? this.#socket.getSendQueueSize() : 0;
  }

  send(
    buffer: Buffer,
    start: number,
    end: number,
    address: string,
    port: number,
    sent: UdpSent,
  ): void {
    if (!this.#isOpen || !(port > 0 && port < 65_536)) {
      queueMicrotask(() => sent(new Error('the socket is closed or the port is none')));
      return;
    }
    this.#socket.send(buffer, start, end - start, port, address, sent);
  }

  onReceive(receive: UdpReceive): void {
    this.#socket.removeAllListeners('message');
    this.#socket.on('message', (datagram, { address, port }) => {
      const zone = address.indexOf('%');
      receive(datagram, zone < 0 ? address : address.slice(0, zone), port);
    });
  }

  close(): Promise<void> {
    if (!this.#isOpen) return Promise.resolve();
    this.#isOpen = false;
    this.#socket.removeAllListeners('message');
    return new Promise((resolve) => void this.#socket.close(() => resolve()));
  }
}

function enlargeBuffers(socket: Socket): number {
  socket.setRecvBufferSize(SOCKET_BUFFER_BYTES);
  socket.setSendBufferSize(SOCKET_BUFFER_BYTES);
  return socket.getRecvBufferSize();
}
