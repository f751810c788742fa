import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'ava';
import { packageRoot } from '../../src/base/package-root.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';
import { serve } from '../api/served.ts';

/** Runs the real program; `script` is a shell line in which `$WEFT` stands for it. */
async function shell(script: string, env: Readonly<Record<string, string>> = {}) {
  const child = spawn('sh', ['-c', script], {
    env: { ...process.env, ...env, WEFT: `${process.execPath} ${join(packageRoot, 'bin/weft')}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const [status] = (await once(child, 'close')) as [number];
  return { status, out, err };
}

test('a real process speaks to a real socket', async (t) => {
  const { socket } = await serve(t);
  const { status, out } = await shell('$WEFT peers --json', { WEFT_SOCKET: socket });
  t.is(status, 0);
  t.is((JSON.parse(out) as { name: string }[])[0]?.name, 'host-a');
});

test('a real process without a daemon ends with 3', async (t) => {
  const socket = join(temporaryDirectory(t), 'none.sock');
  const { status, out, err } = await shell('$WEFT status', { WEFT_SOCKET: socket });
  t.is(status, 3);
  t.is(out, '');
  t.regex(err, /^weft: [^\n]*weft up[^\n]*\n$/);
});

test('a reader that goes away is no error', async (t) => {
  const { socket } = await serve(t);
  const { err } = await shell('($WEFT status --json; echo "status $?" >&2) | true', {
    WEFT_SOCKET: socket,
  });
  t.is(err, 'status 0\n');
});
