import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { createServer } from '../../src/api/server.ts';
import { nullLogger, type Logger } from '../../src/base/log.ts';
import { FakeControl } from '../fakes/fake-control.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

/** A fake daemon behind a real server on a socket of its own; closed when the test ends. */
export async function serve(t: ExecutionContext, logger: Logger = nullLogger) {
  const socket = join(temporaryDirectory(t), 'weft.sock');
  const control = new FakeControl();
  const server = await createServer({ control, socket, logger });
  t.teardown(() => server.close());
  return { socket, control, server };
}

export interface Reply {
  readonly status: number;
  readonly text: string;
  readonly json: unknown;
}

/** Sends one request as written, without the client's care. */
export async function rawRequest(
  socket: string,
  method: string,
  path: string,
  body?: string,
  type = 'application/json',
): Promise<Reply> {
  const headers = body === undefined ? {} : { 'content-type': type };
  const request = httpRequest({ socketPath: socket, agent: false, method, path, headers });
  request.end(body);
  const [message] = (await once(request, 'response')) as [
    NodeJS.ReadableStream & { statusCode: number },
  ];
  let text = '';
  for await (const chunk of message) text += chunk.toString();
  return { status: message.statusCode, text, json: text === '' ? undefined : JSON.parse(text) };
}
