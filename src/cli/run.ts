import { Command, CommanderError } from 'commander';
import { AppError } from '../base/errors.ts';
import { packageVersion } from '../base/package-root.ts';
import { addCompletionCommand } from './commands/completion.ts';
import { addDnsCommands } from './commands/dns.ts';
import { addEndpointCommands } from './commands/endpoint.ts';
import { addForwardingCommands } from './commands/forwarding.ts';
import { addIpamCommands } from './commands/ipam.ts';
import { addKeyCommands } from './commands/keys.ts';
import { addLinkCommands } from './commands/links.ts';
import { addMeshCommands } from './commands/mesh.ts';
import { addTokenCommands } from './commands/token.ts';
import { addNetworkCommands } from './commands/network.ts';
import { addUpCommand } from './commands/up.ts';
import { addVersionCommand } from './commands/version.ts';
import { Context, UsageError, type Io } from './context.ts';

/** Exit statuses; others' scripts rely on them. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3 } as const;

const EXAMPLES = `
Examples:
  weft up --join host-a
  weft network create blue --subnet 10.7.0.0/24
  weft attach blue --netns web --ip 10.7.0.2
  weft status

Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon answers.`;

/** Commander's `error: unknown command 'x'\n(Did you mean y?)` as one sentence of ours. */
function usageSentence(text: string): string {
  const words = text
    .trim()
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '');
  return `weft: ${words}; see "weft --help".\n`;
}

/** The tree of all commands; each acts through `context`. */
export function createProgram(context: Context): Command {
  const { io } = context;
  const program = new Command('weft')
    .description('One Ethernet for containers on many hosts.')
    .option('--socket <path>', 'socket of the daemon (default: WEFT_SOCKET or /run/weft/weft.sock)')
    .version(`weft ${packageVersion}`, '-V, --version', "this program's version")
    .addHelpText('after', EXAMPLES)
    .configureHelp({ showGlobalOptions: true, helpWidth: 80 })
    .configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.err(text),
      outputError: (text, write) => write(usageSentence(text)),
    })
    .exitOverride();
  addUpCommand(program, context);
  addMeshCommands(program, context);
  addLinkCommands(program, context);
  addTokenCommands(program, context);
  addKeyCommands(program, context);
  addNetworkCommands(program, context);
  addEndpointCommands(program, context);
  addIpamCommands(program, context);
  addDnsCommands(program, context);
  addForwardingCommands(program, context);
  addCompletionCommand(program, context);
  addVersionCommand(program, context);
  return program;
}

function exitStatusOf(error: AppError): number {
  if (error instanceof UsageError) return EXIT.usage;
  return error.code === 'E_DAEMON_UNREACHABLE' ? EXIT.unreachable : EXIT.failed;
}

/**
 * Runs one command line (without node and script) and resolves with its exit status. Everything that
 * goes wrong is one line on `io.err`; bugs reject.
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const context = new Context(io);
  try {
    await createProgram(context).parseAsync([...argv], { from: 'user' });
    return context.exitStatus;
  } catch (error) {
    // Commander has already said what there is to say; no command at all shows the help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (!(error instanceof AppError)) throw error;
    io.err(`weft: ${error.message}\n`);
    return exitStatusOf(error);
  }
}
