import type { ExposeRequest } from '../api/control.ts';
import { canonicalDnsName } from '../base/dns-name.ts';
import { AppError } from '../base/errors.ts';
import type { PeerId } from '../base/types.ts';
import { checkEndpointAddress, HOST_ORIGIN, type Endpoint } from '../network/endpoint.ts';
import { hostPortName } from '../network/names.ts';
import { checkSubnet, type NetworkDefinition } from '../network/network.ts';
import { subnetsOf } from '../network/subnets.ts';
import type { Netns } from '../os/netns.ts';
import { bareAddress, familyOf } from '../wire/cidr.ts';
import type { Directory } from './directory.ts';
import type { Networks } from './networks.ts';
import type { Workloads } from './workloads.ts';

export interface ExposureOptions {
  readonly self: PeerId;
  /** This host's. */
  readonly hostName: string;
  readonly directory: Directory;
  readonly networks: Networks;
  readonly workloads: Pick<Workloads, 'attach' | 'detach'>;
  readonly netns: Pick<Netns, 'own'>;
}

/**
 * This host itself on its networks: an endpoint like any other whose sandbox is the host's own namespace,
 * so that tables, names, repair and restarts need to know nothing of it. Its interface `weft-h…` is an end
 * of a pair and not the bridge, which stays a plain wire without addresses.
 */
export class Exposure {
  readonly #options: ExposureOptions;

  constructor(options: ExposureOptions) {
    this.#options = options;
  }

  /** Asked again for the same, it is the endpoint that there is. */
  async expose({ network: name, ip }: ExposeRequest): Promise<Endpoint> {
    const { hostName, networks, netns, workloads } = this.#options;
    const network = networks.require(name);
    refuseEdge(network);
    const ifname = hostPortName(network.vni);
    const present = this.#present(network.name);
    if (present === undefined) await networks.checkHostRoutes(network, ifname);
    else refuseOther(present, network, ip);
    const plain = canonicalDnsName(hostName);
    return workloads.attach(
      {
        ...{ network: name, ifname: present?.ifname ?? ifname, origin: HOST_ORIGIN },
        ...(plain !== undefined && present === undefined && { names: [plain] }),
        ...(ip !== undefined && { ip }),
      },
      await netns.own(),
    );
  }

  async hide(name: string): Promise<Endpoint> {
    const { networks, workloads } = this.#options;
    const network = networks.require(name).name;
    const present = this.#present(network);
    if (present !== undefined) return workloads.detach({ endpoint: present.id });
    throw new AppError(
      'E_ENDPOINT_MISSING',
      `This host is not on network ${network}; "weft ps" shows where it is.`,
    );
  }

  /** After a start, before anything is reconciled: the kernel may have booted, and numbers namespaces anew. */
  async adopt(): Promise<void> {
    const { directory, netns } = this.#options;
    const own = this.#own();
    if (own.length === 0) return;
    const sandbox = await netns.own();
    for (const endpoint of own) {
      const isSame = endpoint.sandbox.inode === sandbox.inode;
      if (!isSame) directory.putEndpoint({ ...endpoint, sandbox });
    }
  }

  #present(network: string): Endpoint | undefined {
    return this.#own().find((endpoint) => endpoint.network === network);
  }

  #own(): Endpoint[] {
    const { directory, self } = this.#options;
    return directory.endpointsOf(self).filter(({ origin }) => origin === HOST_ORIGIN);
  }
}

/** Two ways of the host into one subnet would lead replies astray; IPv6 would have it heed a router there. */
function refuseEdge(network: NetworkDefinition): void {
  const { name, edge, addressing } = network;
  if (edge !== undefined) {
    throw new AppError(
      'E_SUBNET_ROUTED',
      `Network ${name} is ${edge}: every host is on it already, as its gateway ${addressing?.gateway ?? ''}, and can't be twice; expose the host on a network that was created without --routed and --internal.`,
    );
  }
  const six = subnetsOf(network).find((subnet) => familyOf(subnet) === 6);
  if (six === undefined) return;
  throw new AppError(
    'E_SUBNET_INVALID',
    `Network ${name} has the subnet ${six}; a host joins networks with an IPv4 subnet only.`,
  );
}

function refuseOther(present: Endpoint, { name, subnet }: NetworkDefinition, ip?: string): void {
  if (ip === undefined || checkEndpointAddress(ip, checkSubnet(subnet)) === present.address) return;
  throw new AppError(
    'E_ENDPOINT_EXISTS',
    `This host is on network ${name} already, with address ${bareAddress(present.address)}; "weft hide ${name}" first.`,
  );
}
