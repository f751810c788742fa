import { AppError } from '../base/errors.ts';
import { createLogger } from './log.ts';
import type { DaemonOptions } from './options.ts';
import { runService } from './service.ts';

/** Runs a daemon in this process until a signal ends it; resolves with the exit status. */
export function runDaemon(options: DaemonOptions): Promise<number> {
  return runService(
    options,
    {
      signals: process,
      notifySocket: process.env['NOTIFY_SOCKET'],
      logger: createLogger({ level: options.logLevel }),
      out: (text) => void process.stdout.write(text),
      exit: (status) => process.exit(status),
    },
    // The composition root (daemon.ts) is joined in here.
    () => Promise.reject(new AppError('E_PLATFORM', 'This build has no data plane.')),
  );
}
