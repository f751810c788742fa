import { AppError } from './errors.ts';
import type { SocketAddress } from './types.ts';

/** What a kernel without IPv6 says to a bind of `::`. */
export const NO_IPV6: readonly (string | undefined)[] = ['EAFNOSUPPORT', 'EADDRNOTAVAIL'];

/** E_BIND for an address and port that the kernel did not give, with the way out. */
export function bindFailure(
  protocol: 'UDP' | 'TCP',
  { address, port }: SocketAddress,
  errno: string | undefined,
  cause?: unknown,
): AppError {
  const list = protocol === 'UDP' ? 'ss -ulpn' : 'ss -tlpn';
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `it is in use (a kernel VXLAN device counts too); "${list}" shows by whom, so stop that or choose another port`,
    EADDRNOTAVAIL: 'no interface of this host has that address; give one that "ip address" lists',
    EACCES:
      'ports under 1024 need root or CAP_NET_BIND_SERVICE; run as root or choose a higher port',
    ENOTFOUND: 'that name has no address; give one that "ip address" lists',
    EAFNOSUPPORT: 'the kernel has no such address family; leave the address out',
  };
  const reason = reasons[errno ?? ''] ?? 'the kernel refused it';
  return new AppError(
    'E_BIND',
    `The daemon can't listen on ${protocol} port ${port} on ${address}: ${reason} (${errno ?? 'no errno'}).`,
    { cause },
  );
}
