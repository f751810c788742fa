import type { Clock, Timer } from '../base/clock.ts';
import { isAppError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { asMillis, formatSocketAddress, type SocketAddress } from '../base/types.ts';

/** How long before a name that had no address is looked up again. */
const LOOK_UP_AGAIN_AFTER = asMillis(5_000);

export interface SeedBookOptions {
  readonly mesh: { setSeeds(seeds: readonly SocketAddress[]): void };
  /** Every address of a `HOST[:PORT]`; rejects with an AppError if it has none now. */
  readonly resolve: (target: string) => Promise<readonly SocketAddress[]>;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The addresses that this host calls, for ever, until a member answers there: the peers it knew before
 * and those it was told to join at start. Names that don't resolve yet (a network that comes up after
 * the daemon) are looked up until they do; the log tells the first failure and the success.
 */
export class SeedBook {
  readonly #options: SeedBookOptions;
  readonly #seeds = new Map<string, SocketAddress>();
  readonly #timers = new Set<Timer>();
  #isStopped = false;

  constructor(options: SeedBookOptions) {
    this.#options = options;
  }

  start(known: readonly SocketAddress[], targets: readonly string[]): void {
    this.#add(known);
    for (const target of targets) void this.#lookUp(target, false);
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) timer.cancel();
  }

  #add(addresses: readonly SocketAddress[]): void {
    for (const each of addresses) this.#seeds.set(formatSocketAddress(each), each);
    if (addresses.length > 0) this.#options.mesh.setSeeds([...this.#seeds.values()]);
  }

  async #lookUp(target: string, hasFailed: boolean): Promise<void> {
    const { resolve, log } = this.#options;
    try {
      const addresses = await resolve(target);
      if (this.#isStopped) return;
      if (hasFailed) log.info({ target }, 'host to join found');
      this.#add(addresses);
    } catch (error) {
      if (!isAppError(error)) throw error;
      if (this.#isStopped) return;
      const level = hasFailed ? 'debug' : 'warn';
      const reason = error.message;
      log[level]({ target, reason }, 'host to join not found; looking again every 5 s');
      this.#lookUpAgain(target);
    }
  }

  #lookUpAgain(target: string): void {
    const timer = this.#options.clock.after(LOOK_UP_AGAIN_AFTER, () => {
      this.#timers.delete(timer);
      void this.#lookUp(target, true);
    });
    this.#timers.add(timer);
  }
}
