import { pino, type DestinationStream } from 'pino';
import type pinoPretty from 'pino-pretty';
import type { Logger } from '../base/log.ts';
import type { LogLevel } from './options.ts';

export interface LogOptions {
  readonly level: LogLevel;
  /** Where lines go; default stderr (stdout holds the ready line alone). */
  readonly destination?: DestinationStream;
  /** Words and colours for a person instead of JSON; default: whether stderr is a terminal. */
  readonly isPretty?: boolean;
}

type Pretty = typeof pinoPretty;

/** A service logs JSON and has no use for what it takes to please a person. */
async function loadPretty(): Promise<Pretty> {
  return (await import('pino-pretty')).default;
}

/** Synchronous: the last line before a crash is the one that is wanted. */
function standardDestination(pretty: Pretty | undefined): DestinationStream {
  return pretty === undefined
    ? pino.destination({ dest: 2, sync: true })
    : pretty({
        destination: 2,
        sync: true,
        ignore: 'pid,hostname',
        translateTime: 'SYS:HH:MM:ss.l',
      });
}

/** The daemon's log: one JSON object a line, with an ISO time and the level as a word. */
export async function createLogger({ level, destination, isPretty }: LogOptions): Promise<Logger> {
  const isWanted = destination === undefined && (isPretty ?? process.stderr.isTTY);
  const stream = destination ?? standardDestination(isWanted ? await loadPretty() : undefined);
  const logger: Logger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.err, error: pino.stdSerializers.err },
    },
    stream,
  );
  return logger;
}
