import type { Call } from './call.ts';
import {
  originOf,
  readIpamConfig,
  readIdentity,
  type Identity,
  type IpamConfig,
} from './config.ts';
import { CniError, CODE } from './error.ts';
import type { CniHost } from './host.ts';
import { shapeResult } from './result.ts';
import { readRoutes } from './routes.ts';
import { ensureNetwork, wantedAddresses } from './wanted.ts';

const IFNAME = /^[^\s/:]{1,15}$/;

/**
 * What another plugin's config with `"ipam": {"type": "weft-ipam"}` asks: an address of each subnet of a Weft
 * network for an interface that the other plugin makes. They are held for a holder whose name follows from the
 * call, as an endpoint's id does, until DEL or GC; nothing else is remembered (ADR 39).
 */
export class CniIpam {
  readonly #host: CniHost;

  constructor(host: CniHost) {
    this.#host = host;
  }

  async add(call: Call): Promise<object> {
    const config = readIpamConfig(call);
    const holder = holderOf(call, config);
    const addresses = wantedAddresses(call, config);
    const routes = readRoutes(config.ipam.routes);
    const name = ipamNetworkOf(config);
    await this.#makeNetwork(name, config);
    const wanted = Object.values(addresses);
    const reserved = await this.#host.reserve({ network: name, holder, addresses: wanted });
    const gateways = this.#host.network(name)?.gateways ?? [];
    const made = { addresses: reserved, gateways, routes, dns: undefined };
    return shapeResult(config.cniVersion, made, undefined);
  }

  async delete(call: Call): Promise<undefined> {
    const holder = holderOf(call, readIdentity(call));
    await this.#release((each) => each === holder, holder);
    return undefined;
  }

  check(call: Call): Promise<undefined> {
    const config = readIpamConfig(call);
    const holder = holderOf(call, config);
    const held = this.#host.held(holder).filter((each) => each.holder === holder);
    if (held.length === 0) {
      throw new CniError(
        CODE.unknownContainer,
        `No address is held for ${call.ifname} of container ${call.containerId}; it was never added, or is gone.`,
      );
    }
    const told = (config.prevResult?.ips ?? []).map(({ address }) => address);
    if (held.every(({ address }) => told.includes(address))) return Promise.resolve(undefined);
    const addresses = held.map(({ address }) => address).join(' and ');
    throw new CniError(
      CODE.differs,
      `${call.ifname} of container ${call.containerId} holds ${addresses}, and prevResult has ${told.join(' and ') || 'no address'}.`,
    );
  }

  /** Lets go of what belongs to this config and to no attachment that the runtime still knows. */
  async collect(config: Identity, valid: readonly Pick<Call, 'containerId' | 'ifname'>[]) {
    const kept = new Set(valid.map((each) => holderOf(each, config)));
    await this.#release((holder) => !kept.has(holder), originOf(config));
  }

  async #release(isMeant: (holder: string) => boolean, prefix: string): Promise<void> {
    for (const held of this.#host.held(prefix)) {
      if (isMeant(held.holder)) await this.#host.release(held);
    }
  }

  #makeNetwork(name: string, { ipam }: IpamConfig): Promise<void> {
    const { subnet, subnet6, ipv6, ipRange, ipRange6, gateway, gateway6 } = ipam;
    if (subnet === undefined) return Promise.resolve();
    return ensureNetwork(this.#host, {
      ...{ name, subnet },
      ...(subnet6 !== undefined && { subnet6 }),
      ...(ipv6 !== undefined && { ipv6 }),
      ...(ipRange !== undefined && { ipRange }),
      ...(ipRange6 !== undefined && { ipRange6 }),
      ...(gateway !== undefined && { gateway }),
      ...(gateway6 !== undefined && { gateway6 }),
    });
  }
}

/** The other plugin's network is not Weft's: only what is in `ipam` counts. */
export function ipamNetworkOf({ name, ipam }: Pick<Identity, 'name' | 'ipam'>): string {
  return ipam?.network ?? name;
}

/** `cni NAME CONTAINER IFNAME`, which is found again by every later call. */
function holderOf(
  { containerId, ifname }: Pick<Call, 'containerId' | 'ifname'>,
  config: Pick<Identity, 'name'>,
): string {
  if (IFNAME.test(ifname)) return `${originOf(config)}${containerId} ${ifname}`;
  throw new CniError(
    CODE.invalidEnvironment,
    `CNI_IFNAME is ${JSON.stringify(ifname.slice(0, 200))}; it has 1 to 15 characters and no slash, colon or blank.`,
  );
}
