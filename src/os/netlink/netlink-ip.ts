import { CommandFailed } from '../exec.ts';
import type { Ip } from '../ip.ts';
import { ipWords, undoCommands, type IpCommand } from '../ip-command.ts';
import type { Link, LinkAddress, Neighbour, Route } from '../ip-json.ts';
import type { Outcome, Perform, Step } from './addon.ts';
import { performDump } from './dump.ts';
import { readAddresses, readLinks } from './links.ts';
import { encodeCommand, encodeDump } from './message.ts';

const NOTHING = Buffer.alloc(0);

/**
 * `Ip` without processes: what changes the kernel, and looks at links, goes by rtnetlink on a thread of
 * libuv's pool, about a millisecond in place of five (ADR 35). The rest, and commands that have no message
 * here, are `tool`'s.
 */
export class NetlinkIp implements Ip {
  readonly #perform: Perform;
  readonly #tool: Ip;

  constructor(perform: Perform, tool: Ip) {
    this.#perform = perform;
    this.#tool = tool;
  }

  async links(within?: string): Promise<readonly Link[]> {
    const [links, addresses] = await this.#dump(['links', 'addresses'], within);
    return readLinks(links ?? NOTHING, addresses ?? NOTHING);
  }

  /**
   * The addresses of this host by the index of the link that has them. Cheaper than `links`, and waits for
   * no change of links that the kernel is busy with. Rejects with E_COMMAND_FAILED.
   */
  async addresses(): Promise<ReadonlyMap<number, readonly LinkAddress[]>> {
    const [addresses] = await this.#dump(['addresses']);
    return readAddresses(addresses ?? NOTHING);
  }

  async #dump(
    whats: readonly Parameters<typeof encodeDump>[0][],
    within?: string,
  ): Promise<readonly Buffer[]> {
    const steps = whats.map(encodeDump);
    const { errno, replies, why } = await performDump(this.#perform, within ?? '', steps);
    if (errno === 0) return replies;
    throw new CommandFailed(`The links ${placeOf(within)} can't be read: ${why}.`);
  }

  routes(within?: string): Promise<readonly Route[]> {
    return this.#tool.routes(within);
  }

  neighbours(within?: string): Promise<readonly Neighbour[]> {
    return this.#tool.neighbours(within);
  }

  routeTo(destination: string): Promise<Route | undefined> {
    return this.#tool.routeTo(destination);
  }

  async apply(commands: readonly IpCommand[], within?: string): Promise<void> {
    if (commands.length === 0) return;
    const steps = encodeAll(commands);
    if (steps === undefined) return this.#tool.apply(commands, within);
    const outcome = await this.#perform(within ?? '', steps);
    if (outcome.errno === 0) return;
    const refused = commands[outcome.failedAt];
    if (refused === undefined) {
      throw new CommandFailed(`What lies ${placeOf(within)} can't be changed: ${outcome.why}.`);
    }
    const done = commands.slice(0, outcome.failedAt);
    throw refusal(refused, outcome, await this.#undo(done, within));
  }

  /** Returns how it went, in words: a second failure must not hide the first. What is gone is undone. */
  async #undo(done: readonly IpCommand[], within?: string): Promise<string> {
    const failures = [];
    for (const command of undoCommands(done)) {
      const outcome = await this.#perform(within ?? '', encodeAll([command]) ?? []);
      if (outcome.errno !== 0) failures.push(outcome.why);
    }
    return failures.length === 0
      ? 'what was done before it has been undone'
      : `undoing what was done before it failed as well: ${failures.join(', ')}`;
  }
}

/** Undefined if one of them has no message. */
function encodeAll(commands: readonly IpCommand[]): Step[] | undefined {
  const steps = commands.map(encodeCommand);
  return steps.every((step) => step !== undefined) ? steps : undefined;
}

const placeOf = (within: string | undefined): string =>
  within === undefined ? 'of this host' : `in ${within}`;

function refusal(refused: IpCommand, { why }: Outcome, undone: string): CommandFailed {
  const command = `ip ${ipWords(refused).join(' ')}`;
  return new CommandFailed(`"${command}" was refused: ${why}; ${undone}.`, { stderr: why });
}

/** Writes a setting of the kernel under /proc/sys/net as the namespace at `within` has it. */
export function netlinkWriter(
  perform: Perform,
): (within: string, path: string, value: string) => Promise<void> {
  return async (within, path, value) => {
    const { errno, why } = await perform(within, [{ path, value }]);
    if (errno === 0) return;
    throw new CommandFailed(`${path} in ${within} can't be set to ${value}: ${why}.`);
  };
}
