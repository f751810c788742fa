import { createHash } from 'node:crypto';
import type { PeerId, Vni } from '../base/types.ts';
import { formatAddress, familyOf } from '../wire/cidr.ts';
import type { Addressing, NetworkDefinition } from './network.ts';

/**
 * One subnet of a network: a pool of addresses with an id, founders, owners and epochs of its own. A
 * network's first pool has the network's id, so that a network with one subnet is its own pool.
 */
export type AddressPool = Pick<
  NetworkDefinition,
  'id' | 'name' | 'subnet' | 'createdBy' | 'addressing'
>;

/** Hex digits of a pool's id, as of a network's. */
const ID_DIGITS = 32;

/** `fd00::/8` with the L bit set, a Global ID of 40 bits, a Subnet ID of 16 (RFC 4193 §3.1). */
const LOCAL = 0xfdn;
const GLOBAL_ID_BYTES = 5;
const SUBNET_ID_MASK = 0xffff;

/** CIDRs: one, or IPv4 and then IPv6. */
export function subnetsOf({
  subnet,
  subnet6,
}: Pick<NetworkDefinition, 'subnet' | 'subnet6'>): readonly string[] {
  return subnet6 === undefined ? [subnet] : [subnet, subnet6];
}

/** The pools of a network, the same on every host that has its row. */
export function poolsOf(network: NetworkDefinition): readonly [AddressPool, ...AddressPool[]] {
  const { id, name, subnet, subnet6, createdBy, addressing } = network;
  const first = { id, name, subnet, createdBy, ...(addressing && { addressing }) };
  if (subnet6 === undefined) return [first];
  const second = {
    ...{ id: secondId(id), name, subnet: subnet6, createdBy },
    ...(addressing && { addressing: secondAddressing(addressing) }),
  };
  return [first, second];
}

/** The pool that addresses of the family are from, if the network has any. */
export function poolOfFamily(network: NetworkDefinition, family: 4 | 6): AddressPool | undefined {
  return poolsOf(network).find(({ subnet }) => familyOf(subnet) === family);
}

function secondId(id: string): string {
  return createHash('sha256').update(`${id} IPv6`).digest('hex').slice(0, ID_DIGITS);
}

function secondAddressing({ range6, gateway6, ...rest }: Addressing): Addressing {
  const { founders, leaseSeconds, reserved } = rest;
  return {
    ...{ founders, leaseSeconds },
    ...(range6 === undefined ? {} : { range: range6 }),
    ...(gateway6 === undefined ? {} : { gateway: gateway6 }),
    ...(reserved === undefined ? {} : { reserved }),
  };
}

/**
 * The IPv6 subnet of a network for which none was named: a unique local /64 (RFC 4193). The Global ID is
 * the first 40 bits of SHA-256 over the network's founders, whose ids are 128 bits by chance, and its
 * VNI; the Subnet ID is the VNI's low 16 bits. All hosts that read the row come to the same.
 */
export function uniqueLocalSubnet(founders: readonly PeerId[], vni: Vni): string {
  const text = JSON.stringify(['weft unique local', [...founders].sort(), vni]);
  const digest = createHash('sha256').update(text).digest();
  const globalId = BigInt(digest.readUIntBE(0, GLOBAL_ID_BYTES));
  const prefix = (LOCAL << 56n) | (globalId << 16n) | BigInt(vni & SUBNET_ID_MASK);
  return `${formatAddress({ family: 6, value: prefix << 64n })}/64`;
}
