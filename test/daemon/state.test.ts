import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { isAppError } from '../../src/base/errors.ts';
import { State } from '../../src/daemon/state.ts';

function directory(t: { teardown(fn: () => void): void }): string {
  const path = mkdtempSync(join(tmpdir(), 'weft-state-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test('identity, incarnation, peers and rows survive a restart', async (t) => {
  const path = directory(t);
  const first = State.open(path);
  t.regex(first.id, /^[0-9a-f]{32}$/);
  t.is(first.nextIncarnation(), 1);
  first.noteIncarnation(7);
  first.setPeers([{ address: '192.0.2.2', port: 7783 }]);
  first.save('networks', 'blue', Buffer.from([1]));
  first.save('endpoints', 'e1', Buffer.from([2]));
  first.save('networks', 'blue', Buffer.from([3]));
  await first.settled();
  await first.close();

  const second = State.open(path);
  t.is(second.id, first.id);
  t.is(second.nextIncarnation(), 8);
  t.deepEqual(second.peers, [{ address: '192.0.2.2', port: 7783 }]);
  t.deepEqual(
    [...second.rows()].map(([byte]) => byte),
    [2, 3],
  );
  second.drop('endpoints', 'e1');
  await second.settled();
  t.is([...second.rows()].length, 1);
  await second.close();
});

test('two hosts never get the same identity', async (t) => {
  const [one, two] = [State.open(directory(t)), State.open(directory(t))];
  t.not(one.id, two.id);
  await Promise.all([one.close(), two.close()]);
});

test('a state directory that is a file is refused with a sentence', (t) => {
  const path = join(directory(t), 'file');
  writeFileSync(path, '');
  const error = t.throws(() => State.open(path));
  t.true(isAppError(error, 'E_STATE'));
  t.regex(error.message, /--state-dir/);
});
