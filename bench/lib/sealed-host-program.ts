/**
 * One host of `sealed-host.ts`: a native data plane with a TAP device on one network and one VTEP, sealed
 * unless told `plain`.
 * Runs inside the host's namespace:
 *
 *   node sealed-host-program.js ADDRESS PEER_ADDRESS MTU [plain]
 *
 * Says `ready` once its device is there. Then each line of its input is a `SealedCommand` in JSON, and each
 * is answered in order by a `SealedAnswer`. It ends with its input, or on SIGTERM.
 */
import { createInterface } from 'node:readline';
import { asVni, type PeerPath, type SocketAddress } from '../../src/base/types.ts';
import {
  createNativeDataPlane,
  type NativeDataPlane,
} from '../../src/dataplane/native/native-data-plane.ts';
import type { SealingKey } from '../../src/encap/sealed.ts';
import { VXLAN_UDP_PORT } from '../../src/encap/vxlan.ts';
import { openOnLadder } from '../../src/tun/offload-ladder.ts';
import {
  SEALED_DEVICE,
  type SealedAnswer,
  type SealedCommand,
  type WrittenHop,
  type WrittenKey,
} from './sealed-host.ts';

const MESH_PORT = 7783;
const VNI = asVni(77);

function keyOf({ cipher, index, hex }: WrittenKey): SealingKey {
  return { cipher, index, key: Buffer.from(hex, 'hex') };
}

function carryOut(plane: NativeDataPlane, peer: string, command: SealedCommand): void {
  const { kind } = command;
  if (kind === 'setSendKey') plane.setSendKey(peer, keyOf(command.key));
  else if (kind === 'addReceiveKey') plane.addReceiveKey(peer, keyOf(command.key));
  else if (kind === 'removeReceiveKey') plane.removeReceiveKey(command.index);
  else if (kind === 'setPath') plane.setPath(peer, pathBy(command.relay));
  else if (kind === 'relay') relayBetween(plane, command.hosts);
}

const meshAddress = (address: string): SocketAddress => ({ address, port: MESH_PORT });
const tagOf = ({ tag }: WrittenHop): bigint => BigInt(`0x${tag}`);

function pathBy(relay: WrittenHop | undefined): PeerPath | undefined {
  return relay && { to: meshAddress(relay.address), relayTag: tagOf(relay) };
}

function relayBetween(plane: NativeDataPlane, hosts: readonly WrittenHop[]): void {
  plane.setRelayPeers(new Set(hosts.map((host) => host.address)));
  for (const host of hosts) {
    plane.setRoute(tagOf(host), { to: meshAddress(host.address), isLast: true });
  }
}

const [address = '', peer = '', mtuText, encapsulation] = process.argv.slice(2);
const mtu = Number(mtuText);
const plane = createNativeDataPlane({
  addresses: [address],
  meshPort: MESH_PORT,
  vxlanPort: VXLAN_UDP_PORT,
});
plane.addNetwork(VNI, { mtu });
plane.addPort(VNI, openOnLadder({ name: SEALED_DEVICE, mtu }).tap);
if (encapsulation === 'plain') {
  plane.setPeer(peer, { takesPartialChecksums: true });
  plane.addVtep(VNI, { address: peer, port: VXLAN_UDP_PORT });
} else {
  plane.addVtep(VNI, { address: peer, port: MESH_PORT }, { encapsulation: 'sealed' });
}

const input = createInterface({ input: process.stdin });
process.once('SIGTERM', () => input.close());
console.log('ready');
let answered = 0;
input.on('line', (line) => {
  carryOut(plane, peer, JSON.parse(line) as SealedCommand);
  const { drops, relayed } = plane.counters();
  const answer: SealedAnswer = { answered: ++answered, drops, relayed: relayed.datagrams };
  console.log(JSON.stringify(answer));
});
input.once('close', () => {
  void plane.close();
  process.stdin.destroy();
});
