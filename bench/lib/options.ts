/** The command line of `npm run bench`. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { BASE_CONTENDER } from './result.ts';
import { UNDERLAY_MODES, type UnderlayMode } from './topology.ts';

export interface BenchOptions {
  readonly underlay: UnderlayMode;
  readonly rounds: number;
  readonly seconds: number;
  /** `auto`: what kernel VXLAN carries without loss, found out before the rounds. */
  readonly pacedMbps: number | 'auto';
  /** The contender that ratios are to. */
  readonly base: string;
  readonly peers: boolean;
  /** Names; undefined: all. */
  readonly contenders?: readonly string[];
  readonly metrics?: readonly string[];
  readonly json?: string;
  readonly plot?: string;
}

export interface GossipOptions {
  readonly hosts: number;
  readonly rounds: number;
  readonly idleSeconds: number;
  /** Names of contenders. */
  readonly only: readonly string[];
  readonly json?: string;
}

export interface CniOptions {
  readonly rounds: number;
}

export interface DockerOptions {
  readonly rounds: number;
}

export interface DnsOptions {
  /** Questions a second. */
  readonly rate: number;
  readonly seconds: number;
  /** Further names that the host knows. */
  readonly names: number;
  readonly json?: string;
}

export interface LinksOptions {
  /** Names of measurements; undefined: all. */
  readonly only?: readonly string[];
  readonly json?: string;
}

export interface MicroOptions {
  readonly json?: string;
}

/** iperf3 takes whole seconds and megabits only, and reads a part of one as 0, which means "for ever". */
export function wholeFrom(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

function wholeOrAuto(least: number, most: number): (text: string) => number | 'auto' {
  const whole = wholeFrom(least, most);
  return (text) => (text === 'auto' ? text : whole(text));
}

/** Splits `a,b` and refuses any name that is not among `known`. */
function namesOf(known: readonly string[]): (text: string) => readonly string[] {
  return (text) => {
    const names = text.split(',').map((name) => name.trim());
    const unknown = names.find((name) => !known.includes(name));
    if (unknown === undefined) return names;
    throw new InvalidArgumentError(`"${unknown}" is none of ${known.join(', ')}.`);
  };
}

export interface Actions {
  readonly bench: (options: BenchOptions) => Promise<void>;
  readonly micro: (options: MicroOptions) => Promise<void>;
  readonly gossip: (options: GossipOptions) => Promise<void>;
  readonly cni: (options: CniOptions) => Promise<void>;
  readonly docker: (options: DockerOptions) => Promise<void>;
  readonly dns: (options: DnsOptions) => Promise<void>;
  readonly links: (options: LinksOptions) => Promise<void>;
}

/** What `links` measures, in this order. */
export const LINK_MEASUREMENTS = [
  ...(['handshake', 'idle', 'failover', 'forged', 'changes', 'relay', 'path-mtu'] as const),
];
export type LinkMeasurement = (typeof LINK_MEASUREMENTS)[number];

/** The program; parsing it runs one of `actions`. */
export function benchProgram(
  contenders: readonly string[],
  metrics: readonly string[],
  actions: Actions,
): Command {
  const program = new Command('bench')
    .description('Measures Weft beside the bare underlay, kernel VXLAN and other overlays.')
    .addOption(
      new Option('--underlay <mode>', 'offloads of the underlay')
        .choices(Object.keys(UNDERLAY_MODES))
        .default('offload'),
    )
    .option('--rounds <n>', 'turns that each contender takes', wholeFrom(1, 1000), 3)
    .option('--seconds <s>', 'how long each load runs', wholeFrom(1, 3600), 3)
    .option(
      '--paced-mbps <n>',
      'rate of the paced UDP load; auto: what kernel VXLAN carries without loss',
      wholeOrAuto(1, 100_000),
      'auto',
    )
    .addOption(
      new Option('--base <name>', 'the contender that ratios are to')
        .choices(contenders)
        .default(BASE_CONTENDER),
    )
    .option('--contenders <a,b>', `of ${contenders.join(', ')}`, namesOf(contenders))
    .option('--metrics <a,b>', `of ${metrics.join(', ')}`, namesOf(metrics))
    .option('--peers', 'add the peers; installs their Debian packages', false)
    .option('--json <file>', 'write every sample, the machine and the command line')
    .option('--plot <file.svg>', 'draw the headline figures as bar charts')
    .enablePositionalOptions()
    .action(actions.bench);
  program
    .command('micro')
    .description('Measures single operations: codec, forwarding table and native core.')
    .option('--json <file>', 'write every sample, the machine and the command line')
    .action(actions.micro);
  program
    .command('gossip')
    .description('Measures joins, failures and idle traffic of real member processes.')
    .option('--hosts <n>', 'processes', wholeFrom(2, 250), 50)
    .option('--rounds <n>', 'joins and kills', wholeFrom(1, 1000), 10)
    .option('--idle-seconds <s>', 'how long idle traffic is counted', wholeFrom(1, 3600), 30)
    .option('--only <a,b>', 'of weft, weft-open, serf', namesOf(['weft', 'weft-open', 'serf']), [
      'weft',
      'serf',
    ])
    .option('--json <file>', 'write every sample and the machine')
    .action(actions.gossip);
  program
    .command('cni')
    .description('Measures ADD and DEL of a container beside the reference plugins.')
    .option('--rounds <n>', 'containers that each plugin gets', wholeFrom(1, 1000), 30)
    .action(actions.cni);
  program
    .command('docker')
    .description("Measures a container's whole life on Weft's network beside Docker's own bridge.")
    .option('--rounds <n>', 'containers on each network', wholeFrom(1, 1000), 20)
    .action(actions.docker);
  program
    .command('dns')
    .description('Measures how fast a host answers for names, by dnsperf from a container.')
    .option('--rate <n>', 'questions a second', wholeFrom(1, 1_000_000), 8000)
    .option('--seconds <s>', 'how long each load runs', wholeFrom(1, 3600), 10)
    .option('--names <n>', 'further names that the host knows', wholeFrom(0, 60_000), 1000)
    .option('--json <file>', 'write every latency and the machine')
    .action(actions.dns);
  program
    .command('links')
    .description('Measures what carries frames between hosts, beside what it must reach.')
    .option('--only <a,b>', `of ${LINK_MEASUREMENTS.join(', ')}`, namesOf(LINK_MEASUREMENTS))
    .option('--json <file>', 'write every figure and the machine')
    .action(actions.links);
  return program;
}
