import test from 'ava';
import { nullLogger } from '../../../src/base/log.ts';
import { ContainerNames } from '../../../src/plugin/docker/container-names.ts';
import type { Container, EngineApi, Watch } from '../../../src/plugin/docker/engine-api.ts';
import { ManualClock } from '../../fakes/manual-clock.ts';

const id = (digit: string): string => digit.repeat(64);
const weftId = (digit: string): string => digit.repeat(32);

/** An engine in memory that can be stopped and started. */
class FakeApi implements EngineApi {
  readonly containers = new Map<string, Container>();
  isUp = true;
  attempts = 0;
  inspections = 0;
  /** Holds answers back until it settles. */
  hold: Promise<void> = Promise.resolve();
  #changed: ((id: string) => void) | undefined;
  #end: (() => void) | undefined;

  running(): Promise<readonly string[]> {
    return Promise.resolve([...this.containers.keys()]);
  }

  async inspect(container: string): Promise<Container | undefined> {
    this.inspections++;
    const found = this.containers.get(container);
    await this.hold;
    return found;
  }

  watch(changed: (id: string) => void): Promise<Watch> {
    this.attempts++;
    if (!this.isUp) return Promise.reject(new Error('ECONNREFUSED'));
    this.#changed = changed;
    const ended = new Promise<void>((resolve) => (this.#end = resolve));
    return Promise.resolve({ ended, stop: () => this.#end?.() });
  }

  close(): void {
    this.#end?.();
  }

  tell(container: string): void {
    this.#changed?.(container);
  }

  stop(): void {
    this.isUp = false;
    this.#end?.();
  }
}

const settle = async (): Promise<void> => {
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
};

function follow() {
  const engine = new FakeApi();
  const clock = new ManualClock();
  const given: Record<string, readonly string[]> = {};
  const known = new Set([weftId('1'), weftId('2')]);
  const closed: string[] = [];
  const names = new ContainerNames({
    ...{ engine, clock, log: nullLogger },
    plumbing: {
      plugged: (endpoint) => (known.has(endpoint) ? ({} as never) : undefined),
      name: (endpoint, texts) => {
        given[endpoint] = texts;
        return Promise.resolve();
      },
      refuseTransit: (endpoint, pid) => {
        closed.push(`${endpoint} ${pid}`);
        return Promise.resolve();
      },
    },
  });
  return { engine, clock, given, closed, names };
}

const container = (name: string, endpoint: string, ...aliases: string[]): Container => ({
  ...{ name, hostname: `${name}-host`, pid: 7, mayForward: false },
  endpoints: [{ id: id(endpoint), aliases }],
});

test('containers that are there and those that come get their names; those of other drivers none', async (t) => {
  const { engine, given, names } = follow();
  engine.containers.set('a', container('Web', '1', 'www', 'web', 'no name!'));
  engine.containers.set('c', container('other', '3'));
  names.start();
  await settle();
  t.deepEqual(given, { [weftId('1')]: ['web', 'www', 'web-host'] });
  engine.containers.set('b', container('db', '2'));
  engine.tell('b');
  await settle();
  t.deepEqual(given[weftId('2')], ['db', 'db-host']);
  engine.tell('gone');
  await settle();
  t.deepEqual(Object.keys(given).length, 2);
  names.stop();
});

test('who runs and was not told to forward is told not to', async (t) => {
  const { engine, closed, names } = follow();
  engine.containers.set('a', container('web', '1'));
  engine.containers.set('b', { ...container('vpn', '2'), mayForward: true });
  engine.containers.set('c', { ...container('idle', '2'), pid: 0 });
  names.start();
  await settle();
  t.deepEqual(closed, [`${weftId('1')} 7`]);
  names.stop();
});

test('what happens to a container while it is looked at is looked at again, once', async (t) => {
  const { engine, given, names } = follow();
  names.start();
  await settle();
  let release = (): void => undefined;
  engine.hold = new Promise((resolve) => (release = resolve));
  engine.containers.set('a', container('old', '1'));
  for (let times = 0; times < 3; times++) engine.tell('a');
  engine.containers.set('a', container('new', '1'));
  engine.tell('a');
  release();
  await settle();
  t.deepEqual(given[weftId('1')], ['new', 'new-host']);
  t.is(engine.inspections, 2);
  names.stop();
});

test('an engine that is away is tried ever less often, and at once when it has called', async (t) => {
  const { engine, clock, given, names } = follow();
  engine.isUp = false;
  names.start();
  await settle();
  for (let second = 0; second < 300; second++) {
    clock.advance(1000);
    await settle();
  }
  const { attempts } = engine;
  t.true(attempts > 12 && attempts < 24, String(attempts));
  engine.isUp = true;
  engine.containers.set('a', container('web', '1'));
  names.wake();
  await settle();
  t.deepEqual(given[weftId('1')], ['web', 'web-host']);
  // It ends and comes back: all that happened meanwhile is seen.
  engine.stop();
  engine.containers.set('b', container('db', '2'));
  engine.isUp = true;
  await settle();
  clock.advance(1000);
  await settle();
  t.deepEqual(given[weftId('2')], ['db', 'db-host']);
  names.stop();
  await settle();
  const last = engine.attempts;
  clock.advance(100_000);
  await settle();
  t.is(engine.attempts, last);
});
