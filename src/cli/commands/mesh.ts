import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { JoinReport, PeerInfo } from '../../api/control.ts';
import { errnoOf } from '../../base/errors.ts';
import { UsageError, withJson, type Context } from '../context.ts';
import { humanAge, table } from '../output.ts';
import { statusText } from '../status-text.ts';
import { readTarget } from '../values.ts';

function joinText({ joined }: JoinReport): string {
  return joined.map(({ target, peer }) => `joined ${peer} (${target})`).join('\n');
}

function peersText(peers: readonly PeerInfo[], wallNow: number): string {
  const rows = peers.map((peer) => [
    peer.self ? `${peer.name} (this host)` : peer.name,
    peer.state,
    humanAge(peer.since, wallNow),
    peer.address,
    peer.version,
    peer.id.slice(0, 8),
  ]);
  return table(['NAME', 'STATE', 'SINCE', 'ADDRESS', 'VERSION', 'ID'], rows, 'No peers.');
}

interface JoinFlags {
  readonly token?: string;
  readonly tokenFile?: string;
}

function readTokenFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (cause) {
    throw new UsageError(
      'E_USAGE',
      `The token file "${path}" can't be read (${errnoOf(cause) ?? 'error'}); name one that holds the word of "weft token".`,
      { cause },
    );
  }
}

/** The token from the flag, else the file, else the environment, where no process list shows it. */
function tokenOf({ token, tokenFile }: JoinFlags, { io }: Context): string | undefined {
  if (token !== undefined && tokenFile !== undefined) {
    throw new UsageError('E_USAGE', 'Give --token or --token-file, not both.');
  }
  return (
    token ??
    (tokenFile === undefined ? io.env['WEFT_TOKEN'] || undefined : readTokenFile(tokenFile))
  );
}

function addJoin(program: Command, context: Context): void {
  withJson(program.command('join'))
    .argument(
      '<hosts...>',
      'hosts of the mesh, HOST[:PORT]',
      (text: string, all: string[] | undefined) => [...(all ?? []), readTarget(text)],
    )
    .description('join the mesh that any of these hosts is in; by a token, with its keys')
    .option('--token <word>', 'what "weft token" printed on that host; the process list shows it')
    .option('--token-file <path>', 'a file that holds the token (default: WEFT_TOKEN)')
    .addHelpText(
      'after',
      '\nExamples:\n  weft join host-a\n  weft join 192.0.2.1:7783 [2001:db8::1]\n  weft join host-a --token-file /run/weft.token',
    )
    .action(async (targets: string[], flags: JoinFlags, command: Command) => {
      const token = tokenOf(flags, context);
      const [target = '', ...others] = targets;
      if (token !== undefined && others.length > 0) {
        throw new UsageError(
          'E_USAGE',
          `A token is for one host, and ${targets.length} are named; name the one that printed it.`,
        );
      }
      const control = await context.control(command);
      const report = await (token === undefined
        ? control.join(targets)
        : control.joinByToken(target, token));
      context.show(command, report, joinText);
      for (const { message } of report.failed) context.io.err(`weft: ${message}\n`);
      if (report.failed.length > 0) context.exitStatus = 1;
    });
}

/** join, leave, status, peers: this host's place in the mesh. */
export function addMeshCommands(program: Command, context: Context): void {
  addJoin(program, context);
  program
    .command('leave')
    .description('leave the mesh and forget its hosts; the daemon runs on alone')
    .action(async (_options, command: Command) => {
      await (await context.control(command)).leave();
    });
  withJson(program.command('status'))
    .description('what runs here: warnings, mesh, traffic, drops')
    .action(async (_options, command: Command) => {
      const status = await (await context.control(command)).status();
      context.show(command, status, (shown) => statusText(shown, context.io.wallNow()));
    });
  withJson(program.command('peers'))
    .description('the hosts of the mesh and whether they live')
    .action(async (_options, command: Command) => {
      const peers = await (await context.control(command)).peers();
      context.show(command, peers, (shown) => peersText(shown, context.io.wallNow()));
    });
}
