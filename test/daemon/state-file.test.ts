import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { State } from '../../src/daemon/state.ts';
import { checkStateFile } from '../../src/daemon/state-file.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

test('what is no state file, or cut short, is refused with one sentence; LMDB would crash on it', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'state.mdb');
  const state = State.open(directory);
  for (let row = 0; row < 200; row++) state.save('networks', `n${row}`, Buffer.alloc(200, row));
  await state.settled();
  await state.close();
  const whole = readFileSync(path);
  t.notThrows(() => checkStateFile(path));

  for (const bytes of [1, 100, 4096, 8192]) {
    writeFileSync(path, whole);
    truncateSync(path, bytes);
    t.throws(
      () => State.open(directory),
      { code: 'E_STATE', message: /no state of Weft, or damaged/ },
      `${bytes}`,
    );
  }
  writeFileSync(path, Buffer.alloc(20_000, 0x5a));
  t.throws(() => State.open(directory), { code: 'E_STATE', message: /does not begin as one/ });
});

test('no file, or an empty one, is a memory to begin', (t) => {
  const path = join(temporaryDirectory(t), 'state.mdb');
  t.notThrows(() => checkStateFile(path));
  writeFileSync(path, '');
  t.notThrows(() => checkStateFile(path));
});
