import { isIP } from 'node:net';
import { bindFailure, NO_IPV6 } from '../base/bind-failure.ts';
import { AppError, errnoOf } from '../base/errors.ts';
import { formatSocketAddress, type SocketAddress } from '../base/types.ts';

/** Something that holds a port: a UDP socket, a TCP listener. */
export interface Bound {
  /** The port is the real one even if 0 was asked for. */
  readonly local: SocketAddress;
  /** Settles when the port is free again. */
  close(): Promise<void>;
}

/** Tries to find one free port for several addresses before giving up. */
const FREE_PORT_ATTEMPTS = 8;

/**
 * Binds every address to one port. With port 0 the first bind picks it and the others must get the
 * same one, else all begin again. `::` is left out where the kernel has no IPv6, unless it is alone.
 * @throws AppError E_BIND or E_ADDRESS_INVALID; nothing stays bound then
 */
export async function bindEach<T extends Bound>(
  protocol: 'UDP' | 'TCP',
  { addresses, port }: { readonly addresses: readonly string[]; readonly port: number },
  bindOne: (address: string, port: number) => Promise<T>,
): Promise<[T, ...T[]]> {
  for (let attempt = 1; ; attempt++) {
    const bound: T[] = [];
    try {
      for (const address of addresses) {
        await bindNext(bound, address, port, bindOne, addresses.length > 1);
      }
      return asNonEmpty(bound);
    } catch (error) {
      await Promise.all(bound.map((each) => each.close()));
      const retry = port === 0 && bound.length > 0 && attempt < FREE_PORT_ATTEMPTS;
      if (error instanceof FailedBind) {
        if (retry && error.errno === 'EADDRINUSE') continue;
        throw bindFailure(protocol, error.local, error.errno, error.cause);
      }
      throw error;
    }
  }
}

class FailedBind extends Error {
  readonly local: SocketAddress;
  readonly errno: string | undefined;

  constructor(local: SocketAddress, cause: unknown) {
    super(`bind ${formatSocketAddress(local)}`, { cause });
    this.local = local;
    this.errno = errnoOf(cause);
  }
}

async function bindNext<T extends Bound>(
  bound: T[],
  address: string,
  port: number,
  bindOne: (address: string, port: number) => Promise<T>,
  maySkip: boolean,
): Promise<void> {
  if (isIP(address) === 0) {
    throw new AppError(
      'E_ADDRESS_INVALID',
      `"${address}" is no address to listen on; give an IPv4 or IPv6 address of this host, or 0.0.0.0 or :: for all.`,
    );
  }
  const wanted = bound[0]?.local.port ?? port;
  try {
    bound.push(await bindOne(address, wanted));
  } catch (cause) {
    if (maySkip && address === '::' && NO_IPV6.includes(errnoOf(cause))) return;
    throw new FailedBind({ address, port: wanted }, cause);
  }
}

function asNonEmpty<T>(items: readonly T[]): [T, ...T[]] {
  const [first, ...others] = items;
  if (first === undefined) {
    throw new AppError('E_BIND', 'There is no address to listen on; give at least one.');
  }
  return [first, ...others];
}
