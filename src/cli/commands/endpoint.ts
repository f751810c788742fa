import type { Command } from 'commander';
import type { AttachRequest, DetachRequest, EndpointInfo, PortRequest } from '../../api/control.ts';
import { canonicalDnsName } from '../../base/dns-name.ts';
import { UsageError, withJson, type Context } from '../context.ts';
import { findContainer } from '../docker-engine.ts';
import { addressesText, facts, humanAge, portsText, table } from '../output.ts';
import {
  collectDnsNames,
  readContainer,
  readIfname,
  readIp,
  readMac,
  readName,
  readPid,
  readPublish,
} from '../values.ts';

interface SandboxFlags {
  readonly netns?: string;
  readonly pid?: number;
  readonly docker?: string;
}

interface AttachFlags extends SandboxFlags {
  readonly ifname?: string;
  readonly ip?: string;
  readonly ip6?: string;
  readonly mac?: string;
  /** False with --no-default-route. */
  readonly defaultRoute: boolean;
  readonly publish?: readonly PortRequest[];
  readonly dnsName?: readonly string[];
}

interface DetachFlags extends SandboxFlags {
  readonly endpoint?: string;
}

const collectPorts = (text: string, all: readonly PortRequest[] = []): readonly PortRequest[] => [
  ...all,
  readPublish(text),
];

function endpointText(info: EndpointInfo): string {
  return facts([
    ['endpoint', info.endpoint],
    ['network', info.network],
    ['address', `${addressesText(info, ' and ')}, MAC ${info.mac}, MTU ${info.mtu}`],
    ['interface', `${info.ifname} in ${info.sandbox} on ${info.host}`],
    ...(info.ports === undefined ? [] : [['ports', portsText(info.ports)] as const]),
    ...(info.names === undefined ? [] : [['names', info.names.join(', ')] as const]),
  ]);
}

const SANDBOX_FLAGS = ['netns', 'pid', 'docker'] as const;

/** Exactly one of the names of a sandbox. */
function checkSandbox(flags: SandboxFlags): void {
  const given = SANDBOX_FLAGS.filter((flag) => flags[flag] !== undefined);
  if (given.length === 1) return;
  const named = given.map((flag) => `--${flag}`).join(' and ');
  const seen =
    given.length === 0
      ? 'Neither --netns nor --pid nor --docker is'
      : `${given.length === 2 ? 'Both ' : ''}${named} are`;
  throw new UsageError('E_USAGE', `${seen} given; name the sandbox by exactly one of them.`);
}

/** The sandbox as a daemon takes it; a container is asked for at its engine. */
async function sandboxOf(
  flags: SandboxFlags,
  { io }: Context,
): Promise<Pick<AttachRequest, 'netns' | 'pid'>> {
  if (flags.docker === undefined) return pick(flags, ['netns', 'pid']);
  return { pid: await findContainer(flags.docker, io.env) };
}

/** What an endpoint of a container is called: it has interfaces of its engine's, and a name. */
function containerDefaults(name: string, { ifname, dnsName }: AttachFlags): Partial<AttachRequest> {
  const plain = canonicalDnsName(name);
  return {
    origin: `docker ${name}`,
    ...(ifname === undefined && { anyIfname: true }),
    ...(dnsName === undefined && plain !== undefined && { names: [plain] }),
  };
}

async function detachRequest(
  network: string | undefined,
  flags: DetachFlags,
  context: Context,
): Promise<DetachRequest> {
  const { endpoint } = flags;
  if (endpoint === undefined && network === undefined) {
    throw new UsageError(
      'E_USAGE',
      'Nothing to detach is named; give --endpoint ID, or a network and --netns, --pid or --docker.',
    );
  }
  if (endpoint === undefined) checkSandbox(flags);
  else if (network !== undefined || SANDBOX_FLAGS.some((flag) => flags[flag] !== undefined)) {
    throw new UsageError(
      'E_USAGE',
      '--endpoint names the endpoint alone; leave out network, --netns, --pid and --docker.',
    );
  }
  return {
    ...pick(flags, ['endpoint']),
    ...(await sandboxOf(flags, context)),
    ...(network === undefined ? {} : { network }),
  };
}

/** The keys of `flags` that were given: commander adds its own, such as `json`. */
function pick<T extends object, K extends keyof T>(flags: T, keys: readonly K[]): Pick<T, K> {
  const given = keys.filter((key) => flags[key] !== undefined).map((key) => [key, flags[key]]);
  return Object.fromEntries(given) as Pick<T, K>;
}

function withSandbox(command: Command): Command {
  return command
    .option('--netns <name>', 'network namespace: a name under /run/netns, or a path', readName)
    .option('--pid <pid>', 'network namespace of this process', readPid)
    .option('--docker <name>', "a running container of Docker's on this host", readContainer);
}

function addAttach(program: Command, context: Context): void {
  withJson(withSandbox(program.command('attach')))
    .argument('<network>', 'name of the network', readName)
    .description('put a network namespace on a network')
    .option(
      '--ifname <name>',
      'name of the interface inside (default: eth0; with --docker the first that is free)',
      readIfname,
    )
    .option('--ip <address>', "address inside the network's subnet (default: a free one)", readIp)
    .option('--ip6 <address>', 'likewise of the IPv6 subnet, if it has two subnets', readIp)
    .option('--mac <mac>', 'MAC of the interface (default: a random one)', readMac)
    .option(
      '--publish <port>',
      'lead [ADDR:]HOSTPORT:PORT[/udp] of the host here; repeatable',
      collectPorts,
    )
    .option('--no-default-route', 'set no default route by the gateway of a routed network')
    .option(
      '--dns-name <name>',
      'what it is found by in DNS; may be repeated (default: with --docker its name)',
      collectDnsNames,
    )
    .addHelpText(
      'after',
      '\nExamples:\n  weft attach blue --netns web\n  weft attach blue --pid 4711 --ip 10.7.0.3 --ifname net1 --json\n  weft attach blue --docker web',
    )
    .action(async (network: string, flags: AttachFlags, command: Command) => {
      checkSandbox(flags);
      const { defaultRoute, publish } = flags;
      const request = {
        ...{ network, ...pick(flags, ['ifname', 'ip', 'ip6', 'mac']) },
        ...(await sandboxOf(flags, context)),
        ...(flags.docker === undefined ? {} : containerDefaults(flags.docker, flags)),
        ...(defaultRoute ? {} : { defaultRoute }),
        ...(publish === undefined ? {} : { ports: publish }),
        ...(flags.dnsName === undefined ? {} : { names: flags.dnsName }),
      };
      const info = await (await context.control(command)).attach(request);
      context.show(command, info, endpointText);
    });
}

function listText(endpoints: readonly EndpointInfo[], isAll: boolean, wallNow: number): string {
  const rows = endpoints.map((info) => [
    ...[info.names?.[0] ?? '-', info.network, addressesText(info, ', '), info.mac],
    ...[info.owner ?? '-', info.since === undefined ? '-' : humanAge(info.since, wallNow)],
    ...(isAll ? [info.host] : []),
    info.endpoint.slice(0, 8),
  ]);
  const heading = ['NAME', 'NETWORK', 'ADDRESS', 'MAC', 'OWNER', 'SINCE'];
  return table(
    [...heading, ...(isAll ? ['HOST'] : []), 'ENDPOINT'],
    rows,
    isAll
      ? 'The mesh has no endpoint.'
      : 'This host has no endpoint; "weft ps --all" shows others.',
  );
}

function addList(program: Command, context: Context): void {
  withJson(program.command('ps'))
    .description('endpoints: what is attached, to which network, and whose it is')
    .option('--all', 'of all hosts (default: of this one)')
    .action(async ({ all: isAll = false }: { all?: boolean }, command: Command) => {
      const control = await context.control(command);
      const endpoints = await control.endpoints(isAll ? 'all' : 'here');
      context.show(command, endpoints, (shown) => listText(shown, isAll, context.io.wallNow()));
    });
}

/** attach, detach and ps: sandboxes' places on networks. */
export function addEndpointCommands(program: Command, context: Context): void {
  addAttach(program, context);
  addList(program, context);
  withJson(withSandbox(program.command('detach')))
    .argument('[network]', 'name of the network', readName)
    .description('take a network namespace off a network')
    .option('--endpoint <id>', 'the endpoint, by its id or the first 4 or more letters', readName)
    .addHelpText(
      'after',
      '\nExamples:\n  weft detach blue --netns web\n  weft detach --endpoint 3f2a',
    )
    .action(async (network: string | undefined, flags: DetachFlags, command: Command) => {
      const request = await detachRequest(network, flags, context);
      const info = await (await context.control(command)).detach(request);
      context.show(
        command,
        info,
        (gone) => `detached ${addressesText(gone, ' and ')} (${gone.ifname} in ${gone.sandbox})`,
      );
    });
  addPortCommands(program, context);
  addHostCommands(program, context);
}

/** expose and hide: this host itself on a network. */
function addHostCommands(program: Command, context: Context): void {
  withJson(program.command('expose'))
    .argument('<network>', 'name of the network; not an isolated one', readName)
    .description('put this host itself on a network, under its name in DNS')
    .option(
      '--ip <address>',
      "its address inside the network's subnet (default: a free one)",
      readIp,
    )
    .option('--ip6 <address>', 'likewise of the IPv6 subnet, if it has two subnets', readIp)
    .addHelpText('after', '\nExample:\n  weft expose blue --ip 10.7.0.100')
    .action(async (network: string, flags: Pick<AttachFlags, 'ip' | 'ip6'>, command: Command) => {
      const request = { network, ...pick(flags, ['ip', 'ip6']) };
      const info = await (await context.control(command)).expose(request);
      context.show(command, info, endpointText);
    });
  withJson(program.command('hide'))
    .argument('<network>', 'name of the network', readName)
    .description('take this host off a network')
    .action(async (network: string, _options, command: Command) => {
      const info = await (await context.control(command)).hide(network);
      context.show(command, info, (gone) => `hidden ${addressesText(gone, ' and ')} (this host)`);
    });
}

/** publish and unpublish: which ports of this host lead to an endpoint. */
function addPortCommands(program: Command, context: Context): void {
  withJson(program.command('publish'))
    .argument('<id>', 'of the endpoint, or its first 4 or more letters', readName)
    .argument(
      '<port...>',
      '[ADDR:]HOSTPORT:PORT[/udp]; host port 0 has a free one chosen',
      collectPorts,
    )
    .description('have ports of this host lead to an endpoint')
    .addHelpText('after', '\nExample:\n  weft publish 3f2a 8080:80 53:53/udp')
    .action(async (endpoint: string, ports: readonly PortRequest[], _options, command: Command) => {
      const info = await (await context.control(command)).publish(endpoint, ports);
      context.show(command, info, endpointText);
    });
  withJson(program.command('unpublish'))
    .argument('<id>', 'of the endpoint, or its first 4 or more letters', readName)
    .argument('[port...]', 'as they were published (default: all)', collectPorts)
    .description('take published ports back')
    .action(
      async (
        endpoint: string,
        ports: readonly PortRequest[] | undefined,
        _options,
        command: Command,
      ) => {
        const given = ports === undefined || ports.length === 0 ? undefined : ports;
        const info = await (await context.control(command)).unpublish(endpoint, given);
        context.show(command, info, endpointText);
      },
    );
}
