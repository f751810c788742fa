import { AppError } from '../base/errors.ts';
import type { PeerId, Vni } from '../base/types.ts';
import type { Ip } from '../os/ip.ts';
import type { IpCommand, LinkSettings } from '../os/ip-command.ts';
import type { Link } from '../os/ip-json.ts';
import type { Sysctl } from '../os/sysctl.ts';
import { formatMac } from '../wire/mac.ts';
import { bridgeAddresses, gatewayFamilies, type GatewaySpec } from './gateway.ts';
import { bridgeMac, bridgeName, formatMark, gatewayMac } from './names.ts';
import { PORT_MTU } from './port-mtu.ts';
import { compareLink, deleteIfPresent, repairCommands } from './repair.ts';

/** What a bridge must know of its network. */
export interface BridgeSpec {
  readonly network: string;
  readonly vni: Vni;
  /** That the workloads have, and the host as their gateway. */
  readonly mtu: number;
  /** Absent of a plain wire. */
  readonly gateway?: GatewaySpec;
}

export interface BridgesOptions {
  readonly ip: Ip;
  readonly sysctl: Sysctl;
  /** This host, whose mark the bridges carry. */
  readonly host: PeerId;
}

/**
 * The bridges of this host's networks: one each, with a fixed MAC, no STP, no multicast snooping and no
 * IPv6 of the host's own, so that it is a plain wire between the workloads and the TAP device. The
 * bridge of a network with an edge is that network's gateway as well: it has the gateway's addresses,
 * and the MAC that the gateway has on every host.
 *
 * Every `ensure…` can be called at any time: it reuses what fits, repairs what does not, and returns
 * one sentence for each thing that it changed. If it rejects, a bridge that it made is gone again.
 */
export class Bridges {
  readonly #ip: Ip;
  readonly #sysctl: Sysctl;
  readonly #host: PeerId;

  constructor({ ip, sysctl, host }: BridgesOptions) {
    this.#ip = ip;
    this.#sysctl = sysctl;
    this.#host = host;
  }

  /** `links` spares a look at the kernel if the caller has just had one. */
  async ensureBridge(spec: BridgeSpec, links?: readonly Link[]): Promise<string[]> {
    const name = bridgeName(spec.vni);
    const found = (links ?? (await this.#ip.links())).find((link) => link.name === name);
    return found?.bridge === undefined
      ? this.#make(spec, found)
      : this.#repair(spec, found, found.bridge);
  }

  /**
   * Makes a device a port of the network's bridge: enslaved, with the MTU of ports, up, without IPv6.
   * Rejects with E_DEVICE_MISSING if there is no such device.
   */
  async ensurePort(spec: BridgeSpec, ifname: string, links?: readonly Link[]): Promise<string[]> {
    const found = (links ?? (await this.#ip.links())).find((link) => link.name === ifname);
    if (found === undefined) {
      throw new AppError(
        'E_DEVICE_MISSING',
        `There is no interface ${ifname} to put on the bridge of network ${spec.network}; it was deleted, so start the daemon again.`,
      );
    }
    await this.#sysctl.disableIpv6(ifname);
    const isolated = spec.gateway?.isIsolated;
    const wanted = {
      ...({ master: bridgeName(spec.vni), mtu: PORT_MTU, up: true } as const),
      ...(isolated === true && { isolated }),
    };
    const repair = compareLink(found, wanted);
    await this.#ip.apply(repairCommands(ifname, repair));
    return repair.differences.map((difference) => `${ifname}: ${difference}; repaired.`);
  }

  /** False if there was none. Its ports stay, without a bridge. */
  removeBridge(vni: Vni): Promise<boolean> {
    return deleteIfPresent(this.#ip, bridgeName(vni));
  }

  #settings(spec: BridgeSpec): LinkSettings & { readonly mac: string } {
    return {
      mac: formatMac(spec.gateway ? gatewayMac(spec.vni) : bridgeMac(this.#host, spec.vni)),
      mtu: spec.mtu,
      alias: formatMark({ host: this.#host, network: spec.network }),
      up: true,
    };
  }

  /** IPv6 must be off before the bridge is up, or the host's first messages are already on the overlay. */
  async #make(spec: BridgeSpec, inTheWay: Link | undefined): Promise<string[]> {
    const name = bridgeName(spec.vni);
    const { mac, ...settings } = this.#settings(spec);
    const removal: IpCommand[] = inTheWay === undefined ? [] : [{ kind: 'deleteLink', name }];
    await this.#ip.apply([...removal, { kind: 'addBridge', name, mac }]);
    try {
      await this.#setUp(spec);
      await this.#ip.apply([
        ...addressCommands(name, this.#addresses(spec)),
        // A bridge follows its ports until its MTU has been changed, and the same again is no change.
        { kind: 'setLink', name, mtu: spec.mtu - 1 },
        { kind: 'setLink', name, ...settings },
      ]);
    } catch (error) {
      await deleteIfPresent(this.#ip, name);
      throw error;
    }
    return [
      inTheWay === undefined
        ? `Bridge ${name} of network ${spec.network} was missing; made.`
        : `${name} was a ${inTheWay.kind || 'device'} and no bridge; replaced.`,
    ];
  }

  /** The kernel's settings; returns those of a gateway that were otherwise. */
  async #setUp({ vni, gateway }: BridgeSpec): Promise<readonly string[]> {
    const name = bridgeName(vni);
    const families = gateway === undefined ? [] : gatewayFamilies(gateway);
    if (!families.includes(6)) await this.#sysctl.disableIpv6(name);
    return families.length === 0 ? [] : this.#sysctl.makeGateway(name, families);
  }

  #addresses({ vni, gateway }: BridgeSpec): readonly string[] {
    return gateway === undefined ? [] : bridgeAddresses(vni, gateway);
  }

  async #repair(
    spec: BridgeSpec,
    found: Link,
    { stp, multicastSnooping }: NonNullable<Link['bridge']>,
  ): Promise<string[]> {
    const { name } = found;
    const otherwise = await this.#setUp(spec);
    const repair = compareLink(found, this.#settings(spec));
    const isWire = !stp && !multicastSnooping;
    const present = found.addresses.map((each) => `${each.address}/${each.prefixLength}`);
    const missing = this.#addresses(spec).filter((address) => !present.includes(address));
    await this.#ip.apply([
      ...(isWire ? [] : [{ kind: 'setBridge', name } as const]),
      ...addressCommands(name, missing),
      ...repairCommands(name, repair),
    ]);
    return [
      ...(isWire ? [] : ['STP or multicast snooping on instead of off']),
      ...otherwise.map((setting) => `${setting} was set otherwise`),
      ...missing.map((address) => `no address ${address}`),
      ...repair.differences,
    ].map((difference) => `Bridge ${name}: ${difference}; repaired.`);
  }
}

function addressCommands(name: string, addresses: readonly string[]): IpCommand[] {
  return addresses.map((address) => ({ kind: 'addAddress', name, address }));
}
