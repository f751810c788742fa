import { access, readFile, writeFile } from 'node:fs/promises';
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
   * Allows IPv6 on an interface of the namespace at `within`: container engines switch it off in
   * sandboxes whose own networks have none. Rejects with E_COMMAND_FAILED.
   */
  enableIpv6(ifname: string, within: string): Promise<void>;
  /**
   * Has the kernel announce an interface's addresses when it comes up, by gratuitous ARP or unsolicited
   * neighbour advertisement, so that neighbours who knew an address from elsewhere learn at once. To be
   * called while the interface is down. Rejects with E_COMMAND_FAILED.
   */
  announceAddresses(ifname: string, within: string, family: 4 | 6): Promise<void>;
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
    const path = this.#ipv6(ifname);
    try {
      await writeFile(path, '1', { flag: 'r+' });
    } catch (error) {
      throw writeFailure(path, ifname, error);
    }
  }

  async isIpv6Disabled(ifname: string): Promise<boolean> {
    const value = await this.#read(this.#ipv6(ifname));
    if (value !== undefined) return value === '1';
    // Without the setting there is no IPv6: of the kernel, or of a device whose MTU is below 1280.
    const hasKernel = await exists(join(this.#root, 'ipv6/conf'));
    return !hasKernel || (await exists(join(this.#root, 'ipv4/conf', ifname)));
  }

  async enableIpv6(ifname: string, within: string): Promise<void> {
    const target = this.#ipv6(ifname);
    await this.#writeWithin(within, target, '0');
  }

  async announceAddresses(ifname: string, within: string, family: 4 | 6): Promise<void> {
    const name = family === 4 ? 'arp_notify' : 'ndisc_notify';
    const target = join(this.#root, `ipv${family}/conf`, ifname, name);
    await this.#writeWithin(within, target, '1');
  }

  async filtersBridgedFrames(): Promise<boolean> {
    const switches = ['bridge-nf-call-iptables', 'bridge-nf-call-ip6tables'];
    const values = switches.map((name) => this.#read(join(this.#root, 'bridge', name)));
    return (await Promise.all(values)).includes('1');
  }

  #ipv6(ifname: string): string {
    return join(this.#root, 'ipv6/conf', ifname, 'disable_ipv6');
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
