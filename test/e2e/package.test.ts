import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { run } from '../../bench/lib/process.ts';
import { packageRoot } from '../../src/base/package-root.ts';

/** Everything below a directory that is no directory itself, but for dpkg's own memory. */
function files(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(
    (path) => !/^var\/(lib\/dpkg|log)/.test(path) && !statSync(join(directory, path)).isDirectory(),
  );
}

test('the Debian package installs, its parts fit together, and purge leaves nothing', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-tpackage-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const script = join(packageRoot, 'scripts/deb.mjs');
  const made = await run(process.execPath, [script, '--uncompressed', directory]);

  const root = join(directory, 'root');
  mkdirSync(join(root, 'var/lib/dpkg'), { recursive: true });
  mkdirSync(join(root, 'var/log'), { recursive: true });
  writeFileSync(join(root, 'var/lib/dpkg/status'), '');
  const dpkg = (...words: readonly string[]): Promise<string> =>
    run('dpkg', [`--root=${root}`, '--force-depends', '--force-script-chrootless', ...words]);
  await dpkg('--install', made.trim());
  t.regex(await run(join(root, 'usr/bin/weft'), ['version']), /^weft \d+\.\d+\.\d+ /);
  t.is(readFileSync(join(root, 'etc/weft/weftd.conf'), 'utf8'), '{}\n');
  const present = files(root);
  for (const path of [
    ...['usr/share/man/man1/weft.1.gz', 'usr/share/man/man5/weftd.conf.5.gz'],
    ...['usr/share/bash-completion/completions/weft', 'lib/systemd/system/weft.service'],
  ]) {
    t.true(present.includes(path), path);
  }

  const unit = readFileSync(join(root, 'lib/systemd/system/weft.service'), 'utf8');
  const here = join(directory, 'weft.service');
  writeFileSync(here, unit.replace('/usr/bin/weft', join(root, 'usr/bin/weft')));
  t.is(await run('systemd-analyze', ['verify', '--man=no', here]), '');

  mkdirSync(join(root, 'var/lib/weft'));
  writeFileSync(join(root, 'var/lib/weft/state.mdb'), 'what the daemon remembers');
  await dpkg('--purge', 'weft');
  t.deepEqual(files(root), []);
});
