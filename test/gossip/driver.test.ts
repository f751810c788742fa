import test from 'ava';
import { isAppError } from '../../src/base/errors.ts';
import { type Logger, nullLogger } from '../../src/base/log.ts';
import type { MemberEvent, RowStore } from '../../src/gossip/driver.ts';
import type { TableChange } from '../../src/gossip/table.ts';
import { peerId } from './fixtures.ts';
import { MemoryMesh } from './memory-mesh.ts';

const text = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

/** A row store that remembers, and notes the order of things in `log`. */
function memoryStore(log: string[] = []): RowStore & { readonly rows: Map<string, Uint8Array> } {
  const rows = new Map<string, Uint8Array>();
  return {
    rows,
    save: (table, key, bytes) => {
      log.push(`save ${key}`);
      rows.set(`${table}/${key}`, bytes);
    },
    drop: (table, key) => void rows.delete(`${table}/${key}`),
  };
}

test('two meshes join, see each other, and part', async (t) => {
  const memory = new MemoryMesh();
  const [one, two] = [memory.add('1'), memory.add('2')];
  const events: MemberEvent[] = [];
  one.onMember((event) => events.push(event));
  one.start();
  two.start();
  const joining = two.join([one.self.address]);
  await memory.run(50);
  t.deepEqual(await joining, [
    { ok: true, target: one.self.address, id: peerId('1'), name: 'host-1' },
  ]);
  t.is(one.member(peerId('2'))?.state, 'alive');
  t.is(two.member(peerId('1'))?.state, 'alive');
  const leaving = two.leave();
  await memory.run(1000);
  await leaving;
  t.deepEqual(
    events.map(({ member }) => member.state),
    ['alive', 'left'],
  );
  t.deepEqual(two.members(), []);
});

test('a join that fails names its cause, and does not reject', async (t) => {
  const memory = new MemoryMesh();
  const one = memory.add('1');
  one.start();
  const joining = one.join([one.self.address, { address: '192.0.2.99', port: 7783 }]);
  await memory.run(50);
  const codes = (await joining).map((outcome) => (outcome.ok ? 'ok' : outcome.error.code));
  t.deepEqual(codes, ['E_JOIN_SELF', 'E_JOIN_UNREACHABLE']);
});

test('a silent host is seen dead, warned of, and found again by itself', async (t) => {
  const memory = new MemoryMesh();
  const warned: string[] = [];
  const log: Logger = { ...nullLogger, warn: (_, message) => void warned.push(message) };
  const [one, two] = [memory.add('1', { log }), memory.add('2')];
  one.start();
  two.start();
  void two.join([one.self.address]);
  await memory.run(1000);
  two.stop();
  await memory.run(10_000);
  t.is(one.member(peerId('2'))?.state, 'dead');
  t.deepEqual(warned, ['member is suspect', 'member is dead']);
  const again = memory.add('2', { seeds: [one.self.address] });
  again.start();
  await memory.run(300);
  t.is(one.member(peerId('2'))?.state, 'alive');
});

test('a row is saved before anybody is told, on both hosts', async (t) => {
  const memory = new MemoryMesh();
  const log: string[] = [];
  const [one, two] = [memory.add('1'), memory.add('2', { rows: memoryStore(log) })];
  const table = one.table('names', { validate: text });
  const other = two.table('names', { validate: text });
  const changes: TableChange<string>[] = [];
  other.onChange((change) => {
    log.push(`told ${change.key}`);
    changes.push(change);
  });
  one.start();
  two.start();
  void two.join([one.self.address]);
  await memory.run(300);
  t.true(table.put('k', 'v'));
  t.false(table.put('k', 'v'));
  await memory.run(300);
  t.is(other.get('k'), 'v');
  t.is(other.author('k'), peerId('1'));
  other.put('mine', 'w');
  const ofTable = log.filter((line) => line !== 'save shared-until');
  t.deepEqual(ofTable, ['save k', 'told k', 'save mine', 'told mine']);
  t.true(other.remove('k'));
  await memory.run(300);
  t.is(table.get('k'), undefined);
  t.deepEqual(table.entries(), [{ key: 'mine', value: 'w', author: peerId('2') }]);
  t.deepEqual(changes.at(-1), {
    key: 'k',
    value: undefined,
    previous: 'v',
    origin: 'local',
    author: peerId('2'),
  });
});

test('a store that fails leaves a local change undone', (t) => {
  const memory = new MemoryMesh();
  const save = (): void => {
    throw new Error('disk full');
  };
  const one = memory.add('1', { rows: { save, drop: save } });
  const table = one.table('names', { validate: text });
  t.throws(() => table.put('k', 'v'), { message: 'disk full' });
  t.is(table.get('k'), undefined);
});

test('another host’s row that can’t be saved is used all the same, and counted', async (t) => {
  const memory = new MemoryMesh();
  const save = (table: string): void => {
    if (table === 'names') throw new Error('disk full');
  };
  const [one, two] = [memory.add('1'), memory.add('2', { rows: { save, drop: save } })];
  one.start();
  two.start();
  const [table, other] = [one, two].map((mesh) => mesh.table('names', { validate: text }));
  table?.put('k', 'v');
  void two.join([one.self.address]);
  await memory.run(100);
  t.is(other?.get('k'), 'v');
  t.is(two.counters()['rowSaveFailed'], 1);
});

test('saved rows are loaded again, and broken ones counted', (t) => {
  const memory = new MemoryMesh();
  const store = memoryStore();
  memory.add('1', { rows: store }).table('names', { validate: text }).put('k', 'v');
  const again = memory.add('1');
  const table = again.table('names', { validate: text });
  again.load([...store.rows.values(), Uint8Array.of(255)]);
  t.is(table.get('k'), 'v');
  t.is(again.counters()['rowMalformed'], 1);
});

test('meta and address changes of a live host reach the others', async (t) => {
  const memory = new MemoryMesh();
  const [one, two] = [memory.add('1'), memory.add('2')];
  one.start();
  two.start();
  void two.join([one.self.address]);
  await memory.run(100);
  two.setMeta(Uint8Array.of(1, 2));
  two.setAddress({ address: '192.0.2.200', port: 7783 });
  await memory.run(100);
  t.deepEqual(one.member(peerId('2'))?.meta, Uint8Array.of(1, 2));
  t.is(one.member(peerId('2'))?.address.address, '192.0.2.200');
});

test('stop ends joins and leaves, sets no timer again and stays silent', async (t) => {
  const memory = new MemoryMesh();
  const [one, two] = [memory.add('1'), memory.add('2')];
  one.start();
  two.start();
  void two.join([one.self.address]);
  await memory.run(100);
  const [joining, leaving] = [two.join([one.self.address]), two.leave()];
  two.stop();
  await leaving;
  const [outcome] = await joining;
  t.true(outcome?.ok === false && outcome.error.code === 'E_JOIN_UNREACHABLE');
  const before = two.counters()['datagramsSent'];
  await memory.run(5000);
  t.is(two.counters()['datagramsSent'], before);
});

for (const [name, change, code] of [
  [
    'a name with a space',
    { self: { id: peerId('1'), name: 'a b', address: { address: '192.0.2.1', port: 1 } } },
    'E_NAME_INVALID',
  ],
  ['a label of 65 bytes', { label: 'x'.repeat(65) }, 'E_NAME_INVALID'],
  [
    'an address that is a name',
    { self: { id: peerId('1'), name: 'a', address: { address: 'example.org', port: 1 } } },
    'E_ADDRESS_INVALID',
  ],
  [
    'meta of 513 bytes',
    {
      self: {
        id: peerId('1'),
        name: 'a',
        address: { address: '192.0.2.1', port: 1 },
        meta: new Uint8Array(513),
      },
    },
    'E_CONFIG',
  ],
] as const) {
  test(`${name} is refused`, (t) => {
    const error = t.throws(() => new MemoryMesh().add('1', change));
    t.true(isAppError(error, code));
  });
}
