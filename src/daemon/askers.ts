import type { PeerId } from '../base/types.ts';
import type { Permission } from '../dns/server.ts';
import type { ListenAt } from '../dns/sockets.ts';
import { addressesOf } from '../network/endpoint.ts';
import { subnetsOf } from '../network/subnets.ts';
import {
  bareAddress,
  containsAddress,
  parseAddress,
  parseCidr,
  type Cidr,
  type IpAddress,
} from '../wire/cidr.ts';
import { isEngineManaged } from '../network/endpoint.ts';
import type { Sandbox } from '../os/netns.ts';
import type { Directory } from './directory.ts';

/**
 * Whoever asks an address of the host from elsewhere gets no answer, lest the host help strangers flood
 * others (RFC 5358): loopback, RFC 1918, RFC 6598, link-local and RFC 4193 may.
 */
const NEAR = [
  ...['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'],
  ...['169.254.0.0/16', '::1/128', 'fe80::/10', 'fc00::/7'],
].flatMap((text) => parseCidr(text) ?? []);

const isIn = (subnets: readonly Cidr[], address: IpAddress | undefined): boolean =>
  address !== undefined && subnets.some((subnet) => containsAddress(subnet, address));

/** What the tables said when somebody last asked. */
interface Known {
  readonly subnets: readonly { readonly network: string; readonly subnet: Cidr }[];
  /** By network and address: the networks of this host's endpoints, each one's own first. */
  readonly views: ReadonlyMap<string, readonly string[]>;
}

const keyOf = (network: string, address: string): string => `${network} ${address}`;

/** Of a sandbox that an engine cares for only the path is known, which is its own. */
const sandboxKey = (sandbox: Sandbox): string =>
  isEngineManaged({ sandbox }) ? sandbox.path : sandbox.inode;

/** Decides what somebody sees who asks for names. */
export class Askers {
  readonly #self: PeerId;
  readonly #directory: Directory;
  #known: Known | undefined;
  #version = 0;

  constructor(self: PeerId, directory: Directory) {
    this.#self = self;
    this.#directory = directory;
  }

  /** Networks, or endpoints of this host, have changed. */
  changed(): void {
    this.#known = undefined;
    this.#version++;
  }

  /** Another one whenever somebody could see something else. */
  get version(): number {
    return this.#version;
  }

  /**
   * An endpoint sees its network, and after that the other networks of its sandbox. The host sees all: it
   * asks a bridge from the bridge's own address, from which the kernel takes nothing that comes by a wire.
   * At an address of the host, an asker is known by its own address: one inside the subnet of one network
   * sees that network; of several, none, since it can't be told which; one outside all of them is a host.
   * Who is on internal networks alone learns nothing of names outside: a question is a way out, too.
   */
  permit(at: ListenAt, asker: string): Permission | undefined {
    if (at.network !== undefined && asker === at.address) return { view: 'all', mayForward: true };
    if (at.network !== undefined) return this.#ofNetwork(at.network, asker);
    const address = parseAddress(asker);
    const { subnets } = (this.#known ??= this.#look());
    const [found, ...others] = subnets.filter(({ subnet }) => isIn([subnet], address));
    if (found === undefined) {
      return isIn(NEAR, address) ? { view: 'all', mayForward: true } : undefined;
    }
    return others.length === 0
      ? this.#ofNetwork(found.network, asker)
      : { view: [], mayForward: this.#leadsOut([found, ...others].map(({ network }) => network)) };
  }

  #ofNetwork(network: string, asker: string): Permission {
    const { views } = (this.#known ??= this.#look());
    const view = views.get(keyOf(network, asker)) ?? [network];
    return { view, mayForward: this.#leadsOut(view) };
  }

  #leadsOut(networks: readonly string[]): boolean {
    return networks.some((name) => this.#directory.network(name)?.edge !== 'internal');
  }

  #look(): Known {
    const subnets = this.#directory.networks().flatMap((network) =>
      subnetsOf(network).flatMap((text) => {
        const subnet = parseCidr(text);
        return subnet === undefined ? [] : [{ network: network.name, subnet }];
      }),
    );
    const own = this.#directory.endpointsOf(this.#self);
    const bySandbox = new Map<string, string[]>();
    for (const { sandbox, network } of own) {
      const key = sandboxKey(sandbox);
      bySandbox.set(key, [...(bySandbox.get(key) ?? []), network]);
    }
    const views = own.flatMap(({ network, sandbox, ...endpoint }) => {
      const networks = new Set([network, ...(bySandbox.get(sandboxKey(sandbox)) ?? [])]);
      return addressesOf(endpoint).map(
        (address) => [keyOf(network, bareAddress(address)), [...networks]] as const,
      );
    });
    return { subnets, views: new Map(views) };
  }
}
