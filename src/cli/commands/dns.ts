import type { Command } from 'commander';
import type { NameInfo } from '../../api/control.ts';
import { withJson, type Context } from '../context.ts';
import { table } from '../output.ts';
import { collectDnsNames, readDnsName, readIp, readName } from '../values.ts';

interface NetworkFlag {
  readonly network?: string;
}

function namesText(names: readonly NameInfo[]): string {
  const rows = names.map(({ name, address, network, host, origin, isAlive }) => [
    ...[name, address, network ?? 'every network', isAlive ? host : `${host} (away)`, origin],
  ]);
  const heading = ['NAME', 'ADDRESS', 'NETWORK', 'HOST', 'ORIGIN'];
  return table(heading, rows, 'There are no names; "weft attach --dns-name" gives some.');
}

const ofNetwork = ({ network }: NetworkFlag): NetworkFlag =>
  network === undefined ? {} : { network };

function addAdd(dns: Command, context: Context): void {
  withJson(dns.command('add'))
    .argument('<name>', 'the name, without the domain', readDnsName)
    .argument('<address>', 'an IP address, of an endpoint or of anything else', readIp)
    .description('give an address a name')
    .option('--network <name>', 'only endpoints of this network see it (default: all)', readName)
    .addHelpText('after', '\nExample:\n  weft dns add printer 192.0.2.9 --network blue')
    .action(async (name: string, address: string, flags: NetworkFlag, command: Command) => {
      const request = { name, address, ...ofNetwork(flags) };
      const added = await (await context.control(command)).addName(request);
      context.show(command, added, (info) => `added ${info.name}, ${info.address}`);
    });
}

function addRemove(dns: Command, context: Context): void {
  withJson(dns.command('rm'))
    .argument('<name>', 'the name', readDnsName)
    .argument('[address]', 'only if it stands for this one', readIp)
    .description('take away a name that was added')
    .option('--network <name>', 'only if it was added for this network', readName)
    .action(
      async (name: string, address: string | undefined, flags: NetworkFlag, command: Command) => {
        const request = {
          name,
          ...(address === undefined ? {} : { address }),
          ...ofNetwork(flags),
        };
        const removed = await (await context.control(command)).removeName(request);
        context.show(command, removed, (all) =>
          all.map((info) => `removed ${info.name}, ${info.address}`).join('\n'),
        );
      },
    );
}

function addRename(dns: Command, context: Context): void {
  withJson(dns.command('rename'))
    .argument('<endpoint>', "the endpoint's id or the first 4 or more letters", readName)
    .argument('[name...]', 'its names from now on; none takes all away', collectDnsNames)
    .description('give an endpoint of this host other names')
    .addHelpText('after', '\nExample:\n  weft dns rename 3f2a web www')
    .action(
      async (endpoint: string, names: readonly string[] | undefined, _flags, command: Command) => {
        const control = await context.control(command);
        const renamed = await control.rename({ endpoint, names: names ?? [] });
        context.show(
          command,
          renamed,
          (info) => `${info.address} is ${info.names?.join(', ') ?? 'without a name'}`,
        );
      },
    );
}

/** dns add, rm, ls, rename: names that DNS answers. */
export function addDnsCommands(program: Command, context: Context): void {
  const dns = program.command('dns').description('names that DNS answers');
  addAdd(dns, context);
  addRemove(dns, context);
  withJson(dns.command('ls'))
    .description('all names, of endpoints and added ones')
    .option('--network <name>', 'only those of this network', readName)
    .action(async (flags: NetworkFlag, command: Command) => {
      const names = await (await context.control(command)).listNames();
      const { network } = flags;
      const wanted = names.filter((each) => network === undefined || each.network === network);
      context.show(command, wanted, namesText);
    });
  addRename(dns, context);
}
