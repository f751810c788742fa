import type { Plumbing } from '../../api/plumbing.ts';
import { AppError } from '../../base/errors.ts';
import { bareAddress } from '../../wire/cidr.ts';
import type { Binding, Bindings } from './bindings.ts';
import { weftEndpointId } from './endpoint-id.ts';
import { checkEndpointOptions } from './options.ts';
import { readPortMap } from './port-map.ts';
import type { RequestOf } from './schema.ts';

/** Created and not yet joined, or left: known in memory only, since an engine that starts tells anew. */
interface Created {
  readonly network: string;
  /** CIDR. */
  readonly address: string;
  /** With --ipv6, likewise. */
  readonly address6: string | undefined;
  readonly mac: string;
}

/** The interface's name in the container is this and a number. */
const CONTAINER_PREFIX = 'eth';

export interface DockerEndpointsOptions {
  readonly plumbing: Plumbing;
  readonly bindings: Bindings;
}

const holderOf = (endpoint: string): string => `docker endpoint ${weftEndpointId(endpoint)}`;

/**
 * Docker's endpoints.
 *
 *   CreateEndpoint ──> address and MAC are settled ──Join──> interface and row are there
 *                            ^                                        │
 *   DeleteEndpoint <─────────┴────────────────Leave───────────────────┘
 */
export class DockerEndpoints {
  readonly #options: DockerEndpointsOptions;
  readonly #created = new Map<string, Created>();

  constructor(options: DockerEndpointsOptions) {
    this.#options = options;
  }

  async create({
    NetworkID: networkId,
    EndpointID: id,
    Interface: wanted,
    Options: options,
  }: RequestOf<'NetworkDriver.CreateEndpoint'>): Promise<object> {
    const { plumbing } = this.#options;
    checkEndpointOptions(options);
    const binding = this.#binding(networkId);
    if (this.#created.has(id) || plumbing.plugged(weftEndpointId(id)) !== undefined) {
      throw new AppError(
        'E_ENGINE_OPTION',
        `Endpoint ${id.slice(0, 12)} exists already; delete it first.`,
      );
    }
    if (wanted.AddressIPv6 !== '' && !hasSecond(binding)) {
      throw new AppError(
        'E_ENGINE_OPTION',
        `Network ${binding.network} has no IPv6, and endpoint ${id.slice(0, 12)} is to have ${wanted.AddressIPv6}.`,
      );
    }
    const { address, address6 } = await this.#settle(binding, id, wanted);
    const mac =
      wanted.MacAddress === '' ? plumbing.chooseMac(binding.network, address) : wanted.MacAddress;
    this.#created.set(id, {
      ...{ network: networkId, address, address6, mac },
    });
    // Only what the engine left open may be answered; it refuses all else.
    return {
      Interface: {
        ...(wanted.Address === '' ? { Address: address } : {}),
        ...(address6 !== undefined && wanted.AddressIPv6 === '' ? { AddressIPv6: address6 } : {}),
        ...(wanted.MacAddress === '' ? { MacAddress: mac } : {}),
      },
    };
  }

  async join({
    NetworkID: networkId,
    EndpointID: id,
    SandboxKey: sandbox,
    Options: options,
  }: RequestOf<'NetworkDriver.Join'>): Promise<object> {
    const { network } = this.#binding(networkId);
    const created = this.#created.get(id);
    if (created === undefined || created.network !== networkId) {
      throw new AppError(
        'E_ENDPOINT_MISSING',
        `There is no endpoint ${id.slice(0, 12)} on network ${network}, or it was made before this daemon started; start the container again.`,
      );
    }
    const { address, address6, mac } = created;
    const { plumbing } = this.#options;
    // Docker itself does not ask for ports of a container that has no gateway, and says nothing.
    if (readPortMap(options).length > 0 && plumbing.isUnreachable({ network, sandbox })) {
      throw new AppError(
        'E_GATEWAY_MISSING',
        `Network ${network} has no gateway, so no port of a host leads into it; leave out -p, or use a network that Docker made or "weft network create --routed".`,
      );
    }
    const { device, gateways } = await plumbing.plug({
      ...{ endpoint: weftEndpointId(id), network, address: bareAddress(address), mac, sandbox },
      ...(address6 !== undefined && { address6: bareAddress(address6) }),
    });
    return {
      InterfaceName: { SrcName: device, DstPrefix: CONTAINER_PREFIX },
      ...gatewayFields(gateways),
      // Without it, the engine would add an interface of its own bridge to the container.
      DisableGatewayService: true,
    };
  }

  async leave({ EndpointID: id }: RequestOf<'NetworkDriver.Leave'>): Promise<object> {
    await this.#options.plumbing.unplug(weftEndpointId(id));
    return {};
  }

  async delete({
    NetworkID: networkId,
    EndpointID: id,
  }: RequestOf<'NetworkDriver.DeleteEndpoint'>): Promise<object> {
    const { plumbing, bindings } = this.#options;
    await plumbing.unplug(weftEndpointId(id));
    this.#created.delete(id);
    if (bindings.get(networkId)?.isForeignIpam === false) return {};
    for (const { network, address, holder } of plumbing.reservations()) {
      if (holder === holderOf(id)) await plumbing.release(network, bareAddress(address));
    }
    return {};
  }

  info({ EndpointID: id }: RequestOf<'NetworkDriver.EndpointOperInfo'>): object {
    const plugged = this.#options.plumbing.plugged(weftEndpointId(id));
    if (plugged === undefined) return { Value: {} };
    const { endpoint, network, mtu } = plugged;
    const value = { endpoint, network: network.name, vni: network.vni, mtu };
    return {
      Value: Object.fromEntries(
        Object.entries(value).map(([key, each]) => [`weft.${key}`, String(each)]),
      ),
    };
  }

  async publish({
    EndpointID: id,
    Options: options,
  }: RequestOf<'NetworkDriver.ProgramExternalConnectivity'>): Promise<object> {
    await this.#options.plumbing.publish(weftEndpointId(id), readPortMap(options));
    return {};
  }

  async revoke({
    EndpointID: id,
  }: RequestOf<'NetworkDriver.RevokeExternalConnectivity'>): Promise<object> {
    await this.#options.plumbing.publish(weftEndpointId(id), []);
    return {};
  }

  /** The addresses that the engine has chosen, or, where it left that to Weft, free ones; all or none. */
  async #settle(
    binding: Binding,
    id: string,
    {
      Address: wanted,
      AddressIPv6: wanted6,
    }: RequestOf<'NetworkDriver.CreateEndpoint'>['Interface'],
  ): Promise<Pick<Created, 'address' | 'address6'>> {
    const isReserved = binding.isForeignIpam || wanted === '';
    const address = isReserved ? await this.#reserve(binding, id, wanted, 4) : wanted;
    if (!hasSecond(binding)) return { address, address6: undefined };
    if (!binding.isForeignIpam && wanted6 !== '') return { address, address6: wanted6 };
    try {
      return { address, address6: await this.#reserve(binding, id, wanted6, 6) };
    } catch (error) {
      if (isReserved) await this.#options.plumbing.release(binding.network, bareAddress(address));
      throw error;
    }
  }

  #reserve({ network }: Binding, id: string, wanted: string, family: 4 | 6): Promise<string> {
    return this.#options.plumbing.reserve({
      ...{ network, holder: holderOf(id), again: true },
      ...(wanted === '' ? { family } : { address: bareAddress(wanted) }),
    });
  }

  #binding(id: string): Binding {
    const binding = this.#options.bindings.get(id);
    if (binding !== undefined) return binding;
    throw new AppError(
      'E_NETWORK_MISSING',
      `Docker network ${id.slice(0, 12)} is none of this host's; remove it with "docker network rm" and create it again.`,
    );
  }
}

/** Whether the engine's network was made with --ipv6. */
const hasSecond = ({ pools }: Binding): boolean => pools.length > 1;

/** The default gateways, in the field of each family. */
function gatewayFields(gateways: readonly string[]): {
  readonly Gateway?: string;
  readonly GatewayIPv6?: string;
} {
  return Object.fromEntries(
    gateways.map((address) => [address.includes(':') ? 'GatewayIPv6' : 'Gateway', address]),
  );
}
