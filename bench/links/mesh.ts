import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LinkDetail } from '../../src/api/control.ts';
import type { Lab, LabHost, LabNamespace } from '../lib/lab.ts';
import { until } from '../lib/until.ts';
import { WeftHost } from '../lib/weft-host.ts';

export const NETWORK = 'bench';
/** Of the container on the host of that index. */
export const addressOf = (index: number): string => `10.77.0.${index + 2}`;

const LONG_MS = 60_000;

/** Daemons that know each other, by a key that the bench knows too. */
export class LinkMesh {
  readonly hosts: readonly WeftHost[];
  readonly containers: LabNamespace[] = [];
  /** First key of the mesh, 32 bytes. */
  readonly secret = randomBytes(32);
  readonly #lab: Lab;
  readonly #keyFile: string;

  constructor(lab: Lab, hosts: readonly LabHost[], directory: string) {
    this.#lab = lab;
    this.#keyFile = join(directory, 'mesh.key');
    writeFileSync(this.#keyFile, `${this.secret.toString('base64')}\n`, { mode: 0o600 });
    this.hosts = hosts.map(
      (host, index) =>
        new WeftHost(host, { name: 'abc'.charAt(index), directory, dataPlane: 'native' }),
    );
  }

  /** Returns once all know all. */
  async up(...flags: readonly string[]): Promise<void> {
    const [first] = this.hosts;
    for (const host of this.hosts) {
      const { address } = host.host;
      const door = host === first || first === undefined ? [] : ['--join', first.host.address];
      await host.up(
        ...['--listen', ':7783', '--advertise', address, '--mesh-key-file', this.#keyFile],
        ...[...door, ...flags],
      );
    }
    await Promise.all(this.hosts.map((host) => host.seesAlive(this.hosts.length)));
  }

  /** Ends the daemons and starts them with other flags; networks and containers stay. */
  async restart(...flags: readonly string[]): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.stop()));
    await this.up(...flags);
    await this.#isCarrying();
  }

  /** A sealed network with a container on each host, all of which reach the second. */
  async connect(): Promise<void> {
    const [first] = this.hosts;
    await first?.control.createNetwork({ name: NETWORK, subnet: '10.77.0.0/24' });
    for (const host of this.hosts) await host.seesNetwork(NETWORK);
    for (const [index, host] of this.hosts.entries()) {
      const container = await this.#lab.namespace(`c${host.name}`);
      await host.attach(NETWORK, container, addressOf(index));
      this.containers.push(container);
    }
    await this.#isCarrying();
  }

  async #isCarrying(): Promise<void> {
    for (const container of this.containers) {
      await until('containers to answer', () => container.answers(addressOf(1)), LONG_MS);
    }
  }
}

/** The link of a host to another, by name. */
export async function linkTo(host: WeftHost, peer: string): Promise<LinkDetail> {
  const [link] = await host.control.links(peer);
  if (link === undefined) throw new Error(`${host.name} has no link to ${peer}`);
  return link;
}

/** Waits until a link takes a path; how long that took, in ms. */
export async function waitForPath(host: WeftHost, peer: string, path: RegExp): Promise<number> {
  const started = performance.now();
  await until(
    `${host.name}'s path to ${peer} to be ${path}`,
    async () => path.test((await linkTo(host, peer)).path),
    LONG_MS,
  );
  return performance.now() - started;
}
