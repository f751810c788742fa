/**
 * A pool's id holds all that there is to know of it, so that every host of the mesh understands one that
 * another has given out: `weft,NETWORK,SUBNET[,RANGE]`. None of the parts can have a comma.
 */
export interface Pool {
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

export function formatPoolId({ network, subnet, ipRange }: Pool): string {
  return ['weft', network, subnet, ...(ipRange === undefined ? [] : [ipRange])].join(',');
}

/** Undefined if it is not one of ours. */
export function parsePoolId(text: string): Pool | undefined {
  const match = /^weft,([^,/]{1,64}),([^,]{1,64})(?:,([^,]{1,64}))?$/.exec(text);
  if (match === null) return undefined;
  const [, network = '', subnet = '', ipRange] = match;
  return { network, subnet, ...(ipRange === undefined ? {} : { ipRange }) };
}

/**
 * The name of the Weft network of a subnet for which no name was given: the same on every host, so that
 * two engines that name one subnet mean one network. `docker-10.77.0.0-24`, `docker-fd00_77__-64`.
 */
export function defaultNetworkName(subnet: string): string {
  return `docker-${subnet.replaceAll(':', '_').replace('/', '-')}`;
}
