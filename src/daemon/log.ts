import { pino, type DestinationStream } from 'pino';
import pretty from 'pino-pretty';
import type { Logger } from '../base/log.ts';
import type { LogLevel } from './options.ts';

export interface LogOptions {
  readonly level: LogLevel;
  /** Where lines go; default stderr (stdout holds the ready line alone). */
  readonly destination?: DestinationStream;
  /** Words and colours for a person instead of JSON; default: whether stderr is a terminal. */
  readonly isPretty?: boolean;
}

function standardDestination(isPretty: boolean): DestinationStream {
  // Synchronous: the last line before a crash is the one that is wanted.
  return isPretty
    ? pretty({
        destination: 2,
        sync: true,
        ignore: 'pid,hostname',
        translateTime: 'SYS:HH:MM:ss.l',
      })
    : pino.destination({ dest: 2, sync: true });
}

/** The daemon's log: one JSON object a line, with an ISO time and the level as a word. */
export function createLogger({ level, destination, isPretty }: LogOptions): Logger {
  const stream = destination ?? standardDestination(isPretty ?? process.stderr.isTTY);
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err },
    },
    stream,
  );
}
