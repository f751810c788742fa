import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { packageRoot } from '../../src/base/package-root.ts';
import { run } from '../../bench/lib/process.ts';

interface Demo {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown[]>;
  readonly stdout: NodeJS.ReadableStream;
  readonly stderr: NodeJS.ReadableStream;
}

function startDemo(t: ExecutionContext, env: NodeJS.ProcessEnv = {}): Demo {
  const child = spawn(process.execPath, [join(packageRoot, 'dist/bench/demo.js')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  t.teardown(() => child.kill('SIGTERM'));
  return { child, ended: once(child, 'exit'), stdout: child.stdout, stderr: child.stderr };
}

/** Nothing of the demo is left: no namespace, and not the directory of the sockets that it named. */
async function isGone({ child }: Demo, output: string): Promise<boolean> {
  const namespaces = await run('ip', ['netns', 'list']);
  const directory = /(\/\S*\/weft-demo-[^/\s]+)\//.exec(output)?.[1];
  return (
    !namespaces.includes(`weft-tdemo${child.pid}-`) &&
    (directory === undefined || !existsSync(directory))
  );
}

test('two hosts become one Ethernet, and nothing is left behind', async (t) => {
  const demo = startDemo(t);
  const output = await text(demo.stdout);
  t.deepEqual(await demo.ended, [0, null], output);
  t.regex(output, /beta \$ weft join 192\.0\.2\.1:7783/);
  t.regex(output, /\| Weft overlay \| +1426 \| +40\/40 \| +\d+ µs \| +[\d.]+ Gb\/s \|/);
  t.true(await isGone(demo, output));
});

test('Ctrl-C in the middle leaves nothing behind', async (t) => {
  const demo = startDemo(t);
  let output = '';
  for await (const line of createInterface(demo.stdout)) {
    output += `${line}\n`;
    if (line.includes('weft attach')) break;
  }
  demo.child.kill('SIGINT');
  t.deepEqual(await demo.ended, [130, null]);
  t.true(await isGone(demo, output));
});

test('a daemon that does not start is quoted', async (t) => {
  const demo = startDemo(t, { WEFT_CONFIG: '/nonexistent/weft.json' });
  const [output, errors] = await Promise.all([text(demo.stdout), text(demo.stderr)]);
  t.deepEqual(await demo.ended, [1, null]);
  t.regex(errors, /The demo failed: the daemon on host alpha ended at once/);
  t.regex(errors, /Last lines of the daemon on alpha:\n[^]*\/nonexistent\/weft\.json/);
  t.true(await isGone(demo, output));
});
