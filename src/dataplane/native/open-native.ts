import { isIP } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { bindFailure, NO_IPV6 } from '../../base/bind-failure.ts';
import { AppError } from '../../base/errors.ts';
import {
  loadNativeAddon,
  type NativeFailure,
  type NativeOptions,
  type NativePlane,
  type NativeReceive,
} from './addon.ts';

/** Tries to find a port that is free on several addresses before giving up. */
const FREE_PORT_ATTEMPTS = 8;

/** Opened, and the addresses that it listens on. */
export interface OpenedNative {
  readonly native: NativePlane;
  readonly addresses: readonly string[];
}

/**
 * Binds and starts. `::` is left out where the kernel has no IPv6, unless it is alone.
 * @throws AppError E_BIND or E_ADDRESS_INVALID; nothing stays open then
 */
export function openNative(
  options: NativeOptions,
  globalSlots: BigUint64Array,
  onControl: NativeReceive,
): OpenedNative {
  checkAddresses(options.addresses);
  const { NativePlane } = loadNativeAddon();
  let addresses = options.addresses;
  for (let attempt = 1; ; ) {
    const native = new NativePlane();
    const failure = native.open({ ...options, addresses }, globalSlots, onControl);
    if (failure === undefined) return { native, addresses };
    const errno = getSystemErrorName(-failure.errno);
    const address = addresses[failure.address]!;
    if (address === '::' && addresses.length > 1 && NO_IPV6.includes(errno)) {
      addresses = addresses.filter((each) => each !== address);
    } else if (!isRetryable(options, failure, errno) || attempt++ === FREE_PORT_ATTEMPTS) {
      throw bindFailure('UDP', { address, port: failure.port }, errno);
    }
  }
}

/** A port that the kernel chose for the first address may be taken on the next. */
function isRetryable(options: NativeOptions, failure: NativeFailure, errno: string): boolean {
  const wasChosen = failure.port !== options.meshPort && failure.port !== options.vxlanPort;
  return errno === 'EADDRINUSE' && failure.address > 0 && wasChosen;
}

function checkAddresses(addresses: readonly string[]): void {
  const { maxAddresses } = loadNativeAddon();
  if (addresses.length === 0 || addresses.length > maxAddresses) {
    throw new AppError(
      'E_BIND',
      `The data plane can't listen on ${addresses.length} addresses; give 1 to ${maxAddresses}, or 0.0.0.0 and :: for all.`,
    );
  }
  const invalid = addresses.find((address) => isIP(address) === 0);
  if (invalid === undefined) return;
  throw new AppError(
    'E_ADDRESS_INVALID',
    `"${invalid}" is no address to listen on; give an IPv4 or IPv6 address of this host, or 0.0.0.0 or :: for all.`,
  );
}
