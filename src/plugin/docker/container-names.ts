import type { Plumbing } from '../../api/plumbing.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import { canonicalDnsName } from '../../base/dns-name.ts';
import type { Logger } from '../../base/log.ts';
import { asMillis } from '../../base/types.ts';
import type { Container, EngineApi, Watch } from './engine-api.ts';
import { weftEndpointId } from './endpoint-id.ts';

export interface ContainerNamesOptions {
  readonly engine: EngineApi;
  readonly plumbing: Pick<Plumbing, 'plugged' | 'name' | 'refuseTransit'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Between two attempts to reach an engine; twice as long after each that failed. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
/** As many as an endpoint may have. */
const MAX_NAMES = 16;

/**
 * Gives endpoints of Docker the names that their containers have, and tells their interfaces not to
 * forward: for either the driver API tells too little, and the engine's own API enough. Whoever starts to listen looks at all containers, so nothing is missed between
 * two connections; an engine that is not there is waited for, and nothing else waits for it.
 */
export class ContainerNames {
  readonly #options: ContainerNamesOptions;
  /** Containers being looked at, and whether something happened to them meanwhile. */
  readonly #looks = new Map<string, { isStale: boolean }>();
  #watch: Watch | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #pause: { readonly timer: Timer; readonly end: () => void } | undefined;
  #isStopped = false;

  constructor(options: ContainerNamesOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#follow();
  }

  /** The engine has shown that it lives. */
  wake(): void {
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#pause?.timer.cancel();
    this.#pause?.end();
  }

  stop(): void {
    this.#isStopped = true;
    this.#watch?.stop();
    this.#options.engine.close();
    this.wake();
  }

  async #follow(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#listen();
        this.#pauseMs = FIRST_PAUSE_MS;
      } catch (error) {
        this.#options.log.debug({ reason: String(error) }, 'the container engine does not answer');
      }
      const ms = this.#pauseMs;
      this.#pauseMs = Math.min(2 * ms, LONGEST_PAUSE_MS);
      await this.#wait(ms);
    }
  }

  /** Settles when the engine has gone. */
  async #listen(): Promise<void> {
    const { engine, log } = this.#options;
    const watch = await engine.watch((id) => void this.#look(id));
    this.#watch = watch;
    try {
      if (this.#isStopped) return;
      const ids = await engine.running();
      log.info({ containers: ids.length }, 'following the names of containers');
      for (const id of ids) void this.#look(id);
      await watch.ended;
    } finally {
      watch.stop();
      this.#watch = undefined;
    }
  }

  #wait(ms: number): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        this.#pause = undefined;
        resolve();
      };
      this.#pause = { timer: this.#options.clock.after(asMillis(ms), end), end };
    });
  }

  /** One look at a container at a time, and another if something happened during the last. */
  async #look(id: string): Promise<void> {
    const running = this.#looks.get(id);
    if (running !== undefined) {
      running.isStale = true;
      return;
    }
    const look = { isStale: true };
    this.#looks.set(id, look);
    while (look.isStale && !this.#isStopped) {
      look.isStale = false;
      await this.#name(id);
    }
    this.#looks.delete(id);
  }

  async #name(id: string): Promise<void> {
    const { engine, plumbing, log } = this.#options;
    try {
      const container = await engine.inspect(id);
      if (container === undefined) return;
      for (const endpoint of container.endpoints) {
        const known = weftEndpointId(endpoint.id);
        if (plumbing.plugged(known) === undefined) continue;
        await plumbing.name(known, namesOf(container, endpoint.aliases));
        const { pid, mayForward } = container;
        if (pid > 0 && !mayForward) await plumbing.refuseTransit(known, pid);
      }
    } catch (error) {
      log.warn(
        { container: id.slice(0, 12), reason: String(error) },
        'a container was not looked after',
      );
    }
  }
}

/** What of a container's names DNS can hold, each once. */
function namesOf({ name, hostname }: Container, aliases: readonly string[]): readonly string[] {
  const canonical = [name, ...aliases, hostname].map((text) => canonicalDnsName(text));
  const usable = canonical.filter((each) => each !== undefined);
  return [...new Set(usable)].slice(0, MAX_NAMES);
}
