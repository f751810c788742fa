import { join } from 'node:path';
import type { Control } from '../api/control.ts';
import { listenPrivately } from '../api/listen.ts';
import type { Face } from '../api/face.ts';
import { createServer, type ApiServer } from '../api/server.ts';
import type { Logger } from '../base/log.ts';
import { openMetricsServer } from '../metrics/server.ts';
import type { DockerDriver } from '../plugin/docker/driver.ts';
import { createPluginServer } from '../plugin/docker/server.ts';
import {
  acquireLock,
  createNotifier,
  watchSignals,
  type Notifier,
  type SignalSource,
} from './lifecycle.ts';
import type { DaemonOptions } from './options.ts';

/** A daemon that runs: what it can be asked, what it says when ready, how it ends. */
export interface RunningDaemon {
  readonly control: Control;
  /** What Docker can ask of it. */
  readonly docker: Pick<DockerDriver, 'call'>;
  /** What it can be asked in other forms. */
  readonly faces: readonly Face[];
  /** One line for stdout and the service manager; it holds the word `ready`. */
  readonly readyLine: string;
  /** Leaves the mesh and stops; containers' interfaces stay. */
  close(): Promise<void>;
}

/** What the service takes of its process; tests pass their own. */
export interface ServiceHost {
  readonly signals: SignalSource;
  readonly notifySocket: string | undefined;
  readonly logger: Logger;
  /** Writes to stdout. */
  out(text: string): void;
  /** Called once, when the daemon serves. */
  settled(): void;
  /** Ends the process at once. */
  exit(status: number): void;
}

/** What was started, to be taken down last first. A step that fails is logged and does not stop the rest. */
class Undo {
  readonly #steps: (() => Promise<void> | void)[] = [];
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  push(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  /** True if every step did its work. */
  async run(): Promise<boolean> {
    let isClean = true;
    for (const step of this.#steps.reverse()) {
      try {
        await step();
      } catch (error) {
        isClean = false;
        this.#logger.error({ err: error }, 'a part of the daemon did not stop cleanly');
      }
    }
    return isClean;
  }
}

function lockAll(options: DaemonOptions, undo: Undo): void {
  const state = acquireLock(
    join(options.stateDir, 'lock'),
    `the state directory ${options.stateDir}`,
  );
  undo.push(() => state.release());
  const socket = acquireLock(`${options.socket}.lock`, `the socket ${options.socket}`);
  undo.push(() => socket.release());
}

async function start(
  options: DaemonOptions,
  host: ServiceHost,
  startDaemon: (options: DaemonOptions, logger: Logger) => Promise<RunningDaemon>,
  undo: Undo,
): Promise<RunningDaemon> {
  lockAll(options, undo);
  const daemon = await startDaemon(options, host.logger);
  undo.push(() => daemon.close());
  const { socket } = options;
  const server: ApiServer = await createServer({
    control: daemon.control,
    faces: daemon.faces,
    socket,
    logger: host.logger,
  });
  undo.push(() => server.close());
  if (options.metrics !== undefined) {
    const { control } = daemon;
    const metrics = await openMetricsServer({ control, at: options.metrics, logger: host.logger });
    undo.push(() => metrics.close());
  }
  if (options.dockerPlugin !== undefined) {
    undo.push(await openDockerPlugin(daemon.docker, options.dockerPlugin));
  }
  return daemon;
}

/** Returns how to close it again. */
async function openDockerPlugin(
  driver: RunningDaemon['docker'],
  path: string,
): Promise<() => Promise<void>> {
  const server = createPluginServer(driver);
  await listenPrivately(server, path);
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
}

function announce({ readyLine }: RunningDaemon, host: ServiceHost, notifier: Notifier): void {
  host.out(`${readyLine}\n`);
  notifier.ready(readyLine);
  host.settled();
}

/**
 * One daemon's life: locks, daemon, control socket, ready line and READY=1; then waits for a signal
 * and takes all down in the opposite order. Resolves with the exit status; rejects with what hindered
 * the start, everything undone. A signal during the start stops it as soon as it has started.
 */
export async function runService(
  options: DaemonOptions,
  host: ServiceHost,
  startDaemon: (options: DaemonOptions, logger: Logger) => Promise<RunningDaemon>,
): Promise<number> {
  const undo = new Undo(host.logger);
  const notifier = createNotifier(host.notifySocket, host.logger);
  const signals = watchSignals(host.signals, (status) => host.exit(status));
  try {
    announce(await start(options, host, startDaemon, undo), host, notifier);
    const signal = await signals.first;
    notifier.stopping();
    host.logger.info({ signal }, 'stopping');
    return (await undo.run()) ? 0 : 1;
  } catch (error) {
    await undo.run();
    throw error;
  } finally {
    signals.dispose();
  }
}
