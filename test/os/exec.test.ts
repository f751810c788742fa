import test from 'ava';
import { asMillis } from '../../src/base/types.ts';
import { systemExec } from '../../src/os/exec.ts';

const failed = { code: 'E_COMMAND_FAILED' } as const;

test('output comes back, input goes in, arguments are never read by a shell', async (t) => {
  t.is(await systemExec.run('cat', [], { input: 'two\nlines' }), 'two\nlines');
  t.is(await systemExec.run('printf', ['%s', '$(id) `id` * ; a']), '$(id) `id` * ; a');
});

test('a failure names the command and the first line of what it said', async (t) => {
  const args = ['-c', 'echo "no such thing." >&2; echo more >&2; exit 3'];
  await t.throwsAsync(systemExec.run('sh', args), {
    ...failed,
    message: /^"sh -c .*" failed: no such thing; run it by hand as root to see more\.$/,
  });
  await t.throwsAsync(systemExec.run('false', []), { ...failed, message: /ended with status 1/ });
});

test('a missing program is named', async (t) => {
  await t.throwsAsync(systemExec.run('weft-no-such-program', []), {
    ...failed,
    message: 'weft-no-such-program is not on this host; install it and try again.',
  });
});

test('a program that does not end is killed', async (t) => {
  await t.throwsAsync(systemExec.run('sleep', ['60'], { timeout: asMillis(50) }), {
    ...failed,
    message: /^"sleep 60" did not end in time and was killed/,
  });
});

test('output without end is cut off', async (t) => {
  await t.throwsAsync(systemExec.run('yes', []), {
    ...failed,
    message: /more than 16777216 bytes/,
  });
});

test('input that nobody reads is no failure', async (t) => {
  t.is(await systemExec.run('true', [], { input: 'x'.repeat(2 ** 20) }), '');
});
