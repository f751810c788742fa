import type { LinksStatus } from '../api/control.ts';
import type { Clock } from '../base/clock.ts';
import type { PeerId, SocketAddress } from '../base/types.ts';
import type { DataPlane } from '../dataplane/dataplane.ts';
import { CONTROL_KIND_NAMES, controlKindOf, type ControlKind } from '../dataplane/mesh-kind.ts';
import { OUTER_UDP_BYTES, outerIpBytes } from '../encap/mtu.ts';
import { withoutSender, withSender } from '../gossip/message.ts';
import type { Envelope } from '../link/envelope.ts';
import type { DatagramReceive, PathChannel } from '../underlay/datagram.ts';

/** Kinds that somebody reads. */
export type ReadKind = Exclude<ControlKind, 'envelope'>;

export interface MeshChannelsOptions {
  readonly control: PathChannel;
  /** Undefined in a mesh whose gossip is open. */
  readonly envelope: Envelope | undefined;
  /** What stands before control that comes. */
  readonly gate: Pick<DataPlane, 'setEnvelopeKeys'>;
  readonly clock: Clock;
}

/**
 * The control datagrams of the mesh port, to who reads them, by the first byte. Handshakes go as they are;
 * all else goes sealed in an envelope, unless the mesh is open.
 */
export class MeshChannels {
  readonly #options: MeshChannelsOptions;
  readonly #sent = Object.fromEntries(
    CONTROL_KIND_NAMES.map((kind) => [kind, { datagrams: 0, bytes: 0 }]),
  ) as Record<ControlKind, { datagrams: number; bytes: number }>;
  readonly #readers = new Map<ControlKind, DatagramReceive>();
  #unread = 0;

  constructor(options: MeshChannelsOptions) {
    this.#options = options;
    options.control.onReceive((bytes, from) => this.#receive(bytes, from));
    this.keysChanged();
  }

  /** The mesh has other keys from now on, or this host is of another mesh. */
  keysChanged(): void {
    const { gate, envelope } = this.#options;
    if (envelope !== undefined) gate.setEnvelopeKeys?.(envelope.keys());
  }

  /** The channel of one kind: what is sent there must begin with a byte of that kind. */
  of(kind: ReadKind): PathChannel {
    const { control } = this.#options;
    return {
      local: control.local,
      send: (bytes, to) => control.send(this.#counted(kind, this.#sealed(kind, bytes), to), to),
      sendBy: (bytes, path) =>
        control.sendBy(this.#counted(kind, this.#sealed(kind, bytes), path.to), path),
      onReceive: (receive) => void this.#readers.set(kind, receive),
    };
  }

  counters(): { readonly controlUnread: number } {
    return { controlUnread: this.#unread };
  }

  /** What was sent since the start, with the headers of UDP and IP; `envelope`: greetings. */
  sent(): LinksStatus['sent'] {
    return structuredClone(this.#sent);
  }

  #counted(kind: ControlKind, bytes: Uint8Array, { address }: SocketAddress): Uint8Array {
    const ipBytes = outerIpBytes(address.includes(':') ? 6 : 4);
    const sent = this.#sent[kind];
    sent.datagrams++;
    sent.bytes += bytes.length + OUTER_UDP_BYTES + ipBytes;
    return bytes;
  }

  #sealed(kind: ReadKind, bytes: Uint8Array): Uint8Array {
    const { envelope, clock } = this.#options;
    if (kind === 'handshakes' || envelope === undefined) return bytes;
    const inside = kind === 'gossip' ? withoutSender(bytes, envelope.self) : bytes;
    return envelope.seal(inside, clock.now());
  }

  #receive(bytes: Buffer, from: SocketAddress): void {
    const { envelope } = this.#options;
    const kind = controlKindOf(bytes[0] ?? 0);
    if (kind === 'envelope') this.#open(bytes, from);
    else if (kind === 'handshakes' || envelope === undefined) this.#hand(kind, bytes, from);
    else envelope.count('envelopeMissing');
  }

  #open(bytes: Buffer, from: SocketAddress): void {
    const { control, envelope, clock } = this.#options;
    if (envelope === undefined) {
      this.#unread++;
      return;
    }
    const { opened, reply } = envelope.open(bytes, from, clock.now());
    // What came by a relay has the address of its sender, which leads by that relay again.
    if (reply !== undefined) control.send(this.#counted('envelope', reply, from), from);
    for (const datagram of opened) {
      const kind = controlKindOf(datagram.bytes[0] ?? 0);
      // Handshakes are never sealed: what says so is no way around their own checks.
      const isInside = kind !== 'handshakes' && kind !== 'envelope';
      const { from: place, sender } = datagram;
      const whole = kind === 'gossip' ? withSender(datagram.bytes, sender) : datagram.bytes;
      this.#hand(isInside ? kind : undefined, whole, place, sender);
    }
  }

  #hand(kind: ControlKind | undefined, bytes: Buffer, from: SocketAddress, sender?: PeerId): void {
    const reader = kind && this.#readers.get(kind);
    if (reader === undefined) {
      this.#unread++;
      return;
    }
    reader(bytes, from, sender);
  }
}
