import type { Command } from 'commander';
import type { FdbInfo, VtepInfo } from '../../api/control.ts';
import { withJson, type Context } from '../context.ts';
import { humanBytes, humanSpan, table } from '../output.ts';
import { readName, readVtep } from '../values.ts';

function vtepsText(vteps: readonly VtepInfo[]): string {
  const rows = vteps.map((vtep) => [
    vtep.address,
    vtep.origin,
    vtep.peer ?? '',
    humanBytes(vtep.rxBytes),
    humanBytes(vtep.txBytes),
  ]);
  return table(['VTEP', 'ORIGIN', 'HOST', 'RECEIVED', 'SENT'], rows, 'The network has no VTEP.');
}

const ownerOf = ({ address, host }: FdbInfo): string =>
  host === undefined ? '' : `${address ?? ''} on ${host}`;

function fdbText(entries: readonly FdbInfo[]): string {
  const rows = entries.map((entry) => [
    ...[entry.mac, entry.target, entry.origin],
    entry.origin === 'static' ? '' : humanSpan(entry.ageSeconds),
    ownerOf(entry),
  ]);
  const heads = ['MAC', 'BEHIND', 'ORIGIN', 'AGE', 'ENDPOINT'];
  return table(heads, rows, 'Nothing is known or learned yet.');
}

function addVtepCommands(program: Command, context: Context): void {
  const vtep = program.command('vtep').description('VTEPs that speak plain VXLAN and no gossip');
  withJson(vtep.command('add'))
    .argument('<network>', 'name of the network', readName)
    .argument('<address>', 'ADDR[:PORT], port 4789 if none', readVtep)
    .description('make a kernel, OVS or switch VTEP part of a network')
    .addHelpText('after', '\nExample:\n  weft vtep add blue 192.0.2.9')
    .action(async (network: string, address: string, _options, command: Command) => {
      const added = await (await context.control(command)).addVtep(network, address);
      context.show(command, added, (shown) => `added ${shown.address} to ${shown.network}`);
    });
  vtep
    .command('rm')
    .argument('<network>', 'name of the network', readName)
    .argument('<address>', 'ADDR[:PORT]', readVtep)
    .description('take such a VTEP off a network')
    .action(async (network: string, address: string, _options, command: Command) => {
      await (await context.control(command)).removeVtep(network, address);
    });
  withJson(vtep.command('ls'))
    .argument('<network>', 'name of the network', readName)
    .description("all of a network's VTEPs, members' and foreign ones")
    .action(async (network: string, _options, command: Command) => {
      const vteps = await (await context.control(command)).listVteps(network);
      context.show(command, vteps, vtepsText);
    });
}

/** vtep and fdb: where a network's frames go. */
export function addForwardingCommands(program: Command, context: Context): void {
  addVtepCommands(program, context);
  withJson(program.command('fdb'))
    .argument('<network>', 'name of the network', readName)
    .description('which MAC is behind which port or VTEP, as this host knows it')
    .action(async (network: string, _options, command: Command) => {
      const entries = await (await context.control(command)).fdb(network);
      context.show(command, entries, fdbText);
    });
}
