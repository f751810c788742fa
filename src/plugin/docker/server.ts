import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Answer, DockerDriver } from './driver.ts';

/** The longest request that means anything is a network with some hundred options. */
const BODY_LIMIT_BYTES = 1024 * 1024;
const CONTENT_TYPE = 'application/vnd.docker.plugins.v1.2+json';

/** Docker's plugin protocol over HTTP; the caller makes it listen. */
export function createPluginServer(driver: Pick<DockerDriver, 'call'>) {
  return createServer((request, response) => {
    // A request that its sender cut off has nobody to be answered.
    answer(driver, request).then(
      (said) => send(response, said),
      () => response.destroy(),
    );
  });
}

async function answer(
  driver: Pick<DockerDriver, 'call'>,
  request: IncomingMessage,
): Promise<Answer> {
  const name = (request.url ?? '').replace(/^\//, '');
  const refuse = (status: number, sentence: string): Answer => ({
    status,
    body: { [name.startsWith('IpamDriver.') ? 'Error' : 'Err']: sentence },
  });
  if (request.method !== 'POST') {
    return refuse(405, `Docker's plugin calls are POST, not ${request.method ?? 'nothing'}.`);
  }
  const text = await readBody(request);
  if (text === undefined) {
    return refuse(413, `The request ${name.slice(0, 80)} is over ${BODY_LIMIT_BYTES} bytes.`);
  }
  let body: unknown;
  try {
    body = text === '' ? null : JSON.parse(text);
  } catch {
    return refuse(400, `The request ${name.slice(0, 80)} is not JSON; send one JSON object.`);
  }
  return driver.call(name, body);
}

/** Undefined if it is too long: the rest is read and thrown away, or the peer would not read the answer. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= BODY_LIMIT_BYTES) chunks.push(chunk);
  }
  return bytes > BODY_LIMIT_BYTES ? undefined : Buffer.concat(chunks).toString();
}

function send(response: ServerResponse, { status, body }: Answer): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': CONTENT_TYPE });
  response.end(text);
}
