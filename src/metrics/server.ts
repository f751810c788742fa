import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP, type AddressInfo } from 'node:net';
import { METRICS_TYPE, type Control } from '../api/control.ts';
import { bindFailure } from '../base/bind-failure.ts';
import { errnoOf } from '../base/errors.ts';
import { parseHostPort } from '../base/host-port.ts';
import type { Logger } from '../base/log.ts';
import type { SocketAddress } from '../base/types.ts';

/** Scrapers at once; who comes beside them is cut off. */
const MAX_CONNECTIONS = 16;
/** A request must be whole, and an answer be taken, within this. */
const MAX_REQUEST_MS = 5_000;
const CHECK_EVERY_MS = 1_000;
const MAX_HEADER_BYTES = 8 * 1024;
const PATH = '/metrics';

export interface MetricsServerOptions {
  readonly control: Pick<Control, 'metrics'>;
  /** An address of this host, or a name for one, which is then the one name that it may be asked by. */
  readonly at: { readonly host: string; readonly port: number };
  readonly logger: Logger;
}

export interface MetricsServer {
  /** The port is the real one. */
  readonly address: SocketAddress;
  /** Stops listening and cuts open connections. */
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * A web page can have its own name point at this address, and then read what is there with the browser of
 * somebody who reaches it (DNS rebinding); it can't have the browser ask by an address.
 */
function isAskedByRightName({ headers }: IncomingMessage, host: string): boolean {
  const asked = parseHostPort(headers.host ?? '')?.host.toLowerCase() ?? '';
  return isIP(asked) !== 0 || asked === 'localhost' || asked === host.toLowerCase();
}

/** Undefined for what is to be answered with the metrics. */
function refusalOf(request: IncomingMessage, host: string): Answer | undefined {
  if (!isAskedByRightName(request, host)) {
    const text = `Ask by address or as ${host}, the name that --metrics has.\n`;
    return { status: 421, text };
  }
  const [path] = (request.url ?? '').split('?');
  if (path !== PATH) return { status: 404, text: `There is ${PATH} alone.\n` };
  if (request.method === 'GET' || request.method === 'HEAD') return undefined;
  return { status: 405, text: `Use GET.\n`, headers: { allow: 'GET, HEAD' } };
}

/** Whoever asks while an answer is made gets that one: many scrapers cost what one does. */
function shared<T>(make: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => (running ??= make().finally(() => (running = undefined)));
}

function send(response: ServerResponse, { status, text, headers = {} }: Answer): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'x-content-type-options': 'nosniff',
    // No connection outlives its answer: idle ones would keep others out.
    connection: 'close',
    ...headers,
  });
  response.end(text);
}

function makeServer({ control, at, logger }: MetricsServerOptions): Server {
  const read = shared(() => control.metrics());
  const answerTo = async (request: IncomingMessage): Promise<Answer> => {
    const refusal = refusalOf(request, at.host);
    if (refusal !== undefined) return refusal;
    try {
      return { status: 200, text: (await read()).text, headers: { 'content-type': METRICS_TYPE } };
    } catch (error) {
      logger.error({ err: error }, 'the metrics could not be told');
      return { status: 500, text: "The daemon's log tells why there are no metrics.\n" };
    }
  };
  const server = createServer(
    {
      requestTimeout: MAX_REQUEST_MS,
      headersTimeout: MAX_REQUEST_MS,
      connectionsCheckingInterval: CHECK_EVERY_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    (request, response) => void answerTo(request).then((answer) => send(response, answer)),
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(MAX_REQUEST_MS);
  return server;
}

async function listen(server: Server, { host, port }: MetricsServerOptions['at']): Promise<void> {
  try {
    server.listen({ host, port });
    await once(server, 'listening');
  } catch (cause) {
    throw bindFailure('TCP', { address: host, port }, errnoOf(cause), cause);
  }
}

/**
 * Serves what `weft metrics` prints by `GET /metrics` on one address, to whoever reaches it: read-only, and
 * no request can make it do more than one at a time. E_BIND if the address can't be had.
 */
export async function openMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const server = makeServer(options);
  await listen(server, options.at);
  const { address, port } = server.address() as AddressInfo;
  return {
    address: { address, port },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
