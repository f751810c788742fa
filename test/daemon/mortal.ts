import type { Clock } from '../../src/base/clock.ts';
import { asMillis } from '../../src/base/types.ts';
import type { Key, Store } from '../../src/daemon/store.ts';
import type { IpCommand } from '../../src/os/ip-command.ts';
import type { Nft } from '../../src/os/nft.ts';
import type { PolicyRouting } from '../../src/os/policy-routing.ts';
import type { FakeKernel } from '../fakes/fake-kernel.ts';
import type { ManualClock } from '../fakes/manual-clock.ts';

/** Where in a deed the process dies: with nothing of it done, a part (of a batch for ip(8)), or all. */
export type Cut = 'before' | 'within' | 'after';
export const CUTS = ['before', 'within', 'after'] as const satisfies readonly Cut[];

/** When the process dies: at its deed number `at`, counted from 1. */
export interface Death {
  readonly at: number;
  readonly cut: Cut;
}

/** What a synchronous deed throws after death: nobody must live to see it. */
class Dead extends Error {}

/** Longer than a round of gossip: the others hear of a row before it is on the disk. */
const DEED_TAKES = asMillis(250);

/**
 * A process that a test kills at one of its deeds: a write to the disk, a change of the kernel. Dead,
 * it does nothing more: its promises never settle and its timers never run.
 */
export class Life {
  readonly over: Promise<'dead'>;
  deeds = 0;
  isOver = false;
  readonly #clock: ManualClock;
  #death: Death | undefined;
  readonly #atDeath: (() => void)[] = [];
  #end: (how: 'dead') => void = () => undefined;

  constructor(clock: ManualClock, death?: Death) {
    this.#clock = clock;
    this.#death = death;
    this.over = new Promise((resolve) => (this.#end = resolve));
  }

  /** What the kernel does when a process ends. */
  atDeath(act: () => void): void {
    this.#atDeath.push(act);
  }

  /** Dies later than thought at birth, or sooner: its deeds are counted from here. */
  doom({ at, cut }: Death): void {
    this.#death = { at: this.deeds + at, cut };
  }

  kill(): void {
    if (this.isOver) return;
    this.isOver = true;
    for (const act of this.#atDeath) act();
    this.#end('dead');
  }

  /** Takes its time, then does `deed`, unless the process dies here; `part` is what "within" leaves done. */
  async do<T>(deed: () => T | Promise<T>, part?: () => unknown): Promise<T> {
    await new Promise<void>((resolve) => void this.clock.after(DEED_TAKES, resolve));
    const cut = this.#next();
    if (cut === 'before') return this.#never();
    if (cut === undefined) return deed();
    try {
      await (cut === 'within' ? part?.() : deed());
    } catch {
      // The kernel refuses what the process would have borne: it dies all the same.
    }
    return this.#never();
  }

  /** A deed that the event loop waits for, and which has no parts. */
  doNow<T>(deed: () => T): T {
    if (this.isOver) throw new Dead();
    const cut = this.#next();
    if (cut === undefined) return deed();
    if (cut === 'after') deed();
    this.kill();
    throw new Dead();
  }

  /** A look at the world, which changes nothing. */
  look<T>(at: () => Promise<T>): Promise<T> {
    return this.isOver ? this.#never() : at();
  }

  readonly clock: Clock = {
    now: () => this.#clock.now(),
    wallNow: () => this.#clock.wallNow(),
    after: (delay, run) =>
      this.#clock.after(delay, () => {
        if (!this.isOver) run();
      }),
  };

  /** Counts a deed; how it is cut if it is the last. */
  #next(): Cut | undefined {
    this.deeds++;
    return this.deeds === this.#death?.at ? this.#death.cut : undefined;
  }

  #never<T>(): Promise<T> {
    this.kill();
    return new Promise<T>(() => undefined);
  }
}

/** A store on a disk in memory, which outlives the process. */
export class MortalStore implements Store {
  readonly #disk: Map<string, Buffer>;
  readonly #life: Life;
  #last: Promise<unknown> = Promise.resolve();

  constructor(disk: Map<string, Buffer>, life: Life) {
    this.#disk = disk;
    this.#life = life;
  }

  get(key: Key): Buffer | undefined {
    return this.#disk.get(key.join('\0'));
  }

  list(word: string): Buffer[] {
    const found = [...this.#disk].filter(([key]) => key.startsWith(`${word}\0`));
    return found.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, bytes]) => bytes);
  }

  put(key: Key, bytes: Uint8Array): Promise<void> {
    return this.#write(() => void this.#disk.set(key.join('\0'), Buffer.from(bytes)));
  }

  remove(key: Key): Promise<void> {
    return this.#write(() => void this.#disk.delete(key.join('\0')));
  }

  putNow(key: Key, bytes: Uint8Array): void {
    this.#life.doNow(() => void this.#disk.set(key.join('\0'), Buffer.from(bytes)));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #write(deed: () => void): Promise<void> {
    const done = this.#last.then(() => this.#life.do(deed));
    this.#last = done;
    return done;
  }
}

const CHANGES: ReadonlySet<keyof FakeKernel> = new Set([
  'disableIpv6',
  'enableIpv6',
  'makeGateway',
  'setForwarding',
  'makeHostPort',
  'announceAddresses',
]);

/** The kernel as a mortal process sees it; the kernel itself lives on. */
export function mortalKernel(kernel: FakeKernel, life: Life): FakeKernel {
  const apply = (commands: readonly IpCommand[], within?: string): Promise<void> =>
    commands.length === 0
      ? life.look(() => kernel.apply(commands, within))
      : life.do(
          () => kernel.apply(commands, within),
          () => kernel.apply(commands.slice(0, -1), within),
        );
  return new Proxy(kernel, {
    get(target, name: keyof FakeKernel) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      const call = value.bind(target) as (...words: unknown[]) => Promise<unknown>;
      if (name === 'apply') return apply;
      return CHANGES.has(name)
        ? (...words: unknown[]) => life.do(() => call(...words))
        : (...words: unknown[]) => life.look(() => call(...words));
    },
  });
}

/** Tables of nftables as a mortal process sees them; a transaction is done whole or not at all. */
export function mortalNft(nft: Nft, life: Life): Nft {
  return {
    apply: (commands) => life.do(() => nft.apply(commands)),
    list: (table) => life.look(() => nft.list(table)),
  };
}

/** Rules and routes as a mortal process sees them. */
export function mortalPolicyRouting(routing: PolicyRouting, life: Life): PolicyRouting {
  return {
    list: () => life.look(() => routing.list()),
    change: (gone, added) =>
      gone.length + added.length === 0
        ? life.look(() => routing.change(gone, added))
        : life.do(
            () => routing.change(gone, added),
            () => routing.change(gone, added.slice(0, 1)),
          ),
  };
}
