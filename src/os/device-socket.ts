import { networkInterfaces } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { bindFailure } from '../base/bind-failure.ts';
import { loadHost } from '../base/host-addon.ts';

export interface BoundSocketRequest {
  readonly protocol: 'UDP' | 'TCP';
  readonly address: string;
  readonly port: number;
  /** Hear this interface alone; the address may come to it later. */
  readonly device?: string;
}

/**
 * Opens a socket that is bound and no more, and returns its descriptor, which the caller closes.
 * E_BIND if the kernel refuses.
 */
export function openBoundSocket(request: BoundSocketRequest): number {
  const { protocol, address, port, device = '' } = request;
  const fd = loadHost().bound(protocol === 'TCP', address, port, device);
  if (fd >= 0) return fd;
  throw bindFailure(protocol, { address, port }, getSystemErrorName(fd));
}

/** An address that an interface which is up has. */
export interface InterfaceAddress {
  readonly device: string;
  /** Another one each time an interface is made. */
  readonly index: number;
  readonly address: string;
}

/** The addresses of some interfaces, without link-local ones. A few system calls, no process. */
export function interfaceAddresses(devices: ReadonlySet<string>): readonly InterfaceAddress[] {
  const present = Object.entries(networkInterfaces()).filter(([device]) => devices.has(device));
  return present.flatMap(([device, infos = []]) => {
    const index = loadHost().interfaceIndex(device);
    return infos
      .map(({ address }) => address)
      .filter((address) => index > 0 && !address.toLowerCase().startsWith('fe80:'))
      .map((address) => ({ device, index, address }));
  });
}
