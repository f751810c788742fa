import { AppError } from '../../src/base/errors.ts';
import { CommandFailed } from '../../src/os/exec.ts';
import type { Ip } from '../../src/os/ip.ts';
import { undoCommands, type IpCommand } from '../../src/os/ip-command.ts';
import type { Link, Neighbour, Route } from '../../src/os/ip-json.ts';
import {
  OWN,
  type Netns,
  type OpenSandbox,
  type Sandbox,
  type SandboxReference,
} from '../../src/os/netns.ts';
import type { Sysctl } from '../../src/os/sysctl.ts';
import { formatCidr, parseCidr, subnetOf } from '../../src/wire/cidr.ts';

type MutableLink = { -readonly [K in keyof Link]: Link[K] };
type Commanded<K extends IpCommand['kind']> = Extract<IpCommand, { readonly kind: K }>;

function subnetText({ address, prefixLength }: Link['addresses'][number]): string {
  const cidr = parseCidr(`${address}/${prefixLength}`);
  return cidr === undefined ? '' : formatCidr(subnetOf(cidr));
}

/** The daemon's own namespace. */
const HOST = '';

/**
 * Links in namespaces, in memory: enough of a kernel for src/network. Each change is one step; the step
 * numbered `failAt` (from 1) is refused. `steps` tells how many were asked for.
 */
export class FakeKernel implements Ip, Sysctl, Netns {
  failAt = Infinity;
  steps = 0;
  /** How often something was looked at or changed: what would be a process each. */
  calls = 0;
  readonly #namespaces = new Map<string, Map<string, MutableLink>>([[HOST, new Map()]]);
  readonly #ipv6Off = new WeakSet<MutableLink>();
  readonly #routes: Route[] = [];
  /** Interfaces of the host that forward, by name and family. */
  readonly #forwarding = new Set<string>();
  readonly #defaults: (Route & { readonly within: string })[] = [];
  readonly #lostRoutes = new Set<string>();
  #lastIndex = 1;
  #openCount = 0;

  // What a test arranges and looks at.

  addNamespace(path: string): Sandbox {
    this.#namespaces.set(path, new Map());
    return { path, inode: `4:${path}` };
  }

  /** As when the last process in it ends: its veths go, on both ends. */
  removeNamespace(path: string): void {
    for (const link of this.#links(path).values()) this.#dropPeer(link);
    this.#namespaces.delete(path);
  }

  addLink(name: string, link: Partial<Link> = {}, within = HOST): void {
    this.#add(within, { ...this.#blank(name), ...link });
  }

  removeLink(name: string, within = HOST): void {
    this.#delete(within, name);
  }

  changeLink(name: string, change: Partial<Link>, within = HOST): void {
    Object.assign(this.#get(within, name), change);
  }

  /** As a container engine does: takes a link into a namespace under another name. */
  moveLink(name: string, newName: string, within: string): void {
    const link = this.#get(HOST, name);
    this.#add(within, { ...link, name: newName });
    this.#links(HOST).delete(name);
  }

  addRoute(route: Route): void {
    this.#routes.push(route);
  }

  /** Takes away a default route, as a person in the sandbox would. */
  loseDefault(within: string): void {
    const at = this.#defaults.findIndex((route) => route.within === within);
    if (at >= 0) this.#defaults.splice(at, 1);
  }

  /** Takes away a route that came with an address; it comes back with the address. */
  loseRoute(destination: string, within: string): void {
    this.#lostRoutes.add(`${within} ${destination}`);
  }

  find(name: string, within = HOST): Link | undefined {
    return this.#links(within).get(name);
  }

  /** All there is, to compare before and after; indices left out, since they are never used twice. */
  snapshot(): unknown {
    const strip = (link: MutableLink) => ({
      ...structuredClone({ ...link, index: 0, peerIndex: 0 }),
      isIpv6Off: this.#ipv6Off.has(link),
    });
    return [...this.#namespaces].map(([path, links]) => [path, [...links.values()].map(strip)]);
  }

  /** Sandboxes that were opened and not closed. */
  get openSandboxes(): number {
    return this.#openCount;
  }

  // Ip

  links(within = HOST): Promise<readonly Link[]> {
    this.calls++;
    return Promise.resolve(structuredClone([...this.#links(within).values()]));
  }

  /** Of the host what a test has added; elsewhere those that come with the addresses of links. */
  routes(within = HOST): Promise<readonly Route[]> {
    this.calls++;
    if (within === HOST) return Promise.resolve(this.#routes);
    const made = [...this.#links(within).values()].flatMap(({ name, isUp, addresses }) =>
      isUp ? addresses.map((address) => ({ destination: subnetText(address), device: name })) : [],
    );
    const isThere = ({ destination }: Route): boolean =>
      !this.#lostRoutes.has(`${within} ${destination}`);
    const defaults = this.#defaults.filter((route) => route.within === within);
    return Promise.resolve([...made.filter(isThere), ...defaults]);
  }

  neighbours(): Promise<readonly Neighbour[]> {
    return Promise.resolve([]);
  }

  routeTo(destination: string): Promise<Route | undefined> {
    const exact = this.#routes.find((route) => route.destination === destination);
    return Promise.resolve(exact ?? this.#routes.find((route) => route.destination === 'default'));
  }

  apply(commands: readonly IpCommand[], within = HOST): Promise<void> {
    if (commands.length > 0) this.calls++;
    const done: IpCommand[] = [];
    try {
      for (const command of commands) {
        this.#step(command.kind);
        this.#perform(command, within);
        done.push(command);
      }
      return Promise.resolve();
    } catch (error) {
      for (const undo of undoCommands(done)) this.#perform(undo, within);
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  // Sysctl

  async disableIpv6(ifname: string): Promise<void> {
    if (await this.isIpv6Disabled(ifname)) return;
    this.#step('disableIpv6', () => new AppError('E_PERMISSION', 'injected'));
    this.#ipv6Off.add(this.#get(HOST, ifname));
  }

  isIpv6Disabled(ifname: string): Promise<boolean> {
    return Promise.resolve(this.#ipv6Off.has(this.#get(HOST, ifname)));
  }

  announceAddresses(ifname: string, within: string): Promise<void> {
    this.#step('announceAddresses');
    this.#get(within, ifname);
    return Promise.resolve();
  }

  enableIpv6(ifname: string, within: string): Promise<void> {
    this.#step('enableIpv6');
    this.#ipv6Off.delete(this.#get(within, ifname));
    return Promise.resolve();
  }

  refuseTransit(ifname: string, within: string): Promise<void> {
    this.#step('refuseTransit');
    this.#get(within, ifname);
    return Promise.resolve();
  }

  makeGateway(ifname: string, families: readonly (4 | 6)[]): Promise<readonly string[]> {
    const link = this.#get(HOST, ifname);
    const missing = families.filter((family) => !this.#forwarding.has(`${ifname} ${family}`));
    if (missing.length === 0) return Promise.resolve([]);
    this.#step('makeGateway', () => new AppError('E_PERMISSION', 'injected'));
    for (const family of missing) this.#forwarding.add(`${ifname} ${family}`);
    if (families.includes(6)) this.#ipv6Off.delete(link);
    return Promise.resolve(missing.map((family) => `ipv${family}.forwarding`));
  }

  makeHostPort(ifname: string): Promise<void> {
    return this.setForwarding(ifname, 4, false);
  }

  async compareHostPort(ifname: string): Promise<readonly string[]> {
    return (await this.isForwarding(ifname, 4)) === true ? ['ipv4.forwarding'] : [];
  }

  isForwarding(ifname: string, family: 4 | 6): Promise<boolean | undefined> {
    const isThere = this.#links(HOST).has(ifname);
    return Promise.resolve(isThere ? this.#forwarding.has(`${ifname} ${family}`) : undefined);
  }

  setForwarding(ifname: string, family: 4 | 6, isOn: boolean): Promise<void> {
    this.#step('setForwarding', () => new AppError('E_PERMISSION', 'injected'));
    if (isOn) this.#forwarding.add(`${ifname} ${family}`);
    else this.#forwarding.delete(`${ifname} ${family}`);
    return Promise.resolve();
  }

  forwardsByInterface(): Promise<boolean> {
    return Promise.resolve(true);
  }

  filtersBridgedFrames(): Promise<boolean> {
    return Promise.resolve(false);
  }

  // Netns

  resolve(reference: SandboxReference): Promise<Sandbox> {
    const path = 'pid' in reference ? `/proc/${reference.pid}/ns/net` : reference.netns;
    return this.#namespaces.has(path)
      ? Promise.resolve({ path, inode: `4:${path}` })
      : Promise.reject(new AppError('E_SANDBOX_MISSING', `no ${path}`));
  }

  async open(sandbox: Sandbox): Promise<OpenSandbox> {
    if (!(await this.exists(sandbox))) {
      throw new AppError('E_SANDBOX_MISSING', `${sandbox.path} is gone`);
    }
    this.#openCount++;
    const close = () => {
      this.#openCount--;
      return Promise.resolve();
    };
    return { ...sandbox, handle: sandbox.path, close };
  }

  own(): Promise<Sandbox> {
    return Promise.resolve({ path: OWN, inode: `4:${OWN}` });
  }

  exists({ path, inode }: Sandbox): Promise<boolean> {
    const isThere = path === OWN || this.#namespaces.has(path);
    return Promise.resolve(isThere && inode === `4:${path}`);
  }

  // The kernel itself

  #step(what: string, refusal = (): Error => new CommandFailed(`injected at ${what}`)): void {
    this.steps++;
    if (this.steps === this.failAt) throw refusal();
  }

  #links(within: string): Map<string, MutableLink> {
    const links = this.#namespaces.get(within === OWN ? HOST : within);
    if (links === undefined) throw new CommandFailed(`no namespace ${within}`);
    return links;
  }

  #get(within: string, name: string): MutableLink {
    const link = this.#links(within).get(name);
    if (link === undefined) throw new CommandFailed(`Cannot find device "${name}"`);
    return link;
  }

  #blank(name: string): MutableLink {
    const index = ++this.#lastIndex;
    return {
      index,
      name,
      kind: 'veth',
      mac: '02:ff:00:00:00:01',
      mtu: 1500,
      isUp: false,
      addresses: [],
    };
  }

  #add(within: string, link: MutableLink): void {
    if (this.#links(within).has(link.name)) throw new CommandFailed('File exists');
    this.#links(within).set(link.name, link);
  }

  #dropPeer(link: Link): void {
    for (const links of this.#namespaces.values()) {
      for (const other of links.values()) {
        if (other.index === link.peerIndex) links.delete(other.name);
      }
    }
  }

  #delete(within: string, name: string): void {
    const link = this.#get(within, name);
    this.#links(within).delete(name);
    for (const family of within === HOST ? [4, 6] : [])
      this.#forwarding.delete(`${name} ${family}`);
    this.#dropPeer(link);
    if (link.kind !== 'bridge') return;
    for (const port of this.#links(within).values()) {
      if (port.master === name) delete port.master;
    }
  }

  #perform(command: IpCommand, within: string): void {
    switch (command.kind) {
      case 'addBridge': {
        const bridge = { stp: false, multicastSnooping: false };
        const { name, mac } = command;
        this.#add(within, { ...this.#blank(name), kind: 'bridge', mac, bridge });
        return;
      }
      case 'setBridge':
        this.#get(within, command.name).bridge = { stp: false, multicastSnooping: false };
        return;
      case 'addVeth':
        this.#addVeth(command, within);
        return;
      case 'addIfb':
        this.#add(within, { ...this.#blank(command.name), kind: 'ifb' });
        return;
      case 'setLink':
        this.#set(command, within);
        return;
      case 'setPort': {
        const link = this.#get(within, command.name);
        if (link.master === undefined) throw new CommandFailed('Operation not supported');
        if (command.isolated) link.isIsolated = true;
        else delete link.isIsolated;
        return;
      }
      case 'deleteLink':
        this.#delete(within, command.name);
        return;
      case 'addAddress': {
        const link = this.#get(within, command.name);
        const [address = '', length] = command.address.split('/');
        const added = { address, prefixLength: Number(length), scope: 'global' };
        link.addresses = [...link.addresses, added];
        const route = `${within} ${subnetText(added)}`;
        if (command.isRouteless === true) this.#lostRoutes.add(route);
        else this.#lostRoutes.delete(route);
        return;
      }
      case 'deleteAddress': {
        const link = this.#get(within, command.name);
        link.addresses = link.addresses.filter(
          ({ address, prefixLength }) => `${address}/${prefixLength}` !== command.address,
        );
        return;
      }
      case 'setRoute': {
        const { name: device, via: gateway, destination } = command;
        this.#get(within, device);
        const bare = destination.replace(/^0\.0\.0\.0\/0$/, 'default').replace(/\/32$/, '');
        this.#defaults.push({ within, destination: bare, device, gateway });
      }
    }
  }

  #addVeth({ name, mtu, peer }: Commanded<'addVeth'>, within: string): void {
    const [outer, inner] = [this.#blank(name), this.#blank(peer.name)];
    if (this.#links(within).has(name)) throw new CommandFailed('File exists');
    this.#add(peer.namespace ?? within, {
      ...inner,
      mac: peer.mac,
      mtu: peer.mtu,
      peerIndex: outer.index,
    });
    this.#add(within, { ...outer, mtu, peerIndex: inner.index });
  }

  #set({ name, master, mtu, mac, alias, up }: Commanded<'setLink'>, within: string): void {
    const link = this.#get(within, name);
    if (master !== undefined && this.#get(within, master).kind !== 'bridge') {
      throw new CommandFailed('Operation not supported');
    }
    if (master !== undefined) link.master = master;
    if (mtu !== undefined) link.mtu = mtu;
    if (mac !== undefined) link.mac = mac;
    if (alias !== undefined) link.alias = alias;
    if (up !== undefined) link.isUp = true;
  }
}
