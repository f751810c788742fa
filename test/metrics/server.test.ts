import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { nullLogger, type Logger } from '../../src/base/log.ts';
import { metricsText } from '../../src/metrics/metrics.ts';
import { openMetricsServer, type MetricsServer } from '../../src/metrics/server.ts';
import { FAKE_LINKS, FAKE_STATUS, FakeControl } from '../fakes/fake-control.ts';

const TEXT = metricsText(FAKE_STATUS, FAKE_LINKS);

async function serve(
  t: ExecutionContext,
  { host = '127.0.0.1', logger = nullLogger }: { host?: string; logger?: Logger } = {},
) {
  const control = new FakeControl();
  const server = await openMetricsServer({ control, at: { host, port: 0 }, logger });
  t.teardown(() => server.close());
  return { control, server };
}

interface Reply {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
}

async function ask(
  { address: { address, port } }: MetricsServer,
  {
    method = 'GET',
    path = '/metrics',
    host,
  }: { method?: string; path?: string; host?: string } = {},
): Promise<Reply> {
  const headers = host === undefined ? {} : { host };
  const request = httpRequest({ host: address, port, method, path, headers, agent: false }).end();
  const [message] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of message) text += String(chunk);
  return { status: message.statusCode, headers: message.headers, text };
}

test('GET /metrics is what weft metrics prints, in the text format by name', async (t) => {
  const { server } = await serve(t);
  for (const path of ['/metrics', '/metrics?debug=1']) {
    const { status, headers, text } = await ask(server, { path });
    t.is(status, 200);
    t.is(headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    t.is(text, TEXT);
  }
  const head = await ask(server, { method: 'HEAD' });
  t.deepEqual([head.status, head.text], [200, '']);
  t.is(head.headers['content-length'], String(Buffer.byteLength(TEXT)));
});

test('nothing else is answered, and nothing is changed by asking', async (t) => {
  const { server, control } = await serve(t);
  t.is((await ask(server, { path: '/v1/status' })).status, 404);
  t.is((await ask(server, { path: '/' })).status, 404);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const { status, headers } = await ask(server, { method });
    t.deepEqual([status, headers.allow], [405, 'GET, HEAD']);
  }
  t.deepEqual(control.calls, []);
});

test('a web page that has its name point here reads nothing (DNS rebinding)', async (t) => {
  const { server } = await serve(t, { host: 'localhost' });
  for (const host of ['evil.example', 'evil.example:80', '127.0.0.1.evil.example']) {
    const { status, text } = await ask(server, { host });
    t.is(status, 421, host);
    t.false(text.includes('weft_'));
  }
  for (const host of ['127.0.0.1:1', '[2001:db8::1]:9477', 'localhost', 'LOCALHOST:9477']) {
    t.is((await ask(server, { host })).status, 200, host);
  }
});

test('an IPv6 address, and an address or a name that is none of this host', async (t) => {
  const { server } = await serve(t, { host: '::1' });
  t.is((await ask(server)).status, 200);
  const control = new FakeControl();
  const open = (host: string, port = 0) =>
    openMetricsServer({ control, at: { host, port }, logger: nullLogger });
  await t.throwsAsync(open('192.0.2.77'), {
    code: 'E_BIND',
    message: /192\.0\.2\.77.*no interface/,
  });
  await t.throwsAsync(open('no-such-name.invalid'), {
    code: 'E_BIND',
    message: /no-such-name\.invalid: (that name has no address|the kernel refused it)/,
  });
});

test('a port that is taken is named', async (t) => {
  const { server, control } = await serve(t);
  const { address: host, port } = server.address;
  await t.throwsAsync(openMetricsServer({ control, at: { host, port }, logger: nullLogger }), {
    code: 'E_BIND',
    message: new RegExp(`TCP port ${port} on 127\\.0\\.0\\.1: it is in use .*EADDRINUSE`),
  });
});

test('who asks while an answer is made shares it', async (t) => {
  const { server, control } = await serve(t);
  let open = (): void => undefined;
  control.gate = new Promise((resolve) => (open = resolve));
  const first = ask(server);
  while (control.calls.length === 0) await new Promise(setImmediate);
  const others = [ask(server), ask(server), ask(server)];
  // A refusal needs no answer of the daemon's: once it is back, those before it were heard.
  t.is((await ask(server, { path: '/' })).status, 404);
  open();
  for (const reply of [await first, ...(await Promise.all(others))]) t.is(reply.text, TEXT);
  t.is(control.calls.length, 1);
});

const connected = async ({ address: { address, port } }: MetricsServer): Promise<Socket> => {
  const socket = connect({ host: address, port });
  await once(socket, 'connect');
  return socket.on('error', () => undefined);
};

test('connections are bounded, and who says nothing does not keep others out', async (t) => {
  const { server } = await serve(t);
  const idle = await Promise.all(Array.from({ length: 16 }, () => connected(server)));
  const ended = idle.map((socket) => once(socket.resume(), 'close'));
  await t.throwsAsync(ask(server), { message: /socket hang up|ECONNRESET/ });
  await Promise.all(ended);
  t.is((await ask(server)).status, 200);
});

test('a failure inside is told to the log and not to who asks', async (t) => {
  const logged: object[] = [];
  const logger = { ...nullLogger, error: (fields: object) => void logged.push(fields) };
  const { server, control } = await serve(t, { logger });
  control.failWith = new Error('secret');
  const { status, text } = await ask(server);
  t.is(status, 500);
  t.false(text.includes('secret'));
  t.is(logged.length, 1);
});
