import { systemClock } from '../../src/base/clock.ts';
import { nullLogger } from '../../src/base/log.ts';
import { systemRng } from '../../src/base/rng.ts';
import type { SocketAddress } from '../../src/base/types.ts';
import { MeshChannels } from '../../src/daemon/mesh-channels.ts';
import { DROP } from '../../src/dataplane/counters.ts';
import { MeshChannel } from '../../src/dataplane/portable/mesh-channel.ts';
import { presets } from '../../src/gossip/config.ts';
import { Mesh } from '../../src/gossip/driver.ts';
import { Envelope } from '../../src/link/envelope.ts';
import { HostSignatures } from '../../src/link/host-signatures.ts';
import { Keyring, MESH_KEY_BYTES } from '../../src/link/keyring.ts';
import { MeshStreams } from '../../src/link/mesh-streams.ts';
import { SigningKey } from '../../src/link/signing-key.ts';
import type { DatagramChannel } from '../../src/underlay/datagram.ts';
import { openTcpStream } from '../../src/underlay/stream-tcp.ts';
import { bindUdp } from '../../src/underlay/udp.ts';

export const PORT = 7783;
/** All members of all runs have it: there is nothing to hide, and what is sent is as long as with any other. */
export const MESH_KEY = Buffer.alloc(MESH_KEY_BYTES, 1);

export interface BareMember {
  readonly mesh: Mesh;
  readonly signatures: HostSignatures;
  /** What the mesh's datagrams go by. */
  readonly gossip: DatagramChannel;
}

/** One member of a mesh with `MESH_KEY`: the real driver on real sockets, and nothing else. Not started. */
export async function openMember(
  name: string,
  address: string,
  isOpen = false,
): Promise<BareMember> {
  const signatures = new HostSignatures(SigningKey.generate());
  const self = signatures.idOf(signatures.publicKey);
  const keyring = Keyring.create(MESH_KEY);
  const keys = {
    ...{ primary: keyring.newest, active: keyring.active, retired: [] },
    isExpelled: () => false,
  };
  const envelope = isOpen ? undefined : new Envelope({ self, keys: () => keys });
  const drops = new Float64Array(Object.keys(DROP).length);
  const port = new MeshChannel(await bindUdp([address], PORT), drops, systemClock);
  const control = {
    local: port.local,
    send: port.send.bind(port),
    sendBy: (bytes: Uint8Array, { to }: { readonly to: SocketAddress }) => port.send(bytes, to),
    onReceive: port.onReceive.bind(port),
  };
  const inner = await openTcpStream({ addresses: [address], port: PORT }, { clock: systemClock });
  const gossip = new MeshChannels({ gate: {}, control, envelope, clock: systemClock }).of('gossip');
  const mesh = new Mesh({
    self: { id: self, name, address: { address, port: PORT } },
    signatures,
    incarnation: 1,
    // As a daemon has it: in a sealed mesh the keys tell who belongs to it.
    label: isOpen ? 'weft' : '',
    config: presets.lan,
    seeds: [],
    datagrams: gossip,
    streams: new MeshStreams({ inner, envelope, clock: systemClock }),
    clock: systemClock,
    rng: systemRng,
    log: nullLogger,
  });
  return { mesh, signatures, gossip };
}
