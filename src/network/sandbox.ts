import { AppError, isAppError } from '../base/errors.ts';
import type { Mac, PeerId } from '../base/types.ts';
import type { Ip } from '../os/ip.ts';
import type { IpCommand } from '../os/ip-command.ts';
import type { Link, Route } from '../os/ip-json.ts';
import { OWN, type Netns, type OpenSandbox, type Sandbox } from '../os/netns.ts';
import type { Sysctl } from '../os/sysctl.ts';
import { formatMac } from '../wire/mac.ts';
import { familyOf } from '../wire/cidr.ts';
import { addressesOf, type Endpoint } from './endpoint.ts';
import {
  hasRoute,
  missingSubnetRoutes,
  routeCommands,
  routeText,
  shownDestination,
  type RouteCommand,
} from './endpoint-routes.ts';
import { defaultGateways, type GatewaySpec } from './gateway.ts';
import { engineEndName, formatMark, hostEndName, parseMark } from './names.ts';
import { PORT_MTU } from './port-mtu.ts';
import { compareLink, deleteIfPresent, repairCommands, type WantedLink } from './repair.ts';
import type { Shaping } from './shaping.ts';

/** An endpoint and what it is plugged into on this host. */
export interface Attachment {
  readonly endpoint: Endpoint;
  /** Name of the network's bridge, which must be there. */
  readonly bridge: string;
  /** Of the sandbox's interface. */
  readonly mtu: number;
  /**
   * What the bridge is beside that: where routes of the sandbox lead to that name no gateway, if the
   * endpoint has a metric for them, and whether it reaches no other port that is isolated too.
   */
  readonly gateway?: GatewaySpec | undefined;
}

export interface SandboxesOptions {
  readonly ip: Ip;
  readonly netns: Netns;
  readonly sysctl: Sysctl;
  readonly shaping: Shaping;
  /** This host, whose mark the host ends carry. */
  readonly host: PeerId;
}

/**
 * Plugs workloads into bridges: a veth pair with one end in the sandbox, which bears the endpoint's
 * name, MAC and addresses, and the other, `wv…`, a port of the bridge.
 *
 * Nothing else in a sandbox is touched: its loopback, routes (but those to the subnet and, where the
 * network has a gateway, by it) and names stay as they are. Checksum and segmentation offload stay on, because the kernel completes
 * both for a TAP device that takes neither. Attaching asks the kernel four times.
 */
export class Sandboxes {
  readonly #ip: Ip;
  readonly #netns: Netns;
  readonly #sysctl: Sysctl;
  readonly #shaping: Shaping;
  readonly #host: PeerId;

  constructor({ ip, netns, sysctl, shaping, host }: SandboxesOptions) {
    this.#ip = ip;
    this.#netns = netns;
    this.#sysctl = sysctl;
    this.#shaping = shaping;
    this.#host = host;
  }

  /**
   * Makes the endpoint's interface, or repairs the one that it has. Returns one sentence for each
   * change. If it rejects, everything that it made is gone again: E_SANDBOX_MISSING, E_IFNAME_TAKEN
   * (the sandbox has another interface of that name), E_COMMAND_FAILED, E_PERMISSION.
   */
  async attach(attachment: Attachment): Promise<string[]> {
    const sandbox = await this.#netns.open(attachment.endpoint.sandbox);
    try {
      return await this.#attachTo(sandbox, attachment);
    } finally {
      await sandbox.close();
    }
  }

  /**
   * Makes the pair with both ends on the host, the inner one down, for a container engine to move. If it
   * rejects, nothing that it made is left: E_COMMAND_FAILED, E_PERMISSION.
   */
  async prepare(attachment: Attachment): Promise<void> {
    const { endpoint, mtu } = attachment;
    const name = hostEndName(endpoint.id);
    const peer = { name: engineEndName(endpoint.id), mac: formatMac(endpoint.mac), mtu };
    await this.#ip.apply([
      { kind: 'addVeth', name, mtu: PORT_MTU, peer },
      ...this.#hostEnd(attachment),
    ]);
    try {
      await this.#sysctl.disableIpv6(name);
    } catch (error) {
      await deleteIfPresent(this.#ip, name);
      throw error;
    }
  }

  /** Has the interface with this MAC take in no IPv4 packets for others, if there is one. Rejects as `attach`. */
  async refuseTransit(reference: Sandbox, mac: Mac): Promise<void> {
    const sandbox = await this.#netns.open(reference);
    try {
      const links = await this.#ip.links(sandbox.handle);
      const inside = links.find((link) => link.mac === formatMac(mac));
      if (inside !== undefined) await this.#sysctl.refuseTransit(inside.name, sandbox.handle);
    } finally {
      await sandbox.close();
    }
  }

  /**
   * Gives the interface with this MAC, which a container engine has put there, another MTU; false if there
   * is none, or it has it. Rejects as `attach`.
   */
  async setMtu(reference: Sandbox, mac: Mac, mtu: number): Promise<boolean> {
    const sandbox = await this.#netns.open(reference);
    try {
      const links = await this.#ip.links(sandbox.handle);
      const inside = links.find((link) => link.mac === formatMac(mac));
      if (inside === undefined || inside.mtu === mtu) return false;
      await this.#ip.apply([{ kind: 'setLink', name: inside.name, mtu }], sandbox.handle);
      return true;
    } finally {
      await sandbox.close();
    }
  }

  /** Repairs the host's end of a pair whose other end a container engine cares for. */
  async repairHostEnd(attachment: Attachment, hostEnd: Link): Promise<string[]> {
    const differences = await this.compareHostEnd(attachment, hostEnd);
    await this.#sysctl.disableIpv6(hostEnd.name);
    const repair = compareLink(hostEnd, this.#hostSettings(attachment));
    await this.#ip.apply(repairCommands(hostEnd.name, repair));
    return differences.map((difference) => `${hostEnd.name}: ${difference}; repaired.`);
  }

  /** Names of what a sandbox has. Rejects as `attach`. */
  async interfaces(reference: Sandbox): Promise<ReadonlySet<string>> {
    const sandbox = await this.#netns.open(reference);
    try {
      return new Set((await this.#ip.links(sandbox.handle)).map(({ name }) => name));
    } finally {
      await sandbox.close();
    }
  }

  /** Removes the endpoint's interface, on both ends; false if there is none, e.g. as the sandbox is gone. */
  async detach(endpoint: Pick<Endpoint, 'id' | 'bandwidth'>): Promise<boolean> {
    const isRemoved = await deleteIfPresent(this.#ip, hostEndName(endpoint.id));
    await this.#shaping.remove(endpoint);
    return isRemoved;
  }

  /**
   * Makes the sandbox forget which MACs its neighbours had, and tell them its own: after its interface has
   * come to another Ethernet. Both is what the kernel does when a MAC is set. Rejects as `attach`.
   */
  async renewNeighbours({ sandbox: reference, ifname: name, mac }: Endpoint): Promise<void> {
    const sandbox = await this.#netns.open(reference);
    try {
      await this.#ip.apply([{ kind: 'setLink', name, mac: formatMac(mac) }], sandbox.handle);
    } finally {
      await sandbox.close();
    }
  }

  /** How both ends differ from what `attach` makes; nothing is changed. Rejects as `attach`. */
  async examine(attachment: Attachment): Promise<string[]> {
    const { endpoint, mtu } = attachment;
    const sandbox = await this.#netns.open(endpoint.sandbox);
    try {
      const name = hostEndName(endpoint.id);
      const hostEnd = (await this.#ip.links()).find((link) => link.name === name);
      const there = await this.#ip.links(sandbox.handle);
      const inside = there.find((link) => link.name === endpoint.ifname);
      if (hostEnd === undefined) return [`${name} is missing`];
      if (inside === undefined || !isPair(hostEnd, inside))
        return [`${endpoint.ifname} is missing`];
      const inner = compareLink(inside, { mac: formatMac(endpoint.mac), mtu, up: true });
      const differences = [
        ...(await this.compareHostEnd(attachment, hostEnd)).map((each) => `${name}: ${each}`),
        ...inner.differences,
      ];
      differences.push(...(await this.#shaping.examine(endpoint)));
      const lacking = missingAddresses(inside, endpoint);
      const routes = await this.#ip.routes(sandbox.handle);
      const unrouted = unroutedAddresses(routes, attachment);
      const missing = routesOf(attachment).filter((route) => !hasRoute(routes, route));
      return [
        ...differences,
        ...lacking.map((address) => `no address ${address}`),
        // Without its address nothing of a family can have a route.
        ...unrouted
          .filter((address) => !lacking.includes(address))
          .map((address) => `no route to ${shownDestination(address)}`),
        ...(lacking.length === 0 ? missing : []).map((route) => `no ${routeText(route)}`),
      ];
    } finally {
      await sandbox.close();
    }
  }

  /** How the host's end differs from what `attach` makes; no differences if all is well. */
  async compareHostEnd(attachment: Attachment, hostEnd: Link): Promise<readonly string[]> {
    const isIpv6Off = await this.#sysctl.isIpv6Disabled(hostEnd.name);
    return [
      ...compareLink(hostEnd, this.#hostSettings(attachment)).differences,
      ...(isIpv6Off ? [] : ['IPv6 of the host on it']),
      ...(await this.#compareHost(attachment.endpoint)),
    ];
  }

  /**
   * Looks inside the sandbox and repairs what is wrong with the endpoint's interface there. Returns and
   * rejects as `attach`.
   */
  async inspect(attachment: Attachment, hostEnd: Link): Promise<string[]> {
    const { endpoint } = attachment;
    const sandbox = await this.#netns.open(endpoint.sandbox);
    try {
      const there = await this.#ip.links(sandbox.handle);
      const inside = there.find((link) => link.name === endpoint.ifname);
      return inside && isPair(hostEnd, inside)
        ? await this.#repair(sandbox, attachment, { hostEnd, inside })
        : await this.#attachTo(sandbox, attachment);
    } finally {
      await sandbox.close();
    }
  }

  /** Tries at once, since that is nearly always right, and looks closer only if the kernel refuses. */
  async #attachTo(sandbox: OpenSandbox, attachment: Attachment): Promise<string[]> {
    try {
      return await this.#make(sandbox, attachment);
    } catch (error) {
      if (!isAppError(error, 'E_COMMAND_FAILED')) throw error;
      return this.#adopt(sandbox, attachment, error);
    }
  }

  #hostSettings({ endpoint, bridge, gateway }: Attachment): WantedLink {
    const { network, id } = endpoint;
    const alias = formatMark({ host: this.#host, network, endpoint: id });
    const isolated = gateway?.isIsolated === true && { isolated: true };
    return { master: bridge, mtu: PORT_MTU, alias, up: true, ...isolated };
  }

  #hostEnd(attachment: Attachment): IpCommand[] {
    const settings = this.#hostSettings(attachment);
    return repairCommands(hostEndName(attachment.endpoint.id), { settings });
  }

  /**
   * The host's end is up before IPv6 is taken off it, but a veth has no carrier, and so no IPv6, until
   * its other end is up too: that is the last step.
   */
  async #make(sandbox: OpenSandbox, attachment: Attachment): Promise<string[]> {
    const { endpoint, mtu } = attachment;
    const name = hostEndName(endpoint.id);
    const { ifname } = endpoint;
    const mac = formatMac(endpoint.mac);
    const peer = { name: ifname, namespace: sandbox.handle, mac, mtu };
    await this.#ip.apply([
      { kind: 'addVeth', name, mtu: PORT_MTU, peer },
      ...this.#hostEnd(attachment),
    ]);
    try {
      await this.#sysctl.disableIpv6(name);
      await this.#shaping.ensure(endpoint, mtu);
      await this.#guardHost(endpoint);
      await this.#addAddresses(sandbox, attachment, addressesOf(endpoint), [
        { kind: 'setLink', name: ifname, up: true },
      ]);
      // What the kernel announced as the link came up, the bridge did not carry yet: its port had no
      // carrier. A MAC that is set, though to what it is, makes the kernel announce again.
      await this.#ip.apply(
        [{ kind: 'setLink', name: ifname, mac }, ...routesOf(attachment)],
        sandbox.handle,
      );
    } catch (error) {
      await this.detach(endpoint);
      throw error;
    }
    return [`Endpoint ${endpoint.id} had no interface; made ${ifname} in ${sandbox.path}.`];
  }

  /**
   * Where the inner end is the host's own, nobody on the network may be its router, so no IPv6 there without
   * an address for it (with one, `enableIpv6` heeds no router), and the host none of theirs: who switches
   * forwarding on for the whole host switches it on there too. IPv6 can't be kept from being forwarded by one
   * interface: the table of nftables does. A gateway's address, which the bridge has, is not to be found there.
   */
  async #guardHost(endpoint: Endpoint): Promise<void> {
    const { sandbox, ifname } = endpoint;
    if (sandbox.path !== OWN) return;
    const hasIpv6 = addressesOf(endpoint).some((address) => familyOf(address) === 6);
    if (!hasIpv6) await this.#sysctl.disableIpv6(ifname);
    await this.#sysctl.makeHostPort(ifname);
  }

  async #compareHost({ sandbox, ifname }: Endpoint): Promise<readonly string[]> {
    if (sandbox.path !== OWN) return [];
    const settings = await this.#sysctl.compareHostPort(ifname);
    return settings.map((setting) => `${setting} of ${ifname} set otherwise`);
  }

  /** Gives the inner end addresses, and in the same process does what else is to be done there. */
  async #addAddresses(
    { handle }: OpenSandbox,
    attachment: Attachment,
    addresses: readonly string[],
    more: readonly IpCommand[],
  ): Promise<void> {
    const name = attachment.endpoint.ifname;
    const families = [...new Set(addresses.map(familyOf))];
    if (families.includes(6)) await this.#sysctl.enableIpv6(name, handle);
    await Promise.all([
      ...families.map((family) => this.#sysctl.announceAddresses(name, handle, family)),
      this.#sysctl.refuseTransit(name, handle),
    ]);
    const isRouteless = isBesideGateway(attachment);
    const commands = addresses.map(
      (address) =>
        ({ kind: 'addAddress', name, address, ...(isRouteless && { isRouteless }) }) as const,
    );
    await this.#ip.apply([...commands, ...more], handle);
  }

  /** The kernel refused to make the pair: because it is there, or another is in its place? */
  async #adopt(sandbox: OpenSandbox, attachment: Attachment, cause: Error): Promise<string[]> {
    const { id, ifname } = attachment.endpoint;
    const here = await this.#ip.links();
    const there = await this.#ip.links(sandbox.handle);
    const hostEnd = here.find((link) => link.name === hostEndName(id));
    const inside = there.find((link) => link.name === ifname);
    if (hostEnd && inside && isPair(hostEnd, inside)) {
      return this.#repair(sandbox, attachment, { hostEnd, inside });
    }
    if (inside !== undefined) throw ifnameTaken(sandbox, inside, here);
    if (hostEnd === undefined) throw cause;
    await deleteIfPresent(this.#ip, hostEnd.name);
    return [
      `${hostEnd.name} of endpoint ${id} led to another place; removed.`,
      ...(await this.#make(sandbox, attachment)),
    ];
  }

  async #repair(
    sandbox: OpenSandbox,
    attachment: Attachment,
    { hostEnd, inside }: { readonly hostEnd: Link; readonly inside: Link },
  ): Promise<string[]> {
    const { endpoint, mtu } = attachment;
    const outer = await this.compareHostEnd(attachment, hostEnd);
    const inner = compareLink(inside, { mac: formatMac(endpoint.mac), mtu, up: true });
    const lacking = missingAddresses(inside, endpoint);
    await this.#sysctl.disableIpv6(hostEnd.name);
    await this.#guardHost(endpoint);
    const host = compareLink(hostEnd, this.#hostSettings(attachment));
    await this.#ip.apply(repairCommands(hostEnd.name, host));
    const unlimited = await this.#shaping.ensure(endpoint, mtu);
    const commands = repairCommands(inside.name, inner);
    if (lacking.length === 0) await this.#ip.apply(commands, sandbox.handle);
    else await this.#addAddresses(sandbox, attachment, lacking, commands);
    const routes = await this.#ip.routes(sandbox.handle);
    const unrouted = unroutedAddresses(routes, attachment).filter(
      (address) => !lacking.includes(address),
    );
    for (const address of unrouted) await this.#renewAddress(sandbox, attachment, address);
    // With a renewed address its routes have gone.
    const missing = routesOf(attachment).filter(
      (route) => unrouted.length > 0 || !hasRoute(routes, route),
    );
    await this.#ip.apply(missing, sandbox.handle);
    return [
      ...[...outer, ...unlimited].map((difference) => `${hostEnd.name}: ${difference}; repaired.`),
      ...[
        ...inner.differences,
        ...lacking.map((address) => `no address ${address}`),
        ...unrouted.map((address) => `no route to ${shownDestination(address)}`),
        ...missing.map((route) => `no ${routeText(route)}`),
      ].map((difference) => `${inside.name} in ${sandbox.path}: ${difference}; repaired.`),
    ];
  }

  /** The kernel makes the route with the address, and not again. */
  async #renewAddress(
    sandbox: OpenSandbox,
    attachment: Attachment,
    address: string,
  ): Promise<void> {
    const name = attachment.endpoint.ifname;
    await this.#ip.apply([{ kind: 'deleteAddress', name, address }], sandbox.handle);
    await this.#addAddresses(sandbox, attachment, [address], []);
  }
}

/** The host itself, whose bridge has the subnet's route: `HostRoutes` gives this interface another. */
const isBesideGateway = ({ endpoint, gateway }: Attachment): boolean =>
  endpoint.sandbox.path === OWN && gateway !== undefined;

const routesOf = ({ endpoint, gateway }: Attachment): readonly RouteCommand[] =>
  routeCommands(endpoint, defaultGateways(gateway));

const unroutedAddresses = (routes: readonly Route[], attachment: Attachment): readonly string[] =>
  isBesideGateway(attachment) ? [] : missingSubnetRoutes(routes, attachment.endpoint);

function missingAddresses(inside: Link, endpoint: Endpoint): readonly string[] {
  const present = inside.addresses.map((each) => `${each.address}/${each.prefixLength}`);
  return addressesOf(endpoint).filter((address) => !present.includes(address));
}

/** Each end tells the other's index, as counted in the other's namespace. */
function isPair(one: Link, other: Link): boolean {
  return (
    one.kind === 'veth' &&
    other.kind === 'veth' &&
    one.peerIndex === other.index &&
    other.peerIndex === one.index
  );
}

function ifnameTaken(sandbox: OpenSandbox, taken: Link, here: readonly Link[]): AppError {
  const owner = parseMark(here.find((link) => isPair(link, taken))?.alias);
  const [first] = taken.addresses;
  const address = first === undefined ? '' : ` and address ${first.address}/${first.prefixLength}`;
  const who =
    owner?.endpoint === undefined
      ? `a ${taken.kind || 'device'} with MAC ${taken.mac}${address}`
      : `endpoint ${owner.endpoint} of network ${owner.network}`;
  return new AppError(
    'E_IFNAME_TAKEN',
    `${taken.name} in ${sandbox.path} is taken by ${who}; detach that first, or choose another name with --ifname.`,
  );
}
