import type { Command } from 'commander';
import type { Control } from '../api/control.ts';
import { DEFAULT_SOCKET, MAX_SOCKET_PATH_BYTES } from '../base/defaults.ts';
import { AppError } from '../base/errors.ts';

/** All that a command touches of the world: tests pass their own. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since the Unix epoch, for ages. */
  wallNow(): number;
  connect(socket: string): Promise<Control>;
}

/** Wrong flags or arguments, found before anything was asked of a daemon: exit status 2. */
export class UsageError extends AppError {}

function checkSocket(path: string): string {
  const bytes = Buffer.byteLength(path);
  if (bytes > 0 && bytes <= MAX_SOCKET_PATH_BYTES) return path;
  throw new UsageError(
    'E_USAGE',
    `The socket path "${path}" has ${bytes} bytes; give one of 1 to ${MAX_SOCKET_PATH_BYTES} with --socket or WEFT_SOCKET.`,
  );
}

/** What a command's action gets beside its own arguments. */
export class Context {
  readonly io: Io;
  /** Exit status of a command that ran without an error. */
  exitStatus = 0;

  constructor(io: Io) {
    this.io = io;
  }

  /** The daemon behind --socket, else WEFT_SOCKET, else the default socket. */
  control(command: Command): Promise<Control> {
    return this.io.connect(this.socketOf(command));
  }

  socketOf(command: Command): string {
    const { socket } = command.optsWithGlobals<{ socket?: string }>();
    return checkSocket(socket ?? (this.io.env['WEFT_SOCKET'] || DEFAULT_SOCKET));
  }

  /** Prints `data` as one JSON document with --json, else the words of `describe`. */
  show<T>(command: Command, data: T, describe: (data: T) => string): void {
    const { json } = command.opts<{ json?: boolean }>();
    this.io.out(json === true ? `${JSON.stringify(data, null, 2)}\n` : `${describe(data)}\n`);
  }
}

/** Adds a command's function to the program. */
export type AddCommand = (program: Command, context: Context) => void;

/** `--json`, for commands that print data. */
export function withJson(command: Command): Command {
  return command.option('--json', 'print one JSON document');
}
