import type { Command } from 'commander';
import type { TokenInfo } from '../../api/control.ts';
import { withJson, type Context } from '../context.ts';
import { table } from '../output.ts';
import { readCount, readName, readSpan } from '../values.ts';

interface CreateFlags {
  readonly ttl?: number;
  readonly uses?: number;
}

function tokensText(tokens: readonly TokenInfo[]): string {
  const rows = tokens.map(({ id, state, used, uses, expiresAt }) => [
    ...[id, state, `${used} of ${uses}`, expiresAt],
  ]);
  return table(['ID', 'STATE', 'USED', 'EXPIRES'], rows, 'No tokens.');
}

/** token, token ls, token revoke: invitations to the mesh. */
export function addTokenCommands(program: Command, context: Context): void {
  const token = program
    .command('token')
    .description('invitations for "weft join HOST --token", HOST being this host');
  withJson(token.command('create', { isDefault: true }))
    .description('print an invitation; "weft token" alone does the same')
    .option(
      '--ttl <span>',
      'how long it can be used: 90s, 30m, 1h (default), at most 30d',
      readSpan,
    )
    .option('--uses <n>', 'how many hosts may use it (default: 1)', readCount)
    .action(async (flags: CreateFlags, command: Command) => {
      const { ttl, uses } = flags;
      const made = await (
        await context.control(command)
      ).createToken({
        ...(ttl === undefined ? {} : { ttlSeconds: ttl }),
        ...(uses === undefined ? {} : { uses }),
      });
      context.show(command, made, ({ token: word }) => word);
    });
  withJson(token.command('ls'))
    .description('the invitations that this host has made')
    .action(async (_options, command: Command) => {
      const tokens = await (await context.control(command)).listTokens();
      context.show(command, tokens, tokensText);
    });
  token
    .command('revoke')
    .argument('<id>', 'as "weft token ls" shows it', readName)
    .description('make an invitation worthless; hosts that have joined by it stay')
    .action(async (id: string, _options, command: Command) => {
      await (await context.control(command)).revokeToken(id);
    });
}
