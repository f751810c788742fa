import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { errnoOf } from '../base/errors.ts';

export interface PortWanted {
  readonly protocol: 'tcp' | 'udp';
  /** Default: every address of the host. */
  readonly address?: string;
  /** 0: any. */
  readonly port: number;
}

/** The port that was free, or why none was: another has it, or the address is none of this host. */
export type PortFound = number | 'taken' | 'foreign';

/** Asks the kernel whether a port of this host is free, by binding it for a moment. */
export type ProbePort = (wanted: PortWanted) => Promise<PortFound>;

/** Where the host has no IPv6, its IPv4 addresses are all. */
const EVERYWHERE = ['::', '0.0.0.0'] as const;

async function bindTcp(host: string, port: number): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  server.listen({ host, port, exclusive: true });
  try {
    await once(server, 'listening');
    const bound = server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : port;
  } finally {
    server.close();
  }
}

async function bindUdp(address: string, port: number): Promise<number> {
  const socket = createSocket({ type: address.includes(':') ? 'udp6' : 'udp4' });
  try {
    socket.bind({ address, port, exclusive: true });
    await once(socket, 'listening');
    return socket.address().port;
  } finally {
    socket.close();
  }
}

export const probePort: ProbePort = async ({ protocol, address, port }) => {
  const bind = protocol === 'tcp' ? bindTcp : bindUdp;
  for (const each of address === undefined ? EVERYWHERE : [address]) {
    try {
      return await bind(each, port);
    } catch (error) {
      const code = errnoOf(error);
      if (code === 'EADDRINUSE') return 'taken';
      if (code !== 'EADDRNOTAVAIL' && code !== 'EAFNOSUPPORT') throw error;
    }
  }
  return 'foreign';
};
