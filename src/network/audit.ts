import { isAppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import type { Ip } from '../os/ip.ts';
import type { Link } from '../os/ip-json.ts';
import type { Bridges, BridgeSpec } from './bridge.ts';
import type { Endpoint } from './endpoint.ts';
import { bridgeName, hostEndName, parseMark } from './names.ts';
import { deleteIfPresent } from './repair.ts';
import type { Sandboxes } from './sandbox.ts';

/** What this host must have of one network. */
export interface DesiredNetwork extends BridgeSpec {
  /** The TAP device, once the daemon has opened it. */
  readonly device?: string;
  /** Those whose sandbox is on this host. */
  readonly endpoints: readonly Endpoint[];
}

export interface AuditReport {
  /** One sentence for each thing that was not as it should be and now is. */
  readonly changes: readonly string[];
  /** What could not be restored, and why. */
  readonly lost: readonly { readonly endpoint: Endpoint; readonly reason: string }[];
}

export interface AuditorOptions {
  readonly ip: Ip;
  readonly bridges: Bridges;
  readonly sandboxes: Sandboxes;
  readonly host: PeerId;
}

/**
 * Compares what the kernel has with what it should have, and repairs it: after a restart of the daemon,
 * and whenever somebody may have had a hand in it. One look at the kernel, and processes only for what
 * is wrong; the inside of a sandbox is looked at only if the host's end of its interface is wrong.
 */
export class Auditor {
  readonly #ip: Ip;
  readonly #bridges: Bridges;
  readonly #sandboxes: Sandboxes;
  readonly #host: PeerId;

  constructor({ ip, bridges, sandboxes, host }: AuditorOptions) {
    this.#ip = ip;
    this.#bridges = bridges;
    this.#sandboxes = sandboxes;
    this.#host = host;
  }

  /**
   * Brings this host to `desired`; links that bear its mark and are not in `desired` are removed.
   * Rejects only if a bridge or TAP device can't be set up: an endpoint that can't is `lost`.
   */
  async audit(desired: readonly DesiredNetwork[]): Promise<AuditReport> {
    const before = await this.#ip.links();
    const changes: string[] = [...(await this.#removeOrphans(desired, before))];
    for (const network of desired) {
      changes.push(...(await this.#bridges.ensureBridge(network, before)));
    }
    // A new bridge has no ports yet: what the first look said of them may be wrong.
    const links = changes.length === 0 ? before : await this.#ip.links();
    const lost: { endpoint: Endpoint; reason: string }[] = [];
    for (const network of desired) {
      if (network.device !== undefined) {
        changes.push(...(await this.#bridges.ensurePort(network, network.device, links)));
      }
      for (const endpoint of network.endpoints) {
        try {
          changes.push(...(await this.#ensureEndpoint(network, endpoint, links)));
        } catch (error) {
          if (!isAppError(error)) throw error;
          lost.push({ endpoint, reason: error.message });
        }
      }
    }
    return { changes, lost };
  }

  async #ensureEndpoint(
    { vni, mtu }: DesiredNetwork,
    endpoint: Endpoint,
    links: readonly Link[],
  ): Promise<readonly string[]> {
    const attachment = { endpoint, bridge: bridgeName(vni), mtu };
    const hostEnd = links.find((link) => link.name === hostEndName(endpoint.id));
    const isSound =
      hostEnd !== undefined &&
      (await this.#sandboxes.compareHostEnd(attachment, hostEnd)).length === 0;
    return isSound ? [] : this.#sandboxes.attach(attachment);
  }

  /** What a daemon that was killed between a deed and its record left behind. */
  async #removeOrphans(
    desired: readonly DesiredNetwork[],
    links: readonly Link[],
  ): Promise<string[]> {
    const wanted = new Set(
      desired.flatMap(({ vni, endpoints }) => [
        bridgeName(vni),
        ...endpoints.map(({ id }) => hostEndName(id)),
      ]),
    );
    const orphans = links.filter(
      ({ name, alias }) => parseMark(alias)?.host === this.#host && !wanted.has(name),
    );
    for (const { name } of orphans) await deleteIfPresent(this.#ip, name);
    return orphans.map(({ name }) => `${name} belongs to no network or endpoint; removed.`);
  }
}
