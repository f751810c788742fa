import type { PortRequest } from '../api/control.ts';
import type { PortRangeRequest } from '../api/plumbing.ts';
import { AppError, isAppError } from '../base/errors.ts';
import { MAX_PORTS, type Endpoint, type PublishedPort } from '../network/endpoint.ts';
import type { NetworkDefinition } from '../network/network.ts';
import type { ProbePort } from '../os/port-probe.ts';
import { subnetsOf } from '../network/subnets.ts';
import { canonicalAddress, familyOf } from '../wire/cidr.ts';

/** What `choosePorts` looks at. */
export interface PortsAsked {
  readonly network: NetworkDefinition;
  /** The endpoint's id, and the ports that lead to it already. */
  readonly endpoint: Pick<Endpoint, 'id' | 'ports'>;
  readonly wanted: readonly PortRangeRequest[];
  /** All endpoints of this host. */
  readonly own: readonly Endpoint[];
  readonly probe: ProbePort;
}

/** How often another free port is asked for, should published ones have it already. */
const FREE_ATTEMPTS = 16;

/** Docker's and others' words for every address. */
const EVERYWHERE: readonly string[] = ['0.0.0.0', '::'];

/**
 * The ports that an endpoint is to have published: those that it has, and the ones wanted, checked against
 * every other endpoint of this host and whatever listens there. Rejects with E_GATEWAY_MISSING,
 * E_PORT_INVALID, E_PORT_TAKEN.
 */
export async function choosePorts(asked: PortsAsked): Promise<readonly PublishedPort[]> {
  const { network, endpoint, wanted } = asked;
  const ports = [...(endpoint.ports ?? [])];
  if (wanted.length === 0) return ports;
  if (network.edge !== 'routed') throw noWayIn(network);
  for (const request of wanted) {
    const port = normalPort(request);
    refuseForeignFamily(port, network);
    if (ports.some((other) => isSamePort(other, port))) continue;
    ports.push(await chooseInRange(port, request.hostPortEnd ?? 0, ports, asked));
  }
  if (ports.length <= MAX_PORTS) return ports;
  throw new AppError(
    'E_PORT_INVALID',
    `An endpoint with ${ports.length} published ports has too many; publish at most ${MAX_PORTS}.`,
  );
}

/** The ports that stay when `gone` are taken back: all of them without `gone`. */
export function remainingPorts(
  ports: readonly PublishedPort[] | undefined,
  gone: readonly PortRequest[] | undefined,
): readonly PublishedPort[] {
  if (gone === undefined) return [];
  const others = gone.map(normalPort);
  return (ports ?? []).filter((port) => !others.some((other) => isSamePort(other, port)));
}

/** The first of a range that is free; of one port alone, that one. */
async function chooseInRange(
  first: PublishedPort,
  last: number,
  chosen: readonly PublishedPort[],
  asked: PortsAsked,
): Promise<PublishedPort> {
  for (let { hostPort } = first; hostPort < last; hostPort++) {
    try {
      return await choosePort({ ...first, hostPort }, chosen, asked);
    } catch (error) {
      if (!isAppError(error, 'E_PORT_TAKEN')) throw error;
    }
  }
  return choosePort({ ...first, hostPort: Math.max(first.hostPort, last) }, chosen, asked);
}

async function choosePort(
  port: PublishedPort,
  chosen: readonly PublishedPort[],
  { endpoint, own, probe }: PortsAsked,
): Promise<PublishedPort> {
  const holderOf = (candidate: PublishedPort): string | undefined =>
    chosen.some((other) => collides(other, candidate))
      ? endpoint.id
      : own.find(
          ({ id, ports = [] }) =>
            id !== endpoint.id && ports.some((other) => collides(other, candidate)),
        )?.id;
  for (let attempt = 0; attempt < FREE_ATTEMPTS; attempt++) {
    const holder = port.hostPort === 0 ? undefined : holderOf(port);
    if (holder !== undefined) throw taken(port, `is published for endpoint ${holder}`);
    const { protocol, hostAddress: address, hostPort } = port;
    const found = await probe({ protocol, port: hostPort, ...(address && { address }) });
    if (found === 'taken') throw taken(port, 'is used by a program of this host');
    if (found === 'foreign') {
      throw new AppError(
        'E_PORT_INVALID',
        `${address ?? 'Every address'} is no address of this host; "ip address" shows those that there are.`,
      );
    }
    const candidate = { ...port, hostPort: found };
    if (holderOf(candidate) === undefined) return candidate;
  }
  throw taken(port, 'is not free, whichever was tried');
}

function normalPort({ protocol, hostAddress, hostPort, port }: PortRequest): PublishedPort {
  const isEverywhere = hostAddress === undefined || EVERYWHERE.includes(hostAddress);
  if (isEverywhere) return { protocol, hostPort, port };
  const address = canonicalAddress(hostAddress);
  if (address !== undefined) return { protocol, hostAddress: address, hostPort, port };
  throw new AppError(
    'E_PORT_INVALID',
    `"${hostAddress}" is no IP address to publish a port at; give one of this host, or none for all.`,
  );
}

const isSamePort = (one: PublishedPort, other: PublishedPort): boolean =>
  collides(one, other) && one.hostAddress === other.hostAddress && one.port === other.port;

const collides = (one: PublishedPort, other: PublishedPort): boolean =>
  one.protocol === other.protocol &&
  one.hostPort === other.hostPort &&
  (one.hostAddress === undefined ||
    other.hostAddress === undefined ||
    one.hostAddress === other.hostAddress);

export function formatPort({ protocol, hostAddress, hostPort }: PublishedPort): string {
  const host =
    hostAddress === undefined
      ? ''
      : `${hostAddress.includes(':') ? `[${hostAddress}]` : hostAddress}:`;
  return `${host}${hostPort}/${protocol}`;
}

function taken(port: PublishedPort, why: string): AppError {
  return new AppError(
    'E_PORT_TAKEN',
    `Port ${formatPort(port)} ${why}; give another, or 0 to have a free one chosen.`,
  );
}

/** No packet could come by a port at an address of a family that the network has not. */
function refuseForeignFamily({ hostAddress }: PublishedPort, network: NetworkDefinition): void {
  const subnets = subnetsOf(network);
  if (hostAddress === undefined) return;
  if (subnets.some((subnet) => familyOf(subnet) === familyOf(hostAddress))) return;
  throw new AppError(
    'E_PORT_INVALID',
    `A port is to be published at ${hostAddress}, and network ${network.name} has only ${subnets.join(' and ')}; give an address of that family, or none for all.`,
  );
}

function noWayIn({ name, edge }: NetworkDefinition): AppError {
  return new AppError(
    'E_GATEWAY_MISSING',
    edge === 'internal'
      ? `Network ${name} is internal, so no port of a host leads into it; publish on a network that was created with --routed.`
      : `Network ${name} has no gateway, so no port of a host leads into it; publish on a network that was created with --routed.`,
  );
}
