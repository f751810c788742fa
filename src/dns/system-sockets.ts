import { createSocket, type SocketOptions } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, isIPv6, type Socket } from 'node:net';
import type { SocketAddress } from '../base/types.ts';
import type { DnsCounts } from './counters.ts';
import type { DnsSockets, Handle, Listener, ListenAt } from './sockets.ts';
import { frameMessage, MessageReader } from './tcp-message.ts';

/** Connections that one listener holds at once; more are refused. */
const MAX_CONNECTIONS = 64;
/** RFC 7766 §6.2.3: an idle connection is for seconds, not minutes. */
const IDLE_MS = 10_000;

/** Opens a socket bound to a place and returns its descriptor; E_BIND if the kernel refuses. */
export type OpenBound = (protocol: 'UDP' | 'TCP', at: ListenAt) => number;

/** Every address here is a literal: answering at once spares node:dgram a resolver call per datagram. */
const literal =
  (family: 4 | 6): NonNullable<SocketOptions['lookup']> =>
  (hostname, _options, answer) =>
    answer(null, hostname, family);

function udpSocket(address: string) {
  return isIPv6(address)
    ? createSocket({ type: 'udp6', lookup: literal(6) })
    : createSocket({ type: 'udp4', lookup: literal(4) });
}

const withoutZone = (address: string): string => address.split('%')[0] ?? address;

/** The real sockets, of node:dgram and node:net over descriptors that are bound already. */
export function systemDnsSockets(openBound: OpenBound, counts: DnsCounts): DnsSockets {
  return {
    async listen(at, handle) {
      const udp = await listenUdp(openBound('UDP', at), at.address, handle, counts);
      try {
        const tcp = await listenTcp(openBound('TCP', at), handle);
        return {
          async close() {
            await Promise.all([udp.close(), tcp.close()]);
          },
        };
      } catch (error) {
        await udp.close();
        throw error;
      }
    },
    ask: (server, message, transport, isAnswer, signal) =>
      transport === 'udp'
        ? askUdp(server, message, isAnswer, signal)
        : askTcp(server, message, isAnswer, signal),
  };
}

async function listenUdp(
  fd: number,
  address: string,
  handle: Handle,
  counts: DnsCounts,
): Promise<Listener> {
  const socket = udpSocket(address);
  let isOpen = true;
  const send = (bytes: Buffer | undefined, port: number, to: string): void => {
    // An asker without a port can't be answered, nor anybody once the socket is closed.
    if (bytes === undefined || port === 0 || !isOpen) return;
    socket.send(bytes, port, to, (error) => {
      if (error !== null) counts.sendFailed++;
    });
  };
  socket.on('message', (message, { address: from, port }) => {
    const answer = handle(message, withoutZone(from), 'udp');
    if (answer instanceof Promise) void answer.then((bytes) => send(bytes, port, from));
    else send(answer, port, from);
  });
  // What has no datagram to blame, such as a lack of memory: the socket stays usable.
  socket.on('error', () => counts.sendFailed++);
  await new Promise<void>((resolve) => socket.bind({ fd }, resolve));
  return {
    close: () => {
      isOpen = false;
      return new Promise((resolve) => void socket.close(() => resolve()));
    },
  };
}

async function listenTcp(fd: number, handle: Handle): Promise<Listener> {
  const connections = new Set<Socket>();
  const server = createServer((connection) => {
    connections.add(connection);
    connection.on('close', () => connections.delete(connection));
    serve(connection, handle);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, resolve);
  });
  server.removeAllListeners('error');
  // A connection that could not be accepted is its asker's loss.
  server.on('error', () => undefined);
  return {
    close: () => {
      for (const connection of connections) connection.destroy();
      return new Promise((resolve) => void server.close(() => resolve()));
    },
  };
}

/** Answers the questions of one connection in turn; no more bytes are read while one waits. */
function serve(connection: Socket, handle: Handle): void {
  const reader = new MessageReader();
  const asker = withoutZone(connection.remoteAddress ?? '');
  const answerAll = async (): Promise<void> => {
    connection.pause();
    for (let message = reader.next(); message !== undefined; message = reader.next()) {
      const answer = await handle(message, asker, 'tcp');
      if (connection.destroyed) return;
      if (answer === undefined) return void connection.destroy();
      // Who does not read gets no more to read, and is idle then.
      if (!connection.write(frameMessage(answer))) await once(connection, 'drain').catch(() => []);
    }
    connection.resume();
  };
  connection.setTimeout(IDLE_MS, () => connection.destroy());
  // An asker that goes away has no more questions.
  connection.on('error', () => connection.destroy());
  connection.on('data', (bytes: Buffer) => {
    reader.add(bytes);
    void answerAll();
  });
}

type IsAnswer = (bytes: Buffer) => boolean;

/** A connected socket: the kernel drops what comes from elsewhere, and tells if nobody listens. */
function askUdp(
  { address, port }: SocketAddress,
  message: Buffer,
  isAnswer: IsAnswer,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = udpSocket(address);
    let isOpen = true;
    const end = (answer?: Buffer): void => {
      if (!isOpen) return;
      isOpen = false;
      socket.close();
      resolve(answer);
    };
    signal.addEventListener('abort', () => end(), { once: true });
    socket.on('error', () => end());
    socket.on('message', (bytes) => {
      if (isAnswer(bytes)) end(bytes);
    });
    socket.on('connect', () => {
      if (isOpen) socket.send(message);
    });
    socket.connect(port, address);
  });
}

function askTcp(
  { address, port }: SocketAddress,
  message: Buffer,
  isAnswer: IsAnswer,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const reader = new MessageReader();
    const connection = connect({ host: address, port });
    const end = (answer?: Buffer): void => {
      connection.destroy();
      resolve(answer);
    };
    signal.addEventListener('abort', () => end(), { once: true });
    connection.on('error', () => end());
    connection.on('close', () => end());
    connection.on('connect', () => connection.write(frameMessage(message)));
    connection.on('data', (bytes: Buffer) => {
      reader.add(bytes);
      for (let next = reader.next(); next !== undefined; next = reader.next()) {
        if (isAnswer(next)) {
          end(next);
          return;
        }
      }
    });
  });
}
