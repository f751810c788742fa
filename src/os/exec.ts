import { execFile } from 'node:child_process';
import { AppError } from '../base/errors.ts';
import { asMillis, type Millis } from '../base/types.ts';

export interface RunOptions {
  /** Written to the program's standard input, which is then closed. */
  readonly input?: string;
  /** The program is killed after this long. Default 10 s. */
  readonly timeout?: Millis;
}

/** The seam through which Weft runs other programs: never by way of a shell. */
export interface Exec {
  /**
   * Runs a program to its end and resolves with its standard output.
   * Rejects with `CommandFailed` if it can't be started, fails, says too much or takes too long.
   */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<string>;
}

/** All that a program wrote. */
export interface CommandOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that did not do what was asked of it. Its sentence names the command and the cause. */
export class CommandFailed extends AppError {
  /** What it wrote before it failed; empty if it could not be started. */
  readonly stdout: string;
  readonly stderr: string;

  constructor(message: string, output: Partial<CommandOutput> = {}, cause?: unknown) {
    super('E_COMMAND_FAILED', message, { cause });
    this.stdout = output.stdout ?? '';
    this.stderr = output.stderr ?? '';
  }
}

export const DEFAULT_TIMEOUT = asMillis(10_000);
const MAX_OUTPUT_BYTES = 16 * 2 ** 20;

/** Debian's package of each program that Weft calls, for the sentence that says it is missing. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nsenter: 'util-linux',
  nft: 'nftables',
  tc: 'iproute2',
};

/** Where ip(8) and nft(8) live: before PATH, or a development tree's programs of those names would run. */
const SYSTEM_FOLDERS = '/usr/sbin:/usr/bin:/sbin:/bin';

/** A service manager may start a daemon without those folders; messages stay English. */
function environment(): NodeJS.ProcessEnv {
  return { ...process.env, PATH: `${SYSTEM_FOLDERS}:${process.env['PATH'] ?? ''}`, LC_ALL: 'C' };
}

interface Failure extends Error {
  readonly code?: string | number | null | undefined;
  readonly killed?: boolean | undefined;
}

/** The first line of what a program said, without its full stop, to stand in a sentence. */
export function firstLine(text: string): string {
  return (text.trim().split('\n', 1)[0] ?? '').replace(/\.$/, '');
}

function sentence(program: string, args: readonly string[], failure: Failure, stderr: string) {
  const command = `"${[program, ...args].join(' ')}"`;
  if (failure.code === 'ENOENT') {
    const name = PACKAGES[program];
    return `${program} is not on this host; install ${name ? `the package ${name}` : 'it'} and try again.`;
  }
  if (failure.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') {
    return `${command} wrote more than ${MAX_OUTPUT_BYTES} bytes; run it by hand to see what it says.`;
  }
  if (failure.killed) {
    return `${command} did not end in time and was killed; see whether the host is overloaded and try again.`;
  }
  const why = firstLine(stderr) || `it ended with status ${failure.code ?? 'unknown'}`;
  return `${command} failed: ${why}; run it by hand as root to see more.`;
}

/** Runs programs of this host. */
export const systemExec: Exec = {
  run(program, args, { input = '', timeout = DEFAULT_TIMEOUT } = {}) {
    return new Promise((resolve, reject) => {
      const child = execFile(
        program,
        args,
        { timeout, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES, env: environment() },
        (failure, stdout, stderr) => {
          if (failure === null) resolve(stdout);
          else {
            const message = sentence(program, args, failure, stderr);
            reject(new CommandFailed(message, { stdout, stderr }, failure));
          }
        },
      );
      // A program that ends without reading its input closes the pipe; its status tells the story.
      child.stdin?.on('error', () => undefined);
      child.stdin?.end(input);
    });
  },
};
