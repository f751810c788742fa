import { systemClock } from '../base/clock.ts';
import { systemRng } from '../base/rng.ts';
import { startDaemon } from './daemon.ts';
import { giveBack } from './footprint.ts';
import { createLogger } from './log.ts';
import type { DaemonOptions } from './options.ts';
import { runService } from './service.ts';
import { systemSeams } from './system.ts';

/** Runs a daemon in this process until a signal ends it; resolves with the exit status. */
export async function runDaemon(options: DaemonOptions): Promise<number> {
  const logger = await createLogger({ level: options.logLevel });
  return runService(
    options,
    {
      signals: process,
      notifySocket: process.env['NOTIFY_SOCKET'],
      logger,
      out: (text) => void process.stdout.write(text),
      settled: () => giveBack(systemClock),
      exit: (status) => process.exit(status),
    },
    (wanted, log) => {
      const deps = { clock: systemClock, rng: systemRng, log };
      return startDaemon(wanted, { ...deps, seams: systemSeams(deps) });
    },
  );
}
