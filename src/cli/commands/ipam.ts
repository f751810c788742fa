import type { Command } from 'commander';
import type { ForgetReport, PoolInfo } from '../../api/control.ts';
import { withJson, type Context } from '../context.ts';
import { countOf, facts, humanSpan, table } from '../output.ts';
import { readName } from '../values.ts';

function leaseText({ lease, voters }: PoolInfo): string {
  const { isHeld, seconds } = lease;
  if (seconds === 'always') return 'always: nothing can be decided without this host';
  if (isHeld) return `for ${humanSpan(seconds)} more without an answer from the voters`;
  const needed = Math.floor(voters.length / 2) + 1;
  return `not now: ${needed} of ${voters.length} voters must answer`;
}

const hostText = ({ host, state }: PoolInfo['voters'][number]): string =>
  state === 'alive' ? host : `${host} (${state})`;

function poolText(pool: PoolInfo): string {
  const { used, free, resting } = pool.here;
  const about = facts([
    ['network', `${pool.network}, ${pool.subnet}, decision ${pool.version}`],
    ['voters', pool.voters.map(hostText).join(', ')],
    ['gives out', leaseText(pool)],
    ['here', `${used} in use, ${free} free${resting === 0 ? '' : `, ${resting} at rest`}`],
    ...(pool.unreachable === 0
      ? []
      : [
          [
            'unreachable',
            `${countOf(pool.unreachable, 'address')} of hosts that are away`,
          ] as const,
        ]),
  ]);
  const rows = pool.shares.map((share) => [
    hostText(share),
    String(share.addresses),
    String(share.open),
    share.ranges.join(' '),
  ]);
  return `${about}\n\n${table(['OWNER', 'ADDRESSES', 'OPEN', 'RANGES'], rows, '')}`;
}

function forgetText({ host, endpoints }: ForgetReport): string {
  return `forgot ${host} and ${countOf(endpoints.length, 'endpoint')}`;
}

function addForget(program: Command, context: Context): void {
  withJson(program.command('forget'))
    .argument('<host>', 'name or id of a host that will not come back', readName)
    .description('take all addresses and endpoints from a lost host')
    .option(
      '--force',
      'do it without the other voters, if none of them is alive; should the host come back after all, an address may be given out twice',
    )
    .addHelpText('after', '\nExample:\n  weft forget host-c')
    .action(async (host: string, { force }: { force?: boolean }, command: Command) => {
      const control = await context.control(command);
      const report = await control.forget({ host, ...(force === true ? { force } : {}) });
      context.show(command, report, forgetText);
    });
}

/** ipam and forget: who owns which addresses. */
export function addIpamCommands(program: Command, context: Context): void {
  addForget(program, context);
  const ipam = program.command('ipam').description('who owns the addresses of each network');
  withJson(ipam.command('status'))
    .description('voters, leases, shares and free addresses')
    .action(async (_options, command: Command) => {
      const pools = await (await context.control(command)).ipamStatus();
      context.show(command, pools, (shown) =>
        shown.length === 0 ? 'There are no networks.' : shown.map(poolText).join('\n\n'),
      );
    });
}
