import { createHash } from 'node:crypto';
import { AppError } from '../base/errors.ts';
import { asVni, MAX_VNI, type PeerId, type Vni } from '../base/types.ts';
import {
  canonicalAddress,
  formatCidr,
  hasHostBits,
  overlaps,
  parseCidr,
  subnetOf,
  type Cidr,
} from '../wire/cidr.ts';

/** A virtual network as every host of the mesh knows it. Plain values: it travels in a replica. */
export interface NetworkDefinition {
  readonly id: string;
  readonly name: string;
  readonly vni: Vni;
  /** CIDR without host bits, in canonical text. */
  readonly subnet: string;
  /** Beside an IPv4 subnet, an IPv6 one: then each endpoint has an address of both (docs/adr/0028). */
  readonly subnet6?: string;
  readonly mtu: number;
  /** A registered encapsulation. */
  readonly encap: string;
  readonly createdBy: PeerId;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** Made by container engines, and to go with the last of them; absent: made by a person. */
  readonly origin?: NetworkOrigin;
  /** Whether every host that carries it is its gateway; absent: a plain wire without one. */
  readonly edge?: NetworkEdge;
  /**
   * Of one with an edge: its endpoints reach the gateway and what it leads to, and each other by published
   * ports only (docs/adr/0055).
   */
  readonly isolated?: true;
  /** How addresses are given out; absent in a network that an older version made. */
  readonly addressing?: Addressing;
  /**
   * The id of the network of the same name that its endpoints go to, and the plan by which an operator
   * wanted it so.
   */
  readonly mergedInto?: string;
  readonly mergePlan?: string;
}

/** The older of two networks comes first; of equal age, the lower id. */
export function byAge(
  a: Pick<NetworkDefinition, 'createdAt' | 'id'>,
  b: Pick<NetworkDefinition, 'createdAt' | 'id'>,
): number {
  const [one, other] = [`${a.createdAt} ${a.id}`, `${b.createdAt} ${b.id}`];
  return one < other ? -1 : Number(one > other);
}

/** Which kind of container engine. */
export type NetworkOrigin = 'docker';

/**
 * What hosts do at the edge of a network that has its gateway on every host's bridge: `routed` lets
 * endpoints out by masquerade and in by published ports, `internal` does neither.
 */
export const NETWORK_EDGES = ['routed', 'internal'] as const;
export type NetworkEdge = (typeof NETWORK_EDGES)[number];

/** What every host must read alike to divide a network's addresses without asking anybody. */
export interface Addressing {
  /** Hosts that were there when it was made, its maker first; they own the addresses and vote. */
  readonly founders: readonly PeerId[];
  /** How long a host may give out addresses without hearing from the voters. */
  readonly leaseSeconds: number;
  /** CIDR inside the subnet that addresses are chosen from; absent: all of it. */
  readonly range?: string;
  readonly range6?: string;
  /** Addresses that no endpoint gets; the reserved ones of both subnets. */
  readonly gateway?: string;
  readonly gateway6?: string;
  readonly reserved?: readonly string[];
}

export const LEASE_SECONDS = { min: 2, max: 86_400 } as const;
export const MAX_RESERVED = 64;

const MAX_NAME_CHARACTERS = 64;

/**
 * Where VNIs that nobody asked for are taken from: high, because people, and other overlays' defaults
 * (flannel 1, Docker from 4096), take low numbers.
 */
export const AUTOMATIC_VNI = { min: 2 ** 20, max: MAX_VNI } as const;

/** Prefix lengths that leave at least two addresses for endpoints, and no more than anyone could use. */
const PREFIX_LENGTHS = { 4: { min: 8, max: 30 }, 6: { min: 48, max: 126 } } as const;

/** Subnets that no workload can have an address in (RFC 6890, RFC 5771, RFC 4291). */
const UNUSABLE: readonly (readonly [subnet: string, why: string])[] = [
  ['0.0.0.0/8', 'means "this network"'],
  ['127.0.0.0/8', 'is loopback'],
  ['224.0.0.0/4', 'is multicast'],
  ['240.0.0.0/4', 'is reserved'],
  ['::/127', 'is loopback and the unspecified address'],
  ['::ffff:0:0/96', 'is IPv4 written as IPv6'],
  ['fe80::/10', 'is link-local'],
  ['ff00::/8', 'is multicast'],
];

/** Rejects with E_NAME_INVALID. Names become words of commands, marks of links and names in DNS. */
export function checkNetworkName(name: string): void {
  if (name.length <= MAX_NAME_CHARACTERS && /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) return;
  throw new AppError(
    'E_NAME_INVALID',
    `"${name}" is no name for a network; give 1 to ${MAX_NAME_CHARACTERS} letters, digits, dots, dashes or underscores that start with a letter or digit.`,
  );
}

/**
 * The VNI of a network for which none was asked: the same for a name on every host, so that two that
 * make one network at once agree, and the next free one if another network has it. Rejects with
 * E_VNI_RANGE only if all are taken.
 */
export function chooseVni(name: string, isTaken: (vni: Vni) => boolean): Vni {
  const { min, max } = AUTOMATIC_VNI;
  const count = max - min + 1;
  const start = createHash('sha256').update(name).digest().readUIntBE(0, 6) % count;
  for (let step = 0; step < count; step++) {
    const vni = asVni(min + ((start + step) % count));
    if (!isTaken(vni)) return vni;
  }
  throw new AppError(
    'E_VNI_RANGE',
    `Every VNI from ${min} to ${max} is taken; give one below ${min} with --vni.`,
  );
}

function invalidSubnet(sentence: string): AppError {
  return new AppError('E_SUBNET_INVALID', sentence);
}

/** Reads a network's subnet. Rejects with E_SUBNET_INVALID what no workload could use. */
export function checkSubnet(text: string): Cidr {
  const subnet = parseCidr(text);
  if (subnet === undefined) throw invalidSubnet(notCidr(text));
  const { min, max } = PREFIX_LENGTHS[subnet.address.family];
  if (subnet.prefixLength < min || subnet.prefixLength > max) {
    throw invalidSubnet(
      `Subnet ${text} has prefix length ${subnet.prefixLength}; for IPv${subnet.address.family} give ${min} to ${max}.`,
    );
  }
  if (hasHostBits(subnet)) {
    const meant = formatCidr(subnetOf(subnet));
    throw invalidSubnet(`Subnet ${text} has host bits set; you probably mean ${meant}.`);
  }
  const unusable = UNUSABLE.find(([other]) => overlaps(subnet, parseCidr(other) ?? subnet));
  if (unusable !== undefined) {
    const [other, why] = unusable;
    throw invalidSubnet(
      `Subnet ${text} can't be used: ${other} ${why}; give a private one such as 10.7.0.0/24 or fd00:7::/64.`,
    );
  }
  return subnet;
}

function notCidr(text: string): string {
  const bare = canonicalAddress(text);
  return bare === undefined
    ? `"${text}" is no subnet; give an address and a prefix length, such as 10.7.0.0/24.`
    : `"${text}" has no prefix length; give one, such as ${bare}/${bare.includes(':') ? 64 : 24}.`;
}

/**
 * Checks that a network to be made collides with none that there is. Rejects with E_NETWORK_EXISTS,
 * E_VNI_TAKEN. Subnets may overlap: different networks are different Ethernets.
 */
export function checkNetworkFree(
  { name, vni }: Pick<NetworkDefinition, 'name' | 'vni'>,
  existing: Iterable<Pick<NetworkDefinition, 'name' | 'vni'>>,
): void {
  for (const other of existing) {
    if (other.name === name) {
      throw new AppError(
        'E_NETWORK_EXISTS',
        `Network ${name} exists already, with VNI ${other.vni}; choose another name, or remove that one first.`,
      );
    }
    if (other.vni === vni) {
      throw new AppError(
        'E_VNI_TAKEN',
        `VNI ${vni} belongs to network ${other.name}; choose another, or none to have one chosen.`,
      );
    }
  }
}
