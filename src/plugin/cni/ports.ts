import type { EndpointInfo, PortRequest } from '../../api/control.ts';
import { canonicalAddress } from '../../wire/cidr.ts';
import type { Config, PortMapping } from './config.ts';
import { CniError, CODE } from './error.ts';

/** Runtimes' words for every address of the host. */
const EVERYWHERE: readonly string[] = ['', '0.0.0.0', '::'];
const PROTOCOLS = ['tcp', 'udp'] as const;

/**
 * The ports that a runtime asks for by the capability `portMappings`. Host port 0 stands for a port of the
 * container that is published nowhere. Rejects with codes 2 and 7.
 */
export function portsOf({ runtimeConfig: { portMappings } }: Config): readonly PortRequest[] {
  return portMappings.filter(({ hostPort }) => hostPort !== 0).map(portOf);
}

function portOf({ hostPort, containerPort, protocol: name, hostIP }: PortMapping): PortRequest {
  const protocol = PROTOCOLS.find((each) => each === name.toLowerCase());
  if (protocol === undefined) {
    throw new CniError(
      CODE.unsupportedField,
      `The config's portMappings.protocol is ${JSON.stringify(name)}; Weft publishes ports of ${PROTOCOLS.join(' and ')}.`,
    );
  }
  const port = { protocol, hostPort, port: containerPort };
  if (EVERYWHERE.includes(hostIP)) return port;
  const hostAddress = canonicalAddress(hostIP);
  if (hostAddress !== undefined) return { ...port, hostAddress };
  throw new CniError(
    CODE.invalidConfig,
    `The config's portMappings.hostIP is ${JSON.stringify(hostIP)}; give an IP address of the host, or none for all.`,
  );
}

/** Code 7 for a port at an address of a family that the network has not: no packet could come by it. */
export function refuseForeignFamilies(
  ports: readonly PortRequest[],
  network: string,
  subnets: readonly string[],
): void {
  const isSix = (text: string): boolean => text.includes(':');
  const lost = ports.find(
    ({ hostAddress: at }) => at !== undefined && !subnets.some((each) => isSix(each) === isSix(at)),
  );
  if (lost?.hostAddress === undefined) return;
  throw new CniError(
    CODE.invalidConfig,
    `The config's portMappings.hostIP is ${lost.hostAddress}, and network ${network} has only ${subnets.join(' and ')}; give an address of that family.`,
  );
}

/** What a runtime asked for and does not have, in sentences for CHECK. */
export function missingPorts(
  wanted: readonly PortRequest[],
  { ports = [] }: EndpointInfo,
): readonly string[] {
  const textOf = ({ protocol, hostAddress = '', hostPort, port }: PortRequest): string =>
    `${hostAddress === '' ? '' : `${hostAddress} `}${hostPort}/${protocol} to ${port}`;
  const there = new Set(ports.map(textOf));
  return wanted
    .map(textOf)
    .filter((text) => !there.has(text))
    .map((text) => `port ${text} is not published`);
}
