import type { NetworkRequest } from '../../api/control.ts';
import type { Call } from './call.ts';
import type { Config } from './config.ts';
import { CniError, CODE } from './error.ts';
import type { CniHost } from './host.ts';

/** The one address that a container is to have: by capability first, then by the older conventions. */
export function wantedAddress(
  call: Pick<Call, 'args'>,
  {
    runtimeConfig,
    args,
  }: { readonly runtimeConfig: Pick<Config['runtimeConfig'], 'ips'> } & Pick<Config, 'args'>,
): string | undefined {
  const ips = new Set([
    ...runtimeConfig.ips,
    ...(args?.cni?.ips ?? []),
    ...(call.args.get('IP')?.split(',') ?? []),
  ]);
  const [ip, ...others] = ips;
  if (others.length === 0) return ip;
  throw new CniError(
    CODE.invalidConfig,
    `The container is to have the addresses ${[...ips].join(' and ')}; a network gives one, so ask for one.`,
  );
}

/** Makes the network of a config, or checks that the one of that name is as the config has it: code 7. */
export async function ensureNetwork(host: CniHost, request: NetworkRequest): Promise<void> {
  const { name, subnet, edge } = request;
  await host.ensureNetwork(request);
  const facts = host.network(name);
  if (facts === undefined) return;
  if (edge !== undefined && facts.edge !== edge) {
    throw new CniError(
      CODE.invalidConfig,
      `Network ${name} is ${facts.edge ?? 'a plain wire'} and not ${edge}; leave "edge" out, or give another "network".`,
    );
  }
  if (facts.subnets.includes(subnet)) return;
  throw new CniError(
    CODE.invalidConfig,
    `Network ${name} has the subnet ${facts.subnets.join(' and ')} and not ${subnet}; give the config that one, or another "network".`,
  );
}
