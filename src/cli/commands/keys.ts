import type { Command } from 'commander';
import type { ExpelledInfo, KeyInfo } from '../../api/control.ts';
import { UsageError, withJson, type Context } from '../context.ts';
import { table } from '../output.ts';
import { readName } from '../values.ts';

function keysText(keys: readonly KeyInfo[]): string {
  const rows = keys.map(({ id, number, state, sealedWithBy, lackedBy }) => [
    ...[id, String(number), state],
    state === 'retired' ? '' : sealedWithBy.join(', '),
    lackedBy.join(', '),
  ]);
  return table(['ID', 'NUMBER', 'STATE', 'OTHERS SEAL WITH IT', 'LACKED BY'], rows, 'No keys.');
}

function expelledText(hosts: readonly ExpelledInfo[]): string {
  return table(
    ['NAME', 'ID'],
    hosts.map(({ id, name }) => [name, id]),
    'No host is expelled.',
  );
}

function addExpel(program: Command, context: Context): void {
  withJson(program.command('expel'))
    .argument('[host]', 'name or id of the host', readName)
    .description('refuse a host everywhere, and change the keys that it has')
    .option('--list', 'the hosts that are expelled')
    .option('--undo', 'take the host back: it may join again by a token')
    .addHelpText(
      'after',
      '\nIts addresses stay its own until "weft forget".\n\nExamples:\n  weft expel host-c\n  weft expel --list',
    )
    .action(async (host: string | undefined, flags: ExpelFlags, command: Command) => {
      const { list = false, undo = false } = flags;
      if (list === (host !== undefined) || (list && undo)) {
        throw new UsageError('E_USAGE', 'Name one host, or give --list alone.');
      }
      const control = await context.control(command);
      if (host === undefined) {
        context.show(command, await control.listExpelled(), expelledText);
        return;
      }
      const expelled = await (undo ? control.takeBack(host) : control.expel(host));
      context.show(command, expelled, ({ name, id }) =>
        undo ? `${name} (${id}) may join again by a token` : `${name} (${id}) is expelled`,
      );
    });
}

interface ExpelFlags {
  readonly list?: boolean;
  readonly undo?: boolean;
}

/** keys, expel: what the mesh is sealed with, and who has it. */
export function addKeyCommands(program: Command, context: Context): void {
  const keys = program.command('keys').description("the mesh's keys, which seal what hosts tell");
  withJson(keys.command('list', { isDefault: true }))
    .description('the keys, and who seals with which; "weft keys" alone does the same')
    .action(async (_options, command: Command) => {
      context.show(command, await (await context.control(command)).listKeys(), keysText);
    });
  withJson(keys.command('rotate'))
    .description('make a key that all hosts seal with once all have it; older ones still open')
    .action(async (_options, command: Command) => {
      context.show(command, await (await context.control(command)).rotateKeys(), keysText);
    });
  withJson(keys.command('retire'))
    .argument('[id]', 'as "weft keys list" shows it (default: all but the one in use)', readName)
    .description('have a key open nothing any more')
    .action(async (id: string | undefined, _options, command: Command) => {
      context.show(command, await (await context.control(command)).retireKeys(id), keysText);
    });
  addExpel(program, context);
}
