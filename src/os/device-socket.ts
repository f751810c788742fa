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
