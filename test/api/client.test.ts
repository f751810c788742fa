import { createServer as createHttpServer } from 'node:http';
import { createServer as createNetServer } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import type { Control } from '../../src/api/control.ts';
import { createClient } from '../../src/api/client.ts';
import { AppError } from '../../src/base/errors.ts';
import {
  FAKE_EVENTS,
  FAKE_LINKS,
  FAKE_NAMES,
  FAKE_PEERS,
  FAKE_STATUS,
  FAKE_EXPELLED,
  FAKE_KEYS,
  FAKE_TOKENS,
} from '../fakes/fake-control.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';
import { serve } from './served.ts';

test('every method goes through the socket and comes back whole', async (t) => {
  const { socket, control } = await serve(t);
  const client = createClient({ socket });

  t.deepEqual(await client.status(), FAKE_STATUS);
  t.deepEqual(await client.peers(), FAKE_PEERS);
  t.deepEqual((await client.join(['host-b', 'bad:1'])).joined, [
    { target: 'host-b', peer: 'host-b' },
  ]);
  t.is((await client.joinByToken('host-b', 'weft1.word')).joined[0]?.peer, 'host-b');
  t.is((await client.createToken({ uses: 2 })).token, 'weft1.word');
  t.deepEqual(await client.listTokens(), FAKE_TOKENS);
  await client.revokeToken('a1');
  t.deepEqual(await client.listKeys(), FAKE_KEYS);
  t.deepEqual(await client.rotateKeys(), FAKE_KEYS);
  t.deepEqual(await client.retireKeys('11111111'), FAKE_KEYS);
  t.deepEqual(await client.retireKeys(), FAKE_KEYS);
  t.deepEqual(await client.listExpelled(), [FAKE_EXPELLED]);
  t.deepEqual(await client.expel('host-c'), FAKE_EXPELLED);
  t.deepEqual(await client.takeBack('host-c'), FAKE_EXPELLED);
  await client.leave();
  const network = await client.createNetwork({
    name: 'blue',
    subnet: '10.7.0.0/24',
    vni: 7,
    mtu: 1400,
    encap: 'vxlan',
  });
  t.is(network.vni, 7);
  t.deepEqual(
    (await client.listNetworks()).map(({ name }) => name),
    ['blue'],
  );
  const endpoint = await client.attach({ network: 'blue', netns: 'web', ip: '10.7.0.9' });
  t.is(endpoint.address, '10.7.0.9/24');
  t.deepEqual((await client.inspectNetwork('blue')).attached, [endpoint]);
  const renamed = await client.rename({ endpoint: endpoint.endpoint, names: ['www'] });
  t.deepEqual(renamed, { ...endpoint, names: ['www'] });
  t.deepEqual(await client.detach({ endpoint: endpoint.endpoint }), renamed);
  const name = { name: 'gw', address: '10.7.0.9', network: 'blue' };
  t.like(await client.addName(name), name);
  t.like((await client.removeName(name))[0], name);
  t.deepEqual(await client.listNames(), FAKE_NAMES);
  const vtep = { network: 'blue', address: '[2001:db8::9]:4789' };
  t.deepEqual(await client.addVtep(vtep.network, vtep.address), vtep);
  t.is((await client.listVteps('blue'))[0]?.address, vtep.address);
  await client.removeVtep(vtep.network, vtep.address);
  t.is((await client.fdb('blue')).length, 2);
  t.deepEqual(await client.links('host-b'), FAKE_LINKS);
  t.deepEqual(await client.events({ after: 3 }), FAKE_EVENTS);
  t.regex((await client.metrics()).text, /weft_link_relayed\{peer="host-b"\} 1\n/);
  t.deepEqual((await client.version()).protocol, { min: 1, max: 1 });
  await client.removeNetwork('blue');

  const methods = new Set(control.calls.map(({ method }) => method));
  t.is(methods.size, 32);
});

test('names with odd letters reach the daemon unchanged', async (t) => {
  const { socket, control } = await serve(t);
  const name = 'a/b?c=d#é %2f:..';
  await t.throwsAsync(createClient({ socket }).inspectNetwork(name), { code: 'E_NETWORK_MISSING' });
  t.deepEqual(control.calls.at(-1)?.args, [name]);
});

test("the daemon's errors arrive with code and sentence", async (t) => {
  const { socket, control } = await serve(t);
  for (const code of ['E_VNI_TAKEN', 'E_ADDRESS_OUTSIDE', 'E_DEVICE', 'E_JOIN_SELF'] as const) {
    control.failWith = new AppError(code, `Sentence of ${code}.`);
    await t.throwsAsync(createClient({ socket }).status(), {
      instanceOf: AppError,
      code,
      message: `Sentence of ${code}.`,
    });
  }
});

test('a socket with nobody behind it names itself and the way out', async (t) => {
  const directory = temporaryDirectory(t);
  const absent = join(directory, 'absent.sock');
  const error = await t.throwsAsync(createClient({ socket: absent }).status(), {
    instanceOf: AppError,
    code: 'E_DAEMON_UNREACHABLE',
  });
  t.true(error.message.includes(absent) && error.message.includes('weft up'));

  const file = join(directory, 'file');
  writeFileSync(file, '');
  await t.throwsAsync(createClient({ socket: file }).status(), { code: 'E_DAEMON_UNREACHABLE' });
  await t.throwsAsync(createClient({ socket: `/${'x'.repeat(200)}` }).status(), {
    code: 'E_DAEMON_UNREACHABLE',
  });
});

test('a daemon that says nothing is given up after the timeout', async (t) => {
  const socket = join(temporaryDirectory(t), 's');
  const server = createNetServer((connection) => connection.resume());
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.teardown(() => server.close());
  await t.throwsAsync(createClient({ socket, timeoutMs: 50 }).status(), {
    code: 'E_DAEMON_UNREACHABLE',
    message: /0\.05 seconds/,
  });
});

test('a daemon that dies before it answers is unreachable', async (t) => {
  const socket = join(temporaryDirectory(t), 's');
  const server = createNetServer(
    (connection) => void connection.on('data', () => connection.destroy()),
  );
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.teardown(() => server.close());
  await t.throwsAsync(createClient({ socket }).status(), {
    code: 'E_DAEMON_UNREACHABLE',
    message: /ended the connection/,
  });
});

const STRANGE: readonly (readonly [
  string,
  number,
  string,
  (client: Control) => Promise<unknown>,
])[] = [
  ['HTML', 200, '<html>', (client) => client.status()],
  ['a list for an object', 200, '[]', (client) => client.status()],
  ['an object for a list', 200, '{}', (client) => client.peers()],
  ['a list of something else', 200, '[{"name":1}]', (client) => client.listNetworks()],
  ['an object without its keys', 200, '{"version":"1"}', (client) => client.version()],
  ['a body where none belongs', 200, '{}', (client) => client.leave()],
  ['an error that is none of ours', 503, 'Service Unavailable', (client) => client.leave()],
  [
    'a success dressed as failure',
    200,
    '{"code":"E_STATE","message":"x"}',
    (client) => client.fdb('n'),
  ],
];

for (const [what, status, body, call] of STRANGE) {
  test(`an answer that no daemon gives is refused: ${what}`, async (t) => {
    const socket = join(temporaryDirectory(t), 's');
    const server = createHttpServer((_, response) => response.writeHead(status).end(body));
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    t.teardown(() => server.close());
    await t.throwsAsync(call(createClient({ socket })), {
      instanceOf: AppError,
      code: 'E_INTERNAL',
    });
  });
}

test('a code of a newer daemon keeps its sentence', async (t) => {
  const socket = join(temporaryDirectory(t), 's');
  const server = createHttpServer((_, response) =>
    response.writeHead(400).end('{"code":"E_FUTURE","message":"Not on a Sunday."}'),
  );
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.teardown(() => server.close());
  await t.throwsAsync(createClient({ socket }).leave(), {
    code: 'E_INTERNAL',
    message: /Not on a Sunday.*E_FUTURE/,
  });
});
