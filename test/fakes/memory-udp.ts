import type { SocketAddress } from '../../src/base/types.ts';
import type { BindUdp, UdpReceive, UdpSent, UdpSocket } from '../../src/underlay/udp.ts';

interface Departure {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
  readonly to: SocketAddress;
  readonly sent: UdpSent;
}

/**
 * A UDP socket in memory that, like node:dgram, reads the bytes it was given only when it lets them go:
 * who overwrites a buffer too early sees it here.
 */
export class MemoryUdpSocket implements UdpSocket {
  readonly local: SocketAddress;
  readonly receiveBufferBytes = 0;
  /** What has left, as it was when it left. */
  readonly sent: { readonly bytes: Buffer; readonly to: SocketAddress }[] = [];
  /** While true, datagrams stay until `flush`. */
  isHolding = false;
  /** What `queuedBytes` says. */
  queued = 0;
  isClosed = false;
  #waiting: Departure[] = [];
  #receive: UdpReceive = () => undefined;

  constructor(local: SocketAddress) {
    this.local = local;
  }

  queuedBytes(): number {
    return this.queued;
  }

  send(
    buffer: Buffer,
    start: number,
    end: number,
    address: string,
    port: number,
    sent: UdpSent,
  ): void {
    this.#waiting.push({ buffer, start, end, to: { address, port }, sent });
    if (!this.isHolding) process.nextTick(() => this.flush());
  }

  /** Lets everything go; with an error, none of it arrives. */
  flush(error: Error | null = null): void {
    const departures = this.#waiting;
    this.#waiting = [];
    for (const { buffer, start, end, to, sent } of departures) {
      if (error === null) this.sent.push({ bytes: Buffer.from(buffer.subarray(start, end)), to });
      sent(error);
    }
  }

  onReceive(receive: UdpReceive): void {
    this.#receive = receive;
  }

  /** A datagram comes in. */
  deliver(bytes: Buffer, from: SocketAddress): void {
    this.#receive(bytes, from.address, from.port);
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

/** Sockets of one host, in the order in which they were bound; port 0 counts up from 40000. */
export class MemoryUdpHost {
  readonly sockets: MemoryUdpSocket[] = [];
  /** Binds that succeed before one is refused. */
  bindsLeft = Infinity;
  #nextPort = 40_000;

  readonly bindUdp: BindUdp = (addresses, wanted) => {
    if (this.bindsLeft-- <= 0) return Promise.reject(new Error('no bind is left'));
    const port = wanted === 0 ? this.#nextPort++ : wanted;
    const [first, ...others] = addresses.map((address) => new MemoryUdpSocket({ address, port }));
    if (first === undefined) return Promise.reject(new Error('no address was given'));
    this.sockets.push(first, ...others);
    return Promise.resolve([first, ...others]);
  };
}
