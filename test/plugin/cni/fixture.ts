import type {
  AttachRequest,
  DetachRequest,
  EndpointInfo,
  NetworkRequest,
} from '../../../src/api/control.ts';
import { AppError } from '../../../src/base/errors.ts';
import { nullLogger } from '../../../src/base/log.ts';
import type {
  AddressRequest,
  CniHost,
  HeldAddress,
  Hindrance,
  NetworkFacts,
} from '../../../src/plugin/cni/host.ts';
import { CniPlugin } from '../../../src/plugin/cni/plugin.ts';

export const CONTAINER = '6777e660e6c58b93112b66baf7c9fac96c3d8da0a4de0c2e319049db8852e135';
export const NETNS = '/var/run/netns/cni-1';

/** A daemon's worth of what the plugin needs, in memory. Every method throws `failWith` if it is set. */
export class FakeCniHost implements CniHost {
  readonly id = '0123456789abcdef0123456789abcdef';
  readonly networks = new Map<string, NetworkFacts>();
  readonly endpoints = new Map<string, EndpointInfo>();
  readonly attached: AttachRequest[] = [];
  readonly reserved = new Map<string, readonly HeldAddress[]>();
  differences: readonly string[] = [];
  hindered: Hindrance | undefined;
  failWith: Error | undefined;

  network(name: string) {
    return this.networks.get(name);
  }

  ensureNetwork({ name, subnet, subnet6, edge }: NetworkRequest): Promise<void> {
    this.#enter();
    if (!this.networks.has(name)) {
      this.networks.set(name, {
        ...{ subnets: [subnet, ...(subnet6 ? [subnet6] : [])], gateways: [] },
        ...(edge && { edge }),
      });
    }
    return Promise.resolve();
  }

  attach(request: AttachRequest): Promise<EndpointInfo> {
    this.#enter();
    this.attached.push(request);
    const {
      id = '',
      network,
      netns = '',
      ifname = 'eth0',
      ip,
      ip6,
      mac,
      names,
      origin,
      ports,
      bandwidth,
    } = request;
    if (!this.networks.has(network)) throw new AppError('E_NETWORK_MISSING', `no ${network}`);
    if (this.endpoints.has(id)) throw new AppError('E_ENDPOINT_EXISTS', `${id} exists`);
    const endpoint: EndpointInfo = {
      ...{ endpoint: id, network, ifname, mtu: 1450, host: 'host-a', sandbox: netns },
      ...{ address: ip ?? '10.66.0.2/24', mac: mac ?? '02:00:00:00:00:02' },
      ...(this.networks.get(network)?.subnets[1] && { address6: ip6 ?? 'fd00:66::2/64' }),
      ...(names && { names }),
      ...(ports && { ports }),
      ...(bandwidth && { bandwidth }),
      ...(origin !== undefined && { origin }),
    };
    this.endpoints.set(id, endpoint);
    return Promise.resolve(endpoint);
  }

  detach({ endpoint = '' }: DetachRequest): Promise<EndpointInfo> {
    this.#enter();
    const found = this.endpoints.get(endpoint);
    if (found === undefined) throw new AppError('E_ENDPOINT_MISSING', `no ${endpoint}`);
    this.endpoints.delete(endpoint);
    return Promise.resolve(found);
  }

  endpoint(id: string) {
    return this.endpoints.get(id);
  }

  endpointsFrom(origin: string) {
    return [...this.endpoints.values()].filter((each) => each.origin?.startsWith(origin));
  }

  reserve({ network, holder, addresses }: AddressRequest): Promise<readonly string[]> {
    this.#enter();
    const found = this.networks.get(network);
    if (found === undefined) throw new AppError('E_NETWORK_MISSING', `no ${network}`);
    if (this.reserved.has(holder)) throw new AppError('E_ENDPOINT_EXISTS', `${holder} exists`);
    const held = found.subnets.map((subnet) => {
      const isSix = subnet.includes(':');
      const wanted = addresses.find((each) => each.includes(':') === isSix);
      const address = `${wanted ?? (isSix ? 'fd00:66::2' : '10.66.0.2')}/${isSix ? 64 : 24}`;
      return { pool: network, holder, address };
    });
    this.reserved.set(holder, held);
    return Promise.resolve(held.map(({ address }) => address));
  }

  held(prefix: string) {
    return [...this.reserved.values()].flat().filter(({ holder }) => holder.startsWith(prefix));
  }

  release({ holder }: HeldAddress): Promise<void> {
    this.#enter();
    this.reserved.delete(holder);
    return Promise.resolve();
  }

  examine() {
    return Promise.resolve(this.differences);
  }

  hindrance() {
    return this.hindered;
  }

  #enter(): void {
    if (this.failWith !== undefined) throw this.failWith;
  }
}

/** What the CNI program would hand on; `undefined` takes a variable away. */
export function handedOn(
  command: string,
  config: object | string,
  env: Readonly<Record<string, string>> = {},
  plugin = 'weft',
) {
  return {
    plugin,
    env: {
      ...{ CNI_COMMAND: command, CNI_CONTAINERID: CONTAINER, CNI_NETNS: NETNS },
      ...{ CNI_IFNAME: 'eth0', CNI_ARGS: '', CNI_PATH: '/opt/cni/bin' },
      ...env,
    },
    stdin: typeof config === 'string' ? config : JSON.stringify(config),
  };
}

/** A plugin over a host that has the network `pods`, and how to call it. */
export function plugin() {
  const host = new FakeCniHost();
  host.networks.set('pods', { subnets: ['10.66.0.0/24'], gateways: [] });
  const face = new CniPlugin(host, nullLogger);
  const call = (...words: Parameters<typeof handedOn>) => face.answer(handedOn(...words));
  return { host, face, call };
}

export const CONFIG = { cniVersion: '1.1.0', name: 'pods', type: 'weft' } as const;
