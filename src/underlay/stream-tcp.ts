import { connect, createServer, isIPv6, type Server, type Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { AppError, errnoOf, isAppError } from '../base/errors.ts';
import { asMillis, formatSocketAddress, type Millis, type SocketAddress } from '../base/types.ts';
import { bindEach, type Bound } from './bind.ts';
import { lengthPrefix, MessageAssembler } from './stream-message.ts';
import { MAX_STREAM_MESSAGE_BYTES, NotConnectedError, type ConnectingTransport } from './stream.ts';

export interface TcpStreamOptions {
  /** Addresses to listen on, as in `DataPlaneOptions.addresses`. */
  readonly addresses: readonly string[];
  /** TCP port, the same number as the mesh's UDP port; 0 picks a free one. */
  readonly port: number;
  /** Inbound connections served at once; more are closed unread. Default 64. */
  readonly maxInbound?: number;
  /** Bytes of unfinished requests held at once for all inbound connections. Default 64 MiB. */
  readonly maxInboundBytes?: number;
  /** Life of an inbound connection, however busy: a peer that trickles holds its place no longer. Default 30 s. */
  readonly inboundTimeout?: Millis;
}

export const DEFAULT_MAX_INBOUND = 64;
export const DEFAULT_MAX_INBOUND_BYTES = 64 * 2 ** 20;
export const DEFAULT_INBOUND_TIMEOUT = asMillis(30_000);

/** What became of inbound connections. */
export interface StreamCounters {
  readonly answered: number;
  /** Closed unread: `maxInbound` were being served. */
  readonly refusedBusy: number;
  /** Closed: the announced length was over 1 MiB, as random bytes nearly always are. */
  readonly refusedLength: number;
  /** Closed: unfinished requests took `maxInboundBytes` together. */
  readonly refusedMemory: number;
  readonly timedOut: number;
  /** Closed by the peer before its request was whole. */
  readonly brokenOff: number;
  /** Closed because the answerer gave no answer. */
  readonly unanswered: number;
}

type Answer = (request: Buffer, from: SocketAddress) => Uint8Array | undefined;

/** Listens on TCP. @throws AppError E_BIND or E_ADDRESS_INVALID */
export async function openTcpStream(
  options: TcpStreamOptions,
  { clock }: { readonly clock: Clock },
): Promise<TcpStreamTransport> {
  const accepted: { transport?: TcpStreamTransport } = {};
  const onConnection = (socket: Socket): void => accepted.transport?.accept(socket);
  const listeners = await bindEach('TCP', options, (address, port) =>
    listen(address, port, onConnection),
  );
  accepted.transport = new TcpStreamTransport(listeners, options, clock);
  return accepted.transport;
}

function listen(
  address: string,
  port: number,
  onConnection: (socket: Socket) => void,
): Promise<Bound> {
  const server = createServer(onConnection);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, ipv6Only: isIPv6(address), exclusive: true }, () => {
      server.off('error', reject);
      // What accept() may report later (no more descriptors) concerns that one connection.
      server.on('error', () => undefined);
      resolve({ local: boundAddress(server, address), close: () => closeServer(server) });
    });
  });
}

function boundAddress(server: Server, address: string): SocketAddress {
  const bound = server.address();
  return { address, port: typeof bound === 'object' && bound !== null ? bound.port : 0 };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()));
}

/** `StreamTransport` over TCP, with bounds on all that a stranger can make it hold. */
export class TcpStreamTransport implements ConnectingTransport {
  readonly local: SocketAddress;
  readonly counters: { -readonly [K in keyof StreamCounters]: number } = {
    answered: 0,
    refusedBusy: 0,
    refusedLength: 0,
    refusedMemory: 0,
    timedOut: 0,
    brokenOff: 0,
    unanswered: 0,
  };

  readonly #listeners: readonly Bound[];
  readonly #clock: Clock;
  readonly #maxInbound: number;
  readonly #maxInboundBytes: number;
  readonly #inboundTimeout: Millis;
  readonly #inbound = new Set<Socket>();
  readonly #outbound = new Set<Socket>();
  #inboundBytes = 0;
  #answer: Answer = () => undefined;
  #isOpen = true;

  constructor(listeners: readonly [Bound, ...Bound[]], options: TcpStreamOptions, clock: Clock) {
    this.local = listeners[0].local;
    this.#listeners = listeners;
    this.#clock = clock;
    this.#maxInbound = options.maxInbound ?? DEFAULT_MAX_INBOUND;
    this.#maxInboundBytes = options.maxInboundBytes ?? DEFAULT_MAX_INBOUND_BYTES;
    this.#inboundTimeout = options.inboundTimeout ?? DEFAULT_INBOUND_TIMEOUT;
  }

  /** Inbound connections open now. */
  get inbound(): number {
    return this.#inbound.size;
  }

  onRequest(answer: Answer): void {
    this.#answer = answer;
  }

  /** Takes a connection from a listener. */
  accept(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    if (!this.#isOpen || this.#inbound.size >= this.#maxInbound) {
      this.counters.refusedBusy++;
      socket.destroy();
      return;
    }
    this.#inbound.add(socket);
    this.#serve(socket);
  }

  #serve(socket: Socket): void {
    const assembler = new MessageAssembler(MAX_STREAM_MESSAGE_BYTES);
    let held = 0;
    let isSettled = false;
    const settle = (outcome: keyof StreamCounters): void => {
      if (isSettled) return;
      isSettled = true;
      this.counters[outcome]++;
      this.#inboundBytes -= held;
    };
    const refuse = (outcome: keyof StreamCounters): void => {
      settle(outcome);
      socket.destroy();
    };
    const deadline = this.#clock.after(this.#inboundTimeout, () => refuse('timedOut'));
    socket.on('data', (chunk: Buffer) => {
      if (isSettled) return;
      held += chunk.length;
      this.#inboundBytes += chunk.length;
      const request = assembler.push(chunk);
      if (request === 'too_long') refuse('refusedLength');
      else if (request !== 'partial') settle(this.#reply(socket, request));
      else if (this.#inboundBytes > this.#maxInboundBytes) refuse('refusedMemory');
    });
    socket.on('close', () => {
      deadline.cancel();
      this.#inbound.delete(socket);
      settle('brokenOff');
    });
  }

  #reply(socket: Socket, request: Buffer): 'answered' | 'unanswered' {
    const from = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    const answer = this.#answer(request, from);
    if (answer === undefined || answer.length > MAX_STREAM_MESSAGE_BYTES) {
      socket.destroy();
      return 'unanswered';
    }
    writeMessage(socket, answer);
    socket.end();
    return 'answered';
  }

  exchange(
    to: SocketAddress,
    request: Uint8Array,
    timeout: Millis,
    connectWithin: Millis = timeout,
  ): Promise<Buffer> {
    const place = formatSocketAddress(to);
    if (!this.#isOpen)
      return Promise.reject(unreachable(`${place} was not asked, since Weft is stopping.`));
    if (request.length > MAX_STREAM_MESSAGE_BYTES) {
      return Promise.reject(unreachable(`${place} was not asked: ${tooLong(request.length)}.`));
    }
    const socket = connect({ host: to.address, port: to.port });
    this.#outbound.add(socket);
    writeMessage(socket, request);
    const connecting = this.#clock.after(connectWithin, () =>
      socket.destroy(notAnswered(place, connectWithin)),
    );
    socket.once('connect', () => connecting.cancel());
    return this.#awaitAnswer(socket, place, timeout).finally(() => {
      connecting.cancel();
      socket.destroy();
      this.#outbound.delete(socket);
    });
  }

  #awaitAnswer(socket: Socket, place: string, timeout: Millis): Promise<Buffer> {
    const assembler = new MessageAssembler(MAX_STREAM_MESSAGE_BYTES);
    return new Promise<Buffer>((resolve, reject) => {
      const timer = this.#clock.after(timeout, () => reject(notAnswered(place, timeout)));
      let isConnected = false;
      socket.once('connect', () => (isConnected = true));
      socket.on('data', (chunk: Buffer) => {
        const answer = assembler.push(chunk);
        if (answer === 'too_long')
          reject(unreachable(`${place} sent nonsense: ${tooLong(assembler.announced)}.`));
        else if (answer !== 'partial') resolve(answer);
      });
      socket.on('error', (error) => {
        const { message } = isAppError(error) ? error : explainFailure(place, error);
        reject(isConnected ? unreachable(message, error) : new NotConnectedError(message, error));
      });
      socket.on('close', () => {
        timer.cancel();
        reject(
          unreachable(
            `${place} closed the connection before it answered: it is stopping, busy, or no Weft daemon of this mesh; its log says more.`,
          ),
        );
      });
    });
  }

  async close(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const closed = this.#listeners.map((listener) => listener.close());
    for (const socket of [...this.#inbound, ...this.#outbound]) socket.destroy();
    await Promise.all(closed);
  }
}

function writeMessage(socket: Socket, message: Uint8Array): void {
  socket.cork();
  socket.write(lengthPrefix(message.length));
  socket.write(message);
  socket.uncork();
}

function tooLong(length: number | undefined): string {
  return `a message of ${length ?? 0} bytes, where ${MAX_STREAM_MESSAGE_BYTES} are the most allowed`;
}

function notAnswered(place: string, timeout: Millis): AppError {
  return unreachable(
    `${place} did not answer within ${timeout} ms; check the address, and that no firewall stops its TCP port.`,
  );
}

function unreachable(message: string, cause?: unknown): AppError {
  return new AppError('E_JOIN_UNREACHABLE', message, { cause });
}

function explainFailure(place: string, error: Error): { readonly message: string } {
  const errno = errnoOf(error);
  const reasons: Readonly<Record<string, string>> = {
    ECONNREFUSED:
      'refused the connection, since nothing listens there; check address and port, and that Weft runs on that host',
    ECONNRESET: 'cut the connection before it answered: it is stopping, busy, or no Weft daemon',
    EPIPE: 'cut the connection before it answered: it is stopping, busy, or no Weft daemon',
    EHOSTUNREACH:
      'is not reachable, since no route leads to that host; check the address and "ip route"',
    ENETUNREACH:
      'is not reachable, since no route leads to that network; check the address and "ip route"',
    ETIMEDOUT: 'did not answer: check the address, and that no firewall stops its TCP port',
  };
  const reason = reasons[errno ?? ''] ?? `can't be asked: ${error.message}`;
  return { message: `${place} ${reason} (${errno ?? error.name}).` };
}
