import type { BandwidthRequest, EndpointInfo, RateRequest } from '../../api/control.ts';
import type { Config } from './config.ts';

const WAYS = ['ingress', 'egress'] as const;

/** The rates that a runtime gives by the capability `bandwidth`, else those of the config; undefined for none. */
export function bandwidthOf({ runtimeConfig, bandwidth }: Config): BandwidthRequest | undefined {
  const given = runtimeConfig.bandwidth ?? bandwidth;
  if (given === undefined) return undefined;
  const limits = {
    ...limit('ingress', { rate: given.ingressRate, burst: given.ingressBurst }),
    ...limit('egress', { rate: given.egressRate, burst: given.egressBurst }),
  };
  return Object.keys(limits).length === 0 ? undefined : limits;
}

const limit = (way: (typeof WAYS)[number], request: RateRequest): BandwidthRequest =>
  request.rate === 0 && request.burst === 0 ? {} : { [way]: request };

/** How an endpoint is held to other rates than a runtime asks for, in sentences for CHECK. */
export function otherRates(
  wanted: BandwidthRequest | undefined,
  { bandwidth }: EndpointInfo,
): readonly string[] {
  const textOf = (request: RateRequest | undefined): string =>
    request === undefined ? 'unlimited' : `${request.rate} bit/s, burst ${request.burst} bits`;
  return WAYS.flatMap((way) => {
    const [found, asked] = [textOf(bandwidth?.[way]), textOf(wanted?.[way])];
    return found === asked ? [] : [`${way} is ${found} instead of ${asked}`];
  });
}
