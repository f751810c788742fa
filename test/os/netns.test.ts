import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { systemNetns, type SandboxReference } from '../../src/os/netns.ts';

// References that need no namespace of their own; the others are in test/e2e/network.test.ts.
const REFUSED: readonly (readonly [SandboxReference, string, RegExp])[] = [
  [{ pid: process.pid }, 'E_USAGE', /^Process \d+ is the host's own network namespace/],
  [{ netns: '/proc/self/ns/net' }, 'E_USAGE', /the host's own network namespace/],
  [{ pid: 2 ** 30 }, 'E_SANDBOX_MISSING', /^There is no process 1073741824 on this host/],
  [{ pid: 0 }, 'E_USAGE', /^Pid 0 is no process id/],
  [{ pid: 1.5 }, 'E_USAGE', /^Pid 1\.5 is no process id/],
  [{ pid: NaN }, 'E_USAGE', /is no process id/],
  [{ netns: 'weft-no-such' }, 'E_SANDBOX_MISSING', /"weft-no-such" under \/run\/netns/],
  [{ netns: '/run/netns/weft-no-such' }, 'E_SANDBOX_MISSING', /at \/run\/netns\/weft-no-such/],
  [{ netns: '/etc/hostname/x' }, 'E_SANDBOX_MISSING', /no network namespace at/],
  [{ netns: '/etc/passwd' }, 'E_SANDBOX_MISSING', /\/etc\/passwd is not a network namespace/],
  [{ netns: '/proc/self/ns/mnt' }, 'E_SANDBOX_MISSING', /is not a network namespace/],
  [{ netns: '' }, 'E_USAGE', /names no network namespace/],
  [{ netns: '..' }, 'E_USAGE', /names no network namespace/],
  [{ netns: 'a/../b' }, 'E_USAGE', /names no network namespace/],
];

for (const [reference, code, message] of REFUSED) {
  test(`${JSON.stringify(reference)} is refused with one sentence`, async (t) => {
    await t.throwsAsync(systemNetns.resolve(reference), { code, message });
  });
}

test('links are followed, and links in a circle lead nowhere', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'weft-netns-'));
  t.teardown(() => rm(directory, { recursive: true }));
  await symlink('/proc/self/ns/net', join(directory, 'own'));
  await symlink('circle', join(directory, 'circle'));
  await writeFile(join(directory, 'file'), '');
  await t.throwsAsync(systemNetns.resolve({ netns: join(directory, 'own') }), {
    ...{ code: 'E_USAGE', message: /the host's own/ },
  });
  for (const name of ['circle', 'file']) {
    const code = 'E_SANDBOX_MISSING';
    await t.throwsAsync(systemNetns.resolve({ netns: join(directory, name) }), { code });
  }
});

test('a sandbox that was stored and is gone', async (t) => {
  const gone = { path: '/run/netns/weft-no-such', inode: '4:1' };
  t.false(await systemNetns.exists(gone));
  await t.throwsAsync(systemNetns.open(gone), { code: 'E_SANDBOX_MISSING' });
});

test('another namespace at the path of a stored one is not mistaken for it', async (t) => {
  const other = { path: '/proc/self/ns/net', inode: '4:1' };
  t.false(await systemNetns.exists(other));
  await t.throwsAsync(systemNetns.open(other), { code: 'E_SANDBOX_MISSING' });
});
