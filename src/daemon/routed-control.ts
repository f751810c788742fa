import type { PeerId, PeerPath, SocketAddress } from '../base/types.ts';
import { tagOf } from '../link/locator.ts';
import { unwrapRelayed, wrapRelayed } from '../link/relayed.ts';
import type { DatagramChannel, DatagramReceive, PathChannel } from '../underlay/datagram.ts';
import type { PathKeeper } from './path-keeper.ts';

/** The announced address of who sent a datagram, and the way back by the relay that it came from. */
export interface RelayedAddress extends SocketAddress {
  readonly via: PeerPath;
}

export const isRelayedAddress = (from: SocketAddress): from is RelayedAddress => 'via' in from;

/** Where a datagram really came from. */
export const arrivedFrom = (from: SocketAddress): SocketAddress =>
  isRelayedAddress(from) ? from.via.to : from;

export interface RoutedControlOptions {
  readonly self: PeerId;
  readonly control: DatagramChannel;
  readonly plane: { sendRelayed(bytes: Uint8Array, path: PeerPath): void };
}

/** What is known of the ways to hosts. */
export type KnownPaths = Pick<PathKeeper, 'hostAt' | 'pathTo' | 'announcedBy'>;

/**
 * The control datagrams of the mesh port, by paths: what is sent to an address of a host goes the way that
 * has been chosen for that host, which may be another of its addresses or a relay. To where no host is known
 * it goes as it is.
 */
export class RoutedControl implements PathChannel {
  readonly #options: RoutedControlOptions;
  #paths: KnownPaths | undefined;
  #strangers = 0;

  constructor(options: RoutedControlOptions) {
    this.#options = options;
  }

  get local(): SocketAddress {
    return this.#options.control.local;
  }

  /** Who knows paths is made of what needs this channel: until it is there, all goes as it is. */
  followPaths(paths: KnownPaths): void {
    this.#paths = paths;
  }

  /** Relayed datagrams that were refused: no live host has their sender's tag. */
  counters(): { readonly relayedStranger: number } {
    return { relayedStranger: this.#strangers };
  }

  /** An answer to what a relay brought goes back by that relay, whether or not another way is known yet. */
  send(bytes: Uint8Array, to: SocketAddress): void {
    if (isRelayedAddress(to)) {
      this.sendBy(bytes, to.via);
      return;
    }
    const host = this.#paths?.hostAt(to);
    const path = host && this.#paths?.pathTo(host);
    if (path === undefined) this.#options.control.send(bytes, to);
    else this.sendBy(bytes, path);
  }

  sendBy(bytes: Uint8Array, path: PeerPath): void {
    const { control, plane, self } = this.#options;
    if (path.relayTag === undefined) control.send(bytes, path.to);
    else plane.sendRelayed(wrapRelayed(tagOf(self), bytes), path);
  }

  /** What came by a relay is handed up as if it came from its sender's announced address. */
  onReceive(receive: DatagramReceive): void {
    this.#options.control.onReceive((bytes, from) => {
      const relayed = unwrapRelayed(bytes);
      if (relayed === undefined) {
        receive(bytes, from);
        return;
      }
      const sender = this.#paths?.announcedBy(relayed.sender);
      if (sender === undefined) {
        this.#strangers++;
        return;
      }
      const via = { to: from, relayTag: relayed.sender };
      const address: RelayedAddress = { ...sender, via };
      receive(relayed.bytes, address);
    });
  }
}
