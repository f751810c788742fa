import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { asMillis } from '../../../src/base/types.ts';
import { UnixEngineApi } from '../../../src/plugin/docker/engine-api.ts';
import { temporaryDirectory } from '../../fakes/temporary-directory.ts';

const ID = 'c'.repeat(64);

/** An engine that answers each path as told. */
async function serve(
  t: ExecutionContext,
  answer: (path: string, response: ServerResponse) => void,
): Promise<{ readonly api: UnixEngineApi; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    const path = decodeURIComponent(request.url ?? '');
    asked.push(path);
    answer(path, response);
  });
  const socketPath = join(temporaryDirectory(t), 'docker.sock');
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const api = new UnixEngineApi(socketPath, asMillis(300));
  t.teardown(() => {
    api.close();
    server.closeAllConnections();
    server.close();
  });
  return { api, asked };
}

const answering = (t: ExecutionContext, body: unknown, status = 200) =>
  serve(t, (_, response) => {
    response.writeHead(status);
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });

test('a container is its names, its host name and its endpoints', async (t) => {
  const { api, asked } = await answering(t, {
    Name: '/web',
    State: { Pid: 7 },
    HostConfig: { Privileged: false, Sysctls: null },
    Config: { Hostname: 'cccccccccccc', More: 1 },
    NetworkSettings: {
      Networks: {
        blue: { EndpointID: 'e1', Aliases: ['www', 'cccccccccccc'] },
        red: { EndpointID: 'e2', Aliases: null, DNSNames: ['web', 'www'] },
        gone: { EndpointID: '', Aliases: null },
      },
    },
  });
  t.deepEqual(await api.inspect(ID), {
    ...{ name: 'web', hostname: 'cccccccccccc', pid: 7, mayForward: false },
    endpoints: [
      { id: 'e1', aliases: ['www', 'cccccccccccc'] },
      { id: 'e2', aliases: ['web', 'www'] },
    ],
  });
  t.deepEqual(asked, [`/containers/${ID}/json`]);
});

test('a task of a Swarm is found by its service, too', async (t) => {
  const { api } = await answering(t, {
    Name: '/web.1.x4y5',
    State: { Pid: 7 },
    HostConfig: {},
    Config: { Hostname: 'cccccccccccc', Labels: { 'com.docker.swarm.service.name': 'web' } },
    NetworkSettings: { Networks: { blue: { EndpointID: 'e1', Aliases: ['cccccccccccc'] } } },
  });
  const task = await api.inspect(ID);
  t.deepEqual(task?.endpoints, [{ id: 'e1', aliases: ['cccccccccccc', 'web'] }]);
});

test('who is privileged, or told to forward, may', async (t) => {
  const may = async (HostConfig: object): Promise<boolean | undefined> => {
    const { api } = await answering(t, {
      ...{ Name: '/x', State: { Pid: 0 }, HostConfig, Config: {}, NetworkSettings: {} },
    });
    return (await api.inspect(ID))?.mayForward;
  };
  t.true(await may({ Privileged: true }));
  t.true(await may({ Sysctls: { 'net.ipv4.ip_forward': '1' } }));
  t.true(await may({ Sysctls: { 'net.ipv4.conf.eth0.forwarding': '1' } }));
  t.false(await may({ Sysctls: { 'net.core.somaxconn': '1024' } }));
});

test('a container that has gone is none; those that run are listed', async (t) => {
  const { api } = await answering(t, { message: 'No such container' }, 404);
  t.is(await api.inspect(ID), undefined);
  const { api: other } = await answering(t, [{ Id: 'a' }, { Id: 'b', Names: null }]);
  t.deepEqual(await other.running(), ['a', 'b']);
});

test('an engine that answers nonsense, too late or not at all is an error', async (t) => {
  for (const body of ['', '{', '[]', '{"Name":7}', '{"Name":"/x"}']) {
    const { api } = await answering(t, body);
    await t.throwsAsync(api.inspect(ID));
  }
  const { api: broken } = await answering(t, {}, 500);
  await t.throwsAsync(broken.inspect(ID), { message: /HTTP status 500/ });
  await t.throwsAsync(
    broken.watch(() => t.fail()),
    { message: /HTTP status 500/ },
  );
  const { api: silent } = await serve(t, () => undefined);
  await t.throwsAsync(silent.running(), { message: /no answer within 300 ms/ });
  const { api: cut } = await serve(t, (_, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('[');
    setImmediate(() => response.destroy());
  });
  await t.throwsAsync(cut.running());
  await t.throwsAsync(new UnixEngineApi('/nowhere/docker.sock').running(), { code: 'ENOENT' });
});

const started = { Type: 'container', Action: 'start', Actor: { ID, Attributes: { name: 'web' } } };
const connected = {
  ...{ Type: 'network', Action: 'connect' },
  Actor: { ID: 'n', Attributes: { container: 'd', name: 'blue' } },
};

test('events tell which containers to look at, however they are cut, and for as long as they come', async (t) => {
  let stream: ServerResponse | undefined;
  const { api, asked } = await serve(t, (_, response) => {
    stream = response;
    response.writeHead(200);
    response.flushHeaders();
  });
  const seen: string[] = [];
  let told = (): void => undefined;
  const watch = await api.watch((id) => {
    seen.push(id);
    told();
  });
  t.regex(asked[0] ?? '', /^\/events\?filters=\{"type":\["container","network"\]/);
  const text = `${JSON.stringify(started)}\n${JSON.stringify(connected)}\n`;
  const both = new Promise<void>((resolve) => {
    told = () => {
      if (seen.length === 2) resolve();
    };
  });
  for (const part of [text.slice(0, 20), text.slice(20, -5), text.slice(-5)]) stream?.write(part);
  await both;
  t.deepEqual(seen, [ID, 'd']);
  // No event for longer than an answer may take is no reason to go.
  const silence = new Promise<string>((resolve) => void setTimeout(resolve, 600, 'silence'));
  t.is(await Promise.race([watch.ended.then(() => 'ended'), silence]), 'silence');
  watch.stop();
  await watch.ended;
});

test('a stream that is no stream of events ends', async (t) => {
  for (const text of ['no JSON\n', '{"Type":1}\n', 'x'.repeat(2 * 1024 * 1024)]) {
    const { api } = await serve(t, (_, response) => {
      response.writeHead(200);
      response.write(text);
    });
    const watch = await api.watch(() => t.fail());
    await t.notThrowsAsync(watch.ended);
  }
});
