import { loadHost } from '../base/host-addon.ts';
import { isAppError } from '../base/errors.ts';
import type { NetlinkIp } from './netlink/netlink-ip.ts';

/** An address that an interface has. */
export interface InterfaceAddress {
  readonly device: string;
  /** Another one each time an interface is made. */
  readonly index: number;
  readonly address: string;
}

/**
 * The addresses of some interfaces, without link-local ones; undefined if the kernel does not tell. Asked on
 * another thread: getifaddrs(3) would hold up the event loop while the kernel changes links.
 */
export async function interfaceAddresses(
  ip: Pick<NetlinkIp, 'addresses'>,
  devices: ReadonlySet<string>,
): Promise<readonly InterfaceAddress[] | undefined> {
  const byIndex = await ip.addresses().catch((error: unknown) => {
    if (isAppError(error, 'E_COMMAND_FAILED')) return undefined;
    throw error;
  });
  if (byIndex === undefined) return undefined;
  return [...byIndex].flatMap(([index, addresses]) => {
    const device = loadHost().interfaceName(index);
    if (!devices.has(device)) return [];
    return addresses
      .filter(({ scope }) => scope !== 'link')
      .map(({ address }) => ({ device, index, address }));
  });
}
