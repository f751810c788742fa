/**
 * The one topology that every contender runs on:
 *
 *   container a ── host a ── u0 ═══ underlay veth, MTU 1500 ═══ u0 ── host b ── container b
 *
 * Hosts and containers are network namespaces. A contender decides what lies between its host and its
 * container (nothing, a bridge, a route); the underlay and the offloads on it are the same for all.
 */
import type { Lab } from './lab.ts';
import { type LabHost, type LabNamespace } from './lab.ts';

export const UNDERLAY_MTU = 1500;
/** IPv4, UDP, VXLAN and Ethernet headers off the underlay's MTU; every overlay is given this one. */
export const OVERLAY_MTU = 1450;

/** Of the wired containers on the two hosts. */
export const CONTAINER_ADDRESSES = ['10.77.0.1', '10.77.0.2'] as const;

/**
 * offload        the veth as it is: super-frames cross it whole, checksums are not computed
 * no-tx-offload  the sender's kernel segments and sums, the receiver coalesces: an ordinary NIC
 * no-offload     every packet on its own, both ways
 */
export const UNDERLAY_MODES = {
  offload: [],
  'no-tx-offload': ['tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'on'],
  'no-offload': ['tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'],
} as const satisfies Record<string, readonly string[]>;

export type UnderlayMode = keyof typeof UNDERLAY_MODES;

/** The two ends between which traffic is measured. */
export interface Ends {
  readonly client: LabNamespace;
  readonly server: LabNamespace;
  readonly serverAddress: string;
  readonly mtu: number;
}

export type HostPair = readonly [LabHost, LabHost];

/** `tx off` also ends UDP segmentation: with it on, `tso off gso off` lets tunnels' super-frames through. */
async function setOffloads(host: LabHost, mode: UnderlayMode): Promise<void> {
  const settings = UNDERLAY_MODES[mode];
  if (settings.length > 0) await host.namespace.run('ethtool', ['-K', host.ifname, ...settings]);
}

export class Topology {
  readonly lab: Lab;
  readonly hosts: HostPair;
  /** Hosts beside the two, if any: then a switch joins all of them. */
  readonly others: readonly LabHost[];

  private constructor(lab: Lab, hosts: HostPair, others: readonly LabHost[]) {
    this.lab = lab;
    this.hosts = hosts;
    this.others = others;
  }

  /** Builds hosts and underlay in `lab`, which removes them. */
  static async build(
    lab: Lab,
    mode: UnderlayMode,
    otherNames: readonly string[] = [],
  ): Promise<Topology> {
    const all = await lab.underlay(['a', 'b', ...otherNames], { mtu: UNDERLAY_MTU });
    const [a, b, ...others] = all;
    if (a === undefined || b === undefined) throw new Error('The lab made fewer than two hosts.');
    for (const host of all) await setOffloads(host, mode);
    return new Topology(lab, [a, b], others);
  }

  /** The hosts themselves: no container, no overlay. */
  hostEnds(): Ends {
    const [a, b] = this.hosts;
    return {
      client: a.namespace,
      server: b.namespace,
      serverAddress: b.address,
      mtu: UNDERLAY_MTU,
    };
  }

  /** An empty container namespace on each host, for overlays that wire them up themselves. */
  async emptyContainers(): Promise<readonly [LabNamespace, LabNamespace]> {
    return [await this.lab.namespace('ca'), await this.lab.namespace('cb')];
  }

  /** A container on each host at the end of the veth `c0`, with `CONTAINER_ADDRESSES`; nothing joins them yet. */
  async wiredContainers(mtu = OVERLAY_MTU): Promise<Ends> {
    const containers = await this.emptyContainers();
    for (const [index, { namespace }] of this.hosts.entries()) {
      const which = index === 0 ? 0 : 1;
      await this.lab.link([namespace, 'c0'], [containers[which], 'eth0'], { mtu });
      await containers[which].ip(`addr add ${CONTAINER_ADDRESSES[which]}/24 dev eth0`);
    }
    const [client, server] = containers;
    return { client, server, serverAddress: CONTAINER_ADDRESSES[1], mtu };
  }

  /** As `wiredContainers`, with `c0` in a bridge `br0`, into which the contender puts its tunnel's end. */
  async bridgedContainers(mtu = OVERLAY_MTU): Promise<Ends> {
    const ends = await this.wiredContainers(mtu);
    for (const { namespace } of this.hosts) {
      await namespace.ip('link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0');
      await namespace.ip(`link set br0 mtu ${mtu} up`);
      await namespace.ip('link set c0 master br0');
    }
    return ends;
  }

  /**
   * A container behind a route on each host, 10.77.1.2 and 10.77.2.2, for tunnels that carry IP and
   * not Ethernet. The contender then routes the other host's 10.77.N.0/24 into its tunnel.
   */
  async routedContainers(mtu: number): Promise<Ends> {
    const containers = await this.emptyContainers();
    for (const [index, { namespace }] of this.hosts.entries()) {
      const container = containers[index === 0 ? 0 : 1];
      const subnet = `10.77.${index + 1}`;
      await this.lab.link([namespace, 'c0'], [container, 'eth0'], { mtu });
      await namespace.run('sh', ['-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
      await namespace.ip(`addr add ${subnet}.1/24 dev c0`);
      await container.ip(`addr add ${subnet}.2/24 dev eth0`);
      await container.ip(`route add default via ${subnet}.1`);
    }
    return { client: containers[0], server: containers[1], serverAddress: '10.77.2.2', mtu };
  }
}
