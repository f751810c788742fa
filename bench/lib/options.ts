/** The command line of `npm run bench`. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { UNDERLAY_MODES, type UnderlayMode } from './topology.ts';

export interface BenchOptions {
  readonly underlay: UnderlayMode;
  readonly rounds: number;
  readonly seconds: number;
  readonly pacedMbps: number;
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
  /** Names; undefined: all. */
  readonly only?: readonly string[];
  readonly json?: string;
}

export interface DnsOptions {
  /** Questions a second. */
  readonly rate: number;
  readonly seconds: number;
  /** Further names that the host knows. */
  readonly names: number;
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
  readonly dns: (options: DnsOptions) => Promise<void>;
}

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
    .option('--paced-mbps <n>', 'rate of the paced UDP load', wholeFrom(1, 100_000), 500)
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
    .option('--only <a,b>', 'of weft, serf (default: both)', namesOf(['weft', 'serf']))
    .option('--json <file>', 'write every sample and the machine')
    .action(actions.gossip);
  program
    .command('dns')
    .description('Measures how fast a host answers for names, by dnsperf from a container.')
    .option('--rate <n>', 'questions a second', wholeFrom(1, 1_000_000), 8000)
    .option('--seconds <s>', 'how long each load runs', wholeFrom(1, 3600), 10)
    .option('--names <n>', 'further names that the host knows', wholeFrom(0, 60_000), 1000)
    .option('--json <file>', 'write every latency and the machine')
    .action(actions.dns);
  return program;
}
