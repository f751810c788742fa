import { isIPv6 } from 'node:net';
import type { BindUdp, UdpSocket } from '../../underlay/udp.ts';
import type { DataPlaneOptions } from '../dataplane.ts';

type Sockets = readonly [UdpSocket, ...UdpSocket[]];

/**
 * Sockets that only send VXLAN, each with a source port of its own; a flow always uses the same one.
 *
 * RFC 7348 §5 wants the source port to come from a hash of the inner flow, over the whole dynamic
 * range, so that routers and NICs that spread by UDP ports (ECMP, LAG, RSS) spread the flows of one
 * tunnel. node:dgram can't set a source port per datagram, so there are as many paths here as sockets:
 * 16 fill the ECMP groups that are usual (2 to 16 ways) about evenly once there are many flows.
 */
export const SOURCE_PORTS = 16;

/** Every UDP socket of a portable data plane. */
export interface PlaneSockets {
  readonly mesh: Sockets;
  readonly vxlan: Sockets;
  readonly sendersV4: readonly UdpSocket[];
  readonly sendersV6: readonly UdpSocket[];
}

/** Binds them all. @throws AppError E_BIND or E_ADDRESS_INVALID; nothing stays bound then */
export async function openSockets(
  { addresses, meshPort, vxlanPort }: DataPlaneOptions,
  bindUdp: BindUdp,
): Promise<PlaneSockets> {
  const opened: UdpSocket[] = [];
  const bind = async (on: readonly string[], port: number): Promise<Sockets> => {
    const sockets = await bindUdp(on, port);
    opened.push(...sockets);
    return sockets;
  };
  try {
    const mesh = await bind(addresses, meshPort);
    const vxlan = await bind(addresses, vxlanPort);
    const sendersV4 = await bindSenders(vxlan, false, bind);
    const sendersV6 = await bindSenders(vxlan, true, bind);
    return { mesh, vxlan, sendersV4, sendersV6 };
  } catch (error) {
    await Promise.all(opened.map((socket) => socket.close()));
    throw error;
  }
}

/** On the first bound address of the family, so that peers see the address that they know us by. */
async function bindSenders(
  vxlan: Sockets,
  isV6: boolean,
  bind: (addresses: readonly string[], port: number) => Promise<Sockets>,
): Promise<readonly UdpSocket[]> {
  const home = vxlan.find((socket) => isIPv6(socket.local.address) === isV6);
  if (home === undefined) return [];
  const senders: UdpSocket[] = [];
  while (senders.length < SOURCE_PORTS) senders.push(...(await bind([home.local.address], 0)));
  return senders;
}

export async function closeSockets(sockets: PlaneSockets): Promise<void> {
  const all = [sockets.mesh, sockets.vxlan, sockets.sendersV4, sockets.sendersV6].flat();
  await Promise.all(all.map((socket) => socket.close()));
}
