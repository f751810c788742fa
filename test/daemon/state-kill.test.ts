import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test from 'ava';
import { packageRoot } from '../../src/base/package-root.ts';
import { seededRng } from '../../src/base/rng.ts';
import { State } from '../../src/daemon/state.ts';
import { temporaryDirectory } from '../fakes/temporary-directory.ts';

const PROGRAM = join(packageRoot, 'dist/test/daemon/state-program.js');
const ROUNDS = 10;
const seed = Number(process.env['SEED'] ?? 4711);

/** Runs the writer, kills it after it has acknowledged `rows` more; the last row that it acknowledged. */
async function writeAndDie(directory: string, rows: number): Promise<number> {
  const child = spawn(process.execPath, [PROGRAM, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  let last = -1;
  let heard = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    if (++heard === rows) child.kill('SIGKILL');
  }
  await ended;
  return last;
}

test(`a process killed in the middle of its writing, ${ROUNDS} times: what it acknowledged is there, whole`, async (t) => {
  const directory = temporaryDirectory(t);
  const rng = seededRng(seed);
  let id: State['id'] | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const acknowledged = await writeAndDie(directory, 1 + Math.floor(rng.next() * 60));
    const state = State.open(directory);
    const rows = Array.from(state.rows(), (bytes) => Buffer.from(bytes).toString());
    t.true(rows.length > acknowledged, `seed ${seed}: ${rows.length} rows, ${acknowledged} known`);
    t.true(rows.length <= acknowledged + 2, 'no more than one that was under way');
    rows.forEach((row, count) => {
      const key = String(count).padStart(8, '0');
      t.is(row, `${key} ${'x'.repeat(count % 500)}`);
    });
    t.true(state.begun().length <= 2, 'the note of the last row, and of the one under way');
    t.is(state.id, id ?? state.id);
    ({ id } = state);
    for (const note of state.begun()) {
      state.end(String((note as { count: number }).count).padStart(8, '0'));
    }
    await state.settled();
    await state.close();
  }
});
