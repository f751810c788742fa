import { access, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError, errnoOf } from '../base/errors.ts';
import type { Exec } from './exec.ts';

/** Kernel settings of the daemon's own network namespace. */
export interface Sysctl {
  /**
   * Keeps the host's IPv6 off an interface: no link-local address, no router or listener messages of the
   * host on the overlay. Does nothing where the kernel, or a device with an MTU below 1280, has no IPv6. Rejects with E_DEVICE_MISSING if
   * the interface is gone, with E_PERMISSION if /proc/sys is read-only.
   */
  disableIpv6(ifname: string): Promise<void>;
  isIpv6Disabled(ifname: string): Promise<boolean>;
  /**
   * Allows IPv6 on an interface of the namespace at `within`, and heeds no router there: container engines
   * switch it off in sandboxes whose own networks have none, and what a sandbox has comes from Weft alone
   * and not from whoever advertises on the wire (RFC 4861 §6.2). Rejects with E_COMMAND_FAILED.
   */
  enableIpv6(ifname: string, within: string): Promise<void>;
  /**
   * Has the kernel announce an interface's addresses when it comes up, by gratuitous ARP or unsolicited
   * neighbour advertisement, so that neighbours who knew an address from elsewhere learn at once. To be
   * called while the interface is down. Rejects with E_COMMAND_FAILED.
   */
  announceAddresses(ifname: string, within: string, family: 4 | 6): Promise<void>;
  /**
   * Keeps what comes in by an interface of the namespace at `within` from being passed on to another:
   * a sandbox on two networks is no router between them. IPv4; a new namespace forwards no IPv6. Rejects
   * with E_COMMAND_FAILED.
   */
  refuseTransit(ifname: string, within: string): Promise<void>;
  /**
   * Sets what an interface of the host needs to be a network's gateway: it forwards, answers ARP for its
   * own addresses only, takes no router's advice. Returns the settings that were otherwise. Rejects as
   * `disableIpv6`.
   */
  makeGateway(ifname: string, families: readonly (4 | 6)[]): Promise<readonly string[]>;
  /**
   * Sets what an interface by which the host itself is on a network needs: what comes in by it is passed on
   * to nobody (IPv4), and it answers ARP for its own addresses only, and asks from them. Rejects as
   * `disableIpv6`.
   */
  makeHostPort(ifname: string): Promise<void>;
  /** Which settings of `makeHostPort` are otherwise; none if there is no such interface. */
  compareHostPort(ifname: string): Promise<readonly string[]>;
  /** Whether what comes in by an interface may be passed on; undefined if it is not there. */
  isForwarding(ifname: string, family: 4 | 6): Promise<boolean | undefined>;
  /** `ifname` is `all` where `forwardsByInterface` is false. Rejects as `disableIpv6`. */
  setForwarding(ifname: string, family: 4 | 6, isOn: boolean): Promise<void>;
  /** Whether IPv6 can be forwarded from one interface without being so from all (Linux 6.17). */
  forwardsByInterface(): Promise<boolean>;
  /**
   * Whether the host's iptables or nftables rules judge bridged frames too (br_netfilter). A host with
   * Docker often has them so, and Docker's forward policy then drops what workloads say to each other.
   */
  filtersBridgedFrames(): Promise<boolean>;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** What makes an interface a gateway, by address family. Redirects would point past the gateway. */
const GATEWAY_SETTINGS = {
  4: {
    forwarding: '1',
    arp_ignore: '1',
    arp_announce: '2',
    accept_redirects: '0',
    // 127.0.0.1 leads to published ports; whatever comes from a bridge for it is dropped by nftables.
    route_localnet: '1',
  },
  6: {
    addr_gen_mode: '1',
    accept_dad: '0',
    accept_ra: '0',
    accept_redirects: '0',
    forwarding: '1',
    disable_ipv6: '0',
  },
} as const;

/** What makes an interface the host's own on a network. */
const HOST_PORT_SETTINGS = { forwarding: '0', arp_ignore: '1', arp_announce: '2' } as const;

const FORCE_FORWARDING = 'force_forwarding';

/** Writes a file under /proc/sys/net as the namespace at a path has it. Rejects with E_COMMAND_FAILED. */
export type WriteWithin = (within: string, path: string, value: string) => Promise<void>;

/** `Sysctl` by files under /proc/sys/net, which show the namespace of whoever reads them. */
export class ProcSysctl implements Sysctl {
  readonly #exec: Exec;
  readonly #root: string;
  readonly #writeWithin: WriteWithin;

  /** `root` is another folder only in tests; `writeWithin` spares a process for each setting of a sandbox. */
  constructor(exec: Exec, root = '/proc/sys/net', writeWithin?: WriteWithin) {
    this.#exec = exec;
    this.#root = root;
    this.#writeWithin =
      writeWithin ??
      (async (within, path, value) => {
        await this.#exec.run('nsenter', [`--net=${within}`, 'tee', path], { input: value });
      });
  }

  async disableIpv6(ifname: string): Promise<void> {
    if (await this.isIpv6Disabled(ifname)) return;
    await this.#write(this.#ipv6(ifname), ifname, '1');
  }

  async isIpv6Disabled(ifname: string): Promise<boolean> {
    const value = await this.#read(this.#ipv6(ifname));
    if (value !== undefined) return value === '1';
    // Without the setting there is no IPv6: of the kernel, or of a device whose MTU is below 1280.
    const hasKernel = await exists(join(this.#root, 'ipv6/conf'));
    return !hasKernel || (await exists(join(this.#root, 'ipv4/conf', ifname)));
  }

  async enableIpv6(ifname: string, within: string): Promise<void> {
    await this.#writeWithin(within, this.#conf(6, ifname, 'accept_ra'), '0');
    await this.#writeWithin(within, this.#ipv6(ifname), '0');
  }

  async announceAddresses(ifname: string, within: string, family: 4 | 6): Promise<void> {
    const name = family === 4 ? 'arp_notify' : 'ndisc_notify';
    const target = join(this.#root, `ipv${family}/conf`, ifname, name);
    await this.#writeWithin(within, target, '1');
  }

  async refuseTransit(ifname: string, within: string): Promise<void> {
    const target = join(this.#root, 'ipv4/conf', ifname, 'forwarding');
    await this.#writeWithin(within, target, '0');
  }

  async makeGateway(ifname: string, families: readonly (4 | 6)[]): Promise<readonly string[]> {
    const changed: string[] = [];
    for (const family of families) {
      const own = family === 6 && (await this.forwardsByInterface());
      const settings = { ...GATEWAY_SETTINGS[family], ...(own && { [FORCE_FORWARDING]: '1' }) };
      for (const [name, value] of Object.entries(settings)) {
        const path = this.#conf(family, ifname, name);
        if ((await this.#read(path)) === value) continue;
        await this.#write(path, ifname, value);
        changed.push(`ipv${family}.${name}`);
      }
    }
    return changed;
  }

  async makeHostPort(ifname: string): Promise<void> {
    for (const [name, value] of Object.entries(HOST_PORT_SETTINGS)) {
      await this.#write(this.#conf(4, ifname, name), ifname, value);
    }
  }

  async compareHostPort(ifname: string): Promise<readonly string[]> {
    const otherwise: string[] = [];
    for (const [name, value] of Object.entries(HOST_PORT_SETTINGS)) {
      const found = await this.#read(this.#conf(4, ifname, name));
      if (found !== undefined && found !== value) otherwise.push(`ipv4.${name}`);
    }
    return otherwise;
  }

  async isForwarding(ifname: string, family: 4 | 6): Promise<boolean | undefined> {
    const names = ['forwarding', ...(await this.#forced(ifname, family))];
    const values = await Promise.all(
      names.map((name) => this.#read(this.#conf(family, ifname, name))),
    );
    if (values.includes(undefined)) return undefined;
    if (family === 4 || ifname === 'all') return values.includes('1');
    return values.at(-1) === '1' || (await this.isForwarding('all', 6)) === true;
  }

  async setForwarding(ifname: string, family: 4 | 6, isOn: boolean): Promise<void> {
    if (ifname === 'all' && isOn) await this.#keepRouters();
    const [name = 'forwarding'] = await this.#forced(ifname, family);
    await this.#write(this.#conf(family, ifname, name), ifname, isOn ? '1' : '0');
  }

  async forwardsByInterface(): Promise<boolean> {
    return exists(this.#conf(6, 'all', FORCE_FORWARDING));
  }

  /** The setting that has one interface forward IPv6, whether or not the others do. */
  async #forced(ifname: string, family: 4 | 6): Promise<string[]> {
    const isOwn = family === 6 && ifname !== 'all' && (await this.forwardsByInterface());
    return isOwn ? [FORCE_FORWARDING] : [];
  }

  /** A host that forwards heeds no router any more, unless it is told to: it would lose its default route. */
  async #keepRouters(): Promise<void> {
    for (const name of await readdir(join(this.#root, 'ipv6/conf')).catch(() => [])) {
      const path = this.#conf(6, name, 'accept_ra');
      if ((await this.#read(path)) === '1') await this.#write(path, name, '2');
    }
  }

  #conf(family: 4 | 6, ifname: string, name: string): string {
    return join(this.#root, `ipv${family}/conf`, ifname, name);
  }

  async #write(path: string, ifname: string, value: string): Promise<void> {
    try {
      await writeFile(path, value, { flag: 'r+' });
    } catch (error) {
      throw writeFailure(path, ifname, error);
    }
  }

  async filtersBridgedFrames(): Promise<boolean> {
    const switches = ['bridge-nf-call-iptables', 'bridge-nf-call-ip6tables'];
    const values = switches.map((name) => this.#read(join(this.#root, 'bridge', name)));
    return (await Promise.all(values)).includes('1');
  }

  #ipv6(ifname: string): string {
    return this.#conf(6, ifname, 'disable_ipv6');
  }

  /** Undefined if the kernel has no such setting. */
  async #read(path: string): Promise<string | undefined> {
    try {
      return (await readFile(path, 'utf8')).trim();
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

function writeFailure(path: string, ifname: string, error: unknown): AppError {
  return errnoOf(error) === 'ENOENT'
    ? new AppError(
        'E_DEVICE_MISSING',
        `Interface ${ifname} has gone while it was being set up; try again.`,
        { cause: error },
      )
    : new AppError(
        'E_PERMISSION',
        `${path} could not be written (${errnoOf(error) ?? String(error)}); run the daemon as root with a writable /proc/sys.`,
        { cause: error },
      );
}
