/** What modules may say to the log: a shape that pino's logger already has. Fields first, then a fixed text. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

const ignore = (): void => undefined;

/** The null object: for tests and tools that have no log. */
export const nullLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
