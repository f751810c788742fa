import {
  chmodSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { isAppError } from '../../src/base/errors.ts';
import { State } from '../../src/daemon/state.ts';
import { hostIdOf } from '../../src/link/identity.ts';
import type { Key, Store } from '../../src/daemon/store.ts';

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
  t.deepEqual(second.identity.publicKey, first.identity.publicKey);
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

test('the id is that of the key, and the file that holds it is for its user alone', async (t) => {
  const path = directory(t);
  const umask = process.umask(0);
  const state = State.open(path);
  process.umask(umask);
  t.is(state.id, hostIdOf(state.identity.publicKey));
  t.is(statSync(join(path, 'state.mdb')).mode & 0o777, 0o600);
  await state.close();
  chmodSync(join(path, 'state.mdb'), 0o644);
  await State.open(path).close();
  t.is(statSync(join(path, 'state.mdb')).mode & 0o777, 0o600);
});

test('a key is on the disk before anybody can hear of it', (t) => {
  const written: string[] = [];
  const disk: Store = {
    get: () => undefined,
    list: () => [],
    put: () => Promise.resolve(),
    remove: () => Promise.resolve(),
    putNow: (key) => void written.push(key.join('/')),
    close: () => Promise.resolve(),
  };
  new State(disk);
  t.deepEqual(written, ['meta/seed', 'meta/keyring']);
});

for (const [what, key, bytes, sentence] of [
  ['with a key that cannot sign', 'identity', Buffer.alloc(32, 1), /earlier version.*--state-dir/],
  ['with half a seed', 'seed', Buffer.alloc(16, 1), /damaged.*--state-dir/],
] as const) {
  test(`a state ${what} is refused with a sentence, and nothing is written`, (t) => {
    const written: string[] = [];
    const disk: Store = {
      get: ([, name]) => (name === key ? bytes : undefined),
      list: () => [],
      put: () => Promise.resolve(),
      remove: () => Promise.resolve(),
      putNow: (place) => void written.push(place.join('/')),
      close: () => Promise.resolve(),
    };
    const error = t.throws(() => new State(disk));
    t.true(isAppError(error, 'E_STATE'));
    t.regex(error.message, sentence);
    t.deepEqual(written, []);
  });
}

test('a state directory that is a file is refused with a sentence', (t) => {
  const path = join(directory(t), 'file');
  writeFileSync(path, '');
  const error = t.throws(() => State.open(path));
  t.true(isAppError(error, 'E_STATE'));
  t.regex(error.message, /--state-dir/);
});

test('a file cut short, removed or replaced under a running daemon is told, and ends nothing', async (t) => {
  const path = directory(t);
  const file = join(path, 'state.mdb');
  for (const [harm, why] of [
    [() => truncateSync(file, 100), /was cut from \d+ bytes to 100/],
    [() => rmSync(file), /was removed or replaced/],
    [() => renameSync(join(path, 'copy'), file), /was removed or replaced/],
  ] as const) {
    rmSync(file, { force: true });
    writeFileSync(join(path, 'copy'), '');
    const state = State.open(path);
    harm();
    state.save('networks', 'blue', Buffer.alloc(5000));
    await t.throwsAsync(state.settled(), { code: 'E_STATE', message: why });
    t.regex(state.failure ?? '', why);
    await t.throwsAsync(state.begin('e1', {}), { code: 'E_STATE', message: /nothing has been/ });
    t.throws(() => state.nextIncarnation(), { code: 'E_STATE' });
    await state.close();
  }
});

/** Makes LMDB's own descriptor for the page that closes a transaction one that can't be written. */
function breakCommits(file: string): void {
  const flagsOf = (fd: string): number =>
    parseInt(
      /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '',
      8,
    );
  const broken = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return (
        readlinkSync(`/proc/self/fd/${fd}`) === file && (flagsOf(fd) & constants.O_DSYNC) !== 0
      );
    } catch {
      return false;
    }
  });
  if (broken.length !== 1) throw new Error(`${broken.length} descriptors write through to ${file}`);
  const fd = Number(broken[0]);
  closeSync(fd);
  // The number must not go to something else, which LMDB would write to.
  while (openSync('/dev/null', 'r') !== fd);
}

test('a disk that fails in the middle of a transaction stops neither the daemon nor its answers', async (t) => {
  const path = directory(t);
  const state = State.open(path);
  state.save('networks', 'blue', Buffer.from('blue'));
  await state.settled();
  breakCommits(realpathSync(join(path, 'state.mdb')));
  const why = /Bad file descriptor.*until this daemon is started again/;
  state.save('networks', 'red', Buffer.from('red'));
  state.save('networks', 'green', Buffer.from('green'));
  await t.throwsAsync(state.settled(), { code: 'E_STATE', message: why });
  // Each of them would wait forever for LMDB, and the second would hold the whole process.
  await t.throwsAsync(state.settled(), { code: 'E_STATE', message: why });
  t.throws(() => state.savePool('p', Buffer.from('p')), { code: 'E_STATE', message: why });
  t.throws(() => state.savePool('p', Buffer.from('p')), { code: 'E_STATE', message: why });
  t.throws(() => state.pool('p'), { code: 'E_STATE', message: why });
  t.regex(state.failure ?? '', why);
  await state.close();
});

test('of many writes at once, and of more while they are under way, all reach the disk', async (t) => {
  const path = directory(t);
  const state = State.open(path);
  const keys = Array.from({ length: 100 }, (_, at) => String(at).padStart(3, '0'));
  for (const key of keys) state.save('first', key, Buffer.from(`first ${key}`));
  await Promise.resolve();
  for (const key of keys) state.save('second', key, Buffer.from(`second ${key}`));
  state.drop('first', '050');
  state.savePool('p', Buffer.from('now'));
  await state.close();
  const again = State.open(path);
  t.deepEqual(
    Array.from(again.rows(), (bytes) => Buffer.from(bytes).toString()),
    [
      ...keys.filter((key) => key !== '050').map((key) => `first ${key}`),
      ...keys.map((key) => `second ${key}`),
    ],
  );
  t.is(Buffer.from(again.pool('p') ?? []).toString(), 'now');
  await again.close();
});

/** A disk that a test fills, with what it holds by the last word of the key. */
class FullDisk implements Store {
  readonly held = new Map<string, string>();
  isFull = false;

  get(): undefined {
    return undefined;
  }

  list(): Buffer[] {
    return [];
  }

  async put(key: Key, bytes: Uint8Array): Promise<void> {
    const { isFull } = this;
    await Promise.resolve();
    if (isFull) throw new Error('No space left on device');
    this.held.set(key.at(-1) ?? '', Buffer.from(bytes).toString());
  }

  async remove(key: Key): Promise<void> {
    await Promise.resolve();
    this.held.delete(key.at(-1) ?? '');
  }

  putNow(): void {
    if (this.isFull) throw new Error('No space left on device');
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

test('nobody waits for a note that has ended to go, but whoever closes the state', async (t) => {
  const disk = new FullDisk();
  let flush = (): void => undefined;
  const flushed = new Promise<void>((resolve) => (flush = resolve));
  disk.remove = async (key) => {
    await flushed;
    disk.held.delete(key.at(-1) ?? '');
  };
  const state = new State(disk);
  await state.begin('e1', {});
  state.end('e1');
  await state.settled();
  t.true(disk.held.has('e1'));
  const closed = state.close();
  flush();
  await closed;
  t.false(disk.held.has('e1'));
});

test('what a full disk refused is written once there is room, and never over what came later', async (t) => {
  const disk = new FullDisk();
  const state = new State(disk);
  disk.isFull = true;
  state.save('networks', 'blue', Buffer.from('old'));
  state.save('networks', 'red', Buffer.from('old'));
  disk.isFull = false;
  state.save('networks', 'blue', Buffer.from('new'));
  await t.throwsAsync(state.settled(), { message: /No space.*a restart will forget this change/ });
  await state.settled();
  t.deepEqual(Object.fromEntries(disk.held), { blue: 'new', red: 'old' });
  t.is(state.failure, undefined);

  disk.isFull = true;
  state.save('networks', 'blue', Buffer.from('newer'));
  await t.throwsAsync(state.settled(), { message: /No space.*a restart will forget this change/ });
  t.is(disk.held.get('blue'), 'new');
  disk.isFull = false;
  await state.settled();
  t.is(disk.held.get('blue'), 'newer');
});
