import { createServer } from 'node:http';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';
import { CliHarness } from './harness.ts';

const RUNNING = { State: { Status: 'running', Running: true, Pid: 4711 }, HostConfig: {} };

/** An engine that answers each question for a container so, and a command line that asks it. */
async function engine(t: ExecutionContext, status: number, body: unknown) {
  const socket = join(temporaryDirectory(t), 'd.sock');
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.teardown(() => server.close());
  const cli = new CliHarness();
  cli.env = { DOCKER_HOST: `unix://${socket}` };
  await cli.run('network', 'create', 'blue', '--subnet', '10.7.0.0/24');
  return { cli, asked };
}

test('a container is attached by its process, under its name, by any free interface', async (t) => {
  const { cli, asked } = await engine(t, 200, RUNNING);
  const { status, err } = await cli.run('attach', 'blue', '--docker', 'web..1');
  t.is(status, 0, err);
  t.deepEqual(asked, ['/containers/web..1/json']);
  t.deepEqual(cli.lastCall?.args, [
    { network: 'blue', pid: 4711, origin: 'docker web..1', anyIfname: true },
  ]);
  await cli.run('attach', 'blue', '--docker', 'Web');
  t.deepEqual(cli.lastCall?.args, [
    { network: 'blue', pid: 4711, origin: 'docker Web', anyIfname: true, names: ['web'] },
  ]);
  await cli.run(...'attach blue --docker web --ifname net1 --dns-name www'.split(' '));
  t.deepEqual(cli.lastCall?.args, [
    { network: 'blue', pid: 4711, origin: 'docker web', ifname: 'net1', names: ['www'] },
  ]);
  await cli.run('detach', 'blue', '--docker', 'web');
  t.deepEqual(cli.lastCall?.args, [{ network: 'blue', pid: 4711 }]);
});

for (const [what, status, body, exit, sentence] of [
  [
    'is not there',
    404,
    { message: 'No such container' },
    1,
    /^weft: Docker knows no container web;/,
  ],
  [
    'has ended',
    200,
    { State: { Status: 'exited', Running: false, Pid: 0 } },
    1,
    /Container web does not run \(it is exited\); start it first/,
  ],
  [
    "has the host's network",
    200,
    { ...RUNNING, HostConfig: { NetworkMode: 'host' } },
    2,
    /Container web has the host's own network/,
  ],
  ['the engine fails over', 500, { message: 'oops.' }, 1, /can't be asked \(oops\)/],
  ['the engine says nonsense of', 200, '<html>', 1, /its answer is no JSON/],
  ['the engine says nothing of', 200, 'null', 1, /does not run \(it is unknown\)/],
] as const) {
  test(`a container that ${what} is refused, and no daemon is asked`, async (t) => {
    const { cli } = await engine(t, status, body);
    const before = cli.control.calls.length;
    const ran = await cli.run('attach', 'blue', '--docker', 'web');
    t.is(ran.status, exit);
    t.regex(ran.err, sentence);
    t.is(cli.control.calls.length, before);
  });
}

test('an engine that is not there, or on another machine, is told', async (t) => {
  const cli = new CliHarness();
  cli.env = { DOCKER_HOST: `unix://${temporaryDirectory(t)}/none.sock` };
  const gone = await cli.run('attach', 'blue', '--docker', 'web');
  t.is(gone.status, 1);
  t.regex(gone.err, /none\.sock can't be asked \(ENOENT\); see that it runs/);
  cli.env = { DOCKER_HOST: 'tcp://192.0.2.1:2375' };
  const far = await cli.run('attach', 'blue', '--docker', 'web');
  t.is(far.status, 2);
  t.regex(far.err, /DOCKER_HOST is "tcp:\/\/192\.0\.2\.1:2375"/);
});
