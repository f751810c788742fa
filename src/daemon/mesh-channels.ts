import { isHandshakeKind } from '../dataplane/mesh-kind.ts';
import type { DatagramChannel } from '../underlay/datagram.ts';

type Receive = (bytes: Buffer, from: { readonly address: string; readonly port: number }) => void;

/** The control datagrams of the mesh port, to who reads them: gossip, or handshakes, by the first byte. */
export function splitChannel(control: DatagramChannel): {
  readonly gossip: DatagramChannel;
  readonly handshakes: DatagramChannel;
} {
  const receivers: { gossip?: Receive; handshakes?: Receive } = {};
  control.onReceive((bytes, from) => {
    const kind = isHandshakeKind(bytes[0] ?? 0) ? 'handshakes' : 'gossip';
    receivers[kind]?.(bytes, from);
  });
  const channel = (kind: keyof typeof receivers): DatagramChannel => ({
    local: control.local,
    send: (bytes, to) => control.send(bytes, to),
    onReceive: (receive) => void (receivers[kind] = receive),
  });
  return { gossip: channel('gossip'), handshakes: channel('handshakes') };
}
