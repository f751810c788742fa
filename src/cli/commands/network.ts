import type { Command } from 'commander';
import type {
  EncapsulationName,
  NetworkDetail,
  NetworkEdge,
  NetworkInfo,
} from '../../api/control.ts';
import { UsageError, withJson, type Context } from '../context.ts';
import { addressesText, facts, humanAge, portsText, table } from '../output.ts';
import { readEncap, readIp, readMtu, readName, readSubnet, readVni } from '../values.ts';

interface CreateFlags {
  readonly subnet: string;
  readonly subnet6?: string;
  readonly ipv6?: true;
  readonly vni?: number;
  readonly mtu?: number;
  readonly encap?: EncapsulationName;
  readonly ipRange?: string;
  readonly ipRange6?: string;
  readonly routed?: true;
  readonly internal?: true;
  readonly isolate?: true;
  readonly gateway?: string;
  readonly gateway6?: string;
  readonly reserve?: readonly string[];
}

const collectIps = (text: string, all: readonly string[] | undefined): readonly string[] => [
  ...(all ?? []),
  readIp(text),
];

function readEdge({ routed, internal }: CreateFlags): NetworkEdge | undefined {
  if (routed && internal) {
    throw new UsageError(
      'E_USAGE',
      'Both --routed and --internal are given; a network leads out of the mesh or it does not.',
    );
  }
  if (routed) return 'routed';
  return internal ? 'internal' : undefined;
}

function listText(networks: readonly NetworkInfo[]): string {
  const rows = networks.map((network) => [
    network.name,
    String(network.vni),
    subnetsText(network),
    mtuText(network),
    network.encap,
    String(network.endpoints),
  ]);
  const heading = ['NAME', 'VNI', 'SUBNET', 'MTU', 'ENCAP', 'ENDPOINTS'];
  return table(heading, rows, 'There are no networks; "weft network create" makes one.');
}

const subnetsText = ({ subnet, subnet6 }: NetworkInfo): string =>
  subnet6 === undefined ? subnet : `${subnet},${subnet6}`;

/** What it has; in brackets what it was made with. */
const mtuText = ({ mtu, mtuLimit }: NetworkInfo): string =>
  mtuLimit === undefined ? String(mtu) : `${mtuLimit.mtu} (${mtu})`;

function mtuDetail({ mtu, mtuLimit }: NetworkInfo): string {
  if (mtuLimit === undefined) return String(mtu);
  const { from, to, pathMtu } = mtuLimit;
  return `${mtuLimit.mtu} instead of ${mtu}: the path from ${from} to ${to} takes packets of ${pathMtu} bytes`;
}

function gatewayText({ edge, isolated, gateway, gateway6 }: NetworkInfo): string {
  if (edge === undefined) return 'none on the hosts';
  const gateways = [gateway, gateway6].filter((each) => each !== undefined).join(' and ');
  const apart = isolated === true ? ', endpoints isolated from each other' : '';
  return `${gateways || 'none'} on each host that carries it, ${edge}${apart}`;
}

function detailText(network: NetworkDetail, wallNow: number): string {
  const about = facts([
    ['network', `${network.name} (${network.id})`],
    ['VNI', `${network.vni}, ${network.encap}`],
    ['subnet', subnetsText(network)],
    ['MTU', mtuDetail(network)],
    ['gateway', gatewayText(network)],
    [
      'on this host',
      network.bridge === undefined
        ? 'no'
        : `bridge ${network.bridge}, device ${network.device ?? 'none'}`,
    ],
    ['made', `${humanAge(network.createdAt, wallNow)} ago by ${network.createdBy}`],
  ]);
  const endpoints = table(
    ['ENDPOINT', 'ADDRESS', 'MAC', 'HOST', 'SANDBOX', 'NAMES', 'PORTS'],
    network.attached.map((info) => {
      const { endpoint, mac, host, sandbox, names = [], ports } = info;
      const addresses = addressesText(info, ',');
      return [
        ...[endpoint.slice(0, 8), addresses, mac, host, sandbox],
        ...[names.join(','), portsText(ports)],
      ];
    }),
    'No endpoint is attached.',
  );
  const vteps = table(
    ['VTEP', 'ORIGIN', 'HOST'],
    network.vteps.map(({ address, origin, peer }) => [address, origin, peer ?? '']),
    'It reaches no other host yet.',
  );
  return [about, endpoints, vteps].join('\n\n');
}

function addCreate(network: Command, context: Context): void {
  withJson(network.command('create'))
    .argument('<name>', 'name of the network, one in the whole mesh', readName)
    .description('make a network that every host of the mesh knows')
    .requiredOption('--subnet <cidr>', 'addresses of its endpoints, e.g. 10.7.0.0/24', readSubnet)
    .option('--subnet6 <cidr>', 'IPv6 beside an IPv4 subnet, e.g. fd00:7::/64', readSubnet)
    .option('--ipv6', 'the same, with a unique local /64 made up (RFC 4193)')
    .option('--vni <n>', 'VXLAN network identifier, 1 to 16777215 (default: a free one)', readVni)
    .option('--mtu <n>', 'largest packet in bytes (default: what the underlay leaves)', readMtu)
    .option(
      '--encap <name>',
      'byte format on the underlay: sealed (default), or vxlan: plain',
      readEncap,
    )
    .option('--ip-range <cidr>', 'part of the subnet that addresses are chosen from', readSubnet)
    .option('--ip-range6 <cidr>', 'likewise of the IPv6 subnet', readSubnet)
    .option('--routed', 'each host is its gateway: out by masquerade, in by published ports')
    .option('--internal', 'each host is its gateway, but nothing leads out or in')
    .option('--isolate', 'keep its endpoints from each other, but for published ports')
    .option('--gateway <address>', 'an address that no endpoint gets: the gateway, if any', readIp)
    .option('--gateway6 <address>', 'likewise of the IPv6 subnet', readIp)
    .option('--reserve <address>', 'another one; may be repeated', collectIps)
    .addHelpText(
      'after',
      '\nExamples:\n  weft network create blue --subnet 10.7.0.0/24 --vni 42\n  weft network create web --subnet 10.32.0.0/16 --ipv6 --routed',
    )
    .action(async (name: string, flags: CreateFlags, command: Command) => {
      const { subnet, subnet6, ipv6, vni, mtu, encap, reserve } = flags;
      const { ipRange, ipRange6, isolate, gateway, gateway6 } = flags;
      const edge = readEdge(flags);
      const control = await context.control(command);
      const created = await control.createNetwork({
        ...{ name, subnet, ...(subnet6 && { subnet6 }), ...(ipv6 && { ipv6 }) },
        ...(vni === undefined ? {} : { vni }),
        ...(mtu === undefined ? {} : { mtu }),
        ...(encap === undefined ? {} : { encap }),
        ...(ipRange === undefined ? {} : { ipRange }),
        ...(ipRange6 === undefined ? {} : { ipRange6 }),
        ...(edge === undefined ? {} : { edge }),
        ...(isolate === undefined ? {} : { isolate }),
        ...(gateway === undefined ? {} : { gateway }),
        ...(gateway6 === undefined ? {} : { gateway6 }),
        ...(reserve === undefined ? {} : { reserved: reserve }),
      });
      context.show(command, created, (info) => listText([info]));
    });
}

/** network create, ls, inspect, rm. */
export function addNetworkCommands(program: Command, context: Context): void {
  const network = program.command('network').description('make, list, show and remove networks');
  addCreate(network, context);
  withJson(network.command('ls'))
    .description('all networks of the mesh')
    .action(async (_options, command: Command) => {
      const networks = await (await context.control(command)).listNetworks();
      context.show(command, networks, listText);
    });
  withJson(network.command('inspect'))
    .argument('<name>', 'name of the network', readName)
    .description('one network, its endpoints and VTEPs')
    .action(async (name: string, _options, command: Command) => {
      const detail = await (await context.control(command)).inspectNetwork(name);
      context.show(command, detail, (shown) => detailText(shown, context.io.wallNow()));
    });
  network
    .command('rm')
    .argument('<name>', 'name of the network', readName)
    .description('remove a network that has no endpoints')
    .action(async (name: string, _options, command: Command) => {
      await (await context.control(command)).removeNetwork(name);
    });
}
