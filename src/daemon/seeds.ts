import type { Clock, Timer } from '../base/clock.ts';
import { isAppError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import { asMillis, type SocketAddress } from '../base/types.ts';
import { resolveTarget } from './targets.ts';

/** How long before a name that had no address is looked up again. */
const LOOK_UP_AGAIN_AFTER = asMillis(5_000);

export interface SeedBookOptions {
  readonly mesh: { setSeeds(seeds: readonly SocketAddress[]): void };
  readonly clock: Clock;
  readonly log: Logger;
  readonly defaultPort: number;
}

/**
 * The addresses that this host calls, for ever, until a member answers there: the peers it knew before
 * and those it was told to join at start. Names that don't resolve yet (a network that comes up after
 * the daemon) are looked up until they do.
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
    for (const target of targets) void this.#lookUp(target);
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) timer.cancel();
  }

  #add(addresses: readonly SocketAddress[]): void {
    for (const each of addresses) this.#seeds.set(`${each.address} ${each.port}`, each);
    if (addresses.length > 0) this.#options.mesh.setSeeds([...this.#seeds.values()]);
  }

  async #lookUp(target: string): Promise<void> {
    const { defaultPort, log, clock } = this.#options;
    try {
      const addresses = await resolveTarget(target, defaultPort);
      if (!this.#isStopped) this.#add(addresses);
    } catch (error) {
      if (!isAppError(error)) throw error;
      log.warn({ target, reason: error.message }, 'host to join not found; looking again in 5 s');
      if (this.#isStopped) return;
      const timer = clock.after(LOOK_UP_AGAIN_AFTER, () => {
        this.#timers.delete(timer);
        void this.#lookUp(target);
      });
      this.#timers.add(timer);
    }
  }
}
