import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, tryRun, type CommandResult } from '../../bench/lib/process.ts';
import type { LabNamespace } from '../../bench/lib/lab.ts';
import { packageRoot } from '../../src/base/package-root.ts';

/** The CNI program as the build made it; runtimes know it as `weft`. */
export const CNI_PROGRAM = join(packageRoot, 'native/build/Release/weft-cni');

/** Debian's containernetworking-plugins: `bridge`, `host-local`, `loopback` and others. */
export const REFERENCE_PLUGINS = '/usr/lib/cni';

const TOOL_SOURCE = join(packageRoot, 'test/e2e/cni-tool/main.go');
const TOOL = join(packageRoot, 'build/cni-tool');

const changedAt = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Builds the program over libcni (2 s), once for each version of its source. */
async function buildTool(): Promise<void> {
  if (changedAt(TOOL) > changedAt(TOOL_SOURCE)) return;
  mkdirSync(join(packageRoot, 'build'), { recursive: true });
  await run('env', [
    ...['GO111MODULE=off', 'GOPATH=/usr/share/gocode', 'CGO_ENABLED=0', 'GOFLAGS='],
    ...[`GOCACHE=${join(packageRoot, 'build/go-cache')}`, 'go', 'build', '-o', TOOL, TOOL_SOURCE],
  ]);
}

export interface CallOptions {
  readonly containerId?: string;
  readonly ifname?: string;
  readonly args?: string;
  readonly capabilities?: object;
}

/** Folders of plugins and configs on a node, and the ways to call what is in them. */
export class CniRuntime {
  readonly plugins: string;
  readonly configs: string;
  readonly #cache: string;
  readonly #node: LabNamespace;

  private constructor(node: LabNamespace, directory: string) {
    this.#node = node;
    this.plugins = join(directory, 'cni-bin');
    this.configs = join(directory, 'cni-conf');
    this.#cache = join(directory, 'cni-cache');
  }

  static async on(node: LabNamespace, directory: string): Promise<CniRuntime> {
    await buildTool();
    const runtime = new CniRuntime(node, directory);
    mkdirSync(runtime.plugins, { recursive: true });
    mkdirSync(runtime.configs, { recursive: true });
    for (const name of ['weft', 'weft-ipam']) {
      symlinkSync(CNI_PROGRAM, join(runtime.plugins, name));
    }
    return runtime;
  }

  /** Writes a list of plugins as a config. */
  configure(name: string, cniVersion: string, ...plugins: readonly object[]): void {
    const list = { cniVersion, name, plugins };
    writeFileSync(join(this.configs, `${name}.conflist`), JSON.stringify(list));
  }

  /** libcni's call of all plugins of a config, as every runtime makes it. */
  call(
    verb: 'add' | 'check' | 'del' | 'validate',
    network: string,
    netns: string,
    { containerId = 'c1', ifname = 'eth0', args = '', capabilities }: CallOptions = {},
  ): Promise<CommandResult> {
    return this.#node.tryRun('env', [
      ...[`CNI_PATH=${this.plugins}:${REFERENCE_PLUGINS}`, `CNI_CONF_DIR=${this.configs}`],
      ...[`CNI_CACHE=${this.#cache}`, `CNI_ARGS=${args}`],
      `CAP_ARGS=${capabilities === undefined ? '' : JSON.stringify(capabilities)}`,
      ...[TOOL, verb, network, containerId, netns, ifname],
    ]);
  }

  /** The program alone, by environment and standard input. */
  program(env: Readonly<Record<string, string>>, config: object | string): Promise<CommandResult> {
    return callProgram(join(this.plugins, 'weft'), env, config, this.#node.path);
  }
}

/** Runs a plugin in a network namespace. */
export function callProgram(
  program: string,
  env: Readonly<Record<string, string>>,
  config: object | string,
  netns: string,
): Promise<CommandResult> {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return tryRun('nsenter', [`--net=${netns}`, 'env', '-u', 'CNI_COMMAND', ...variables, program], {
    input: typeof config === 'string' ? config : JSON.stringify(config),
  });
}
