import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import type { ExecutionContext } from 'ava';
import { accountCpu } from '../../bench/lib/cpu.ts';
import { Lab, type LabHost, type LabNamespace } from '../../bench/lib/lab.ts';
import type { CommandResult, LabProcess } from '../../bench/lib/process.ts';
import type { EndpointInfo, PeerInfo, Status } from '../../src/api/control.ts';
import { packageRoot } from '../../src/base/package-root.ts';

const WEFT = joinPath(packageRoot, 'bin/weft');

/** A host of the lab with a Weft daemon. */
export class WeftHost {
  readonly name: string;
  readonly host: LabHost;
  readonly directory: string;
  readonly dataPlane: DataPlaneName;
  daemon: LabProcess | undefined;

  constructor(name: string, host: LabHost, directory: string, dataPlane: DataPlaneName) {
    this.name = name;
    this.dataPlane = dataPlane;
    this.host = host;
    this.directory = directory;
  }

  get namespace(): LabNamespace {
    return this.host.namespace;
  }

  get socket(): string {
    return joinPath(this.directory, `${this.name}.sock`);
  }

  get stateDirectory(): string {
    return joinPath(this.directory, this.name);
  }

  /** Where this host's Docker engine looks for plugins. */
  get dockerPlugin(): string {
    return joinPath(this.directory, this.name, 'run/plugins/weft.sock');
  }

  /** Starts the daemon and returns when it says that it is ready. */
  async up(...flags: readonly string[]): Promise<void> {
    this.daemon = this.namespace.start(process.execPath, [
      ...[WEFT, 'up', '--name', this.name, '--socket', this.socket],
      ...['--state-dir', this.stateDirectory, '--data-plane', this.dataPlane, ...flags],
    ]);
    await this.daemon.waitForLine(/\bready\b/);
  }

  /** Runs a `weft` command against this host's daemon and returns its stdout. */
  weft(...words: readonly string[]): Promise<string> {
    return this.namespace.run(process.execPath, [WEFT, ...words, '--socket', this.socket]);
  }

  tryWeft(...words: readonly string[]): Promise<CommandResult> {
    return this.namespace.tryRun(process.execPath, [WEFT, ...words, '--socket', this.socket]);
  }

  async json<T>(...words: readonly string[]): Promise<T> {
    return JSON.parse(await this.weft(...words, '--json')) as T;
  }

  status(): Promise<Status> {
    return this.json<Status>('status');
  }

  peers(): Promise<PeerInfo[]> {
    return this.json<PeerInfo[]>('peers');
  }

  attach(
    network: string,
    sandbox: LabNamespace,
    ip: string,
    ...more: string[]
  ): Promise<EndpointInfo> {
    return this.json<EndpointInfo>('attach', network, '--netns', sandbox.name, '--ip', ip, ...more);
  }

  /** Ends the daemon as a crash would and returns when it is gone. */
  async kill(): Promise<void> {
    this.daemon?.signal('SIGKILL');
    await this.daemon?.exited;
  }
}

/** Both implementations of the data plane, for tests that must hold on each. */
export const DATA_PLANES = ['portable', 'native'] as const;
export type DataPlaneName = (typeof DATA_PLANES)[number];

export interface TestMesh {
  readonly lab: Lab;
  readonly hosts: readonly WeftHost[];
  /** A namespace that plays a container. */
  container(name: string): Promise<LabNamespace>;
}

/** Hosts with addresses and directories, but no daemon yet; all is removed when the test ends. */
export async function makeHosts(
  t: Pick<ExecutionContext, 'teardown'>,
  area: string,
  names: readonly string[],
  dataPlane: DataPlaneName = 'native',
): Promise<TestMesh> {
  const lab = new Lab(area);
  const directory = mkdtempSync(joinPath(tmpdir(), `weft-t${area}-`));
  t.teardown(async () => {
    await lab.destroy();
    rmSync(directory, { recursive: true, force: true });
  });
  const underlay = await lab.underlay(names);
  const hosts = underlay.map(
    (host, index) => new WeftHost(names[index] ?? '', host, directory, dataPlane),
  );
  return { lab, hosts, container: (name) => lab.namespace(name) };
}

/** For tests of what user space does with every frame: known ones would else pass it by, in the kernel. */
export const USER_SPACE = ['--fast-path', 'off'] as const;

/** Has a host join another's mesh by a token of that one, at `target` if not at its address. */
export async function joinMesh(
  host: WeftHost,
  at: WeftHost,
  target = at.host.address,
): Promise<void> {
  const token = (await at.weft('token')).trim();
  await host.weft('join', target, '--token', token);
}

/** Starts a daemon that joins the mesh of another. */
export async function upJoined(
  host: WeftHost,
  at: WeftHost,
  ...flags: readonly string[]
): Promise<void> {
  await host.up(...flags);
  await joinMesh(host, at);
}

/** Gossip that anybody can read and forge, for tests that do. */
export const OPEN = ['--gossip', 'open'] as const;

/** Plain networks: for tests of what VXLAN does on the wire. */
export const PLAIN = ['--encap', 'vxlan'] as const;

/** Hosts with daemons that have joined the first; `flags` go to each `weft up`. */
export async function startMesh(
  t: Pick<ExecutionContext, 'teardown'>,
  area: string,
  names: readonly string[],
  dataPlane: DataPlaneName = 'native',
  flags: readonly string[] = [],
): Promise<TestMesh> {
  const mesh = await makeHosts(t, area, names, dataPlane);
  const [first, ...others] = mesh.hosts;
  await first?.up(...flags);
  for (const host of others) if (first) await upJoined(host, first, ...flags);
  await Promise.all(mesh.hosts.map((host) => waitForPeers(host, names.length)));
  return mesh;
}

/** Network `blue` on two hosts that know each other, 10.7.0.3 on the second; the container at 10.7.0.2 on the first. */
export async function attachPair(
  mesh: TestMesh,
  [a, b]: readonly [WeftHost, WeftHost],
): Promise<LabNamespace> {
  const [web, db] = [await mesh.container('web'), await mesh.container('db')];
  await a.weft('network', 'create', 'blue', '--subnet', '10.7.0.0/24');
  await eventually(
    async () => (await b.tryWeft('network', 'inspect', 'blue')).status === 0,
    20_000,
  );
  await a.attach('blue', web, '10.7.0.2');
  await b.attach('blue', db, '10.7.0.3');
  return web;
}

/** Waits until `host` sees `count` members alive, itself among them. */
export async function waitForPeers(
  host: WeftHost,
  count: number,
  timeoutMs = 20_000,
): Promise<void> {
  await eventually(async () => {
    const alive = (await host.peers()).filter((peer) => peer.state === 'alive');
    return alive.length === count;
  }, timeoutMs);
}

const ASK_AGAIN_AFTER_MS = 10;

/** Asks again until the answer is true; how long it took, in ms. Throws after `timeoutMs`. */
export async function eventually(
  isTrue: () => Promise<boolean>,
  timeoutMs: number,
): Promise<number> {
  const start = performance.now();
  while (!(await isTrue())) {
    if (performance.now() - start > timeoutMs) {
      throw new Error(`not true within ${timeoutMs} ms: ${isTrue.toString()}`);
    }
    // Daemons and this process's own events come to their turn.
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_AFTER_MS));
  }
  return performance.now() - start;
}

/** More than this the machine's other users are not believed to have had. */
const MOST_FOREIGN = 0.9;

/**
 * Does something that must end in `boundMs` on a machine of its own. What others took of the processors
 * meanwhile stretches the bound: who has half a machine takes twice as long.
 */
export async function timed(
  work: () => Promise<unknown>,
  boundMs: number,
): Promise<{ readonly ms: number; readonly allowedMs: number; readonly text: string }> {
  const start = performance.now();
  const { use } = await accountCpu([], work);
  const ms = performance.now() - start;
  const foreign = Math.min(use.foreignShare, MOST_FOREIGN);
  const allowedMs = boundMs / (1 - foreign);
  const share = `${Math.round(100 * foreign)} % of the machine in other hands`;
  return { ms, allowedMs, text: `${Math.round(ms)} ms of ${Math.round(allowedMs)}, ${share}` };
}
