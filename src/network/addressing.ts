import { AppError } from '../base/errors.ts';
import {
  bareAddress,
  containsAddress,
  firstAddress,
  formatAddress,
  formatCidr,
  hasHostBits,
  parseCidr,
  subnetOf,
  type Cidr,
} from '../wire/cidr.ts';
import { checkEndpointAddress } from './endpoint.ts';
import { MAX_RESERVED, type NetworkEdge } from './network.ts';

export interface AddressingRequest {
  readonly ipRange?: string;
  /** With an edge and no gateway named, the subnet's first address is it. */
  readonly edge?: NetworkEdge;
  readonly gateway?: string;
  readonly reserved?: readonly string[];
}

export interface CheckedAddressing {
  readonly range: string | undefined;
  readonly gateway: string | undefined;
  readonly reserved: readonly string[];
}

/**
 * Reads what a network's addresses are to be chosen from, in canonical text. Rejects with
 * E_SUBNET_INVALID, E_ADDRESS_INVALID, E_ADDRESS_OUTSIDE.
 */
export function checkAddressing(request: AddressingRequest, subnet: Cidr): CheckedAddressing {
  const { ipRange, edge, reserved = [] } = request;
  const gateway = request.gateway ?? (edge === undefined ? undefined : firstHost(subnet));
  checkReservedCount(reserved);
  const bare = (text: string): string => bareAddress(checkEndpointAddress(text, subnet));
  return {
    range: ipRange === undefined ? undefined : checkRange(ipRange, subnet),
    gateway: gateway === undefined ? undefined : bare(gateway),
    reserved: reserved.map(bare),
  };
}

/** Of a network's row, whichever subnets they are of. Rejects with E_ADDRESS_INVALID. */
export function checkReservedCount({ length }: readonly string[]): void {
  if (length <= MAX_RESERVED) return;
  throw new AppError(
    'E_ADDRESS_INVALID',
    `${length} reserved addresses are too many; give at most ${MAX_RESERVED}, or an --ip-range that leaves them out.`,
  );
}

/** The first address that an endpoint could have. */
function firstHost(subnet: Cidr): string {
  const { family, value } = firstAddress(subnet);
  return formatAddress({ family, value: value + 1n });
}

function checkRange(text: string, subnet: Cidr): string {
  const range = parseCidr(text);
  const whole = formatCidr(subnet);
  if (range === undefined || hasHostBits(range)) {
    const meant = range === undefined ? whole : formatCidr(subnetOf(range));
    throw new AppError(
      'E_SUBNET_INVALID',
      `"${text}" is no range of addresses; write its first address and a prefix length, such as ${meant}.`,
    );
  }
  if (containsAddress(subnet, range.address) && range.prefixLength >= subnet.prefixLength) {
    return formatCidr(range);
  }
  throw new AppError(
    'E_ADDRESS_OUTSIDE',
    `The range ${formatAddress(range.address)}/${range.prefixLength} is not inside the subnet ${whole}; give a part of it.`,
  );
}
