import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parsePing, pingArguments, type PingOptions, type PingReport } from './ping.ts';
import {
  LabProcess,
  run,
  tryRun,
  type CommandResult,
  type ProgramInput,
  type RunOptions,
} from './process.ts';

const TRANSFER_PROGRAM = fileURLToPath(new URL('./transfer-program.js', import.meta.url));

export interface TransferOptions {
  /** Where the receiver listens. */
  readonly address: string;
  /** Default 5000. */
  readonly port?: number;
  /** Default 10 MB; over UDP the size of the one datagram. */
  readonly bytes?: number;
  readonly protocol?: 'tcp' | 'udp';
  readonly seed?: number;
  readonly timeoutMs?: number;
}

export interface TransferReport {
  readonly bytes: number;
  readonly sentSha256: string;
  readonly receivedSha256: string;
  readonly isIntact: boolean;
}

export interface IperfOptions {
  readonly address: string;
  /** Default 5201. */
  readonly port?: number;
  /** Default 2 s. */
  readonly seconds?: number;
  /** Default 1. */
  readonly streams?: number;
  /** Further arguments of the client, e.g. `['-u', '-b', '200M']`. */
  readonly extra?: readonly string[];
}

/** The parts of iperf3's JSON that somebody reads; `raw` has the rest. */
export interface IperfReport {
  /** What arrived. */
  readonly bitsPerSecond: number;
  readonly retransmits: number;
  readonly lostPercent: number;
  readonly raw: unknown;
}

interface IperfJson {
  readonly end: {
    readonly sum_received?: { readonly bits_per_second: number };
    readonly sum_sent?: { readonly retransmits?: number };
    readonly sum?: { readonly bits_per_second: number; readonly lost_percent?: number };
  };
}

/** A network namespace of a lab. Programs run in it through nsenter, so /sys and cgroups stay the machine's. */
export class LabNamespace {
  /** As `ip netns` knows it. */
  readonly name: string;
  readonly path: string;
  readonly #lab: Lab;

  constructor(lab: Lab, name: string) {
    this.#lab = lab;
    this.name = name;
    this.path = `/run/netns/${name}`;
  }

  #enter(program: string, args: readonly string[]): string[] {
    return [`--net=${this.path}`, program, ...args];
  }

  /** Runs a program to its end and returns its stdout; rejects with its stderr if it fails. */
  run(program: string, args: readonly string[], options?: RunOptions): Promise<string> {
    return run('nsenter', this.#enter(program, args), this.#bounded(options));
  }

  tryRun(program: string, args: readonly string[], options?: RunOptions): Promise<CommandResult> {
    return tryRun('nsenter', this.#enter(program, args), this.#bounded(options));
  }

  /** What runs here ends with the lab. */
  #bounded(options: RunOptions = {}): RunOptions {
    return { signal: this.#lab.over, ...options };
  }

  /** `ip` with words separated by blanks: `ns.ip('link set u0 up')`. */
  ip(words: string): Promise<string> {
    return run('ip', ['-n', this.name, ...words.split(' ')]);
  }

  async ipJson(words: string): Promise<unknown> {
    return JSON.parse(await this.ip(`-json -details ${words}`));
  }

  /** Starts a program that `Lab.destroy` ends. `env` is added to this process's own. */
  start(
    program: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
    input: ProgramInput = 'none',
  ): LabProcess {
    return this.#lab.start('nsenter', this.#enter(program, args), env, input);
  }

  async ping(target: string, options: PingOptions = {}): Promise<PingReport> {
    const { stdout, stderr, status } = await this.tryRun('ping', pingArguments(target, options));
    if (status > 1) throw new Error(`ping ${target}: ${stderr.trim() || stdout}`);
    return parsePing(stdout);
  }

  /** True if one ping was answered; false also while there is no route to `target` yet, or no more. */
  async answers(target: string, options: Omit<PingOptions, 'count'> = {}): Promise<boolean> {
    const { status } = await this.tryRun('ping', pingArguments(target, { ...options, count: 1 }));
    return status === 0;
  }

  /** Sends seeded bytes from here to `receiver` and compares the hashes of both ends. */
  async transferTo(receiver: LabNamespace, options: TransferOptions): Promise<TransferReport> {
    const { address, port = 5000, bytes = 10_000_000, protocol = 'tcp', seed = 1 } = options;
    const where = [protocol, address, String(port)];
    const server = receiver.start(process.execPath, [TRANSFER_PROGRAM, 'receive', ...where]);
    try {
      await server.waitForLine(/^listening/);
      const said = await this.run(
        process.execPath,
        [TRANSFER_PROGRAM, 'send', ...where, String(bytes), String(seed)],
        { timeoutMs: options.timeoutMs ?? 60_000 },
      );
      const heard = await server.waitForLine(/^(\d+) ([0-9a-f]{64})$/, options.timeoutMs);
      const [sentSha256 = '', receivedSha256 = ''] = [said.trim().split(' ')[1], heard[2]];
      return {
        bytes: Number(heard[1]),
        sentSha256,
        receivedSha256,
        isIntact: sentSha256 === receivedSha256,
      };
    } finally {
      await server.stop();
    }
  }

  /** Runs an iperf3 server in `server` and a client here. */
  async iperfTo(server: LabNamespace, options: IperfOptions): Promise<IperfReport> {
    const { address, port = 5201, seconds = 2, streams = 1, extra = [] } = options;
    const listener = server.start('iperf3', ['-s', '-1', '-p', String(port), '--forceflush']);
    try {
      await listener.waitForLine(/Server listening/);
      const client = ['-c', address, '-p', String(port), '-t', String(seconds), '-J'];
      const text = await this.run('iperf3', [...client, '-P', String(streams), ...extra], {
        timeoutMs: seconds * 1000 + 20_000,
      });
      return readIperf(JSON.parse(text) as IperfJson);
    } finally {
      await listener.stop();
    }
  }
}

function readIperf(raw: IperfJson): IperfReport {
  const { sum_received: received, sum_sent: sent, sum } = raw.end;
  return {
    bitsPerSecond: received?.bits_per_second ?? sum?.bits_per_second ?? 0,
    retransmits: sent?.retransmits ?? 0,
    lostPercent: sum?.lost_percent ?? 0,
    raw,
  };
}

/** A host on a lab's underlay. */
export interface LabHost {
  readonly namespace: LabNamespace;
  /** 192.0.2.N. */
  readonly address: string;
  /** 2001:db8::N, if the underlay has IPv6. */
  readonly address6: string;
  /** Interface towards the underlay. */
  readonly ifname: string;
}

export interface UnderlayOptions {
  /** Default 1500. */
  readonly mtu?: number;
}

/**
 * Namespaces, links and processes for one test, demo or benchmark run, all removed by `destroy`: also on
 * SIGINT and SIGTERM, and as far as is possible without waiting when the process exits by itself.
 */
export class Lab {
  readonly prefix: string;
  readonly #namespaces = new Map<string, LabNamespace>();
  readonly #processes = new Set<LabProcess>();
  readonly #over = new AbortController();
  #linkCount = 0;
  #destroyed: Promise<void> | undefined;

  /** `area` makes the names readable, at most 8 characters of [a-z0-9]. */
  constructor(area: string) {
    this.prefix = `weft-t${area}${process.pid}`;
    process.on('exit', this.#abandon);
    process.on('SIGINT', this.#interrupt);
    process.on('SIGTERM', this.#interrupt);
  }

  /** Says so when the lab is being destroyed. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Makes the namespace `<prefix>-<name>` with its loopback up. */
  async namespace(name: string): Promise<LabNamespace> {
    const made = new LabNamespace(this, `${this.prefix}-${name}`);
    await run('ip', ['netns', 'add', made.name]);
    this.#namespaces.set(made.name, made);
    await made.ip('link set lo up');
    return made;
  }

  async removeNamespace(namespace: LabNamespace): Promise<void> {
    this.#namespaces.delete(namespace.name);
    await run('ip', ['netns', 'del', namespace.name]);
  }

  /** A veth pair with its ends in two namespaces, both up. */
  async link(
    [from, fromName]: readonly [LabNamespace, string],
    [to, toName]: readonly [LabNamespace, string],
    { mtu = 1500 }: UnderlayOptions = {},
  ): Promise<void> {
    await from.ip(
      `link add ${fromName} mtu ${mtu} type veth peer name ${toName} mtu ${mtu} netns ${to.name}`,
    );
    await from.ip(`link set ${fromName} up`);
    await to.ip(`link set ${toName} up`);
  }

  /**
   * Hosts `names`, each a namespace with `u0` on one switch, 192.0.2.N and 2001:db8::N, N from 1.
   * Two hosts are joined back to back, more through a bridge in a namespace of its own.
   */
  async underlay(names: readonly string[], options: UnderlayOptions = {}): Promise<LabHost[]> {
    const hosts = [];
    for (const [index, name] of names.entries()) {
      hosts.push({
        namespace: await this.namespace(name),
        address: `192.0.2.${index + 1}`,
        address6: `2001:db8::${(index + 1).toString(16)}`,
        ifname: 'u0',
      });
    }
    const [first, second, ...more] = hosts.map((host) => host.namespace);
    if (first && second && more.length === 0)
      await this.link([first, 'u0'], [second, 'u0'], options);
    else await this.#joinBySwitch(hosts, options);
    for (const host of hosts) await addUnderlayAddresses(host);
    return hosts;
  }

  async #joinBySwitch(hosts: readonly LabHost[], options: UnderlayOptions): Promise<void> {
    const fabric = await this.namespace(`switch${this.#linkCount++}`);
    await fabric.ip('link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0');
    await fabric.ip('link set br0 up');
    for (const [index, { namespace, ifname }] of hosts.entries()) {
      await this.link([namespace, ifname], [fabric, `p${index}`], options);
      await fabric.ip(`link set p${index} master br0`);
    }
  }

  /** Starts a program that `destroy` ends. `env` is added to this process's own. */
  start(
    program: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
    input: ProgramInput = 'none',
  ): LabProcess {
    const started = new LabProcess(program, args, { ...process.env, ...env }, input);
    this.#processes.add(started);
    void started.exited.then(() => this.#processes.delete(started));
    return started;
  }

  /** Ends every process, waits for its end, and deletes every namespace. Safe to call twice. */
  destroy(): Promise<void> {
    this.#destroyed ??= this.#destroy();
    return this.#destroyed;
  }

  async #destroy(): Promise<void> {
    this.#over.abort();
    await Promise.all([...this.#processes].map((each) => each.stop()));
    for (const name of [...this.#namespaces.keys()]) {
      await tryRun('ip', ['netns', 'del', name]);
      this.#namespaces.delete(name);
    }
    process.off('exit', this.#abandon);
    process.off('SIGINT', this.#interrupt);
    process.off('SIGTERM', this.#interrupt);
  }

  readonly #interrupt = (signal: NodeJS.Signals): void => {
    void this.destroy().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  };

  /** The process is exiting and can't wait: kill and delete at once. */
  readonly #abandon = (): void => {
    this.#over.abort();
    for (const each of this.#processes) each.signal('SIGKILL');
    for (const name of this.#namespaces.keys()) spawnSync('ip', ['netns', 'del', name]);
  };
}

async function addUnderlayAddresses({
  namespace,
  ifname,
  address,
  address6,
}: LabHost): Promise<void> {
  await namespace.ip(`addr add ${address}/24 dev ${ifname}`);
  await namespace.ip(`addr add ${address6}/64 dev ${ifname} nodad`);
}
