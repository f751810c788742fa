import type { Vni } from '../base/types.ts';
import type { Gateway } from '../dataplane/dataplane.ts';
import { bareAddress, addressBytes, formatAddress, parseCidr, familyOf } from '../wire/cidr.ts';
import { gatewayMac } from './names.ts';
import type { NetworkDefinition, NetworkEdge } from './network.ts';
import { poolsOf } from './subnets.ts';

/** What a network's bridge is on each host that carries it, if the network has an edge (docs/adr/0026). */
export interface GatewaySpec {
  readonly edge: NetworkEdge;
  /** CIDRs in canonical text, with the subnet's prefix length: one for each family. */
  readonly addresses: readonly string[];
  /** Whether its endpoints reach each other by published ports only; absent: directly. */
  readonly isIsolated?: boolean;
}

/** Undefined for a plain wire. */
export function gatewayOf(network: NetworkDefinition): GatewaySpec | undefined {
  const { edge, isolated } = network;
  const addresses = poolsOf(network).flatMap(({ subnet, addressing }) =>
    addressing?.gateway === undefined
      ? []
      : [`${addressing.gateway}/${subnet.split('/')[1] ?? ''}`],
  );
  if (edge === undefined || addresses.length === 0) return undefined;
  return { edge, addresses, ...(isolated === true && { isIsolated: true }) };
}

export function gatewayFamilies({ addresses }: GatewaySpec): readonly (4 | 6)[] {
  return addresses.map(familyOf);
}

/**
 * The link-local address of the gateway's MAC (RFC 4291, appendix A), which neighbour discovery needs:
 * given by Weft, since a host may be told to make up another.
 */
function linkLocal(vni: Vni): string {
  const mac = BigInt(gatewayMac(vni)) ^ (2n << 40n);
  const identifier = ((mac >> 24n) << 40n) | (0xfffen << 24n) | (mac & 0xffffffn);
  return formatAddress({ family: 6, value: (0xfe80n << 112n) | identifier });
}

/** All that the bridge has, as `ip address` takes it. */
export function bridgeAddresses(vni: Vni, spec: GatewaySpec): readonly string[] {
  return gatewayFamilies(spec).includes(6)
    ? [...spec.addresses, `${linkLocal(vni)}/64`]
    : spec.addresses;
}

/** What the data plane keeps off the tunnel. */
export function dataPlaneGateway(vni: Vni, spec: GatewaySpec): Gateway {
  const addresses = bridgeAddresses(vni, spec).flatMap((text) => {
    const cidr = parseCidr(text);
    return cidr === undefined ? [] : [addressBytes(cidr.address)];
  });
  return { mac: gatewayMac(vni), addresses };
}

/** Addresses, without prefix length, that a sandbox's default routes lead to; none if it may not leave. */
export function defaultGateways(spec: GatewaySpec | undefined): readonly string[] {
  if (spec?.edge !== 'routed') return [];
  return spec.addresses.map(bareAddress);
}
