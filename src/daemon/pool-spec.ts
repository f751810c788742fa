import type { PoolSpec } from '../ipam/holding.ts';
import { single, unite, type Range } from '../ipam/range.ts';
import type { AddressPool } from '../network/subnets.ts';
import {
  bareAddress,
  containsAddress,
  firstAddress,
  formatCidr,
  isHostAddress,
  lastAddress,
  parseAddress,
  parseCidr,
  type Cidr,
} from '../wire/cidr.ts';

/** Of networks that an older version made. */
const DEFAULT_LEASE_SECONDS = 300;

function subnetOf({ subnet }: AddressPool): Cidr | undefined {
  const cidr = parseCidr(subnet);
  return cidr && { address: firstAddress(cidr), prefixLength: cidr.prefixLength };
}

/** The place of an address in a pool's subnet, or undefined if it is not of it. */
export function offsetOf(pool: AddressPool, text: string): bigint | undefined {
  const subnet = subnetOf(pool);
  const address = parseAddress(bareAddress(text));
  if (subnet === undefined || address === undefined) return undefined;
  return containsAddress(subnet, address) ? address.value - subnet.address.value : undefined;
}

/** The address at an offset, as `Endpoint.address` has it. */
export function addressAt(pool: AddressPool, offset: bigint): string {
  const subnet = subnetOf(pool);
  if (subnet === undefined) return '';
  const { family, value } = subnet.address;
  return formatCidr({
    address: { family, value: value + offset },
    prefixLength: subnet.prefixLength,
  });
}

/**
 * A pool as the machine that divides it wants it, the same on every host that has the network's row;
 * undefined if the row makes no sense, which only a forged one does.
 */
export function poolSpec(pool: AddressPool): PoolSpec | undefined {
  const subnet = subnetOf(pool);
  if (subnet === undefined) return undefined;
  const { addressing } = pool;
  const base = subnet.address.value;
  const size = lastAddress(subnet).value - base + 1n;
  const auto = autoRange(subnet, addressing?.range);
  if (auto === undefined) return undefined;
  const set = [addressing?.gateway, ...(addressing?.reserved ?? [])].flatMap((text) => {
    const offset = text === undefined ? undefined : offsetOf(pool, text);
    return offset === undefined ? [] : [single(offset)];
  });
  const edges = [firstAddress(subnet), lastAddress(subnet)]
    .filter((address) => !isHostAddress(subnet, address))
    .map(({ value }) => single(value - base));
  return {
    ...{ id: pool.id, size, auto, excluded: unite([...set, ...edges]) },
    founders: [...new Set(addressing?.founders ?? [pool.createdBy])],
    leaseMs: (addressing?.leaseSeconds ?? DEFAULT_LEASE_SECONDS) * 1000,
  };
}

function autoRange(subnet: Cidr, text: string | undefined): Range | undefined {
  const range = text === undefined ? subnet : parseCidr(text);
  if (range === undefined || range.address.family !== subnet.address.family) return undefined;
  if (range.prefixLength < subnet.prefixLength || !containsAddress(subnet, range.address)) {
    return undefined;
  }
  const base = subnet.address.value;
  const auto = {
    start: firstAddress(range).value - base,
    end: lastAddress(range).value - base + 1n,
  };
  return auto;
}
