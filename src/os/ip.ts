import { isAppError } from '../base/errors.ts';
import { CommandFailed, firstLine, type Exec } from './exec.ts';
import { ipWords, undoCommands, type IpCommand } from './ip-command.ts';
import {
  readLinks,
  readNeighbours,
  readRoutes,
  type Link,
  type Neighbour,
  type Route,
} from './ip-json.ts';

/**
 * The kernel's network configuration, through ip(8). `within` is the path of a network namespace
 * (`/run/netns/x`, `/proc/PID/ns/net`); without it, the daemon's own namespace is meant.
 */
export interface Ip {
  /** All links with their addresses. */
  links(within?: string): Promise<readonly Link[]>;
  /** The main table, IPv4 and IPv6. */
  routes(within?: string): Promise<readonly Route[]>;
  neighbours(within?: string): Promise<readonly Neighbour[]>;
  /** Which way a packet to `destination` goes; undefined if there is none. */
  routeTo(destination: string): Promise<Route | undefined>;
  /**
   * Performs the commands in order, in one process. If one is refused, what those before it made is
   * removed again (`undoCommands`) and the call rejects with E_COMMAND_FAILED.
   */
  apply(commands: readonly IpCommand[], within?: string): Promise<void>;
}

/**
 * Follows each line of a batch and prints one line, so that the output tells how far ip(8) came. It does
 * say itself which line the kernel refused, but not which one it could not make sense of.
 */
const PROGRESS_MARK = 'link show dev lo';

function countLines(text: string): number {
  return text.split('\n').length - 1;
}

/** `Ip` by iproute2's `ip -json` and `ip -batch`; another namespace is entered by nsenter(1). */
export class IpTool implements Ip {
  readonly #exec: Exec;

  constructor(exec: Exec) {
    this.#exec = exec;
  }

  async links(within?: string): Promise<readonly Link[]> {
    return readLinks(await this.#json(['address', 'show'], within));
  }

  async routes(within?: string): Promise<readonly Route[]> {
    const [inet, inet6] = await Promise.all([
      this.#json(['-4', 'route', 'show'], within),
      this.#json(['-6', 'route', 'show'], within),
    ]);
    return [...readRoutes(inet), ...readRoutes(inet6)];
  }

  async neighbours(within?: string): Promise<readonly Neighbour[]> {
    return readNeighbours(await this.#json(['neighbour', 'show'], within));
  }

  async routeTo(destination: string): Promise<Route | undefined> {
    try {
      return readRoutes(await this.#json(['route', 'get', destination]))[0];
    } catch (error) {
      // ip(8) has one exit status for "no route" and for all else: nothing more can be told apart.
      if (isAppError(error, 'E_COMMAND_FAILED')) return undefined;
      throw error;
    }
  }

  async apply(commands: readonly IpCommand[], within?: string): Promise<void> {
    if (commands.length === 0) return;
    try {
      await this.#batch(commands, ['-oneline'], within);
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      const failedAt = countLines(error.stdout);
      const done = commands.slice(0, failedAt);
      throw batchFailure(error, commands[failedAt], await this.#undo(done, within));
    }
  }

  /** Returns how it went, in words: a second failure must not hide the first. */
  async #undo(done: readonly IpCommand[], within?: string): Promise<string> {
    try {
      await this.#batch(undoCommands(done), ['-force'], within);
      return 'what was done before it has been undone';
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      return `undoing what was done before it failed as well: ${firstLine(error.stderr) || error.message}`;
    }
  }

  async #batch(
    commands: readonly IpCommand[],
    options: readonly string[],
    within?: string,
  ): Promise<void> {
    if (commands.length === 0) return;
    const lines = commands.map((command) => `${ipWords(command).join(' ')}\n${PROGRESS_MARK}\n`);
    await this.#run([...options, '-batch', '-'], within, lines.join(''));
  }

  async #json(words: readonly string[], within?: string): Promise<unknown> {
    const text = await this.#run(['-json', '-details', ...words], within);
    return text.trim() === '' ? [] : JSON.parse(text);
  }

  #run(args: readonly string[], within?: string, input = ''): Promise<string> {
    return within === undefined
      ? this.#exec.run('ip', args, { input })
      : this.#exec.run('nsenter', [`--net=${within}`, 'ip', ...args], { input });
  }
}

/** Names the command that was refused, which "ip -batch -" does not. */
function batchFailure(
  error: CommandFailed,
  refused: IpCommand | undefined,
  undone: string,
): CommandFailed {
  const why = firstLine(error.stderr);
  if (refused === undefined || why === '') return error;
  const command = `ip ${ipWords(refused).join(' ')}`;
  return new CommandFailed(`"${command}" was refused: ${why}; ${undone}.`, error, error);
}
