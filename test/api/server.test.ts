import { once } from 'node:events';
import { existsSync, linkSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { createClient } from '../../src/api/client.ts';
import type { Face } from '../../src/api/face.ts';
import { createServer } from '../../src/api/server.ts';
import { ROUTES } from '../../src/api/routes.ts';
import { nullLogger } from '../../src/base/log.ts';
import { FakeControl } from '../fakes/fake-control.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';
import { rawRequest, serve } from './served.ts';

const options = (socket: string) => ({ control: new FakeControl(), socket, logger: nullLogger });

test('the socket is for its owner alone and its directory is made', async (t) => {
  const socket = join(temporaryDirectory(t), 'run', 'weft', 'weft.sock');
  const umask = process.umask(0o022);
  const server = await createServer(options(socket));
  t.is(statSync(socket).mode & 0o777, 0o600);
  t.is(statSync(join(socket, '..')).mode & 0o777, 0o755);
  t.is(process.umask(umask), 0o022);
  await server.close();
  t.false(existsSync(socket));
});

test('a live socket is left alone, a dead one replaced', async (t) => {
  const { socket } = await serve(t);
  await t.throwsAsync(createServer(options(socket)), { code: 'E_ALREADY_RUNNING' });
  t.is((await createClient({ socket }).status()).name, 'host-a');

  const stale = join(temporaryDirectory(t), 'stale.sock');
  const dead = createNetServer();
  await new Promise<void>((resolve) => dead.listen(join(stale, '..', 'alive.sock'), resolve));
  // A hard link keeps the socket file after its listener has closed, as a killed daemon does.
  linkSync(join(stale, '..', 'alive.sock'), stale);
  await new Promise((resolve) => dead.close(resolve));
  t.true(statSync(stale).isSocket());
  const server = await createServer(options(stale));
  t.is((await createClient({ socket: stale }).status()).name, 'host-a');
  await server.close();
});

test('a path that is something else, or too long, is refused and untouched', async (t) => {
  const directory = temporaryDirectory(t);
  const file = join(directory, 'precious');
  writeFileSync(file, 'keep me');
  await t.throwsAsync(createServer(options(file)), { code: 'E_BIND', message: /not a socket/ });
  t.is(statSync(file).size, 7);
  const long = join(directory, 'x'.repeat(108));
  await t.throwsAsync(createServer(options(long)), { code: 'E_BIND', message: /107/ });
  await t.throwsAsync(createServer(options(join(file, 'weft.sock'))), { code: 'E_BIND' });
});

const REFUSED: readonly (readonly [string, string, string, string | undefined, number, RegExp])[] =
  [
    ['JSON cut short', 'POST', '/v1/join', '{"targets":', 400, /can't be read/],
    ['no JSON', 'POST', '/v1/networks', 'name=blue', 400, /can't be read/],
    ['an empty body', 'POST', '/v1/networks', '', 400, /can't be read/],
    ['a list', 'POST', '/v1/networks', '[]', 400, /JSON object/],
    ['a number', 'POST', '/v1/networks', '7', 400, /JSON object/],
    ['__proto__', 'POST', '/v1/networks', '{"__proto__":{"a":1}}', 400, /can't be read/],
    ['nothing', 'POST', '/v1/networks', '{}', 400, /"name"/],
    [
      'an unknown key',
      'POST',
      '/v1/networks',
      '{"name":"b","subnet":"s","mut":1}',
      400,
      /"mut".*mtu/,
    ],
    ['a wrong type', 'POST', '/v1/networks', '{"name":1,"subnet":"s"}', 400, /"name".*string/],
    ['a fraction', 'POST', '/v1/networks', '{"name":"b","subnet":"s","vni":1.5}', 400, /"vni"/],
    ['a number in quotes', 'POST', '/v1/attach', '{"network":"b","pid":"7"}', 400, /"pid"/],
    ['no targets', 'POST', '/v1/join', '{"targets":[]}', 400, /"targets"/],
    ['an unknown query', 'GET', '/v1/status?verbose=1', undefined, 400, /"verbose"/],
    ['a body on leave', 'POST', '/v1/leave', '{"now":true}', 400, /"now"/],
    ['an unknown path', 'GET', '/v2/status', undefined, 404, /GET \/v2\/status/],
    ['an unknown method', 'DELETE', '/v1/status', undefined, 404, /DELETE/],
    ['a missing network', 'GET', '/v1/networks/none', undefined, 404, /none/],
  ];

for (const [what, method, path, body, status, sentence] of REFUSED) {
  test(`a bad request is answered in one sentence: ${what}`, async (t) => {
    const { socket } = await serve(t);
    const reply = await rawRequest(socket, method, path, body);
    t.is(reply.status, status);
    const { code, message, ...rest } = reply.json as Record<string, string>;
    t.regex(code ?? '', /^E_[A-Z_]+$/);
    t.regex(message ?? '', sentence);
    t.deepEqual(rest, {});
    t.is((await rawRequest(socket, 'GET', '/v1/version')).status, 200);
  });
}

test('a huge body is refused without being read', async (t) => {
  const { socket, control } = await serve(t);
  const body = JSON.stringify({ targets: ['x'.repeat(100_000)] });
  const reply = await rawRequest(socket, 'POST', '/v1/join', body);
  t.is(reply.status, 413);
  t.regex(reply.text, /65536 bytes/);
  t.deepEqual(control.calls, []);
});

test('another content type is refused', async (t) => {
  const { socket } = await serve(t);
  const reply = await rawRequest(socket, 'POST', '/v1/join', '<a/>', 'text/xml');
  t.is(reply.status, 415);
});

test('bytes that are no HTTP end the connection and nothing else', async (t) => {
  const { socket } = await serve(t);
  const connection = connect(socket);
  connection.end('\x00\x01\x02 not http\r\n\r\n');
  connection.resume();
  await once(connection, 'close');
  t.is((await createClient({ socket }).version()).version, '0.1.0');
});

test('a bug in the daemon is told without its insides, which go to the log', async (t) => {
  const logged: object[] = [];
  const logger = { ...nullLogger, error: (fields: object) => void logged.push(fields) };
  const { socket, control } = await serve(t, logger);
  control.failWith = new TypeError('secret detail at line 7');
  const reply = await rawRequest(socket, 'GET', '/v1/status');
  t.is(reply.status, 500);
  t.false(/secret|at .*\.js/.test(reply.text));
  t.is((reply.json as { code: string }).code, 'E_INTERNAL');
  t.is(logged.length, 1);
});

test('many calls at once each get their own answer', async (t) => {
  const { socket } = await serve(t);
  const client = createClient({ socket });
  const names = Array.from({ length: 50 }, (_, index) => `net-${index}`);
  const made = await Promise.all(
    names.map((name) => client.createNetwork({ name, subnet: '10.0.0.0/24' })),
  );
  t.deepEqual(
    made.map(({ name }) => name),
    names,
  );
  t.is((await client.listNetworks()).length, 50);
});

test('close cuts a call that hangs', async (t) => {
  const { socket, control, server } = await serve(t);
  let open = (): void => undefined;
  control.gate = new Promise((resolve) => (open = resolve));
  const hanging = t.throwsAsync(createClient({ socket }).status(), {
    code: 'E_DAEMON_UNREACHABLE',
  });
  while (control.calls.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await server.close();
  await hanging;
  open();
});

test('every route has a method and a path of its own', (t) => {
  const served = Object.values(ROUTES).map(({ method, path }) => `${method} ${path}`);
  t.is(new Set(served).size, served.length);
});

test('a face answers on its own path, in its own form', async (t) => {
  const socket = join(temporaryDirectory(t), 'weft.sock');
  const face: Face = {
    path: '/v1/face',
    bodyLimitBytes: 100,
    answer: (body) =>
      Promise.resolve(body === null ? { status: 204 } : { status: 422, body: { body } }),
  };
  const server = await createServer({ ...options(socket), faces: [face] });
  t.teardown(() => server.close());
  t.deepEqual(await rawRequest(socket, 'POST', '/v1/face', '{"a":1}'), {
    status: 422,
    text: '{"body":{"a":1}}',
    json: { body: { a: 1 } },
  });
  t.like(await rawRequest(socket, 'POST', '/v1/face', 'null'), { status: 204, text: '' });
  t.like(await rawRequest(socket, 'POST', '/v1/face', `"${'x'.repeat(100)}"`), { status: 413 });
});
