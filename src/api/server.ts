import assert from 'node:assert/strict';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { AppError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { METRICS_TYPE, type Control } from './control.ts';
import type { Face } from './face.ts';
import { statusOf, type Failure } from './failure.ts';
import { listenPrivately } from './listen.ts';
import { ROUTES, type RouteName } from './routes.ts';
import { parseInput } from './schema.ts';

/** The longest request that means anything is a join with 64 targets: far below. */
const BODY_LIMIT_BYTES = 64 * 1024;

export interface ApiServerOptions {
  readonly control: Control;
  readonly socket: string;
  readonly logger: Logger;
  /** Other forms of the interface, on paths of their own. */
  readonly faces?: readonly Face[];
}

/** The control interface on its unix socket. */
export interface ApiServer {
  readonly socket: string;
  /** Stops listening, cuts open connections and removes the socket file. */
  close(): Promise<void>;
}

interface Refusal {
  readonly status: number;
  readonly failure: Failure;
}

const refusal = (status: number, code: string, message: string): Refusal => ({
  status,
  failure: { code, message },
});

/** What fastify itself refuses before a route is reached: a body too long, not JSON, of another type. */
function protocolRefusal(error: unknown): Refusal | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined;
  const { statusCode } = error;
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode > 499) return undefined;
  const message =
    statusCode === 413
      ? `The request's body is over ${BODY_LIMIT_BYTES} bytes, the most a request may have.`
      : `The request can't be read (${error.message}); send a JSON object as application/json.`;
  return refusal(statusCode, 'E_USAGE', message);
}

function refuse(error: unknown, request: FastifyRequest, logger: Logger): Refusal {
  if (error instanceof AppError) return refusal(statusOf(error), error.code, error.message);
  const protocol = protocolRefusal(error);
  if (protocol !== undefined) return protocol;
  const what = `${request.method} ${request.url}`;
  logger.error({ err: error, request: what }, 'a request failed inside the daemon');
  return refusal(
    500,
    'E_INTERNAL',
    `The daemon failed while it answered ${what}; this is a bug, and its log tells more.`,
  );
}

/** Path parameters win over keys of the same name in the body or the query. */
function inputOf(request: FastifyRequest): unknown {
  const { body, params, query } = request;
  if (body !== undefined && body !== null && (typeof body !== 'object' || Array.isArray(body))) {
    throw new AppError('E_USAGE', `The request's body must be a JSON object, not ${typeof body}.`);
  }
  return { ...(query as object), ...(body ?? {}), ...(params as object) };
}

function addRoute(app: FastifyInstance, control: Control, name: RouteName): void {
  const { method, path, call } = ROUTES[name];
  // Input and call belong to one name; TypeScript can't follow that through the union of all names.
  const run = call as (control: Control, input: unknown) => Promise<unknown>;
  app.route({
    method,
    url: path,
    async handler(request, reply) {
      const answer = await run(control, parseInput(name, inputOf(request)));
      return answer === undefined ? reply.code(204).send() : reply.send(answer);
    },
  });
}

/** As a scraper asks for it, not as our client does. */
function addMetrics(app: FastifyInstance, control: Control): void {
  app.get('/metrics', async (_request, reply) =>
    reply.type(METRICS_TYPE).send((await control.metrics()).text),
  );
}

function addFace(app: FastifyInstance, face: Face): void {
  app.route({
    method: 'POST',
    url: face.path,
    bodyLimit: face.bodyLimitBytes,
    async handler(request, reply) {
      const { status, body } = await face.answer(request.body);
      return body === undefined ? reply.code(204).send() : reply.code(status).send(body);
    },
  });
}

/**
 * Input is judged by our own schemas and answers are plain JSON. Without this, fastify loads compilers
 * for JSON schema, which take a megabyte and have nothing to compile.
 */
const NO_COMPILERS = {
  buildValidator: () => assert.fail('no route has a JSON schema'),
  buildSerializer: () => assert.fail('no route has a JSON schema'),
};

function createApp({ control, logger, faces = [] }: ApiServerOptions): FastifyInstance {
  const app = fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    schemaController: { compilersFactory: NO_COMPILERS },
    routerOptions: { maxParamLength: 4096 },
  });
  app.setErrorHandler((error, request, reply) => {
    const { status, failure } = refuse(error, request, logger);
    return reply.code(status).send(failure);
  });
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send({
      code: 'E_USAGE',
      message: `This daemon does not know ${request.method} ${request.url}; is the client newer than the daemon?`,
    } satisfies Failure),
  );
  for (const name of Object.keys(ROUTES) as RouteName[]) addRoute(app, control, name);
  addMetrics(app, control);
  for (const face of faces) addFace(app, face);
  return app;
}

/**
 * Serves `control` on a unix socket of mode 0600. Resolves when it listens; errors as
 * `listenPrivately`.
 */
export async function createServer(options: ApiServerOptions): Promise<ApiServer> {
  const app = createApp(options);
  await app.ready();
  // Not app.listen: the socket's mode needs care, and fastify would listen at its leisure.
  await listenPrivately(app.server, options.socket);
  return {
    socket: options.socket,
    async close() {
      const closed = new Promise<void>((resolve) => app.server.close(() => resolve()));
      app.server.closeAllConnections();
      await closed;
      await app.close();
    },
  };
}
