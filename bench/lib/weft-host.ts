/** A Weft daemon on one host of a lab, driven as a person would: through `bin/weft`. */
import { join } from 'node:path';
import { packageRoot } from '../../src/base/package-root.ts';
import { createClient } from '../../src/api/client.ts';
import type {
  Control,
  EndpointInfo,
  NetworkInfo,
  PeerInfo,
  Status,
} from '../../src/api/control.ts';
import type { LabHost, LabNamespace } from './lab.ts';
import type { LabProcess } from './process.ts';
import { until } from './until.ts';

const WEFT = join(packageRoot, 'bin/weft');
export const MESH_PORT = 7783;
const READY_MS = 20_000;
const COMMAND_MS = 20_000;

export interface WeftHostOptions {
  readonly name: string;
  /** Holds the socket and the state of this daemon; exists. */
  readonly directory: string;
  readonly dataPlane: 'auto' | 'native' | 'portable';
  /** Default `auto`. */
  readonly fastPath?: 'auto' | 'off';
  /** Forwarder threads; default 1. */
  readonly threads?: number;
}

/** A command that ended with another status than 0. */
export class WeftCommandFailed extends Error {
  override readonly name = 'WeftCommandFailed';
}

export class WeftHost {
  readonly name: string;
  readonly host: LabHost;
  readonly #socket: string;
  readonly #options: WeftHostOptions;
  #daemon: LabProcess | undefined;

  constructor(host: LabHost, options: WeftHostOptions) {
    this.host = host;
    this.name = options.name;
    this.#options = options;
    this.#socket = join(options.directory, `${options.name}.sock`);
  }

  /** `HOST:PORT` of the mesh, what the others join. */
  get meshAddress(): string {
    return `${this.host.address}:${MESH_PORT}`;
  }

  /** The daemon's API, without the program `weft` in between: for what is asked often or timed. */
  get control(): Control {
    return createClient({ socket: this.#socket });
  }

  /** undefined before `up`. */
  get pid(): number | undefined {
    return this.#daemon?.pid;
  }

  /** Starts the daemon, with more `flags` if need be, and returns the line in which it says that it is ready; `lastLines` tells why it did not. */
  async up(...flags: readonly string[]): Promise<string> {
    const { name, directory, dataPlane, fastPath = 'auto', threads = 1 } = this.#options;
    const daemon = this.host.namespace.start(process.execPath, [
      ...[WEFT, 'up', '--name', name, '--listen', this.meshAddress],
      ...['--socket', this.#socket, '--state-dir', join(directory, `${name}.state`)],
      ...['--data-plane', dataPlane, '--fast-path', fastPath, '--threads', String(threads)],
      ...flags,
    ]);
    this.#daemon = daemon;
    const ready = await daemon.waitForLine(/\bready\b/, READY_MS).catch((cause: unknown) => {
      const how = daemon.isRunning ? `was not ready after ${READY_MS} ms` : 'ended at once';
      throw new Error(`the daemon on host ${name} ${how}`, { cause });
    });
    return ready.input;
  }

  async stop(): Promise<void> {
    await this.#daemon?.stop();
  }

  /** Runs `weft ARGS` against this daemon and returns what it printed. */
  async weft(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.host.namespace.tryRun(
      process.execPath,
      [WEFT, ...args, '--socket', this.#socket],
      { timeoutMs: COMMAND_MS },
    );
    if (status === 0) return stdout;
    throw new WeftCommandFailed(
      `on host ${this.name}, "weft ${args.join(' ')}" ended with status ${status}: ${(stderr || stdout).trim()}`,
    );
  }

  async #json(...args: readonly string[]): Promise<unknown> {
    return JSON.parse(await this.weft(...args, '--json'));
  }

  async status(): Promise<Status> {
    return (await this.#json('status')) as Status;
  }

  async peers(): Promise<readonly PeerInfo[]> {
    return (await this.#json('peers')) as readonly PeerInfo[];
  }

  /** Returns once this daemon sees `count` hosts alive, itself included. */
  async seesAlive(count: number): Promise<void> {
    await until(`host ${this.name} to see ${count} hosts alive`, async () => {
      const alive = (await this.peers()).filter(({ state }) => state === 'alive');
      return alive.length >= count;
    });
  }

  /** Returns once gossip has brought the network's definition to this host. */
  async seesNetwork(network: string): Promise<void> {
    await until(`network ${network} to reach host ${this.name}`, async () => {
      const networks = (await this.#json('network', 'ls')) as readonly NetworkInfo[];
      return networks.some(({ name }) => name === network);
    });
  }

  async attach(network: string, container: LabNamespace, ip: string): Promise<EndpointInfo> {
    const where = ['--netns', container.name, '--ip', ip];
    return (await this.#json('attach', network, ...where)) as EndpointInfo;
  }

  /** The daemon's last lines, for a person who wants to know what went wrong. */
  lastLines(count: number): string[] {
    return (this.#daemon?.output ?? '').split('\n').slice(-count);
  }
}
