import type { Command } from 'commander';
import type {
  AuditReport,
  ForgetReport,
  IpamPlan,
  PoolInfo,
  RepairReport,
} from '../../api/control.ts';
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

function planText({ plan, merges, vnis, endpoints }: IpamPlan): string {
  if (plan === '') return 'Nothing is to be repaired.';
  const day = (time: string): string => time.slice(0, 19).replace('T', ' ');
  const networks = [
    ...merges.map(
      (merge) =>
        `network ${merge.network} (${merge.subnet}, made by ${merge.createdBy} at ${day(merge.createdAt)}) becomes part of ${merge.into} (${merge.intoSubnet}, made by ${merge.intoCreatedBy} at ${day(merge.intoCreatedAt)})`,
    ),
    ...vnis.map(
      ({ network, from, vni, owner }) =>
        `network ${network} gets VNI ${vni}; ${from} is that of the older network ${owner}`,
    ),
  ];
  const rows = endpoints.map(
    ({ endpoint, host, network, to, address, keeps, drops, why, from }) => [
      endpoint.slice(0, 12),
      host,
      network === to ? network : `${network} -> ${to}`,
      address,
      keeps
        ? `kept${from === undefined ? '' : `, given by ${from}`}`
        : `${drops === true ? 'none' : 'a new one'}: ${why ?? 'it is taken'}`,
    ],
  );
  const fates = table(['ENDPOINT', 'HOST', 'NETWORK', 'ADDRESS', 'BECOMES'], rows, '');
  return [
    ...networks,
    ...(rows.length === 0 ? [] : ['', fates]),
    '',
    `To do it, on any host: weft ipam repair ${plan}`,
  ]
    .join('\n')
    .trimStart();
}

function repairText({ plan, waiting }: RepairReport): string {
  const lines = waiting.map(
    ({ endpoint, host, network, address }) =>
      `endpoint ${endpoint.slice(0, 12)} on ${host} (${network}, ${address}) has not moved yet`,
  );
  const more = plan === '' ? [] : ['more is to be repaired: look at "weft ipam plan"'];
  return [...(lines.length === 0 ? ['repaired'] : lines), ...more].join('\n');
}

function auditText({ findings }: AuditReport): string {
  if (findings.length === 0) return 'Tables, owners and interfaces agree.';
  return findings
    .map(({ code, severity, sentence }) => `${severity} ${code}: ${sentence}`)
    .join('\n');
}

function addAudit(ipam: Command, context: Context): void {
  withJson(ipam.command('audit'))
    .description('what tables, owners of addresses and the interfaces of this host disagree on')
    .action(async (_options, command: Command) => {
      const report = await (await context.control(command)).ipamAudit();
      context.show(command, report, auditText);
      if (!report.isClean) context.exitStatus = 1;
    });
}

/** Plan and repair: two commands, so that nobody repairs what he has not seen. */
function addRepair(ipam: Command, context: Context): void {
  withJson(ipam.command('plan'))
    .description('what a repair would do, after meshes that were seeded apart were joined')
    .action(async (_options, command: Command) => {
      context.show(command, await (await context.control(command)).ipamPlan(), planText);
    });
  withJson(ipam.command('repair'))
    .argument('<plan>', 'what "weft ipam plan" printed last', readName)
    .description('do what the plan says; refused if it is another by now')
    .addHelpText('after', '\nExample:\n  weft ipam repair 0a1b2c3d4e5f')
    .action(async (plan: string, _options, command: Command) => {
      const report = await (await context.control(command)).ipamRepair(plan);
      context.show(command, report, repairText);
      if (report.waiting.length > 0) context.exitStatus = 1;
    });
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
  addAudit(ipam, context);
  addRepair(ipam, context);
}
