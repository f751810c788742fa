import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LabNamespace } from './lab.ts';
import { run, tryRun, type CommandResult, type LabProcess } from './process.ts';

/** The image that every engine of a lab has: a static busybox and nothing else. */
export const IMAGE = 'weft-busybox:1';
const BUSYBOX = '/bin/busybox';
/** Debian's own client; another of a later version may come first on the PATH. */
const DOCKER = '/usr/bin/docker';

/** A root file system with busybox as every one of its programs, as a tar file. */
export async function makeImage(directory: string): Promise<string> {
  const root = join(directory, 'busybox');
  for (const name of ['bin', 'etc', 'tmp', 'proc', 'sys', 'dev', 'root']) {
    mkdirSync(join(root, name), { recursive: true });
  }
  await copyFile(BUSYBOX, join(root, 'bin/busybox'));
  for (const applet of (await run(BUSYBOX, ['--list'])).trim().split('\n')) {
    if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
  }
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  const file = join(directory, 'busybox.tar');
  await run('tar', ['-C', root, '-cf', file, '.']);
  rmSync(root, { recursive: true });
  return file;
}

export interface DockerEngineOptions {
  readonly name: string;
  /** The host that it runs on. */
  readonly namespace: LabNamespace;
  /** For its data, its sockets and what it looks for under /run/docker. */
  readonly directory: string;
  readonly flags?: readonly string[];
}

/** Without a bridge and firewall rules of its own: those of Weft are looked at. */
const PLAIN = ['--iptables=false', '--bridge=none'] as const;

/**
 * A dockerd of its own in a host of a lab: with its own data, its own /run/docker and its own part of
 * the cgroups, so that several run on one machine.
 */
export class DockerEngine {
  readonly name: string;
  readonly #options: DockerEngineOptions;
  #process: LabProcess | undefined;
  #mounts: LabProcess | undefined;

  constructor(options: DockerEngineOptions) {
    this.#options = options;
    this.name = options.name;
    // What Docker puts on the PATH of sockets must be short: 107 bytes.
    for (const each of ['run/plugins', 'exec', 'data']) {
      mkdirSync(join(options.directory, each), { recursive: true });
    }
  }

  /** Of its API. */
  get socket(): string {
    return join(this.#options.directory, 'docker.sock');
  }

  get process(): LabProcess | undefined {
    return this.#process;
  }

  /** Starts it and returns when it answers. */
  async up(...more: readonly string[]): Promise<void> {
    const { namespace, directory, flags = PLAIN } = this.#options;
    const words = [
      ...['--storage-driver=overlay2', '--exec-opt', 'native.cgroupdriver=cgroupfs'],
      ...[`--data-root=${join(directory, 'data')}`, `--exec-root=${join(directory, 'exec')}`],
      ...[`--pidfile=${join(directory, 'pid')}`, `--host=unix://${this.socket}`],
      ...[`--cgroup-parent=/${this.#cgroup}`, ...flags, ...more],
    ];
    const mounts = await this.#mountNamespace();
    this.#process = namespace.start('nsenter', [`--mount=${mounts}`, 'dockerd', ...words]);
    await this.#process.waitForLine(/API listen on/, 60_000);
  }

  /** One for the engine's whole life: what it mounts for its containers must be there when it restarts. */
  async #mountNamespace(): Promise<string> {
    const { namespace, directory } = this.#options;
    const mount = `mkdir -p /run/docker && mount --bind ${join(directory, 'run')} /run/docker`;
    this.#mounts ??= namespace.start('unshare', [
      ...['-m', '--propagation', 'private', 'sh', '-c'],
      `${mount} && echo mounted && exec sleep infinity`,
    ]);
    await this.#mounts.waitForLine(/^mounted/);
    return `/proc/${this.#mounts.pid ?? 0}/ns/mnt`;
  }

  /** Ends it as SIGTERM does, containers too unless it was told to let them live. */
  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  /** Runs a `docker` command and returns its stdout without the last line's end. */
  async docker(...words: readonly string[]): Promise<string> {
    const text = await this.#options.namespace.run(DOCKER, this.#words(words), {
      timeoutMs: 120_000,
    });
    return text.trimEnd();
  }

  tryDocker(...words: readonly string[]): Promise<CommandResult> {
    return this.#options.namespace.tryRun(DOCKER, this.#words(words), { timeoutMs: 120_000 });
  }

  /** A program in a container, its status told apart from its output. */
  exec(container: string, ...words: readonly string[]): Promise<CommandResult> {
    return this.tryDocker('exec', container, ...words);
  }

  async load(image: string): Promise<void> {
    await this.docker('import', '-c', 'CMD ["/bin/sh"]', '-c', 'ENV PATH=/bin', image, IMAGE);
  }

  /** A container that lives until it is told to go, and goes at once. */
  start(network: string, name: string, ...flags: readonly string[]): Promise<string> {
    const idle = "trap 'exit 0' TERM; while :; do sleep 3600 & wait $!; done";
    const words = ['run', '-d', '--name', name, '--network', network, ...flags];
    return this.docker(...words, IMAGE, 'sh', '-c', idle);
  }

  /** Removes all containers, ends the engine, and removes its cgroups. */
  async destroy(): Promise<void> {
    const { stdout } = await this.tryDocker('ps', '-aq');
    const ids = stdout.split('\n').filter((id) => id !== '');
    if (ids.length > 0) await this.tryDocker('rm', '-f', ...ids);
    await this.stop();
    await this.#mounts?.stop();
    for (const controller of readdirSync('/sys/fs/cgroup')) {
      await tryRun('find', [
        ...[`/sys/fs/cgroup/${controller}/${this.#cgroup}`, '-depth', '-type', 'd'],
        ...['-exec', 'rmdir', '{}', '+'],
      ]);
    }
  }

  get #cgroup(): string {
    return this.#options.namespace.name;
  }

  #words(words: readonly string[]): string[] {
    return ['--host', `unix://${this.socket}`, ...words];
  }
}
