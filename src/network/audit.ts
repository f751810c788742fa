import { isAppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import type { Ip } from '../os/ip.ts';
import type { Link } from '../os/ip-json.ts';
import type { Qdisc } from '../os/tc.ts';
import type { Bridges, BridgeSpec } from './bridge.ts';
import { isEngineManaged, type Endpoint } from './endpoint.ts';
import { bridgeName, hostEndName, parseMark, shaperName } from './names.ts';
import { deleteIfPresent } from './repair.ts';
import type { Sandboxes } from './sandbox.ts';
import type { Shaping } from './shaping.ts';

/** What this host must have of one network. */
export interface DesiredNetwork extends BridgeSpec {
  /** The TAP device, once the daemon has opened it. */
  readonly device?: string;
  /** Those whose sandbox is on this host. */
  readonly endpoints: readonly Endpoint[];
  /** Look into the sandbox of each of them. */
  readonly isChanged?: boolean;
}

export interface AuditReport {
  /** One sentence for each thing that was not as it should be and now is. */
  readonly changes: readonly string[];
  /** What could not be restored, and why. */
  readonly lost: readonly { readonly endpoint: Endpoint; readonly reason: string }[];
}

/** What one audit looks at. */
interface Seen {
  readonly links: readonly Link[];
  readonly qdiscs: readonly Qdisc[];
  /** Ids of the endpoints whose sandbox is looked into. */
  readonly inspected: ReadonlySet<string>;
}

export interface AuditorOptions {
  readonly ip: Ip;
  readonly bridges: Bridges;
  readonly sandboxes: Sandboxes;
  readonly shaping: Shaping;
  readonly host: PeerId;
}

/**
 * Compares what the kernel has with what it should have, and repairs it: after a restart of the daemon,
 * and whenever somebody may have had a hand in it. One look at the kernel, and processes only for what
 * is wrong. A look inside a sandbox is a process each: it is taken where the host's end of the interface
 * is wrong, and else at as many as the caller allows, in turn.
 */
export class Auditor {
  readonly #ip: Ip;
  readonly #bridges: Bridges;
  readonly #sandboxes: Sandboxes;
  readonly #shaping: Shaping;
  readonly #host: PeerId;
  /** Ids of the endpoints whose sandbox was looked into since all were. */
  readonly #inspected = new Set<string>();

  constructor({ ip, bridges, sandboxes, shaping, host }: AuditorOptions) {
    this.#ip = ip;
    this.#bridges = bridges;
    this.#sandboxes = sandboxes;
    this.#shaping = shaping;
    this.#host = host;
  }

  /**
   * Brings this host to `desired`; links that bear its mark and are not in `desired` are removed.
   * `looks` is how many sound endpoints are looked at from inside their sandbox, those first that have
   * waited longest; what fits in it is found at once, the rest by a later call.
   * Rejects only if a bridge or TAP device can't be set up: an endpoint that can't is `lost`.
   */
  async audit(desired: readonly DesiredNetwork[], looks = 0): Promise<AuditReport> {
    const inspected = this.#choose(desired, looks);
    const before = await this.#ip.links();
    const changes: string[] = [...(await this.#removeOrphans(desired, before))];
    for (const network of desired) {
      changes.push(...(await this.#bridges.ensureBridge(network, before)));
    }
    // A new bridge has no ports yet: what the first look said of them may be wrong.
    const links = changes.length === 0 ? before : await this.#ip.links();
    const qdiscs = await this.#shaping.look(desired.flatMap(({ endpoints }) => endpoints));
    const lost: { endpoint: Endpoint; reason: string }[] = [];
    for (const network of desired) {
      if (network.device !== undefined) {
        changes.push(...(await this.#bridges.ensurePort(network, network.device, links)));
      }
      for (const endpoint of network.endpoints) {
        try {
          changes.push(
            ...(await this.#ensureEndpoint(network, endpoint, { links, qdiscs, inspected })),
          );
        } catch (error) {
          if (!isAppError(error)) throw error;
          lost.push({ endpoint, reason: error.message });
        }
      }
    }
    return { changes, lost };
  }

  async #ensureEndpoint(
    { vni, mtu, gateway, isChanged }: DesiredNetwork,
    endpoint: Endpoint,
    { links, qdiscs, inspected }: Seen,
  ): Promise<readonly string[]> {
    const attachment = { endpoint, bridge: bridgeName(vni), mtu, gateway };
    const hostEnd = links.find((link) => link.name === hostEndName(endpoint.id));
    const isSound =
      hostEnd !== undefined &&
      this.#shaping.compare(endpoint, qdiscs).length === 0 &&
      (await this.#sandboxes.compareHostEnd(attachment, hostEnd)).length === 0;
    // Without its interface the sandbox has ended; the endpoint is forgotten with the next look.
    if (isEngineManaged(endpoint)) {
      return isSound || !hostEnd ? [] : this.#sandboxes.repairHostEnd(attachment, hostEnd);
    }
    if (!isSound) return this.#sandboxes.attach(attachment);
    return isChanged === true || inspected.has(endpoint.id)
      ? this.#sandboxes.inspect(attachment, hostEnd)
      : [];
  }

  /** The ids of `looks` endpoints, by turns: each is chosen once before any is chosen again. */
  #choose(desired: readonly DesiredNetwork[], looks: number): ReadonlySet<string> {
    const ids = desired.flatMap(({ endpoints }) => endpoints.map(({ id }) => id));
    const waiting = ids.filter((id) => !this.#inspected.has(id));
    if (waiting.length <= looks) this.#inspected.clear();
    const others = ids.filter((id) => !waiting.includes(id));
    const chosen = [...waiting, ...others].slice(0, looks);
    for (const id of chosen) this.#inspected.add(id);
    return new Set(chosen);
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
        ...endpoints.flatMap(({ id, bandwidth }) => (bandwidth?.egress ? [shaperName(id)] : [])),
      ]),
    );
    const orphans = links.filter(
      ({ name, alias }) => parseMark(alias)?.host === this.#host && !wanted.has(name),
    );
    for (const { name } of orphans) await deleteIfPresent(this.#ip, name);
    return orphans.map(({ name }) => `${name} belongs to no network or endpoint; removed.`);
  }
}
