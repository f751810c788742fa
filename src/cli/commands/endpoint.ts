import type { Command } from 'commander';
import type { DetachRequest, EndpointInfo, PortRequest } from '../../api/control.ts';
import { UsageError, withJson, type Context } from '../context.ts';
import { addressesText, facts, portsText } from '../output.ts';
import {
  collectDnsNames,
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

/** Exactly one of the two names of a sandbox. */
function checkSandbox({ netns, pid }: SandboxFlags): void {
  if ((netns === undefined) !== (pid === undefined)) return;
  const seen = netns === undefined ? 'Neither --netns nor --pid is' : 'Both --netns and --pid are';
  throw new UsageError('E_USAGE', `${seen} given; name the sandbox by exactly one of them.`);
}

function detachRequest(network: string | undefined, flags: DetachFlags): DetachRequest {
  const { endpoint, ...sandbox } = flags;
  if (endpoint === undefined && network === undefined) {
    throw new UsageError(
      'E_USAGE',
      'Nothing to detach is named; give --endpoint ID, or a network and --netns or --pid.',
    );
  }
  if (endpoint === undefined) checkSandbox(flags);
  else if (network !== undefined || sandbox.netns !== undefined || sandbox.pid !== undefined) {
    throw new UsageError(
      'E_USAGE',
      '--endpoint names the endpoint alone; leave out network, --netns and --pid.',
    );
  }
  return {
    ...pick(flags, ['endpoint', 'netns', 'pid']),
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
    .option('--pid <pid>', 'network namespace of this process', readPid);
}

function addAttach(program: Command, context: Context): void {
  withJson(withSandbox(program.command('attach')))
    .argument('<network>', 'name of the network', readName)
    .description('put a network namespace on a network')
    .option('--ifname <name>', 'name of the interface inside (default: eth0)', readIfname)
    .option('--ip <address>', "address inside the network's subnet (default: a free one)", readIp)
    .option('--ip6 <address>', 'likewise of the IPv6 subnet, if it has two subnets', readIp)
    .option('--mac <mac>', 'MAC of the interface (default: a random one)', readMac)
    .option(
      '--publish <port>',
      'lead [ADDR:]HOSTPORT:PORT[/udp] of the host here; repeatable',
      collectPorts,
    )
    .option('--no-default-route', 'set no default route by the gateway of a routed network')
    .option('--dns-name <name>', 'what it is found by in DNS; may be repeated', collectDnsNames)
    .addHelpText(
      'after',
      '\nExamples:\n  weft attach blue --netns web\n  weft attach blue --pid 4711 --ip 10.7.0.3 --ifname net1 --json',
    )
    .action(async (network: string, flags: AttachFlags, command: Command) => {
      checkSandbox(flags);
      const { defaultRoute, publish } = flags;
      const request = {
        ...{ network, ...pick(flags, ['netns', 'pid', 'ifname', 'ip', 'ip6', 'mac']) },
        ...(defaultRoute ? {} : { defaultRoute }),
        ...(publish === undefined ? {} : { ports: publish }),
        ...(flags.dnsName === undefined ? {} : { names: flags.dnsName }),
      };
      const info = await (await context.control(command)).attach(request);
      context.show(command, info, endpointText);
    });
}

/** attach and detach: one sandbox's place on a network. */
export function addEndpointCommands(program: Command, context: Context): void {
  addAttach(program, context);
  withJson(withSandbox(program.command('detach')))
    .argument('[network]', 'name of the network', readName)
    .description('take a network namespace off a network')
    .option('--endpoint <id>', 'the endpoint, by its id or the first 4 or more letters', readName)
    .addHelpText(
      'after',
      '\nExamples:\n  weft detach blue --netns web\n  weft detach --endpoint 3f2a',
    )
    .action(async (network: string | undefined, flags: DetachFlags, command: Command) => {
      const request = detachRequest(network, flags);
      const info = await (await context.control(command)).detach(request);
      context.show(
        command,
        info,
        (gone) => `detached ${addressesText(gone, ' and ')} (${gone.ifname} in ${gone.sandbox})`,
      );
    });
  addPortCommands(program, context);
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
