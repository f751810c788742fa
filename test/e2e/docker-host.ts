import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { DockerEngine, makeImage } from '../../bench/lib/docker-engine.ts';
import { joinMesh, makeHosts, waitForPeers, type TestMesh, type WeftHost } from './mesh.ts';

/** A host with a Weft daemon and an engine that uses it. */
export interface DockerHost {
  readonly weft: WeftHost;
  readonly engine: DockerEngine;
}

export interface DockerMesh {
  readonly mesh: TestMesh;
  readonly hosts: readonly [DockerHost, DockerHost];
}

export interface EngineFlags {
  /** To `weft up` of the host at this address of the underlay. */
  readonly weft?: (address: string) => readonly string[];
  /** To its `dockerd`. */
  readonly engine?: (address: string) => readonly string[];
}

/** Starts a host's daemon, which serves its engine. */
export function upWeft({ weft, engine }: DockerHost, ...flags: readonly string[]): Promise<void> {
  const docker = ['--docker-plugin', weft.dockerPlugin, '--docker-socket', engine.socket];
  return weft.up(...docker, ...flags);
}

/** Two hosts, a and b, that know each other. */
export async function startEngines(
  t: ExecutionContext,
  area: string,
  flags: EngineFlags = {},
): Promise<DockerMesh> {
  const mesh = await makeHosts(t, area, ['a', 'b']);
  const [a, b] = mesh.hosts;
  if (!a || !b) throw new Error('two hosts were asked for');
  const image = await makeImage(a.directory);
  const hosts = await Promise.all(
    [a, b].map(async (weft) => {
      const directory = join(weft.directory, weft.name);
      const engine = new DockerEngine({ name: weft.name, namespace: weft.namespace, directory });
      t.teardown(() => engine.destroy());
      const { address } = weft.host;
      await upWeft({ weft, engine }, ...(flags.weft?.(address) ?? []));
      await engine.up(...(flags.engine?.(address) ?? []));
      await engine.load(image);
      return { weft, engine };
    }),
  );
  await joinMesh(b, a);
  await Promise.all([a, b].map((host) => waitForPeers(host, 2)));
  return { mesh, hosts: hosts as [DockerHost, DockerHost] };
}

export async function addressOf({ engine }: DockerHost, container: string, network = 'blue') {
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  return engine.docker('inspect', '--format', format, container);
}
