import { z } from 'zod';
import type { PortRangeRequest } from '../../api/plumbing.ts';
import { AppError } from '../../base/errors.ts';

const PORT_MAP = 'com.docker.network.portmap';
/** IANA's protocol numbers. */
const PROTOCOLS: Readonly<Record<number, 'tcp' | 'udp'>> = { 6: 'tcp', 17: 'udp' };

const port = z.number().int().min(0).max(65_535);
const portMap = z
  .array(
    z.object({
      Proto: z.number(),
      Port: port.min(1),
      HostIP: z.string().default(''),
      HostPort: port.default(0),
      /** The last of a range; 0 or the first again if there is none. */
      HostPortEnd: port.default(0),
    }),
  )
  .nullish()
  .transform((value) => value ?? []);

/**
 * Reads `-p` out of the options of Join and ProgramExternalConnectivity. Rejects with E_USAGE for what
 * no engine sends, and with E_ENGINE_OPTION for a protocol that can't be published.
 */
export function readPortMap(options: Readonly<Record<string, unknown>>): PortRangeRequest[] {
  const { success, data } = portMap.safeParse(options[PORT_MAP]);
  if (!success) {
    throw new AppError(
      'E_USAGE',
      `The request has a wrong ${PORT_MAP}; it is a list of objects with Proto, Port, HostIP, HostPort and HostPortEnd.`,
    );
  }
  return data.map(({ Proto, Port, HostIP, HostPort, HostPortEnd }) => {
    const { [Proto]: protocol } = PROTOCOLS;
    if (protocol === undefined) {
      throw new AppError(
        'E_ENGINE_OPTION',
        `Port ${Port} is to be published by IP protocol ${Proto}, and Weft publishes tcp and udp; leave it out.`,
      );
    }
    return {
      ...{ protocol, hostPort: HostPort, port: Port },
      ...(HostIP === '' ? {} : { hostAddress: HostIP }),
      ...(HostPortEnd > HostPort ? { hostPortEnd: HostPortEnd } : {}),
    };
  });
}
