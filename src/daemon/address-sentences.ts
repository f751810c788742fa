import { AppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import type { Endpoint } from '../network/endpoint.ts';
import type { Failure } from '../ipam/message.ts';

interface Words {
  readonly network: string;
  readonly subnet: string;
  /** The address that was asked for, if one was. */
  readonly address: string | undefined;
  readonly hostName: (host: PeerId) => string;
}

/** Two networks of one name wait for a repair, and an endpoint of the other one has the address. */
export const disputedAddress = (
  address: string,
  network: string,
  { id, host, network: other }: Endpoint,
  hostName: (host: PeerId) => string,
): AppError =>
  new AppError(
    'E_NETWORK_DISPUTED',
    `Address ${address} of network ${network} is that of endpoint ${id} on host ${hostName(host)} in the other network of that name, ${other}; give another, or make one network of them with "weft ipam plan" and "weft ipam repair".`,
  );

const seconds = (ms: number): string => {
  const whole = Math.ceil(ms / 1000);
  if (whole < 120) return `${whole} s`;
  return whole < 7200 ? `${Math.ceil(whole / 60)} min` : `${Math.ceil(whole / 3600)} h`;
};

/** Why no address was given out, for a person. */
export function addressError(failure: Failure, words: Words): AppError {
  const { network, subnet, address, hostName } = words;
  switch (failure.kind) {
    case 'no-pool':
      return new AppError(
        'E_NETWORK_MISSING',
        `Network ${network} is not known here any more; "weft network ls" lists what there is.`,
      );
    case 'no-majority':
      return new AppError(
        'E_ADDRESS_NO_MAJORITY',
        `Host reaches ${failure.reached} of the ${failure.of} hosts that vote on the addresses of ${network}, and needs ${Math.floor(failure.of / 2) + 1}: it gives out no address until it does; see "weft ipam status", and "weft forget HOST" for a host that will not come back.`,
      );
    case 'exhausted':
      return new AppError('E_ADDRESS_EXHAUSTED', exhaustedSentence(failure, words));
    case 'in-use':
      return new AppError(
        'E_ADDRESS_TAKEN',
        `Address ${address ?? ''} of network ${network} belongs to an endpoint on host ${hostName(failure.owner)}; give another, or detach that one first.`,
      );
    case 'owner-away': {
      const owner = hostName(failure.owner);
      const voters =
        failure.voters === undefined
          ? ''
          : `, and only ${failure.voters.reached} of the ${failure.voters.of} hosts that vote can be reached`;
      const when =
        failure.forMs === undefined || failure.forMs === 0
          ? 'try again when it is back'
          : `try again in ${seconds(failure.forMs)}, when its lease has ended, or when it is back`;
      return new AppError(
        'E_ADDRESS_AWAY',
        `Address ${address ?? ''} of ${subnet} is owned by host ${owner}, which does not answer${voters}; ${when}, or give another address, or "weft forget ${owner}" if it will not come back.`,
      );
    }
    case 'alive':
      return new AppError('E_HOST_ALIVE', 'The host is alive; stop its daemon first.');
    case 'disk':
      return failure.error;
    case 'came-back':
      return new AppError(
        'E_ADDRESS_BUSY',
        `The host was back for a while, which was not known here; look at "weft peers" and try again if it is still gone.`,
      );
    case 'busy':
      return new AppError(
        'E_ADDRESS_BUSY',
        `The hosts that vote on the addresses of ${network} were busy with other changes; try again.`,
      );
  }
}

function exhaustedSentence(
  { cooling, away }: Extract<Failure, { kind: 'exhausted' }>,
  { network, subnet, hostName }: Words,
): string {
  const resting = cooling === 0 ? '' : `; ${cooling} were freed just now and rest for up to 30 s`;
  const held = away.map(({ host, free }) => `${free} with ${hostName(host)}`).join(', ');
  const unreachable =
    held === ''
      ? ''
      : `; free addresses are out of reach until their hosts' leases end, or "weft forget": ${held}`;
  return `No address of ${subnet} is free in network ${network}${resting}${unreachable}; detach an endpoint, or make a network with a larger subnet.`;
}
