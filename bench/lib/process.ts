import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Ends the program with SIGKILL after this long. Default 60 s. */
  readonly timeoutMs?: number;
  readonly input?: string;
  /** Ends the program with SIGKILL when it says so. */
  readonly signal?: AbortSignal;
}

/** Runs a program to its end and reports how it ended; rejects only if it can't be started. */
export function tryRun(
  program: string,
  args: readonly string[],
  { timeoutMs = 60_000, input, signal }: RunOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 64 * 2 ** 20, signal },
      (error, stdout, stderr) => {
        if (error === null) resolve({ status: 0, stdout, stderr });
        else if (typeof error.code === 'number') resolve({ status: error.code, stdout, stderr });
        else if (signal?.aborted === true)
          resolve({ status: 137, stdout, stderr: `${stderr}ended` });
        else if (error.killed) resolve({ status: 124, stdout, stderr: `${stderr}timed out` });
        else reject(new Error(`can not start ${program}: ${error.message}`, { cause: error }));
      },
    );
    // A program that ends without reading its input closes the pipe; its status tells the story.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** Runs a program and returns its stdout; rejects with its stderr if it fails. */
export async function run(
  program: string,
  args: readonly string[],
  options?: RunOptions,
): Promise<string> {
  const { status, stdout, stderr } = await tryRun(program, args, options);
  if (status === 0) return stdout;
  throw new Error(`${program} ${args.join(' ')}: status ${status}: ${stderr.trim() || stdout}`);
}

/** What a program finds on its standard input: its end at once, or the lines that `say` gives it. */
export type ProgramInput = 'none' | 'lines';

interface LineWaiter {
  offer(line: string): void;
  fail(why: string): void;
}

/**
 * A long-running program whose output (stdout and stderr, by line) is kept and can be waited on.
 * `stop` ends it and settles only when it is gone.
 */
export class LabProcess {
  readonly #child: ChildProcess;
  readonly #title: string;
  readonly #lines: string[] = [];
  readonly #waiters = new Set<LineWaiter>();
  readonly #exited: Promise<number>;
  #isRunning = true;

  constructor(
    program: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = process.env,
    input: ProgramInput = 'none',
  ) {
    this.#title = [program, ...args].join(' ');
    const stdin = input === 'none' ? 'ignore' : 'pipe';
    this.#child = spawn(program, args, { stdio: [stdin, 'pipe', 'pipe'], env });
    // A program that ends without reading its input closes the pipe; whoever waits for it is told.
    this.#child.stdin?.on('error', () => undefined);
    this.#collect(this.#child.stdout);
    this.#collect(this.#child.stderr);
    this.#exited = new Promise((resolve) => {
      this.#child.once('error', (error) => this.#end(-1, error.message, resolve));
      this.#child.once('close', (code, signal) =>
        this.#end(code ?? -1, `ended with ${signal ?? `status ${code}`}`, resolve),
      );
    });
  }

  /** Undefined if the program could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** All that it has said so far. */
  get output(): string {
    return this.#lines.join('\n');
  }

  /** Exit status; -1 if a signal ended it. Settles after its last output was read. */
  get exited(): Promise<number> {
    return this.#exited;
  }

  /** The first line, past or to come, that `pattern` matches; rejects with the output so far otherwise. */
  waitForLine(pattern: RegExp, timeoutMs = 20_000): Promise<RegExpExecArray> {
    for (const line of this.#lines) {
      const match = pattern.exec(line);
      if (match !== null) return Promise.resolve(match);
    }
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
      };
      const waiter: LineWaiter = {
        offer: (line) => {
          const match = pattern.exec(line);
          if (match === null) return;
          settle();
          resolve(match);
        },
        fail: (why) => {
          settle();
          reject(new Error(`${this.#title}: no line ${pattern}: ${why}\n${this.output}`));
        },
      };
      const timer = setTimeout(() => waiter.fail(`waited ${timeoutMs} ms`), timeoutMs);
      if (this.#isRunning) this.#waiters.add(waiter);
      else waiter.fail('it has ended');
    });
  }

  /** Writes a line to a program that was started with the input `lines`. */
  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#isRunning) this.#child.kill(signal);
  }

  /** SIGTERM, then SIGKILL after `graceMs`; returns the exit status. Safe to call again. */
  async stop(graceMs = 5_000): Promise<number> {
    this.signal('SIGTERM');
    const killer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    const status = await this.#exited;
    clearTimeout(killer);
    return status;
  }

  #collect(stream: ChildProcess['stdout']): void {
    let rest = '';
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#hear(line);
    });
    if (stream) void once(stream, 'close').then(() => rest !== '' && this.#hear(rest));
  }

  #hear(line: string): void {
    this.#lines.push(line);
    for (const waiter of [...this.#waiters]) waiter.offer(line);
  }

  #end(status: number, why: string, resolve: (status: number) => void): void {
    this.#isRunning = false;
    for (const waiter of [...this.#waiters]) waiter.fail(why);
    resolve(status);
  }
}
