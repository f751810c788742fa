/**
 * A pool's id holds all that there is to know of it, so that every host of the mesh understands one that
 * another has given out: `weft,NETWORK,SUBNET[,RANGE]`, and `weft-global,…` in a cluster's address space.
 * None of the parts can have a comma.
 */
export interface Pool {
  /** What is asked and released here is for a cluster of engines, and not for this one. */
  readonly isGlobal: boolean;
  /** The Weft network that it is the addresses of. */
  readonly network: string;
  /** CIDR in canonical text. */
  readonly subnet: string;
  readonly ipRange?: string;
}

/** Where addresses are those of one engine, and where those of a cluster of engines. */
export const ADDRESS_SPACES = { local: 'WeftLocal', global: 'WeftGlobal' } as const;

export function isOwnSpace(space: string): boolean {
  return space === ADDRESS_SPACES.local || space === ADDRESS_SPACES.global;
}

export function formatPoolId({ isGlobal, network, subnet, ipRange }: Pool): string {
  const space = isGlobal ? 'weft-global' : 'weft';
  return [space, network, subnet, ...(ipRange === undefined ? [] : [ipRange])].join(',');
}

/** Undefined if it is not one of ours. */
export function parsePoolId(text: string): Pool | undefined {
  const match = /^weft(-global)?,([^,/]{1,64}),([^,]{1,64})(?:,([^,]{1,64}))?$/.exec(text);
  if (match === null) return undefined;
  const [, global, network = '', subnet = '', ipRange] = match;
  const isGlobal = global !== undefined;
  return { isGlobal, network, subnet, ...(ipRange === undefined ? {} : { ipRange }) };
}

/**
 * The name of the Weft network of a subnet for which no name was given: the same on every host, so that
 * two engines that name one subnet mean one network. `docker-10.77.0.0-24`, `docker-fd00_77__-64`.
 */
export function defaultNetworkName(subnet: string): string {
  return `docker-${subnet.replaceAll(':', '_').replace('/', '-')}`;
}
