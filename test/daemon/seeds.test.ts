import test from 'ava';
import { AppError } from '../../src/base/errors.ts';
import { nullLogger } from '../../src/base/log.ts';
import { asMillis, type SocketAddress } from '../../src/base/types.ts';
import { SeedBook } from '../../src/daemon/seeds.ts';
import { ManualClock } from '../fakes/manual-clock.ts';

const KNOWN: SocketAddress = { address: '192.0.2.9', port: 7783 };
const FOUND: SocketAddress = { address: '192.0.2.1', port: 7783 };

/** A book whose names are in `names`, and what came of it. */
function fixture(names: Map<string, SocketAddress>) {
  const said: string[] = [];
  const seeds: (readonly SocketAddress[])[] = [];
  const clock = new ManualClock();
  const book = new SeedBook({
    mesh: { setSeeds: (all) => void seeds.push(all) },
    resolve: (target) => {
      const address = names.get(target);
      return address === undefined
        ? Promise.reject(new AppError('E_JOIN_UNRESOLVED', `The name "${target}" has no address.`))
        : Promise.resolve([address]);
    },
    clock,
    log: {
      ...nullLogger,
      warn: (_fields, message) => void said.push(`warn ${message}`),
      info: (_fields, message) => void said.push(`info ${message}`),
    },
  });
  /** Lets the look-ups under way end, then passes five seconds. */
  const pass = async (): Promise<void> => {
    await new Promise(setImmediate);
    clock.advance(asMillis(5_000));
    await new Promise(setImmediate);
  };
  return { book, clock, said, seeds, pass };
}

test('a name is looked up until it resolves; the log tells the first failure and the success', async (t) => {
  const names = new Map<string, SocketAddress>();
  const { book, clock, said, seeds, pass } = fixture(names);
  book.start([KNOWN], ['host-a']);
  for (let round = 0; round < 100; round++) await pass();
  t.deepEqual(said, ['warn host to join not found; looking again every 5 s']);
  t.deepEqual(seeds, [[KNOWN]]);

  names.set('host-a', FOUND);
  await pass();
  t.deepEqual(said.slice(1), ['info host to join found']);
  t.deepEqual(seeds.at(-1), [KNOWN, FOUND]);
  t.is(clock.pendingTimers, 0);
});

test('a stopped book looks up nothing more', async (t) => {
  const { book, clock, seeds, pass } = fixture(new Map());
  book.start([], ['host-a']);
  await pass();
  book.stop();
  await pass();
  t.is(clock.pendingTimers, 0);
  t.deepEqual(seeds, []);
});
