import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test, { type ExecutionContext } from 'ava';
import { packageRoot } from '../../src/base/package-root.ts';
import { nullLogger } from '../../src/base/log.ts';
import { createClient } from '../../src/api/client.ts';
import { acquireLock, createNotifier, watchSignals } from '../../src/daemon/lifecycle.ts';
import { DEFAULT_OPTIONS } from '../../src/daemon/options.ts';
import { runService, type ServiceHost } from '../../src/daemon/service.ts';
import { FakeControl } from '../fakes/fake-control.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

const LISTENER = `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
path = sys.argv[1]
s.bind('\\0' + path[1:] if path[0] == '@' else path)
print('bound', flush=True)
while True: print(s.recv(4096).decode().replace('\\n', ' '), flush=True)
`;

/** A stand-in for systemd: prints a line for every datagram. */
async function listenForNotices(t: ExecutionContext, path: string) {
  const child = spawn('python3', ['-c', LISTENER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await lines.next()).value);
  t.is(await next(), 'bound');
  return next;
}

for (const [what, pathIn] of [
  ['a path', (directory: string) => join(directory, 'notify')],
  ['an abstract name', () => `@weft-tface-${process.pid}`],
] as const) {
  test(`the service manager is told, at ${what}`, async (t) => {
    const path = pathIn(temporaryDirectory(t));
    const next = await listenForNotices(t, path);
    const notifier = createNotifier(path, nullLogger);
    notifier.ready('two\nlines');
    t.is(await next(), `READY=1 STATUS=two lines MAINPID=${process.pid}`);
    notifier.stopping();
    t.is(await next(), 'STOPPING=1');
  });
}

test('a service manager that is not there is logged and nothing else', (t) => {
  const warned: object[] = [];
  const logger = { ...nullLogger, warn: (fields: object) => void warned.push(fields) };
  createNotifier(join(temporaryDirectory(t), 'none'), logger).ready('x');
  createNotifier(`/${'x'.repeat(200)}`, logger).stopping();
  createNotifier(undefined, logger).ready('x');
  t.is(warned.length, 2);
});

test('a lock is held by one and free again when released', (t) => {
  const file = join(temporaryDirectory(t), 'state', 'lock');
  const lock = acquireLock(file, 'the state directory X');
  t.throws(() => acquireLock(file, 'the state directory X'), {
    code: 'E_ALREADY_RUNNING',
    message: new RegExp(`pid ${process.pid}.*the state directory X`),
  });
  t.is(readFileSync(file, 'utf8'), `${process.pid}\n`);
  lock.release();
  acquireLock(file, 'it').release();
});

test('a lock dies with its holder, even by SIGKILL', async (t) => {
  const file = join(temporaryDirectory(t), 'lock');
  const module = join(packageRoot, 'dist/src/daemon/lifecycle.js');
  const program = `import('${module}').then((m) => { m.acquireLock('${file}', 'it'); console.log('held'); setInterval(() => {}, 1000); })`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  t.throws(() => acquireLock(file, 'it'), { message: new RegExp(`pid ${String(child.pid)} `) });
  child.kill('SIGKILL');
  await once(child, 'exit');
  acquireLock(file, 'it').release();
});

test('the first signal asks, the second one insists', async (t) => {
  const source = new EventEmitter();
  const statuses: number[] = [];
  const stop = watchSignals(source, (status) => void statuses.push(status));
  source.emit('SIGTERM', 'SIGTERM');
  t.is(await stop.first, 'SIGTERM');
  t.deepEqual(statuses, []);
  source.emit('SIGINT', 'SIGINT');
  t.deepEqual(statuses, [130]);
  stop.dispose();
  t.is(source.listenerCount('SIGTERM') + source.listenerCount('SIGINT'), 0);
});

/** A daemon that Docker is not told of. */
const NO_DOCKER = { call: () => Promise.reject(new Error('nobody listens')) };

function service(t: ExecutionContext) {
  const directory = temporaryDirectory(t);
  const signals = new EventEmitter();
  const events: string[] = [];
  const host: ServiceHost = {
    signals,
    notifySocket: undefined,
    logger: nullLogger,
    out: (text) => {
      events.push(text);
      signals.emit('ready');
    },
    settled: () => undefined,
    exit: () => undefined,
  };
  const options = {
    ...DEFAULT_OPTIONS,
    name: 'a',
    stateDir: join(directory, 'state'),
    socket: join(directory, 'weft.sock'),
  };
  const startDaemon = () =>
    Promise.resolve({
      control: new FakeControl(),
      ...{ faces: [], docker: NO_DOCKER, readyLine: 'weft ready' },
      close: () => Promise.resolve(void events.push('closed')),
    });
  return { options, host, signals, events, startDaemon };
}

test('a metrics port that is taken stops the start, and all is undone', async (t) => {
  const { options, host, events, startDaemon } = service(t);
  const holder = createServer().listen(0, '127.0.0.1');
  await once(holder, 'listening');
  t.teardown(() => holder.close());
  const { port } = holder.address() as AddressInfo;
  const taken = { ...options, metrics: { host: '127.0.0.1', port } };
  await t.throwsAsync(runService(taken, host, startDaemon), { code: 'E_BIND', message: /in use/ });
  t.deepEqual(events, ['closed']);
  t.false(existsSync(options.socket));
});

test('a service serves, says so, and stops at a signal', async (t) => {
  const { options, host, signals, events, startDaemon } = service(t);
  const ready = once(signals, 'ready');
  const ended = runService(options, host, startDaemon);
  await ready;
  t.is((await createClient(options).status()).name, 'host-a');
  await t.throwsAsync(runService(options, host, startDaemon), { code: 'E_ALREADY_RUNNING' });
  signals.emit('SIGTERM', 'SIGTERM');
  t.is(await ended, 0);
  t.deepEqual(events, ['weft ready\n', 'closed']);
  t.false(existsSync(options.socket));
});

test('a start that fails undoes what it did and gives the reason', async (t) => {
  const { options, host, signals, events, startDaemon } = service(t);
  await t.throwsAsync(
    runService(options, host, () => Promise.reject(new Error('no'))),
    {
      message: 'no',
    },
  );
  const socket = join(options.stateDir, 'lock', 'weft.sock');
  await t.throwsAsync(runService({ ...options, socket }, host, startDaemon), { code: 'E_STATE' });
  const ready = once(signals, 'ready');
  const ended = runService(options, host, startDaemon);
  await ready;
  signals.emit('SIGINT', 'SIGINT');
  t.is(await ended, 0);
  t.deepEqual(events, ['weft ready\n', 'closed']);
});

test('a part that does not stop cleanly turns the exit status to 1', async (t) => {
  const { options, host, signals } = service(t);
  const ready = once(signals, 'ready');
  const ended = runService(options, host, () =>
    Promise.resolve({
      control: new FakeControl(),
      ...{ faces: [], docker: NO_DOCKER, readyLine: 'ready' },
      close: () => Promise.reject(new Error('stuck')),
    }),
  );
  await ready;
  signals.emit('SIGTERM', 'SIGTERM');
  t.is(await ended, 1);
});
