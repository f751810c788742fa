import type { AttachRequest, NetworkRequest } from '../../api/control.ts';
import type { Call } from './call.ts';
import type { Config } from './config.ts';
import { CniError, CODE } from './error.ts';
import type { CniHost } from './host.ts';

/** Where a config names addresses that a container is to have. */
type Asking = { readonly runtimeConfig: Pick<Config['runtimeConfig'], 'ips'> } & Pick<
  Config,
  'args'
>;

/** The addresses that a container is to have: by capability first, then by the older conventions. */
function askedOf(call: Pick<Call, 'args'>, { runtimeConfig, args }: Asking): readonly string[] {
  const ips = [
    ...runtimeConfig.ips,
    ...(args?.cni?.ips ?? []),
    ...(call.args.get('IP')?.split(',') ?? []),
  ];
  return [...new Set(ips)];
}

/** One address of each family at most; code 7 for more. */
export function wantedAddresses(
  call: Pick<Call, 'args'>,
  config: Asking,
): Pick<AttachRequest, 'ip' | 'ip6'> {
  const ips = askedOf(call, config);
  const six = ips.filter((ip) => ip.includes(':'));
  const four = ips.filter((ip) => !ip.includes(':'));
  if (six.length > 1 || four.length > 1) {
    throw new CniError(
      CODE.invalidConfig,
      `The container is to have the addresses ${ips.join(' and ')}; a network gives one of each family, so ask for one.`,
    );
  }
  const [[ip], [ip6]] = [four, six];
  return { ...(ip !== undefined && { ip }), ...(ip6 !== undefined && { ip6 }) };
}

/** Makes the network of a config, or checks that the one of that name is as the config has it: code 7. */
export async function ensureNetwork(host: CniHost, request: NetworkRequest): Promise<void> {
  const { name, subnet, subnet6, edge } = request;
  await host.ensureNetwork(request);
  const facts = host.network(name);
  if (facts === undefined) return;
  if (edge !== undefined && facts.edge !== edge) {
    throw new CniError(
      CODE.invalidConfig,
      `Network ${name} is ${facts.edge ?? 'a plain wire'} and not ${edge}; leave "edge" out, or give another "network".`,
    );
  }
  const wanted = [subnet, ...(subnet6 === undefined ? [] : [subnet6])];
  const missing = wanted.find((each) => !facts.subnets.includes(each));
  if (missing === undefined) return;
  throw new CniError(
    CODE.invalidConfig,
    `Network ${name} has the subnet ${facts.subnets.join(' and ')} and not ${missing}; give the config that one, or another "network".`,
  );
}
