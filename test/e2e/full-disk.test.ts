import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { run } from '../../bench/lib/process.ts';
import { LmdbStore } from '../../src/daemon/store.ts';

test('a full disk is called that, whether or not the write is waited for', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-full-'));
  await run('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', directory]);
  t.teardown(async () => {
    await run('umount', ['--lazy', directory]);
    rmSync(directory, { recursive: true });
  });
  const path = join(directory, 'state.mdb');
  closeSync(openSync(path, 'a'));
  const store = new LmdbStore(path);
  const bytes = Buffer.alloc(20_000, 1);
  const fill = (): void => {
    for (let index = 0; index < 100; index++) store.putNow(['note', String(index)], bytes);
  };
  t.throws(fill, { message: 'No space left on device' });
  await t.throwsAsync(store.put(['note', 'x'], bytes), { message: 'No space left on device' });
  // What was there before is there still.
  t.deepEqual(store.get(['note', '0']), bytes);
  await store.close();
});
