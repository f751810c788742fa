import { isIPv6 } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import type { SocketAddress } from '../../base/types.ts';
import { isSealedKind } from '../../encap/sealed.ts';
import { isUnsealedKind } from '../../encap/unsealed.ts';
import type { DatagramChannel } from '../../underlay/datagram.ts';
import type { UdpSent, UdpSocket } from '../../underlay/udp.ts';
import { DROP, NO_DROP } from '../counters.ts';
import { isControlKind } from '../mesh-kind.ts';
import { isRelayKind } from '../relay-header.ts';
import { HandshakeGate } from './handshake-gate.ts';

type Receive = (bytes: Buffer, from: SocketAddress) => void;

/** Takes a datagram, which belongs to it from now on. */
export type ReceiveMesh = (datagram: Buffer, address: string, port: number) => void;

/** What waits above this is a socket that has stopped sending: 170 full frames, more would be latency. */
const MAX_QUEUED_BYTES = 256 * 1024;

/** The mesh port: tells kinds apart by the first byte, hands up what is control and on what is not. */
export class MeshChannel implements DatagramChannel {
  readonly local: SocketAddress;
  readonly handshakes = new HandshakeGate();
  onSealed: ReceiveMesh = () => undefined;
  onUnsealed: ReceiveMesh = () => undefined;
  onRelayed: ReceiveMesh = () => undefined;
  readonly #v4: UdpSocket | undefined;
  readonly #v6: UdpSocket | undefined;
  readonly #drops: Float64Array;
  readonly #clock: Clock;
  readonly #sent: UdpSent = (error) => {
    if (error !== null) this.#drop(DROP.underlay_send_failed);
  };
  #receive: Receive = () => undefined;

  /** `drops` is the data plane's own array of drop counters. */
  constructor(sockets: readonly [UdpSocket, ...UdpSocket[]], drops: Float64Array, clock: Clock) {
    this.local = sockets[0].local;
    this.#v4 = sockets.find(({ local }) => !isIPv6(local.address));
    this.#v6 = sockets.find(({ local }) => isIPv6(local.address));
    this.#drops = drops;
    this.#clock = clock;
    for (const socket of sockets) {
      socket.onReceive((bytes, address, port) => this.#accept(bytes, address, port));
    }
  }

  send(bytes: Uint8Array, to: SocketAddress): void {
    // The caller may reuse its bytes at once, the socket may not have taken them yet: hence a copy.
    const refusal = this.sendOwn(Buffer.from(bytes), to);
    if (refusal !== NO_DROP) this.#drop(refusal);
  }

  /** Sends a datagram that nobody else uses. Returns the drop counter, which it leaves alone, or -1. */
  sendOwn(bytes: Buffer, { address, port }: SocketAddress): number {
    const socket = address.includes(':') ? this.#v6 : this.#v4;
    if (socket === undefined) return DROP.underlay_send_failed;
    if (socket.queuedBytes() > MAX_QUEUED_BYTES) return DROP.underlay_queue_full;
    socket.send(bytes, 0, bytes.length, address, port, this.#sent);
    return NO_DROP;
  }

  onReceive(receive: Receive): void {
    this.#receive = receive;
  }

  #accept(bytes: Buffer, address: string, port: number): void {
    const kind = bytes[0] ?? 0;
    if (isSealedKind(kind)) this.onSealed(bytes, address, port);
    else if (isUnsealedKind(kind)) this.onUnsealed(bytes, address, port);
    else if (isControlKind(kind)) this.#control(bytes, { address, port });
    else if (isRelayKind(kind)) this.onRelayed(bytes, address, port);
    else this.#drop(DROP.mesh_unknown);
  }

  #control(bytes: Buffer, from: SocketAddress): void {
    const refusal = this.handshakes.refuse(bytes, from.address, this.#clock.now());
    if (refusal === NO_DROP) this.#receive(bytes, from);
    else this.#drop(refusal);
  }

  #drop(reason: number): void {
    this.#drops[reason]!++;
  }
}
