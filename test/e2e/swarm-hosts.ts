import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { DockerEngine, makeImage } from '../../bench/lib/docker-engine.ts';
import { run } from '../../bench/lib/process.ts';
import { packageRoot } from '../../src/base/package-root.ts';
import { joinMesh, makeHosts, WeftHost, waitForPeers, type TestMesh } from './mesh.ts';

/** What engines call the plugin. */
export const PLUGIN = 'weft:latest';

/** A host whose daemon is its engine's managed plugin. */
export class SwarmHost extends WeftHost {
  readonly engine: DockerEngine;

  constructor({ name, host, directory, dataPlane }: WeftHost) {
    super(name, host, directory, dataPlane);
    this.engine = new DockerEngine({ name, namespace: host.namespace, directory: this.#run });
  }

  /** What the plugin sees as its host's /run. */
  get #run(): string {
    return join(this.directory, this.name);
  }

  override get socket(): string {
    return join(this.#run, 'weft/weft.sock');
  }

  /** Starts engine and plugin; settles when the engine has heard of the plugin that it is there. */
  async install(plugin: string, image: string): Promise<void> {
    const { engine } = this;
    await engine.up();
    await engine.load(image);
    await engine.docker('plugin', 'create', PLUGIN, plugin);
    const args = `args=--name ${this.name} --data-plane ${this.dataPlane}`;
    await engine.docker('plugin', 'set', PLUGIN, `run.source=${this.#run}`, args);
    await engine.docker('plugin', 'enable', PLUGIN);
  }
}

export interface Swarm {
  readonly mesh: TestMesh;
  /** The first is the manager. */
  readonly hosts: readonly SwarmHost[];
}

/** A Swarm of one manager and workers, with Weft on each as a plugin; all is removed when the test ends. */
export async function startSwarm(
  t: ExecutionContext,
  area: string,
  names: readonly string[],
): Promise<Swarm> {
  const mesh = await makeHosts(t, area, names);
  const hosts = mesh.hosts.map((host) => new SwarmHost(host));
  const [manager, ...workers] = hosts;
  if (manager === undefined) throw new Error('a Swarm has a manager');
  const { directory } = manager;
  const plugin = join(directory, 'plugin');
  const build = join(packageRoot, 'scripts/plugin.mjs');
  await run(process.execPath, [build, plugin]);
  const image = await makeImage(directory);
  for (const host of hosts) {
    t.teardown(async () => {
      await host.engine.tryDocker('swarm', 'leave', '--force');
      await host.engine.destroy();
    });
  }
  await Promise.all(hosts.map((host) => host.install(plugin, image)));
  for (const host of workers) await joinMesh(host, manager);
  await Promise.all(hosts.map((host) => waitForPeers(host, names.length)));
  const at = (host: SwarmHost): string[] => ['--advertise-addr', host.host.address];
  await manager.engine.docker('swarm', 'init', ...at(manager));
  const token = await manager.engine.docker('swarm', 'join-token', '--quiet', 'worker');
  for (const host of workers) {
    await host.engine.docker(
      ...['swarm', 'join', '--token', token, ...at(host), `${manager.host.address}:2377`],
    );
  }
  return { mesh, hosts };
}
