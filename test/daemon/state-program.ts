/**
 * Writes rows as a daemon does until somebody kills it: `node state-program.js DIRECTORY`. Prints `N`
 * once row N, and with it the note N in which it was begun, are on disk as far as `State` says.
 */
import { State } from '../../src/daemon/state.ts';

const [directory = ''] = process.argv.slice(2);
const state = State.open(directory);
const first = [...state.rows()].length;
for (let count = first; ; count++) {
  const key = String(count).padStart(8, '0');
  await state.begin(key, { count });
  state.save('endpoints', key, Buffer.from(`${key} ${'x'.repeat(count % 500)}`));
  await state.settled();
  state.end(key);
  process.stdout.write(`${count}\n`);
}
